"""Whether a channel is for the whole of its server, as far as its roles tell."""

from collections.abc import Sequence

import discord

SAMPLE = 50  # channels that a role is tried on
# Who may do these is no ordinary member.
_STAFF = discord.Permissions(
    administrator=True,
    manage_guild=True,
    manage_channels=True,
    manage_messages=True,
    kick_members=True,
    ban_members=True,
    moderate_members=True,
)


def is_closed(channel: discord.abc.GuildChannel, guild: discord.Guild) -> bool:
    """Not all members of the server may look into the channel.

    Where new members see next to nothing until they are let in, the role that opens most channels
    to them stands for everybody.
    """
    if channel.permissions_for(guild.default_role).view_channel:
        return False
    channels = guild.text_channels[:SAMPLE]
    if _opens_most(guild.default_role, channels):
        return True
    ordinary = (role for role in guild.roles if not role.managed and not _is_staff(role))
    return not any(
        channel.permissions_for(role).view_channel and _opens_most(role, channels)
        for role in ordinary
    )


def _opens_most(role: discord.Role, channels: Sequence[discord.TextChannel]) -> bool:
    opened = sum(channel.permissions_for(role).view_channel for channel in channels)
    return 2 * opened > len(channels)


def _is_staff(role: discord.Role) -> bool:
    return bool(role.permissions.value & _STAFF.value)
