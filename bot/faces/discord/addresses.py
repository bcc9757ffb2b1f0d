"""Where in Discord a result goes, as it is kept with the job, and how it gets there."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

import discord

from bot.faces.discord.face import FaceClient, Interaction, is_installed_here
from bot.studio.contract import Destination

FACE = "discord"
TOKEN_S = 15 * 60.0  # that an interaction's token lives
TOKEN_MARGIN_S = 15.0  # an interaction's token is not used this close to its end
DEFAULT_LIMIT_BYTES = 10 * 2**20  # of a file, where no interaction says its own
# Of one request, however large a server's files may be; its JSON and form take some of it.
REQUEST_BYTES = 25 * 2**20 - 2**18
CLOSED_THREAD = frozenset({50083, 160005})  # archived, where nothing is edited; locked
# Webhook, message or interaction gone; bad token; no more follow-ups where only a member
# brought the bot along.
_GONE = frozenset({10015, 10008, 10062, 50027, 40094}) | CLOSED_THREAD


@dataclass(frozen=True, kw_only=True, slots=True)
class ChatAddress:
    """A message, the interaction it answers, and the ways around it."""

    application_id: int
    token: str
    expires_at: float  # seconds since 1970; the token's end
    message_id: int | None  # None: each job gets a message of its own
    channel_id: int | None  # None: the bot is not in that channel itself
    guild_id: int | None
    owner_id: int
    locale: str
    limit_bytes: int  # of a file of this interaction
    is_ephemeral: bool
    board_id: int | None = None  # the message that shows how far several jobs are
    # The message of our own that shows a training's sheets once the answer can't be edited.
    sheets_channel_id: int | None = None
    sheets_id: int | None = None
    is_secluded: bool = False  # a channel where a result is shown that is private elsewhere

    @classmethod
    def of(
        cls,
        interaction: Interaction,
        message_id: int | None,
        *,
        is_ephemeral: bool,
        board_id: int | None = None,
    ) -> "ChatAddress":
        """The address of an interaction's answer."""
        return cls(
            application_id=interaction.application_id,
            token=interaction.token,
            expires_at=interaction.expires_at.timestamp(),
            message_id=message_id,
            channel_id=interaction.channel_id if is_installed_here(interaction) else None,
            guild_id=interaction.guild_id,
            owner_id=interaction.user.id,
            locale=interaction.locale.value,
            limit_bytes=file_limit(interaction),
            is_ephemeral=is_ephemeral,
            board_id=board_id,
        )

    @classmethod
    def read(cls, destination: Destination) -> "ChatAddress":
        """The address a job was stored with."""
        return cls(**destination.address)  # type: ignore[arg-type]

    def destination(self) -> Destination:
        """The address as it is stored with a job."""
        secluded = asdict(replace(self, is_secluded=True))
        return Destination(face=FACE, address=asdict(self), secluded_address=secluded)

    @property
    def is_public(self) -> bool:
        """Others see what is shown there, and shall not see what is private."""
        return self.guild_id is not None and not self.is_ephemeral and not self.is_secluded

    def waited_s(self) -> float:
        """Seconds since the interaction."""
        return discord.utils.utcnow().timestamp() - self.expires_at + TOKEN_S

    def is_open(self) -> bool:
        """The interaction can still be answered."""
        return discord.utils.utcnow().timestamp() < self.expires_at - TOKEN_MARGIN_S


def file_limit(interaction: Interaction) -> int:
    """Bytes of what can be attached to one message here, all its files together."""
    return min(interaction.filesize_limit, REQUEST_BYTES)


def is_gone(error: discord.HTTPException) -> bool:
    """The message or its token is no more; trying again is of no use."""
    return error.code in _GONE or error.status == 404


def sheets_message(client: FaceClient, address: ChatAddress) -> discord.PartialMessage | None:
    """The message of our own that shows a training's sheets, if there is one."""
    if address.sheets_channel_id is None or address.sheets_id is None:
        return None
    place = client.get_partial_messageable(address.sheets_channel_id)
    return place.get_partial_message(address.sheets_id)


async def edit_answer(
    client: FaceClient,
    address: ChatAddress,
    view: discord.ui.LayoutView,
    files: Sequence[discord.File] = (),
) -> None:
    """Replace the answer of an interaction while its token lives.

    Raises:
        discord.HTTPException: `is_gone` tells if another way must be taken.
    """
    if address.message_id is None:
        msg = "an address without message can't be edited"
        raise ValueError(msg)
    await _webhook(client, address).edit_message(
        address.message_id, view=view, attachments=list(files)
    )


async def follow_up(
    client: FaceClient,
    address: ChatAddress,
    view: discord.ui.LayoutView,
    files: Sequence[discord.File] = (),
) -> None:
    """Add one more answer to an interaction while its token lives."""
    await _webhook(client, address).send(
        view=view, files=list(files), ephemeral=address.is_ephemeral, wait=True
    )


def _webhook(client: FaceClient, address: ChatAddress) -> discord.Webhook:
    webhook = discord.Webhook.partial(address.application_id, address.token, client=client)
    webhook.type = discord.WebhookType.application  # such alone may answer to one member
    return webhook
