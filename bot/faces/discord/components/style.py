"""Drawing in a saved style: a button, and the form for what to draw."""

import re

import discord

from bot.faces.discord.components.confirmation import Wish, imagine_in
from bot.faces.discord.components.lasting import SubjectButton
from bot.faces.discord.face import Interaction
from bot.faces.discord.forms import Fields, FormAnswer, show_form, text_field
from bot.faces.discord.localisation import Words
from bot.faces.discord.submission import acknowledge, stated_privacy

PROMPT_MAX = 3000  # characters
_STYLE = r"(?P<style>[\w-]{1,64})"


class DrawInStyleButton(
    SubjectButton, verb="draw", subject=_STYLE, emoji="🎨", look=discord.ButtonStyle.primary
):
    """Asks what to draw in a saved style."""

    async def pressed(self, interaction: Interaction) -> None:
        """Show the form."""
        words = Words(interaction.locale.value)
        box = text_field("prompt", words("style.prompt"), max_length=PROMPT_MAX, is_long=True)
        await show_form(
            interaction,
            title=words("style.title"),
            custom_id=f"draw:{self.subject}",
            fields=[box],
        )


async def _drawn(interaction: Interaction, match: re.Match[str], fields: Fields) -> None:
    prompt = fields["prompt"].strip()
    answer = await acknowledge(interaction, is_secret=bool(stated_privacy(prompt)))
    await imagine_in(answer, Wish(text=f"{prompt} --sref {match['style']}"))


STYLE_FORM = FormAnswer(re.compile(f"draw:{_STYLE}"), _drawn)
