"""Rows as faces see them."""

from collections.abc import Iterable
from dataclasses import replace

from bot.storage.images import SeenImage
from bot.storage.jobs import JobRow
from bot.studio.contract import Destination, ImageView, JobEnding, JobState, JobView, Operation
from bot.studio.pictures import recalled

_SIDE_BY_SIDE = frozenset({"TextToImage", "ImageToImage", "Blend", "Dream"})


def image_view(seen: SeenImage) -> ImageView:
    """An image as a face shows it."""
    row = seen.row
    return ImageView(
        id=row.id,
        job_id=row.job_id,
        index=row.place,
        owner_id=row.owner_id,
        guild_id=row.guild_id,
        seed=row.seed,
        width=row.width,
        height=row.height,
        prompt=row.prompt,
        model=row.model,
        parameters=row.parameters,
        operation=Operation(row.operation),
        parent_id=row.parent_id,
        is_private=row.is_private,
        is_favourite=seen.is_favourite,
        created_at=row.created_at,
        alt_text=recalled(row.alt_text, Operation(row.operation)),
        tags=seen.tags,
        is_animated=row.animation_key is not None,
        is_video=row.video_key is not None,
        shown_in=row.shown_in,
    )


def job_view(
    row: JobRow,
    images: Iterable[SeenImage] = (),
    *,
    position: int | None = None,
    estimate_s: float | None = None,
    steps: tuple[int, int] | None = None,
    remark: str = "",
) -> JobView:
    """A job as a face shows it; `steps` (done, total) and `remark` are newer than the row's own."""
    step, total = steps or (row.step, row.total)
    shown = tuple(image_view(seen) for seen in images)
    return JobView(
        id=row.id,
        owner_id=row.owner_id,
        guild_id=row.guild_id,
        state=JobState(row.state),
        operation=Operation(row.operation),
        prompt=row.prompt,
        model=row.model,
        seed=row.seed,
        created_at=row.created_at,
        is_private=row.is_private,
        destination=Destination(face=row.face, address=row.address),
        parent_id=row.parent_image_id,
        reason=row.told or remark,
        step=step,
        total=total,
        position=position,
        estimate_s=estimate_s,
        images=shown,
        strengths=_strengths_of(row) if shown else (),
        expected=_expected_of(row),
    )


def outline(job: JobView) -> JobView:
    """A job for who may end it but not see it: whose it is and how far, not what was asked."""
    return replace(
        job, prompt="", model="", seed=0, parent_id=None, reason="", images=(), strengths=()
    )


def job_ending(row: JobRow, state: JobState, device_s: float | None = None) -> JobEnding:
    """How the job of a row has ended; `row` as it was before."""
    waited = row.started_at and row.started_at - row.created_at
    waited_s = waited.total_seconds() if waited else None
    return JobEnding(Operation(row.operation), state, waited_s, device_s)


def _strengths_of(row: JobRow) -> tuple[float, ...]:
    """Of the images of a restyle that shows several."""
    fields = row.request.get("fields", {})
    return tuple(fields.get("image_strengths", ()))


def _expected_of(row: JobRow) -> int:
    """How many images its previews show side by side; 0 where it was read without its request."""
    stored = vars(row).get("request")
    if not stored:
        return 0
    fields = stored.get("fields", {})
    is_searched = bool(fields.get("like"))  # one point of a generator stands for all, until the end
    if stored.get("kind") not in _SIDE_BY_SIDE or is_searched:
        return 1
    return int(fields.get("image_count", 1))
