"""The connection to Discord: its commands, buttons and forms, and how it is kept alive."""

import asyncio
import logging
import random

import aiohttp
import discord
from discord import app_commands

from bot.errors import BadConfiguration
from bot.faces.discord.addresses import FACE
from bot.faces.discord.answers import answer_error
from bot.faces.discord.command_sync import sync_commands
from bot.faces.discord.components.gallery_pages import show_image
from bot.faces.discord.components.strength_menu import show_strengths
from bot.faces.discord.delivery import DiscordDeliverer
from bot.faces.discord.face import FaceClient, Interaction
from bot.faces.discord.forms import answer_form
from bot.faces.discord.localisation import CommandTranslator
from bot.faces.discord.options import DiscordOptions
from bot.faces.discord.progress import EarlierProgress
from bot.faces.discord.register import BUTTONS, FORMS, commands_for
from bot.faces.discord.uploads import fetch_link
from bot.studio.contract import Studio

log = logging.getLogger(__name__)

FIRST_PAUSE_S = 2.0
LONGEST_PAUSE_S = 120.0
CONNECTION_TROUBLE = (
    OSError,
    aiohttp.ClientError,
    discord.DiscordException,
    AttributeError,  # discord.py 2.7.1, when the first gateway handshake fails (its #10520)
    RecursionError,  # discord.py's sharded client calls itself for each failed handshake
)


class CommandTree(app_commands.CommandTree[FaceClient]):
    """The commands; whatever they raise gets an answer."""

    async def on_error(
        self, interaction: Interaction, error: app_commands.AppCommandError, /
    ) -> None:
        """Say what is wrong."""
        await answer_error(interaction, error)


class AtelierClient(FaceClient):
    """The face with all commands, buttons and forms."""

    def __init__(self, studio: Studio, options: DiscordOptions) -> None:
        super().__init__(studio, options)
        self.tree = CommandTree(self)
        self._resumed: asyncio.Task[None] | None = None

    async def setup_hook(self) -> None:
        """Prepare everything between login and the first event."""
        await self.tree.set_translator(CommandTranslator())
        for command in commands_for(servers_only=self.options.is_servers_only):
            self.tree.add_command(command, override=True)
        self.add_dynamic_items(*BUTTONS)
        if self.options.sync_commands:
            await self._send_commands()
        self.studio.register_fetcher(self.fetch_link)
        self.studio.register_deliverer(FACE, DiscordDeliverer(self))
        self._resumed = asyncio.create_task(self.follow(EarlierProgress(self)))

    async def close(self) -> None:
        """Disconnect."""
        if self._resumed is not None:
            self._resumed.cancel()
            await asyncio.gather(self._resumed, return_exceptions=True)
        await super().close()

    async def show_image(self, interaction: Interaction, image_id: str) -> None:
        """The viewer of one picture, for buttons that it has itself."""
        await show_image(interaction, image_id)

    async def show_strengths(self, interaction: Interaction, job_id: str) -> bool:
        """All strengths of a restyle, for the buttons of one of them."""
        return await show_strengths(interaction, job_id)

    async def _send_commands(self) -> None:
        """Where Discord refuses them, say how to mend that and go on: buttons still work."""
        guild_id = self.options.test_guild_id
        try:
            await sync_commands(self.tree, self.options.state_dir, guild_id)
        except discord.HTTPException as error:
            if guild_id is None:
                log.warning(
                    "commands could not be sent to Discord: the next start tries again; %s", error
                )
            else:
                log.warning(
                    "commands could not be sent to guild %s (ATELIER_DISCORD__TEST_GUILD_ID): "
                    "invite the bot there, or mend the id; %s",
                    guild_id,
                    error,
                )

    async def fetch_link(self, link: str, locale: str) -> bytes:
        """A picture that a prompt links to, for a member of that locale."""
        return await fetch_link(link, self.options.upload_max_bytes, locale)

    async def on_interaction(self, interaction: Interaction) -> None:
        """Pass on sent forms, which discord.py would only know until a restart."""
        if interaction.type is discord.InteractionType.modal_submit:
            await answer_form(interaction, FORMS)

    async def on_ready(self) -> None:
        """Say that members can be answered now."""
        log.info("connected to Discord as %s, in %s guilds", self.user, len(self.guilds))


async def serve(
    studio: Studio, options: DiscordOptions, *, first_pause_s: float = FIRST_PAUSE_S
) -> None:
    """Be on Discord until cancelled; connect again, with growing pauses, whatever happens.

    Raises:
        BadConfiguration: Discord does not know the token.
    """
    pause_s = first_pause_s
    while True:
        began = asyncio.get_running_loop().time()
        try:
            await _connect_once(studio, options)
        except discord.LoginFailure as error:
            raise BadConfiguration(
                "DISCORD_TOKEN",
                "Discord does not accept this token; copy it again from the Bot page of your "
                "application at https://discord.com/developers/applications",
            ) from error
        except CONNECTION_TROUBLE as error:
            log.warning("the connection to Discord failed: %r", error)
        if asyncio.get_running_loop().time() - began > LONGEST_PAUSE_S:
            pause_s = first_pause_s  # it had worked for a while
        await asyncio.sleep(pause_s * random.uniform(0.8, 1.2))
        pause_s = min(pause_s * 2, LONGEST_PAUSE_S)


async def _connect_once(studio: Studio, options: DiscordOptions) -> None:
    client = AtelierClient(studio, options)
    try:
        async with client:
            await client.start(options.token)
    finally:
        await client.http.close()  # where cancelling came while the client was closing
