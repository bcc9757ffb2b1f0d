import asyncio
import io
from contextlib import nullcontext
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import pytest
from rich.console import Console

from bot.errors import UserError
from bot.faces.console import drawing
from bot.faces.console.drawing import Out, out_of, write
from bot.studio.contract import JobState, JobUpdate, JobView, Operation


@pytest.mark.parametrize(
    ("prompt", "name"),
    [
        ("a Red fox, glossy --seed 7", "a-red-fox-glossy.png"),
        ("../../etc/passwd", "etc-passwd.png"),
        ("--seed 3", "picture.png"),
        ("小狗 在 雪地", "小狗-在-雪地.png"),
        ("one two three four five six seven", "one-two-three-four-five-six.png"),
    ],
)
def test_the_default_name_comes_from_the_first_words(prompt, name):
    assert drawing.default_path(prompt) == Path(name)


def test_where_nobody_asked_for_a_place_nothing_is_replaced(tmp_path):
    out = out_of(None, tmp_path / "dream.png")
    assert [write([data], out)[0].name for data in (b"1", b"2", b"3")] == [
        "dream.png",
        "dream-2.png",
        "dream-3.png",
    ]
    assert (tmp_path / "dream.png").read_bytes() == b"1"


def test_several_pictures_go_on_from_the_highest_number(tmp_path):
    out = out_of(None, tmp_path / "dream.png")
    assert [path.name for path in write([b"1", b"2"], out)] == ["dream-1.png", "dream-2.png"]
    (tmp_path / "dream-7.png").write_bytes(b"7")
    (tmp_path / "dream-9.webp").write_bytes(b"9")
    (tmp_path / "dream-unfinished.png").write_bytes(b"")
    assert [path.name for path in write([b"3", b"4"], out)] == ["dream-8.png", "dream-9.png"]
    assert write([b"5"], out) == [tmp_path / "dream.png"]
    assert write([b"6"], out) == [tmp_path / "dream-3.png"]


def test_what_is_at_a_place_that_was_asked_for_is_replaced(tmp_path):
    out = out_of(tmp_path / "new" / "fox.png", "picture.png")
    assert write([b"1"], out) == write([b"2"], out) == [tmp_path / "new" / "fox.png"]
    assert (tmp_path / "new" / "fox.png").read_bytes() == b"2"
    assert write([b"1", b"2"], out) == write([b"3", b"4"], out)
    assert (tmp_path / "new" / "fox-2.png").read_bytes() == b"4"


@pytest.mark.parametrize(
    ("picture", "asked", "named"),
    [
        (b"\x89PNG 1", "fox.png", "fox.png"),
        (b"\x89PNG 1", "fox.PNG", "fox.PNG"),
        (b"\x89PNG 1", "fox.jpg", "fox.png"),
        (b"\x89PNG 1", "fox", "fox.png"),
        (b"\x89PNG 1", "fox.v2", "fox.v2.png"),
        (b"RIFF0000WEBP", "morph.gif", "morph.webp"),
        (b"RIFF0000WEBP", "restyled.png", "restyled.webp"),
        (b"0000ftypisom", "morph.mp4", "morph.mp4"),
    ],
)
def test_a_file_is_named_for_what_it_is(tmp_path, picture, asked, named):
    assert write([picture], out_of(tmp_path / asked, "picture.png")) == [tmp_path / named]


def test_a_device_keeps_its_name():
    assert write([b"\x89PNG 1"], out_of(Path("/dev/null"), "picture.png")) == [Path("/dev/null")]


def test_several_pictures_go_to_one_device(tmp_path):
    null = Path("/dev/null")
    assert write([b"\x89PNG 1", b"\x89PNG 2"], out_of(null, "picture.png")) == [null, null]


@pytest.mark.parametrize("name", ["-", "/dev/stdout"])
def test_a_picture_goes_through_a_pipe_with_no_name_beside_it(name, capfdbinary):
    out = out_of(Path(name), "picture.png")
    assert write([b"\x89PNG 1"], out) == []
    assert capfdbinary.readouterr().out == b"\x89PNG 1"
    with pytest.raises(UserError, match="several pictures"):
        write([b"\x89PNG 1", b"\x89PNG 2"], out)


def test_a_folder_is_no_place_for_a_picture(tmp_path):
    ask, place = drawing.Ask("a fox"), out_of(tmp_path, "picture.png")
    with pytest.raises(UserError, match="is a folder; name a file"):
        asyncio.run(drawing.draw(nullcontext(None), ask, place, Console()))


