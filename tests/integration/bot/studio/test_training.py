"""Generators that learn from a gallery: who may, from what, and who dreams with them."""

import asyncio
from dataclasses import replace
from functools import partial

import pytest

from bot.errors import LimitReached, NotAllowed, NotFound, UserError
from bot.storage.jobs import Jobs
from bot.studio import scheduler, training, verdicts
from bot.studio.contract import (
    Caller,
    Dreaming,
    GalleryScope,
    GuildRules,
    JobState,
    JobView,
    Morphing,
    MorphStop,
    Operation,
    Teaching,
)
from bot.studio.studio import Atelier
from bot.studio.training import TrainingRules
from bot.wording import chinese, translated
from engine.api import Dream, Morph, TrainGan
from engine.testing import FakeEngine
from tests.integration.bot.studio.conftest import ADMIN, MEMBER, OTHER, WEB, Open, ended

FOXES = Teaching(name="Red Foxes")
STRANGER = Caller(owner_id=8, guild_id=10, channel_id=71, is_admin=True)
ALONE = Caller(owner_id=8)


async def draw(studio: Atelier, caller: Caller, count: int, text: str = "a fox", **values) -> list:
    """So many different pictures in the gallery of a member."""
    made = []
    while len(made) < count:
        some = min(8, count - len(made))
        prompt = f"{text} --size 64x64 --steps 1 --images {some}"
        [job] = await studio.imagine(caller, prompt, WEB, **values)
        made += (await ended(studio, job, caller)).images
    return made


async def trained(studio: Atelier, caller: Caller = ADMIN, asked: Teaching = FOXES):
    return await ended(studio, await studio.train_gan(caller, asked, WEB), caller)


async def learnt_enough(studio: Atelier, engine: FakeEngine) -> JobView:
    """A training that goes on, and has learnt something that is worth keeping."""
    await draw(studio, ADMIN, 16)
    engine.stuck = True
    job = await studio.train_gan(ADMIN, FOXES, WEB)
    async for update in studio.watch(ADMIN, job.id):
        if update.job.step >= training.LEAST_STEPS:
            break
    return job


def trainings(engine: FakeEngine) -> list[TrainGan]:
    return [request for request in engine.requests if isinstance(request, TrainGan)]


async def test_a_generator_is_trained_and_dreamt_with(studio: Atelier, engine: FakeEngine) -> None:
    await draw(studio, ADMIN, 18)
    job = await trained(studio)
    assert (job.state, job.operation) == (JobState.FINISHED, Operation.TRAIN_GAN)
    assert job.reason == (
        "It learnt from 18 pictures. The dreams are varied, and none of your pictures is copied."
    )
    assert translated(job.reason, "zh-CN") != job.reason
    assert "Verdict: healthy" in job.images[0].parameters
    [request] = trainings(engine)
    assert len(set(request.pictures)) == 18
    [view] = await studio.generators(MEMBER)
    assert (view.name, view.owner_id, view.pictures) == ("red-foxes", ADMIN.owner_id, 18)
    assert (await studio.generator_png(MEMBER, "red foxes")).startswith(b"\x89PNG")
    dream = await ended(studio, await studio.dream(MEMBER, WEB, Dreaming(model="Red foxes")))
    assert dream.state is JobState.FINISHED
    asked = engine.requests[-1]
    assert isinstance(asked, Dream)
    assert (asked.model, asked.weights) == ("red-foxes", b"learnt")


async def test_while_it_learns_the_monitors_are_heard(studio: Atelier) -> None:
    await draw(studio, ADMIN, 16)
    job = await studio.train_gan(ADMIN, FOXES, WEB)
    told = [update.job async for update in studio.watch(ADMIN, job.id)]
    heard = [view.reason for view in told if view.state is JobState.RUNNING and view.reason]
    assert heard[0] == (
        "So far: distance from your pictures 0.5 (0 is best), 40% of them met, variety 90%. "
        "The dreams are softer than your pictures: more minutes help."
    )
    assert translated(heard[0], "zh-CN").startswith("目前")
    assert told[-1].reason.startswith("It learnt from")


