"""What every command, button and form finds on `interaction.client`."""

from typing import Protocol, TypeAlias

import discord

from bot.faces.discord.options import DiscordOptions
from bot.faces.discord.seclusion import is_closed
from bot.faces.discord.turns import MessageTurns
from bot.studio.contract import Caller, Studio


class Follower(Protocol):
    """Something that keeps a message up to date until there is nothing more to show."""

    async def follow(self) -> None:
        """Return once nothing changes any more."""
        ...


class FaceClient(discord.AutoShardedClient):
    """A connection that knows the studio; without privileged intents, it never pings anybody."""

    def __init__(self, studio: Studio, options: DiscordOptions) -> None:
        intents = discord.Intents.none()
        intents.guilds = True
        super().__init__(
            intents=intents,
            allowed_mentions=discord.AllowedMentions.none(),
            member_cache_flags=discord.MemberCacheFlags.none(),
            chunk_guilds_at_startup=False,
            max_messages=None,
            guild_ready_timeout=options.guild_ready_timeout_s,
        )
        self.studio = studio
        self.options = options
        self.turns = MessageTurns()

    async def follow(self, message: Follower) -> None:
        """Keep a message up to date, as long as the connection lives."""
        await message.follow()

    async def show_image(self, interaction: "Interaction", image_id: str) -> None:
        """Turn the acknowledged answer into the viewer of one picture, with all its buttons.

        Raises:
            NotFound: there is no such picture, or it is too large to be shown there.
        """
        raise NotImplementedError

    async def show_strengths(self, interaction: "Interaction", job_id: str) -> bool:
        """Turn the acknowledged message into all strengths of a restyle that are left.

        False where it shall not show them, or none is left.
        """
        raise NotImplementedError


Interaction: TypeAlias = discord.Interaction[FaceClient]


def caller_of(interaction: Interaction) -> Caller:
    """Who pressed or typed, and where, as the studio wants to know it."""
    user = interaction.user
    return Caller(
        owner_id=user.id,
        name=user.display_name,
        guild_id=interaction.guild_id,
        channel_id=_ruled_channel(interaction),
        secluded_in=interaction.channel_id if _is_secluded(interaction) else None,
        role_ids=tuple(role.id for role in user.roles) if isinstance(user, discord.Member) else (),
        is_admin=interaction.guild_id is not None and interaction.permissions.manage_guild,
        locale=interaction.locale.value,
    )


def is_installed_here(interaction: Interaction) -> bool:
    """The bot may act here by itself, rather than only answer a member who brought it along."""
    if interaction.guild_id is None:
        return not interaction.context.private_channel  # a group of members, without the bot
    return interaction.is_guild_integration() or not interaction.is_user_integration()


def known_guild(interaction: Interaction) -> discord.Guild | None:
    """The server, as far as the bot knows its roles and channels."""
    guild = interaction.guild
    return guild if guild is not None and guild.get_role(guild.id) is not None else None


def is_age_restricted(interaction: Interaction) -> bool:
    """The channel is for adults alone."""
    is_nsfw = getattr(interaction.channel, "is_nsfw", None)  # direct messages have no such thing
    return bool(is_nsfw and is_nsfw())


def _is_secluded(interaction: Interaction) -> bool:
    """Not everybody of the server may look into the channel, as far as the bot can tell."""
    if is_age_restricted(interaction) and not interaction.client.options.is_age_restricted_only:
        return True
    channel, guild = interaction.channel, known_guild(interaction)
    if isinstance(channel, discord.Thread):
        if channel.is_private():
            return True
        channel = channel.parent
    if guild is None or not isinstance(channel, discord.abc.GuildChannel):
        return False  # only a member brought the bot along
    return is_closed(channel, guild)


def _ruled_channel(interaction: Interaction) -> int | None:
    """The channel whose rules hold: a thread follows its parent."""
    channel = interaction.channel
    if isinstance(channel, discord.Thread):
        return channel.parent_id
    return interaction.channel_id
