"""Questions before what was learnt is forgotten for good, and the buttons that answer them."""

import discord

from bot.faces.discord.cards import BLUE, GREY, card
from bot.faces.discord.components.lasting import LastingButton, SubjectButton
from bot.faces.discord.face import Interaction, caller_of
from bot.faces.discord.localisation import Words

_NAME = r"(?P<name>[\w-]{1,64})"


class ForgetStyleButton(
    SubjectButton, verb="forget-style", subject=_NAME, look=discord.ButtonStyle.danger
):
    """Forgets a style of the member's."""

    async def pressed(self, interaction: Interaction) -> None:
        """Forget it, in place of the question."""
        await interaction.response.defer()
        await interaction.client.studio.delete_style(caller_of(interaction), self.subject)
        await _answer(interaction, "style.deleted", self.subject)


class ForgetGeneratorButton(
    SubjectButton, verb="forget-generator", subject=_NAME, look=discord.ButtonStyle.danger
):
    """Forgets a generator."""

    async def pressed(self, interaction: Interaction) -> None:
        """Forget it, in place of the question."""
        await interaction.response.defer()
        await interaction.client.studio.delete_generator(caller_of(interaction), self.subject)
        await _answer(interaction, "train.deleted", self.subject)


class SpareButton(SubjectButton, verb="spare", subject=_NAME):
    """Forgets nothing."""

    async def pressed(self, interaction: Interaction) -> None:
        """Close the question."""
        await interaction.response.defer()
        await _answer(interaction, "forget.spared", self.subject)


async def ask_to_forget(interaction: Interaction, button: LastingButton, name: str) -> None:
    """Ask the member alone whether something shall be forgotten, which `button` does."""
    words = Words(interaction.locale.value)
    row = [button, SpareButton(name, words("buttons.dismiss"))]
    view = card(words("forget.question", name=name), colour=BLUE, rows=[row])
    await interaction.edit_original_response(view=view)


async def _answer(interaction: Interaction, key: str, name: str) -> None:
    text = Words(interaction.locale.value)(key, name=name)
    await interaction.edit_original_response(view=card(text, colour=GREY))