async def test_it_dreams_the_seeds_of_a_morph(studio: Atelier, engine: FakeEngine) -> None:
    await draw(studio, ADMIN, 16)
    await trained(studio)
    stops = [MorphStop(seed=1), MorphStop(seed=2)]
    asked = Morphing(frames=4, dreamer="Red foxes")
    job = await ended(studio, await studio.morph(MEMBER, stops, WEB, asked))
    assert job.state is JobState.FINISHED
    assert "Dream model: red-foxes" in job.images[0].parameters
    request = engine.requests[-1]
    assert isinstance(request, Morph)
    assert (request.dreams, request.weights) == ("red-foxes", b"learnt")
    with pytest.raises(NotFound, match="one look alone"):
        await studio.morph(MEMBER, stops, WEB, replace(asked, look="moon"))
    with pytest.raises(NotFound, match="can't dream"):
        await studio.morph(STRANGER, stops, WEB, asked)
    await studio.delete_generator(ADMIN, "red-foxes")
    with pytest.raises(NotAllowed, match="not here any more"):
        await studio.reroll(MEMBER, job.id, WEB)


async def test_another_server_can_not_reach_it(studio: Atelier) -> None:
    await draw(studio, ADMIN, 16)
    await trained(studio)
    dream = await ended(studio, await studio.dream(ADMIN, WEB, Dreaming(model="red-foxes")), ADMIN)
    png = await studio.image_png(ADMIN, dream.images[0].id)
    elsewhere = replace(ADMIN, guild_id=10)
    for caller in (STRANGER, ALONE, elsewhere, replace(ADMIN, guild_id=None)):
        assert await studio.generators(caller) == ()
        with pytest.raises(NotFound):
            await studio.generator_png(caller, "red-foxes")
        with pytest.raises(NotFound):
            await studio.delete_generator(caller, "red-foxes")
        with pytest.raises(NotFound, match="can't dream"):
            await studio.dream(caller, WEB, Dreaming(model="red-foxes"))
    for again in (
        lambda: studio.make_again(elsewhere, png, WEB),
        lambda: studio.reroll(elsewhere, dream.id, WEB),
        lambda: studio.vary(elsewhere, dream.images[0].id, WEB, is_strong=False),
    ):
        with pytest.raises(NotAllowed, match="not here any more"):
            await again()


async def test_a_deleted_generator_dreams_no_more(studio: Atelier) -> None:
    await draw(studio, ADMIN, 16)
    await trained(studio)
    dream = await ended(studio, await studio.dream(MEMBER, WEB, Dreaming(model="red-foxes")))
    with pytest.raises(NotAllowed):
        await studio.delete_generator(MEMBER, "red-foxes")
    await studio.delete_generator(ADMIN, "Red Foxes")
    assert await studio.generators(ADMIN) == ()
    with pytest.raises(NotFound):
        await studio.dream(MEMBER, WEB, Dreaming(model="red-foxes"))
    with pytest.raises(NotAllowed, match="not here any more"):
        await studio.reroll(MEMBER, dream.id, WEB)


async def test_rules_for_models_name_no_generator_of_ones_own(
    studio: Atelier, engine: FakeEngine
) -> None:
    await draw(studio, ADMIN, 16)
    await trained(studio)
    await studio.set_rules(ADMIN, GuildRules(allowed_models=("atelier-pack",)))
    dream = await ended(studio, await studio.dream(MEMBER, WEB, Dreaming(model="red-foxes")))
    image = dream.images[0].id
    large = await ended(studio, await studio.upscale(MEMBER, image, WEB))
    again = await studio.make_again(MEMBER, await studio.image_png(MEMBER, image), WEB)
    for job in (large, await ended(studio, again)):
        assert (job.state, job.model) == (JobState.FINISHED, "red-foxes")
    await studio.make_again(MEMBER, await studio.image_png(MEMBER, large.images[0].id), WEB)
    stops = [MorphStop(seed=1), MorphStop(seed=2)]
    asked = Morphing(frames=4, dreamer="red-foxes")
    await studio.set_rules(ADMIN, GuildRules(allowed_models=("atelier-dreams",)))
    morph = await ended(studio, await studio.morph(MEMBER, stops, WEB, asked))
    assert (morph.state, morph.model) == (JobState.FINISHED, "red-foxes")


async def test_what_waits_for_a_generator_that_is_deleted_is_finished(
    studio: Atelier, engine: FakeEngine
) -> None:
    await draw(studio, ADMIN, 16)
    await trained(studio)
    engine.stuck = True
    dreams = [
        await studio.dream(replace(MEMBER, owner_id=owner_id), WEB, Dreaming(model="red-foxes"))
        for owner_id in range(20, 26)  # more than run at once
    ]
    await studio.delete_generator(ADMIN, "red-foxes")
    engine.stuck = False
    for dream in dreams:
        assert (await ended(studio, dream)).state is JobState.FINISHED