def test_a_place_that_can_not_be_written_is_refused_before_anything_is_drawn(tmp_path):
    (tmp_path / "file").write_text("no folder")
    place = out_of(tmp_path / "file" / "fox.png", "picture.png")
    ask = drawing.Ask("a fox")
    with pytest.raises(UserError, match="nothing can be written"):
        asyncio.run(drawing.draw(nullcontext(None), ask, place, Console()))
    with pytest.raises(UserError, match="the gallery has the pictures"):
        write([b"1"], place)


async def test_where_standard_input_is_closed_nobody_is_asked(monkeypatch):
    monkeypatch.setattr("sys.stdin", None)
    with pytest.raises(UserError, match="--yes starts them all"):
        await drawing.require_yes("so many", "--yes starts them all", "Start?", Console())


class Endless:
    """A studio with a job that shows previews and never ends."""

    def __init__(self) -> None:
        self.cancelled: list[str] = []
        self.is_seen = asyncio.Event()
        self.job = JobView(
            id="abc",
            owner_id=0,
            guild_id=None,
            state=JobState.RUNNING,
            operation=Operation.DREAM,
            prompt="",
            model="m",
            seed=1,
            created_at=datetime(2026, 1, 1, tzinfo=UTC),
            is_private=False,
            destination=drawing.NOWHERE,
        )

    async def watch(self, _caller, _job_id):
        yield JobUpdate(self.job, b"early")
        yield JobUpdate(self.job, b"late")
        yield JobUpdate(replace(self.job, step=1))
        self.is_seen.set()
        await asyncio.Event().wait()

    async def cancel(self, _caller, job_id):
        self.cancelled.append(job_id)
        return replace(self.job, state=JobState.CANCELLED)


class Ending(Endless):
    """A studio whose job makes its result of what it has learnt, once it is cancelled."""

    is_kept = False

    async def watch(self, caller, job_id):
        if not self.cancelled:
            async for update in super().watch(caller, job_id):
                yield update
        yield JobUpdate(replace(self.job, state=JobState.QUEUED))
        await asyncio.sleep(0)
        self.is_kept = True
        yield JobUpdate(replace(self.job, state=JobState.FINISHED))

    async def cancel(self, caller, job_id):
        await super().cancel(caller, job_id)
        return replace(self.job, state=JobState.QUEUED)


async def test_an_interrupted_job_leaves_its_last_preview_and_is_cancelled(tmp_path):
    studio = Endless()
    (tmp_path / "fox-unfinished.webp").write_bytes(b"earlier")
    said = io.StringIO()

    async def ordered(studio):
        return (studio.job,)

    asked = Out(tmp_path / "fox.png")
    console = Console(file=said, width=400)
    task = asyncio.create_task(drawing.submit(nullcontext(studio), ordered, asked, console))
    await studio.is_seen.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    kept = tmp_path / "fox-unfinished-2.webp"
    assert kept.read_bytes() == b"late"
    assert (tmp_path / "fox-unfinished.webp").read_bytes() == b"earlier"
    assert f"Unfinished, as last seen: {kept}" in said.getvalue()
    assert studio.cancelled == ["abc"]


async def test_an_interrupted_training_is_awaited_until_what_it_learnt_is_kept(tmp_path):
    studio = Ending()

    async def ordered(studio):
        return (studio.job,)

    asked, console = Out(tmp_path / "generator.png"), Console(file=io.StringIO())
    task = asyncio.create_task(drawing.submit(nullcontext(studio), ordered, asked, console))
    await studio.is_seen.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert studio.is_kept
    assert "What it has learnt is being kept" in console.file.getvalue()


class Partly(Endless):
    """A studio in which one of two jobs fails, and then the other finishes."""

    def __init__(self) -> None:
        super().__init__()
        self.failing = replace(self.job, id="red")

    async def watch(self, _caller, job_id):
        if job_id == "red":
            failed = replace(self.failing, state=JobState.FAILED, reason="no memory")
            yield JobUpdate(failed)
            self.is_seen.set()
        else:
            await self.is_seen.wait()
            await asyncio.sleep(0)
            image = SimpleNamespace(id="green")
            yield JobUpdate(replace(self.job, state=JobState.FINISHED, images=(image,)))

    async def image_file(self, _caller, image_id):
        return image_id.encode()


async def test_where_one_of_several_jobs_fails_the_others_pictures_are_written(tmp_path):
    studio = Partly()

    async def ordered(studio):
        return studio.failing, studio.job

    asked, console = Out(tmp_path / "fox.png"), Console(file=io.StringIO())
    with pytest.raises(UserError, match=r"^1 of 2 jobs: no memory$"):
        await drawing.submit(nullcontext(studio), ordered, asked, console)
    assert (tmp_path / "fox.png").read_bytes() == b"green"
    assert str(tmp_path / "fox.png") in console.file.getvalue()
    assert studio.cancelled == []
