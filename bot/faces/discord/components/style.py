"""Drawing in a saved style: a button, and the form for what to draw."""

import re
from typing import Self

import discord

from bot.faces.discord.components.confirmation import Wish, imagine_in
from bot.faces.discord.components.lasting import LastingButton
from bot.faces.discord.face import Interaction
from bot.faces.discord.forms import Fields, FormAnswer, show_form, text_field
from bot.faces.discord.localisation import Words
from bot.faces.discord.submission import acknowledge, stated_privacy

PROMPT_MAX = 3000  # characters
_STYLE = r"(?P<style>[\w-]{1,64})"


class DrawInStyleButton(LastingButton, template=f"draw:{_STYLE}"):
    """Asks what to draw in a saved style."""

    def __init__(self, style: str, label: str) -> None:
        super().__init__(
            discord.ui.Button(
                label=label,
                emoji="🎨",
                custom_id=f"draw:{style}",
                style=discord.ButtonStyle.primary,
            )
        )
        self.style = style

    @classmethod
    def restored(cls, match: re.Match[str], label: str) -> Self:
        """The button of an earlier message."""
        return cls(match["style"], label)

    async def pressed(self, interaction: Interaction) -> None:
        """Show the form."""
        words = Words(interaction.locale.value)
        box = text_field("prompt", words("style.prompt"), max_length=PROMPT_MAX, is_long=True)
        await show_form(
            interaction,
            title=words("style.title"),
            custom_id=f"draw:{self.style}",
            fields=[box],
        )


async def _drawn(interaction: Interaction, match: re.Match[str], fields: Fields) -> None:
    prompt = fields["prompt"].strip()
    is_ephemeral = bool(stated_privacy(prompt)) and interaction.guild_id is not None
    answer = await acknowledge(interaction, is_ephemeral=is_ephemeral)
    await imagine_in(answer, Wish(text=f"{prompt} --sref {match['style']}"))


STYLE_FORM = FormAnswer(re.compile(f"draw:{_STYLE}"), _drawn)
