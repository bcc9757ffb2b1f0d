"""/privacy: all that is kept of a member, to take away or to have forgotten."""

import io

import discord
from discord import app_commands

from bot.faces.discord.addresses import file_limit
from bot.faces.discord.cards import card
from bot.faces.discord.components.confirmation import DismissButton
from bot.faces.discord.components.erasing import EraseButton
from bot.faces.discord.face import Interaction, caller_of
from bot.faces.discord.localisation import Words, phrase
from bot.studio.archives import write_archives

# Of one export: where a member alone has installed the bot, Discord takes no more follow-ups.
ARCHIVES_MAX = 5


class PrivacyCommands(app_commands.Group):
    """What a member may do about their own data; answers are for them alone."""

    def __init__(self) -> None:
        super().__init__(
            name=phrase("commands.privacy.name"),
            description=phrase("commands.privacy.description"),
            allowed_installs=app_commands.AppInstallationType(guild=True, user=True),
            allowed_contexts=app_commands.AppCommandContext(
                guild=True, dm_channel=True, private_channel=True
            ),
        )

    @app_commands.command(
        name=phrase("commands.privacy-export.name"),
        description=phrase("commands.privacy-export.description"),
    )
    async def export(self, interaction: Interaction) -> None:
        """Send archives of at most what this place takes, one after the other."""
        await interaction.response.defer(thinking=True, ephemeral=True)
        words = Words(interaction.locale.value)
        # The first follow-up to a deferral would take its place.
        await interaction.edit_original_response(content=words("privacy.exporting"))
        files = interaction.client.studio.export(caller_of(interaction))
        count = 0
        async for archive in write_archives(files, file_limit(interaction)):
            if count == ARCHIVES_MAX:
                text = _rest(words, count, interaction)
                await interaction.edit_original_response(content=text)
                return
            count += 1
            file = discord.File(io.BytesIO(archive), f"atelier-{count}.zip")
            await interaction.followup.send(file=file, ephemeral=True)
        await interaction.edit_original_response(content=words("privacy.exported", count=count))

    @app_commands.command(
        name=phrase("commands.privacy-delete.name"),
        description=phrase("commands.privacy-delete.description"),
    )
    async def delete(self, interaction: Interaction) -> None:
        """Ask first."""
        await interaction.response.defer(thinking=True, ephemeral=True)
        words, member_id = Words(interaction.locale.value), interaction.user.id
        buttons = [
            EraseButton(member_id, words("buttons.erase")),
            DismissButton(member_id, words("buttons.dismiss")),
        ]
        view = card(words("privacy.erase_question"), words("privacy.erase_stays"), rows=[buttons])
        await interaction.edit_original_response(view=view)


def _rest(words: Words, count: int, interaction: Interaction) -> str:
    """Where all of it is to be had when a chat can't hold it."""
    member_id, link = interaction.user.id, interaction.client.options.export_link
    if link is None:
        return words("privacy.export_cut", count=count, id=member_id)
    return words("privacy.export_link", count=count, link=link(member_id))
