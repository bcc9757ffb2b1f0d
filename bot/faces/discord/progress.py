"""The message of jobs on their way: previews, percentage, position, estimate."""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import replace

import aiohttp
import discord

from bot.errors import UserError
from bot.faces.discord.addresses import (
    FACE,
    ChatAddress,
    edit_answer,
    is_gone,
    sheets_message,
)
from bot.faces.discord.cards import Shown, board_card, progress_card
from bot.faces.discord.components.cancel import CancelButton
from bot.faces.discord.face import FaceClient
from bot.faces.discord.localisation import Words
from bot.studio.contract import Caller, JobUpdate, JobView, Operation

log = logging.getLogger(__name__)

CANCEL_BUTTONS = 5  # of a board with several jobs; the others by /cancel
MOST_ON_A_BOARD = 50  # jobs that are found again after a restart


class ProgressMessage:
    """Shows the jobs of one answer until all have ended, or until the answer can't be edited.

    With `is_result` there is one job, whose result will take the place of its progress. A training
    lasts longer than answers do: its sheets go on in a message of our own.
    """

    def __init__(
        self,
        client: FaceClient,
        caller: Caller,
        jobs: Sequence[JobView],
        address: ChatAddress,
        *,
        is_result: bool,
    ) -> None:
        self._client = client
        self._caller = caller
        self._address = address
        self._is_result = is_result
        self._words = Words(address.locale)
        self._updates = {job.id: JobUpdate(job) for job in jobs}
        self._changed = asyncio.Event()
        self._shown: object = None
        self._watchers: list[asyncio.Task[None]] = []

    async def follow(self) -> None:
        """Edit the message as the jobs move on; the ending of a single job is the deliverer's."""
        self._changed.set()
        self._watchers = [asyncio.create_task(self._watch(job_id)) for job_id in self._updates]
        try:
            await self._edit_until_ended()
            if self._is_result and self._job.operation is Operation.TRAIN_GAN:
                await self._show_sheets()
        finally:
            for watcher in self._watchers:
                watcher.cancel()
            await asyncio.gather(*self._watchers, return_exceptions=True)

    @property
    def _job(self) -> JobView:
        """The first job, or the only one."""
        return next(iter(self._updates.values())).job

    async def _watch(self, job_id: str) -> None:
        try:
            async for update in self._client.studio.watch(self._caller, job_id):
                # An update without preview keeps the picture that is shown.
                preview = update.preview or self._updates[job_id].preview
                self._updates[job_id] = JobUpdate(update.job, preview, update.number)
                self._changed.set()
        except UserError as error:  # the ending is delivered all the same
            log.warning("progress of job %s is not shown any more: %s", job_id, error)
        finally:
            self._changed.set()

    async def _edit_until_ended(self) -> None:
        while self._address.is_open():
            await self._changed.wait()
            self._changed.clear()
            has_ended = all(update.job.state.is_final for update in self._updates.values())
            has_ended = has_ended or all(watcher.done() for watcher in self._watchers)
            if has_ended and self._is_result:
                return
            if not await self._show() or has_ended:
                return
            await asyncio.sleep(self._client.options.edit_interval_s)

    async def _show_sheets(self) -> None:
        """Once the answer can't be edited any more: send the next sheet, then edit that message."""
        shown = None
        while not self._job.state.is_final and not all(one.done() for one in self._watchers):
            await self._changed.wait()
            self._changed.clear()
            [update] = self._updates.values()
            if update.preview not in (None, shown):
                async with self._client.turns.progress(update.job.id) as is_allowed:
                    if not is_allowed or update.job.state.is_final:
                        return
                    await self._try_sheet(update)
                shown = update.preview
            await asyncio.sleep(self._client.options.edit_interval_s)

    async def _try_sheet(self, update: JobUpdate) -> None:
        try:
            await self._show_sheet(update)
        except (discord.HTTPException, aiohttp.ClientError, OSError, UserError) as error:
            log.info("a sheet of job %s is not shown: %r", update.job.id, error)

    async def _show_sheet(self, update: JobUpdate) -> None:
        """Show a sheet in the message of our own, or in a new one that the job remembers."""
        message = sheets_message(self._client, self._address)
        view, files = self._card(update)
        if message is not None:
            try:
                await message.edit(view=view, attachments=files)
            except discord.NotFound:  # deleted by somebody
                view, files = self._card(update)
            else:
                return
        sent = await (await self._place_of_sheets(update.job)).send(
            view=view, files=files, silent=True
        )
        self._address = replace(self._address, sheets_channel_id=sent.channel.id, sheets_id=sent.id)
        await self._client.studio.move(update.job.id, self._address.destination())

    async def _place_of_sheets(self, job: JobView) -> discord.abc.Messageable:
        address = self._address
        is_secret = address.is_ephemeral or (job.is_private and address.is_public)
        if address.channel_id is None or is_secret:
            return await self._client.create_dm(discord.Object(address.owner_id))
        return self._client.get_partial_messageable(address.channel_id)

    async def _show(self) -> bool:
        """Bring the message up to date; False where it is not ours to edit any more."""
        updates = list(self._updates.values())
        looks = [_look(update) for update in updates]
        if looks == self._shown:
            return True
        async with self._client.turns.progress(updates[0].job.id) as is_allowed:
            if not is_allowed and self._is_result:
                return False
            try:
                await self._edit(updates)
            except discord.HTTPException as error:
                return not is_gone(error)
            except (aiohttp.ClientError, OSError) as error:
                log.info("an edit of a progress message was lost: %r", error)
                return True  # the next one shows what is new
        self._shown = looks
        return True

    async def _edit(self, updates: Sequence[JobUpdate]) -> None:
        if not self._is_result:
            await edit_answer(self._client, self._address, self._board(updates))
            return
        await edit_answer(self._client, self._address, *self._card(updates[0]))

    def _card(self, update: JobUpdate) -> tuple[discord.ui.LayoutView, list[discord.File]]:
        preview = _preview(update, self._words)
        button = CancelButton(update.job.id, self._words("buttons.cancel"))
        view = progress_card(self._words, update, [[button]], preview)
        if preview:
            self._client.turns.keep_preview(update.job.id, preview)
        return view, [preview.file()] if preview else []

    def _board(self, updates: Sequence[JobUpdate]) -> discord.ui.LayoutView:
        going = [update.job.id for update in updates if not update.job.state.is_final]
        buttons = [
            CancelButton(job_id, self._words("buttons.cancel_one", id=job_id))
            for job_id in going[:CANCEL_BUTTONS]
        ]
        return board_card(self._words, updates, [buttons])


