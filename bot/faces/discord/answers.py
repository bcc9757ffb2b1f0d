"""How anything that went wrong is told: in the member's language, where they wait for it."""

import logging
import secrets
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from types import MappingProxyType

import discord
from discord import app_commands

from bot.errors import (
    ConfirmationNeeded,
    LimitReached,
    NotAllowed,
    NotFound,
    StorageUnavailable,
    TooManyWaiting,
    UnusablePicture,
    UserError,
)
from bot.faces.discord.cards import BLUE, RED, card
from bot.faces.discord.face import Interaction
from bot.faces.discord.localisation import Words
from bot.faces.discord.places import has_company
from bot.prompts import PromptError
from bot.wording import translated
from engine.api import EngineError

log = logging.getLogger(__name__)

_EXCHANGED = "exchanged"  # the message that took the place of an interaction's first answer
TOKEN_IS_DEAD = frozenset({10015, 10062, 50027})  # unknown webhook, unknown interaction, bad token
_HEADINGS: Mapping[type[Exception], str] = MappingProxyType(
    {
        PromptError: "errors.prompt",
        NotFound: "errors.not_found",
        NotAllowed: "errors.not_allowed",
        LimitReached: "errors.limit",
        TooManyWaiting: "errors.waiting",
        ConfirmationNeeded: "errors.confirm",
        UnusablePicture: "errors.picture",
        StorageUnavailable: "errors.storage",
    }
)


@asynccontextmanager
async def guarded(interaction: Interaction) -> AsyncIterator[None]:
    """Answer whatever is raised inside; for callbacks that discord.py would only log."""
    try:
        yield
    except Exception as error:  # noqa: BLE001  the edge of the chat: everything gets an answer
        await answer_error(interaction, error)


async def answer_error(interaction: Interaction, error: Exception) -> None:
    """Say what is wrong, and end a "thinking..." that would otherwise stay for 15 minutes."""
    cause = _cause_of(error)
    if _is_dead(cause):
        log.warning("an interaction was answered too late: %s", cause)
        return
    text = explained(cause, Words(interaction.locale.value))
    try:
        # What is forbidden, and to whom, is nobody else's business.
        await _say(interaction, text, is_secret=isinstance(cause, NotAllowed))
    except discord.HTTPException as failure:
        log.warning("an error could not be shown: %s", failure)


def explained(error: Exception, words: Words) -> str:
    """The text for a member; what nobody expected is logged under an id that the text names."""
    if isinstance(error, app_commands.CheckFailure):
        return words("errors.check")
    if isinstance(error, discord.Forbidden):
        return words("errors.forbidden", reason=error.text)
    if not isinstance(error, UserError | EngineError):
        error_id = secrets.token_hex(4)
        log.error("error %s", error_id, exc_info=error)
        return words("errors.unexpected", id=error_id)
    heading = next((_HEADINGS[kind] for kind in type(error).__mro__ if kind in _HEADINGS), None)
    reason = translated(error.text, words.language)
    return words(heading, reason=reason)[:2000] if heading else reason[:2000]


def _cause_of(error: Exception) -> Exception:
    """What a command raised, out of the wrappings of command tree and task groups."""
    if isinstance(error, app_commands.CommandInvokeError | app_commands.TransformerError):
        inner = error.__cause__ or getattr(error, "original", None)
        return _cause_of(inner) if isinstance(inner, Exception) else error
    if isinstance(error, ExceptionGroup):
        return _cause_of(error.exceptions[0])
    return error


def _is_dead(error: Exception) -> bool:
    return isinstance(error, discord.HTTPException) and error.code in TOKEN_IS_DEAD


async def exchange_for_secret(
    interaction: Interaction, view: discord.ui.LayoutView
) -> discord.WebhookMessage:
    """Exchange a public "thinking..." for a message that the member alone sees."""
    accepted = card(Words(interaction.locale.value)("progress.accepted"), colour=BLUE)
    # The first follow-up to a deferral would take its place and ignore `ephemeral`.
    await interaction.edit_original_response(view=accepted)
    message = await interaction.followup.send(view=view, ephemeral=True, wait=True)
    interaction.extras[_EXCHANGED] = message.id
    await interaction.delete_original_response()
    return message


async def _say(interaction: Interaction, text: str, *, is_secret: bool) -> None:
    response = interaction.response
    if not response.is_done():
        await response.send_message(text, ephemeral=True)
        return
    # A layout, since a message may show one already, and such a one takes no plain text.
    view = card(text, colour=RED)
    with suppress(discord.NotFound):  # somebody deleted it
        if exchanged := interaction.extras.get(_EXCHANGED):
            await interaction.followup.edit_message(exchanged, view=view, attachments=[])
            return
        if response.type is discord.InteractionResponseType.deferred_channel_message:
            if is_secret and has_company(interaction) and await _is_public(interaction):
                await exchange_for_secret(interaction, view)
                return
            await interaction.edit_original_response(content=None, view=view, attachments=[])
            return
    await interaction.followup.send(text, ephemeral=True)


async def _is_public(interaction: Interaction) -> bool:
    return not (await interaction.original_response()).flags.ephemeral