async def test_a_training_is_repeated_once_its_generator_is_deleted(
    studio: Atelier, engine: FakeEngine
) -> None:
    await draw(studio, ADMIN, 16)
    job = await trained(studio)
    with pytest.raises(LimitReached, match="red-foxes here; delete it first"):
        await studio.reroll(ADMIN, job.id, WEB)
    await studio.delete_generator(ADMIN, "red-foxes")
    again = await ended(studio, await studio.reroll(ADMIN, job.id, WEB), ADMIN)
    assert (again.state, again.operation) == (JobState.FINISHED, Operation.TRAIN_GAN)
    first, second = trainings(engine)
    assert first.seed != second.seed
    assert [view.job_id for view in await studio.generators(ADMIN)] == [again.id]


async def test_deleted_and_private_pictures_are_never_learnt(
    studio: Atelier, engine: FakeEngine
) -> None:
    own = await draw(studio, ADMIN, 20)
    await draw(studio, ADMIN, 8, is_private=True)
    await draw(studio, OTHER, 8, is_private=True)
    public = await draw(studio, OTHER, 3)
    await draw(studio, replace(STRANGER, owner_id=OTHER.owner_id), 3)
    await studio.delete(ADMIN, own[0].id)
    job = await trained(studio, asked=replace(FOXES, scope=GalleryScope.GUILD))
    assert job.state is JobState.FINISHED
    [request] = trainings(engine)
    assert set(request.sources) == {image.id for image in (*own[1:], *public)}


async def test_the_operator_is_refused_at_once_what_no_attempt_would_see(studio: Atelier) -> None:
    await draw(studio, MEMBER, 16)
    operator = Caller(owner_id=0, is_admin=True)
    with pytest.raises(LimitReached, match="these are 0"):
        await studio.train_gan(operator, replace(FOXES, words=f"by:{MEMBER.owner_id}"), WEB)


async def test_what_is_deleted_while_the_job_waits_is_not_learnt_either(
    studio: Atelier, engine: FakeEngine
) -> None:
    own = await draw(studio, ADMIN, 18)
    engine.stuck = True
    first = await studio.train_gan(ADMIN, replace(FOXES, name="first"), WEB)
    while not trainings(engine):
        await asyncio.sleep(0.01)
    second = await studio.train_gan(ADMIN, FOXES, WEB)
    await studio.delete(ADMIN, own[0].id)
    await studio.publish(ADMIN, own[1].id, is_private=True)
    await asyncio.sleep(0.3)
    assert len(trainings(engine)) == 1, "one training at a time"
    await studio.cancel(ADMIN, first.id)
    engine.stuck = False
    assert (await ended(studio, second, ADMIN)).state is JobState.FINISHED
    assert len(trainings(engine)[-1].pictures) == 16


async def test_a_stored_training_holds_no_pictures(studio: Atelier, tmp_path) -> None:
    await draw(studio, ADMIN, 16)
    files = set((tmp_path / "images").rglob("*.png"))
    await studio.train_gan(ADMIN, FOXES, WEB)
    assert set((tmp_path / "images").rglob("*.png")) == files


async def test_of_two_trainings_of_one_name_at_once_one_is_refused(studio: Atelier) -> None:
    await draw(studio, ADMIN, 16)
    asked = (studio.train_gan(ADMIN, FOXES, WEB) for _ in range(2))
    answers = await asyncio.gather(*asked, return_exceptions=True)
    assert sorted(isinstance(one, LimitReached) for one in answers) == [False, True]


async def test_filters_choose_what_is_learnt(studio: Atelier, engine: FakeEngine) -> None:
    foxes = await draw(studio, ADMIN, 20, "a red fox")
    await draw(studio, ADMIN, 8, "a boat")
    for image in foxes[:17]:
        await studio.favourite(ADMIN, image.id, on=True)
    await trained(studio, asked=replace(FOXES, words="fox", favourites_only=True))
    assert set(trainings(engine)[0].sources) == {image.id for image in foxes[:17]}