class EarlierProgress:
    """The messages of jobs that were under way when the last connection ended."""

    def __init__(self, client: FaceClient) -> None:
        self._client = client

    async def follow(self) -> None:
        """Go on with all of them."""
        try:
            messages = await _unfinished(self._client)
        except UserError as error:  # the endings are delivered all the same
            log.warning("the progress of earlier jobs is not shown: %s", error)
            return
        await asyncio.gather(*(message.follow() for message in messages))


async def _unfinished(client: FaceClient) -> list[ProgressMessage]:
    messages, boards = [], set()
    for job in await client.studio.open_jobs(FACE):
        address = ChatAddress.read(job.destination)
        caller = Caller(owner_id=job.owner_id, guild_id=job.guild_id, locale=address.locale)
        is_shown = address.is_open() or job.operation is Operation.TRAIN_GAN
        if not is_shown or (address.is_public and job.is_private):
            continue
        if address.message_id is not None:
            messages.append(ProgressMessage(client, caller, [job], address, is_result=True))
        elif address.board_id is not None and address.board_id not in boards:
            boards.add(address.board_id)
            messages += await _boards(client, caller, address)
    return messages


async def _boards(
    client: FaceClient, caller: Caller, address: ChatAddress
) -> list[ProgressMessage]:
    """The board of several jobs of one prompt, some of which may have ended.

    None where the member has asked for so much since that its jobs are not among the newest.
    """
    recent, _ = await client.studio.history(caller, limit=MOST_ON_A_BOARD)
    jobs = [job for job in recent if job.destination.address.get("board_id") == address.board_id]
    place = replace(address, message_id=address.board_id)
    return [ProgressMessage(client, caller, jobs[::-1], place, is_result=False)] if jobs else []


def _look(update: JobUpdate) -> object:
    """What of an update can be seen; two that look alike need no edit."""
    job = update.job
    return job.state, round(job.progress * 100), job.position, job.reason, update.preview


def _preview(update: JobUpdate, words: Words) -> Shown | None:
    if not update.preview:
        return None
    alt_text = words("progress.preview", prompt=update.job.prompt)
    return Shown(update.preview, "preview.webp", alt_text)
