"""The buttons that make more pictures from one: upscale and vary."""

import re
from typing import Self

import discord

from bot.faces.discord.components.identifiers import IMAGE
from bot.faces.discord.components.lasting import LastingButton
from bot.faces.discord.face import Interaction
from bot.faces.discord.submission import submit_one


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
