"""Whether a picture can be made and shown here; asked before any work is done."""

import discord

from bot.errors import NotAllowed
from bot.faces.discord.face import Interaction, is_age_restricted, is_installed_here
from bot.faces.discord.localisation import Words

NEEDED = ("view_channel", "send_messages", "attach_files", "embed_links")


def check_place(interaction: Interaction) -> None:
    """Refuse where the result could not be shown.

    Raises:
        NotAllowed: a permission is missing, or pictures are for other places alone.
    """
    words = Words(interaction.locale.value)
    if interaction.client.options.is_servers_only and not _is_in_server(interaction):
        raise NotAllowed(words("place.servers_only"))
    missing = missing_permissions(interaction)
    if missing:
        names = ", ".join(words(f"permissions.{name}") for name in missing)
        raise NotAllowed(words("place.missing", names=names))
    if interaction.client.options.is_age_restricted_only and not is_age_restricted(interaction):
        raise NotAllowed(words("place.age_restricted"))


def has_company(interaction: Interaction) -> bool:
    """Others see what is shown here: in a server, and among members who brought the bot along."""
    return interaction.guild_id is not None or interaction.context.private_channel


def missing_permissions(interaction: Interaction) -> tuple[str, ...]:
    """What the bot may not do in this channel, though it would have to.

    In direct messages, and where only the member installed the bot, answers need no permission.
    """
    if interaction.guild_id is None or not is_installed_here(interaction):
        return ()
    may = interaction.app_permissions
    needed = set(NEEDED)
    if isinstance(interaction.channel, discord.Thread):
        needed -= {"send_messages"}
        needed |= {"send_messages_in_threads"}
    return tuple(sorted(name for name in needed if not getattr(may, name)))


def _is_in_server(interaction: Interaction) -> bool:
    """In a server whose admins have invited the bot, and whose rules hold."""
    return interaction.guild_id is not None and is_installed_here(interaction)
