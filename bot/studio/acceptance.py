"""From what members ask for to rows that wait: whose terms hold, and who may see the result."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from bot.errors import AskedBefore, LimitReached
from bot.storage.files import DiskFull, ImageFiles, LetGo
from bot.storage.images import ImageRow, SeenImage
from bot.storage.jobs import JobRow, Jobs, NewJob
from bot.storage.tables import new_id
from bot.studio import moderation, policy
from bot.studio.clock import Clock
from bot.studio.codec import encode_request
from bot.studio.contract import Caller, Destination, Limits, Operation, Preferences
from bot.studio.house import House, Terms
from bot.studio.moderation import OperatorRules
from bot.studio.pictures import shown_words
from bot.studio.speeds import work_of
from bot.studio.training import Training
from bot.wording import Said, as_plain, joined
from engine.api import (
    Diffusion,
    Dream,
    Morph,
    Request,
    Stylize,
    TrainGan,
    TrainStyle,
    Upscale,
)

_SECLUDED = (
    "This channel is not for everybody of the server, so the gallery shows this to nobody outside "
    "it but you; --public shows it to all."
)


@dataclass(frozen=True, slots=True)
class Commission:
    """One job before it is a row."""

    request: Request
    prompt: str  # as typed
    model: str
    operation: Operation
    is_private: bool | None  # None: as is usual in the channel
    parent_image_id: str | None = None
    parent_job_id: str | None = None
    is_relaxed: bool = False
    remark: Said | str = ""  # what is to be said of the result already now


class Acceptance:
    """Knows the terms of those who ask, and commits what they ask for."""

    def __init__(
        self,
        jobs: Jobs,
        files: ImageFiles,
        house: House,
        training: Training,
        now: Clock,
        everywhere: OperatorRules,
        let_go: LetGo,
    ) -> None:
        """`let_go` is told of the files of what is refused."""
        self._jobs = jobs
        self._training = training
        self._files = files
        self._house = house
        self._now = now
        self._everywhere = everywhere
        self._let_go = let_go
        # Else a request that is refused would let go a file that another one is about to promise,
        # and two of the same instant would take one name for their generators.
        self._promising = asyncio.Lock()

    async def terms(self, caller: Caller) -> Terms:
        """What counts for the caller here and now.

        Raises:
            NotAllowed: pictures can't be made in this channel, or not by this member.
        """
        terms = await self._house.terms(caller)
        moderation.require_welcome(caller, terms.rules, self._everywhere)
        policy.require_place(caller, terms.rules)
        return terms

    async def accept_one(
        self, caller: Caller, commission: Commission, destination: Destination, terms: Terms
    ) -> JobRow:
        """Accept one job.

        Raises:
            NotAllowed: a model or word may not be used here, or a generator is not of this place.
            LimitReached: too many would wait.
        """
        for model in models_of(commission.request):
            policy.require_model(model, terms.rules)
        return (await self.accept(caller, [commission], destination, terms))[0]

    async def accept(
        self, caller: Caller, commissions: list[Commission], destination: Destination, terms: Terms
    ) -> list[JobRow]:
        """Keep the files of requests, then the rows: from then on the jobs are promised.

        Raises:
            NotAllowed: a prompt holds a word that is forbidden here.
            LimitReached: too many would wait.
        """
        texts = [
            text
            for one in commissions
            for text in (shown_words(one.prompt), *moderation.drawn_words(one.request))
        ]
        moderation.require_allowed_words(texts, terms.rules, self._everywhere)
        async with self._promising:
            return await self._promise(caller, commissions, destination, terms)

    async def _promise(
        self,
        caller: Caller,
        commissions: Sequence[Commission],
        destination: Destination,
        terms: Terms,
    ) -> list[JobRow]:
        new: list[NewJob] = []
        files: dict[str, bytes] = {}
        for commission in commissions:
            if weights := _own_weights(commission.request):
                await self._training.require(caller, weights)
            if isinstance(commission.request, TrainGan):
                await self._training.require_trainable(caller, commission.request.name)
            stored, own_files = encode_request(commission.request)
            files |= own_files
            row = self._row(caller, commission, stored, destination, terms.limits)
            row.request_key, row.request_place = destination.key or None, len(new)
            if isinstance(commission.request, TrainStyle):
                row.replaces = await self._house.style_key(caller, commission.request.name)
            new.append(NewJob(row, tuple(own_files)))
        try:
            for key, data in files.items():
                await self._files.put(key, data)
            await self._jobs.add(
                new,
                waiting_cap=terms.limits.waiting,
                guild_waiting_cap=terms.limits.guild_waiting if caller.guild_id else None,
            )
        except (AskedBefore, LimitReached, DiskFull):  # so that no row has them
            await self._let_go(files)
            raise
        return [job.row for job in new]

    def _row(
        self,
        caller: Caller,
        commission: Commission,
        stored: Mapping[str, object],
        destination: Destination,
        limits: Limits,
    ) -> JobRow:
        now = self._now()
        shown_in = caller.secluded_in if commission.is_private is None else None
        is_secluded = shown_in is not None
        remark = joined(commission.remark, _SECLUDED if is_secluded else "")
        address = (is_secluded and destination.secluded_address) or destination.address
        return JobRow(
            id=new_id(),
            owner_id=caller.owner_id,
            guild_id=caller.guild_id,
            channel_id=caller.channel_id,
            is_private=is_secluded or bool(commission.is_private),
            shown_in=shown_in,
            operation=commission.operation.value,
            prompt=commission.prompt,
            model=commission.model,
            seed=commission.request.seed,
            reason=str(remark),
            reason_parts=as_plain(remark),
            request=dict(stored),
            parent_image_id=commission.parent_image_id,
            parent_job_id=commission.parent_job_id,
            created_at=now,
            work=work_of(commission.request),
            running_cap=limits.running,
            guild_running_cap=limits.guild_running if caller.guild_id else None,
            is_relaxed=commission.is_relaxed,
            face=destination.face,
            address=dict(address),
            deliver_after=now,
        )


def models_of(request: Request) -> tuple[str, ...]:
    """The models of the catalogue that draw for a request, of those that rules may name.

    Not among them are generators that were trained here, the style networks and the upscaler.
    """
    match request:
        case Diffusion():
            return (request.model,)
        case Stylize():
            return (request.model,) if request.model else ()
        case Dream():
            return () if request.weights else (request.model,)
        case Morph():
            return _models_of_morph(request)
        case Upscale() | TrainStyle() | TrainGan():
            return ()


def _models_of_morph(request: Morph) -> tuple[str, ...]:
    has_dreams = any(stop.seed is not None for stop in request.stops)
    has_others = any(stop.seed is None for stop in request.stops)
    drawn = (request.drawing.model,) if has_others else ()
    return (*drawn, request.dreams) if has_dreams and not request.weights else drawn


def _own_weights(request: Request) -> bytes:
    """Those of a generator that was trained here, where a request uses one."""
    return request.weights if isinstance(request, Dream | Morph) else b""


def of_image(
    caller: Caller,
    seen: SeenImage,
    request: Request,
    operation: Operation,
    preferences: Preferences,
    *,
    asked: bool | None = None,
) -> Commission:
    """A job made from an image of the gallery; `asked` says who may see the result."""
    return Commission(
        request=request,
        prompt=seen.row.prompt,
        model=seen.row.model,
        operation=operation,
        is_private=hides(caller, asked, preferences, [seen.row]),
        parent_image_id=seen.row.id,
        parent_job_id=seen.row.job_id,
    )


def hides(
    caller: Caller,
    asked: bool | None,  # noqa: FBT001
    preferences: Preferences,
    sources: Iterable[ImageRow | JobRow] = (),
) -> bool | None:
    """Whether others shall not see a result: what was typed or asked decides, else what is set.

    Unless it is asked for, a secret of one's own stays one in what is made from it. None: it may
    be seen by all whom the channel is for.
    """
    if asked is not None:
        return asked
    has_secret = any(
        one.is_private
        and one.owner_id == caller.owner_id
        and (one.shown_in is None or one.shown_in != caller.secluded_in)
        for one in sources
    )
    return True if has_secret or preferences.is_private else None
