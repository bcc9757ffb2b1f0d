"""Pages of a member's jobs."""

import re
from typing import Self

import discord

from bot.faces.discord.cards import card, harmless
from bot.faces.discord.components.lasting import LastingButton
from bot.faces.discord.face import Interaction, caller_of
from bot.faces.discord.localisation import Words

JOBS = 10  # of a page
CURSOR_MAX = 80  # characters; a custom_id takes 100


async def show_history(interaction: Interaction, cursor: str | None) -> None:
    """Turn the acknowledged answer into a page of jobs."""
    words = Words(interaction.locale.value)
    studio = interaction.client.studio
    jobs, next_cursor = await studio.history(caller_of(interaction), cursor=cursor, limit=JOBS)
    lines = [
        words(
            "history.line",
            id=job.id,
            state=words(f"states.{job.state.value}"),
            prompt=harmless(job.prompt, 120),
        )
        for job in jobs
    ]
    body = "\n".join(lines) or words("history.empty")
    is_more = next_cursor is not None and len(next_cursor) <= CURSOR_MAX
    row = [OlderJobsButton(next_cursor or "", words("buttons.next"))] if is_more else []
    await interaction.edit_original_response(view=card(words("history.title"), body, rows=[row]))


class OlderJobsButton(LastingButton, template=r"history:(?P<cursor>.+)"):
    """Shows the jobs before those on this page."""

    def __init__(self, cursor: str, label: str) -> None:
        super().__init__(discord.ui.Button(label=label, custom_id=f"history:{cursor}"))
        self.cursor = cursor

    @classmethod
    def restored(cls, match: re.Match[str], label: str) -> Self:
        """The button of an earlier message."""
        return cls(match["cursor"], label)

    async def pressed(self, interaction: Interaction) -> None:
        """Turn the page."""
        await interaction.response.defer()
        await show_history(interaction, self.cursor)