async def test_too_few_pictures_or_one_again_and_again_are_refused(
    studio: Atelier, engine: FakeEngine
) -> None:
    with pytest.raises(LimitReached, match="16 different pictures, and these are 0"):
        await studio.train_gan(ADMIN, FOXES, WEB)
    for _ in range(3):
        await draw(studio, ADMIN, 8, "a fox --seed 7")
    with pytest.raises(LimitReached, match="of these 24 only 8 differ"):
        await studio.train_gan(ADMIN, FOXES, WEB)


async def test_only_admins_train_unless_the_operator_opens_it(open_here: Open) -> None:
    async with open_here() as studio:
        await draw(studio, MEMBER, 16)
        with pytest.raises(NotAllowed, match="admins"):
            await studio.train_gan(MEMBER, FOXES, WEB)
    async with open_here(training_rules=TrainingRules(is_open=True)) as studio:
        assert (await trained(studio, MEMBER)).state is JobState.FINISHED
    async with open_here(training_rules=TrainingRules(minutes=0)) as studio:
        with pytest.raises(NotAllowed, match="not trained here"):
            await studio.train_gan(ADMIN, FOXES, WEB)


async def test_minutes_that_nobody_names_are_what_the_operator_allows(
    open_here: Open, engine: FakeEngine
) -> None:
    async with open_here(training_rules=TrainingRules(minutes=5)) as studio:
        await draw(studio, ADMIN, 16)
        assert (await trained(studio)).state is JobState.FINISHED
    assert trainings(engine)[0].minutes == 5


async def test_names_minutes_and_room_are_checked(studio: Atelier, monkeypatch) -> None:
    await draw(studio, ADMIN, 16)
    for name, reason in (("atelier-dreams", "choose another"), ("a/b", "letters"), ("", "letters")):
        with pytest.raises(UserError, match=reason):
            await studio.train_gan(ADMIN, replace(FOXES, name=name), WEB)
    for minutes in (0.0, -1.0, 21.0):
        with pytest.raises(LimitReached, match="up to 20"):
            await studio.train_gan(ADMIN, replace(FOXES, minutes=minutes), WEB)
    await trained(studio)
    with pytest.raises(LimitReached, match="choose another"):
        await studio.train_gan(ADMIN, FOXES, WEB)
    with pytest.raises(NotAllowed, match="this server"):
        await studio.train_gan(ADMIN, replace(FOXES, name="b", scope=GalleryScope.ALL), WEB)
    monkeypatch.setattr(training, "MAX_GENERATORS", 1)
    with pytest.raises(LimitReached, match="delete one"):
        await studio.train_gan(ADMIN, replace(FOXES, name="b"), WEB)
    monkeypatch.setattr(training, "MAX_GENERATORS", 9)
    monkeypatch.setattr(training, "ROOM_BYTES", 2**60)
    with pytest.raises(LimitReached, match="nearly full"):
        await studio.train_gan(ADMIN, replace(FOXES, name="b"), WEB)


