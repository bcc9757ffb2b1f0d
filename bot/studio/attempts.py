"""What an attempt at a job begins with, and what is kept of how it ended."""

from dataclasses import asdict, dataclass
from datetime import datetime
from functools import partial

from bot.storage.files import ImageFiles, content_key
from bot.storage.generators import GeneratorRow
from bot.storage.images import ImageRow
from bot.storage.jobs import JobRow, Outcome
from bot.storage.search import search_words
from bot.storage.styles import StyleRow
from bot.storage.tables import new_id
from bot.studio.clock import Clock
from bot.studio.codec import decode_request, file_keys
from bot.studio.contract import Operation
from bot.studio.patience import patiently
from bot.studio.pictures import Kept, Pictures, alt_text, shown_words
from bot.studio.remarks import remark_on
from bot.studio.training import Training
from bot.studio.verdicts import remark_of
from bot.wording import joined
from engine.api import Finished, Request, TrainGan, TrainStyle


@dataclass(frozen=True, slots=True)
class Attempts:
    """Reads requests with their pictures, and keeps what the engine made of them."""

    files: ImageFiles
    pictures: Pictures
    training: Training
    now: Clock

    async def request(self, row: JobRow) -> Request:
        """What the engine is to do for a job.

        Raises:
            UnreadableRequest: the row is of another version.
            NotFound: a picture is gone.
            LimitReached: what a training learns from is not enough any more.
            FilesFailed: a picture can't be read.
        """
        keys = set(file_keys(row.request))
        files = {key: await patiently(partial(self.files.read, key)) for key in keys}
        request = decode_request(row.request, files)
        if isinstance(request, TrainGan):
            return await patiently(lambda: self.training.with_pictures(row, request))
        return request

    async def outcome(self, row: JobRow, request: Request, finished: Finished) -> Outcome:
        """What is to be committed of a result; its files are kept by then.

        Raises:
            FilesFailed: they can't be kept.
        """
        kept = await patiently(lambda: self.pictures.keep(finished, request, row.prompt, row.id))
        now = self.now()
        style: StyleRow | None = None
        if isinstance(request, TrainStyle):
            style = await patiently(lambda: self._trained(row, request, finished))
        generator: GeneratorRow | None = None
        if isinstance(request, TrainGan):
            generator = await patiently(lambda: self.training.row_of(row, request, finished))
        remark = remark_of(generator) if generator else remark_on(request, row.prompt)
        return Outcome(
            style=style,
            generator=generator,
            remark=joined(row.told, remark),
            images=[image_row(row, place, one, now) for place, one in enumerate(kept)],
            device_s=finished.timings.device_s or finished.timings.total_s,
            timings=asdict(finished.timings),
            versions=finished.versions,
        )

    async def _trained(self, row: JobRow, request: TrainStyle, finished: Finished) -> StyleRow:
        """A style that its owner can name from now on."""
        [picture] = finished.images
        key = content_key(picture.weights, "safetensors")
        await self.files.put(key, picture.weights)
        return StyleRow(
            owner_id=row.owner_id,
            name=request.name,
            file_key=content_key(request.style),
            learnt_key=key,
            created_at=self.now(),
        )


def image_row(job: JobRow, place: int, kept: Kept, now: datetime) -> ImageRow:
    """The row of one finished image."""
    return ImageRow(
        id=new_id(),
        job_id=job.id,
        place=place,
        owner_id=job.owner_id,
        guild_id=job.guild_id,
        seed=kept.picture.seed,
        width=kept.picture.width,
        height=kept.picture.height,
        prompt=job.prompt,
        words=search_words(shown_words(job.prompt)),
        model=job.model,
        parameters=kept.parameters,
        operation=job.operation,
        parent_id=job.parent_image_id,
        is_private=job.is_private,
        shown_in=job.shown_in,
        alt_text=alt_text(job.prompt, Operation(job.operation)),
        file_key=kept.file_key,
        animation_key=kept.animation_key,
        video_key=kept.video_key,
        created_at=now,
    )
