"""What makes more pictures from one: buttons to upscale and vary, and a menu under a grid."""

import re
from typing import Self

import discord

from bot.faces.discord.components.identifiers import IMAGE, JOB
from bot.faces.discord.components.lasting import LastingButton, LastingMenu
from bot.faces.discord.face import Interaction
from bot.faces.discord.localisation import Words
from bot.faces.discord.submission import submit_one
from bot.studio.contract import JobView


class UpscaleButton(LastingButton, template=f"upscale:{IMAGE}:(?P<factor>[24])"):
    """Makes a larger version of one image; the new job belongs to whoever presses."""

    def __init__(self, image_id: str, label: str, *, factor: int = 2) -> None:
        super().__init__(discord.ui.Button(label=label, custom_id=f"upscale:{image_id}:{factor}"))
        self.image_id = image_id
        self.factor = factor

    @classmethod
    def restored(cls, match: re.Match[str], label: str) -> Self:
        """The button of an earlier message."""
        return cls(match["image"], label, factor=int(match["factor"]))

    async def pressed(self, interaction: Interaction) -> None:
        """Submit the job."""
        studio = interaction.client.studio
        await submit_one(
            interaction,
            lambda caller, destination: studio.upscale(
                caller, self.image_id, destination, factor=self.factor
            ),
        )


class VaryButton(
    LastingButton,
    template=f"vary:{IMAGE}:(?P<strength>subtle|strong)",
):
    """Makes images near one; the new job belongs to whoever presses."""

    def __init__(self, image_id: str, label: str, *, is_strong: bool) -> None:
        strength = "strong" if is_strong else "subtle"
        super().__init__(discord.ui.Button(label=label, custom_id=f"vary:{image_id}:{strength}"))
        self.image_id = image_id
        self.is_strong = is_strong

    @classmethod
    def restored(cls, match: re.Match[str], label: str) -> Self:
        """The button of an earlier message."""
        return cls(match["image"], label, is_strong=match["strength"] == "strong")

    async def pressed(self, interaction: Interaction) -> None:
        """Submit the job."""
        studio = interaction.client.studio
        await submit_one(
            interaction,
            lambda caller, destination: studio.vary(
                caller, self.image_id, destination, is_strong=self.is_strong
            ),
        )


class VaryMenu(LastingMenu, template=f"vary-one:{JOB}"):
    """Makes images near one of a job's, a little only; its buttons make stronger variations."""

    def __init__(
        self, job_id: str, options: list[discord.SelectOption], placeholder: str = ""
    ) -> None:
        super().__init__(
            discord.ui.Select(
                custom_id=f"vary-one:{job_id}", options=options, placeholder=placeholder or None
            )
        )

    @classmethod
    def of(cls, words: Words, job: JobView) -> Self:
        """The menu of a job's images."""
        options = [
            discord.SelectOption(label=words("vary.one", number=image.index + 1), value=image.id)
            for image in job.images
        ]
        return cls(job.id, options, words("vary.choose"))

    @classmethod
    def restored(cls, match: re.Match[str], options: list[discord.SelectOption]) -> Self:
        """The menu of an earlier message."""
        return cls(match["job"], options)

    async def chosen(self, interaction: Interaction, value: str) -> None:
        """Submit the job; it belongs to whoever chose."""
        studio = interaction.client.studio
        await submit_one(
            interaction,
            lambda caller, destination: studio.vary(caller, value, destination, is_strong=False),
        )