async def test_a_generator_that_is_being_trained_takes_its_name_and_place_already(
    studio: Atelier, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    await draw(studio, ADMIN, 16)
    await draw(studio, ALONE, 16)
    engine.stuck = True
    job = await studio.train_gan(ADMIN, FOXES, WEB)
    for attempt in (studio.train_gan(ADMIN, FOXES, WEB), studio.reroll(ADMIN, job.id, WEB)):
        with pytest.raises(LimitReached, match="red-foxes is to be trained here already"):
            await attempt
    monkeypatch.setattr(training, "MAX_GENERATORS", 1)
    with pytest.raises(LimitReached, match="1 generators may be kept"):
        await studio.train_gan(ADMIN, replace(FOXES, name="b"), WEB)
    elsewhere = replace(ALONE, is_admin=True)
    assert (await studio.train_gan(elsewhere, FOXES, WEB)).state is JobState.QUEUED


async def test_cancelling_keeps_what_was_learnt(studio: Atelier, engine: FakeEngine) -> None:
    job = await learnt_enough(studio, engine)
    still = await studio.cancel(ADMIN, job.id)
    assert not still.state.is_final
    while len(trainings(engine)) < 2:
        await asyncio.sleep(0.01)
    engine.stuck = False
    assert (await ended(studio, job, ADMIN)).state is JobState.FINISHED
    first, second = trainings(engine)
    assert (first.is_ending, second.is_ending) == (False, True)
    assert (second.seed, second.name) == (first.seed, first.name)
    assert len(await studio.generators(ADMIN)) == 1
    await studio.delete_generator(ADMIN, "red-foxes")
    await ended(studio, await studio.reroll(ADMIN, job.id, WEB), ADMIN)
    assert trainings(engine)[-1] == first, "so that it goes on where it was"


async def test_a_training_that_is_to_end_early_does_so_soon_on_a_slow_database_too(
    open_here: Open, engine: FakeEngine, monkeypatch
) -> None:
    requeue = Jobs.requeue

    async def slow(*args, **values) -> bool:
        await asyncio.sleep(0.3)
        return await requeue(*args, **values)

    monkeypatch.setattr(Jobs, "requeue", slow)
    monkeypatch.setattr(scheduler, "RENEWAL_S", 600.0)  # then all jobs are read anyway
    async with open_here() as studio:
        job = await learnt_enough(studio, engine)
        await studio.cancel(ADMIN, job.id)
        async with asyncio.timeout(10):
            while len(trainings(engine)) < 2:
                await asyncio.sleep(0.01)


async def test_a_training_that_ended_early_and_is_run_again_waits_for_all_others(
    studio: Atelier, engine: FakeEngine
) -> None:
    job = await learnt_enough(studio, engine)
    await studio.cancel(ADMIN, job.id)
    while len(trainings(engine)) < 2:
        await asyncio.sleep(0.01)
    engine.stuck = False
    sheet = (await ended(studio, job, ADMIN)).images[0]
    png = await studio.image_png(ADMIN, sheet.id)
    await studio.delete_generator(ADMIN, "red-foxes")
    engine.stuck = True
    for run_again in (
        partial(studio.reroll, ADMIN, job.id, WEB),
        partial(studio.make_again, ADMIN, png, WEB),
    ):
        before = len(trainings(engine))
        again = await run_again()
        while len(trainings(engine)) == before:
            await asyncio.sleep(0.01)
        assert not trainings(engine)[-1].is_ending
        assert [ticket.is_patient for ticket in studio.scheduler.queue.running] == [True]
        while not (await studio.cancel(ADMIN, again.id)).state.is_final:
            pass
        while studio.scheduler.queue.running:
            await asyncio.sleep(0.01)


async def test_cancelling_twice_or_at_once_keeps_nothing(
    studio: Atelier, engine: FakeEngine
) -> None:
    job = await learnt_enough(studio, engine)
    await studio.cancel(ADMIN, job.id)
    assert (await studio.cancel(ADMIN, job.id)).state is JobState.CANCELLED
    other = await studio.train_gan(ADMIN, replace(FOXES, name="b"), WEB)
    assert (await studio.cancel(ADMIN, other.id)).state is JobState.CANCELLED
    assert await studio.generators(ADMIN) == ()


async def test_a_training_survives_the_end_of_its_process(
    open_here: Open, engine: FakeEngine
) -> None:
    engine.stuck = True
    async with open_here() as first:
        await draw_stuck(first, engine)
        job = await first.train_gan(ADMIN, FOXES, WEB)
        while not trainings(engine):
            await asyncio.sleep(0.01)
    engine.stuck = False
    async with open_here() as second:
        assert (await ended(second, job, ADMIN)).state is JobState.FINISHED
    assert trainings(engine)[0] == trainings(engine)[1], "so that the engine finds its notes"


async def draw_stuck(studio: Atelier, engine: FakeEngine) -> None:
    engine.stuck = False
    await draw(studio, ADMIN, 16)
    engine.stuck = True


async def test_a_training_takes_no_place_from_others(studio: Atelier, engine: FakeEngine) -> None:
    await draw(studio, ADMIN, 16)
    engine.stuck = True
    await studio.train_gan(ADMIN, FOXES, WEB)
    while not trainings(engine):
        await asyncio.sleep(0.01)
    for owner_id in range(20, 26):
        await studio.imagine(replace(MEMBER, owner_id=owner_id), "a fox --size 64x64", WEB)
    while engine.running < 5:
        await asyncio.sleep(0.01)
    assert engine.most_running == 5, "four slots and the training"
    engine.stuck = False


def test_every_verdict_is_told_in_chinese() -> None:
    known = chinese()
    for sentence in (verdicts._HEALTHY, *verdicts._VERDICTS.values()):
        assert sentence in known
    both = verdicts.verdict_of("collapse, blurred")
    assert "repeat" in both
    assert "softer" in both
    diverged = verdicts.verdict_of("diverged")
    assert "Delete it to train anew" in diverged, "its name is taken"
    assert "go on" not in diverged
    assert "重复" in translated(both, "zh-CN")
