"""Bringing an ended job to the chat it came from, whatever became of the interaction."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace

import discord

from bot.faces.discord.addresses import (
    CLOSED_THREAD,
    DEFAULT_LIMIT_BYTES,
    ChatAddress,
    edit_answer,
    follow_up,
    is_gone,
    sheets_message,
)
from bot.faces.discord.cards import (
    GREY,
    Shown,
    alt_text_of,
    card,
    ending_card,
    image_alt_text,
    result_card,
    secret_card,
)
from bot.faces.discord.controls import ending_controls, job_controls
from bot.faces.discord.face import FaceClient
from bot.faces.discord.localisation import Words
from bot.faces.discord.pictures import Upload, fitting_animations, fitting_upload, grid_of
from bot.studio.contract import JobState, JobView

log = logging.getLogger(__name__)

TOO_LARGE = frozenset({40005})  # "Request entity too large"
# Of the limit, each after Discord refused what should have fitted; with 0 pictures are left out.
SHARES = (1.0, 0.6, 0.2, 0.0)


@dataclass(frozen=True, slots=True)
class Ending:
    """An ended job as it will be shown; makes a new message for each attempt."""

    job: JobView
    words: Words
    pictures: tuple[Shown, ...] = ()
    note: str = ""

    def view(self) -> discord.ui.LayoutView:
        """The message."""
        if self.job.state is JobState.FINISHED and self.job.images:
            controls = job_controls(self.words, self.job)
            return result_card(self.words, self.job, self.pictures, controls, note=self.note)
        controls = ending_controls(self.words, self.job)
        return ending_card(self.words, self.job, controls, self.pictures)

    def files(self) -> list[discord.File]:
        """The attachments of the message."""
        return [shown.file() for shown in self.pictures]


class DiscordDeliverer:
    """Edits the answer while its token lives; then posts to the channel; else writes to the member.

    Discord tells nobody of an edit: for a result that took long, a post comes first.

    Repeatable: an edit changes the same message, a post carries the job's id as enforced nonce.
    """

    def __init__(self, client: FaceClient) -> None:
        self._client = client

    async def deliver(self, job: JobView, files: tuple[bytes, ...]) -> None:
        """Show the ending of `job`; raises where trying again later may help."""
        address = ChatAddress.read(job.destination)
        async with self._client.turns.ending(job.id):
            for share in SHARES:
                smaller = replace(address, limit_bytes=int(address.limit_bytes * share))
                try:
                    await self._deliver(job, files, smaller)
                except discord.HTTPException as error:
                    if not share or (error.status != 413 and error.code not in TOO_LARGE):
                        raise
                else:
                    break
            await self._close(sheets_message(self._client, address), address)

    async def _deliver(self, job: JobView, files: tuple[bytes, ...], address: ChatAddress) -> None:
        is_secret = address.is_ephemeral or (job.is_private and address.is_public)
        is_announced = self._is_worth_a_post(job, address) and not is_secret
        if is_announced and await self._post(job, files, address, is_in_time=True):
            return
        if address.is_open() and await self._answer(job, files, address):
            return
        is_posted = False
        if address.channel_id is not None and not is_secret:
            is_posted = await self._post(job, files, address)
        if not is_posted:
            await self._write_to_member(job, files, address)

    def _is_worth_a_post(self, job: JobView, address: ChatAddress) -> bool:
        """Whether the member has looked away by now, and an edit would change an old message."""
        if job.state is JobState.CANCELLED:
            return False  # whoever cancels looks at it
        after_s = self._client.options.announce_after_s
        is_edit = address.message_id is not None and address.channel_id is not None
        return is_edit and address.is_open() and 0 < after_s <= address.waited_s()

    async def _answer(self, job: JobView, files: tuple[bytes, ...], address: ChatAddress) -> bool:
        """Use the interaction; False where that is over or not allowed."""
        ending = await self._ending(job, files, address, address.limit_bytes)
        try:
            if job.is_private and address.is_public:
                await self._answer_in_secret(ending, address)
            elif address.message_id is None:
                await follow_up(self._client, address, ending.view(), ending.files())
            else:
                await edit_answer(self._client, address, ending.view(), ending.files())
        except discord.HTTPException as error:
            if not is_gone(error) and not isinstance(error, discord.Forbidden):
                raise
            return False
        return True

    async def _answer_in_secret(self, ending: Ending, address: ChatAddress) -> None:
        """Show a private result to its owner alone, though the answer is for everybody.

        The answer must be complete before: the first follow-up would take its place, in public.
        """
        if address.message_id is not None:
            await edit_answer(self._client, address, secret_card(ending.words))
        secretly = replace(address, is_ephemeral=True)
        await follow_up(self._client, secretly, ending.view(), ending.files())

    async def _post(
        self,
        job: JobView,
        files: tuple[bytes, ...],
        address: ChatAddress,
        *,
        is_in_time: bool = False,
    ) -> bool:
        """Send a message of our own to the channel; False where the bot may not.

        One that is in time takes the place of its progress; a late one is far below it.
        """
        channel_id = address.channel_id
        if channel_id is None:
            return False
        channel = self._client.get_partial_messageable(channel_id, guild_id=address.guild_id)
        ending = await self._ending(job, files, address, self._channel_limit(address))
        try:
            await channel.send(
                view=ending.view(),
                files=ending.files(),
                nonce=job.id,
                allowed_mentions=_mentioning(address.owner_id),
            )
        except discord.HTTPException as error:
            if not _is_closed(error):
                raise
            log.info("job %s can't be shown in channel %s: %s", job.id, channel_id, error)
            return False
        progress_id = address.message_id or address.board_id
        if progress_id is not None and not address.is_ephemeral:
            progress = channel.get_partial_message(progress_id)
            if not (is_in_time and await _deleted(progress)):
                await self._close(progress, address)
        return True

    async def _write_to_member(
        self, job: JobView, files: tuple[bytes, ...], address: ChatAddress
    ) -> None:
        """The last way; where even that is closed, the pictures wait in the gallery."""
        ending = await self._ending(
            job, files, address, min(DEFAULT_LIMIT_BYTES, address.limit_bytes)
        )
        try:
            direct = await self._client.create_dm(discord.Object(address.owner_id))
            await direct.send(view=ending.view(), files=ending.files(), nonce=job.id)
        except (discord.Forbidden, discord.NotFound) as error:
            log.warning("job %s is in the gallery alone, nobody can be told: %s", job.id, error)

    async def _close(self, message: discord.PartialMessage | None, address: ChatAddress) -> None:
        """Leave a word in place of progress whose result is another message."""
        if message is None:
            return
        text = Words(address.locale)("ending.below")
        try:
            await message.edit(view=card(text, colour=GREY), attachments=[])
        except discord.HTTPException as error:
            log.debug("an old progress message stays: %s", error)

    def _channel_limit(self, address: ChatAddress) -> int:
        guild = self._client.get_guild(address.guild_id) if address.guild_id else None
        return min(guild.filesize_limit if guild else DEFAULT_LIMIT_BYTES, address.limit_bytes)

    async def _ending(
        self, job: JobView, files: tuple[bytes, ...], address: ChatAddress, limit_bytes: int
    ) -> Ending:
        words = Words(address.locale)
        if job.state is JobState.CANCELLED:
            last = self._client.turns.last_preview(job.id)
            return Ending(job, words, (last,) if last else ())
        if job.state is not JobState.FINISHED or not files:
            return Ending(job, words)
        link = self._client.options.picture_link
        uploads = await _uploads(job, files, limit_bytes, may_scale=link is None)
        note = ""
        if link is not None and not all(upload and upload.is_original for upload in uploads):
            links = [
                f"[{words('result.open', number=image.index + 1)}](<{link(image)}>)"
                for image in job.images
            ]
            note = " · ".join(links)
        elif None in uploads:
            note = words("result.too_large")
        return Ending(job, words, _pictures(words, job, uploads), note)


async def _uploads(
    job: JobView, files: Sequence[bytes], limit_bytes: int, *, may_scale: bool
) -> list[Upload | None]:
    """The pictures of a result side by side as one; each of those that move by itself."""
    if job.images[0].is_animated:
        return await fitting_animations(files, limit_bytes, may_scale=may_scale)
    return [await fitting_upload(await grid_of(files), limit_bytes, may_scale=may_scale)]


def _pictures(words: Words, job: JobView, uploads: Sequence[Upload | None]) -> tuple[Shown, ...]:
    """What is attached; of several the names and alt texts are numbered."""
    if len(uploads) == 1:
        named = [(job.id, alt_text_of(words, job))]
    else:
        text = image_alt_text(words, job.images[0])
        named = [
            (f"{job.id}-{n}", words("result.of_several", number=n, count=len(uploads), text=text))
            for n in range(1, len(uploads) + 1)
        ]
    return tuple(
        Shown(upload.data, f"{name}.{upload.suffix}", alt_text)
        for upload, (name, alt_text) in zip(uploads, named, strict=True)
        if upload
    )


def _is_closed(error: discord.HTTPException) -> bool:
    """The bot may not post there, or there is no such place any more."""
    is_refused = isinstance(error, discord.Forbidden | discord.NotFound)
    return is_refused or error.code in CLOSED_THREAD


async def _deleted(message: discord.PartialMessage) -> bool:
    """Take a progress message away; False where that can't be done."""
    try:
        await message.delete()
    except discord.HTTPException as error:
        log.debug("a progress message is closed, for it can't be deleted: %s", error)
        return False
    return True


def _mentioning(owner_id: int) -> discord.AllowedMentions:
    """The owner alone is told of a message that comes so late."""
    owner = discord.Object(owner_id)
    return discord.AllowedMentions(everyone=False, roles=False, users=[owner])
