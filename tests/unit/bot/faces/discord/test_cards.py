"""Messages keep Discord's limits and are harmless as Markdown."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from bot.faces.discord.cards import (
    Shown,
    board_card,
    ending_card,
    lines_within,
    progress_card,
    progress_line,
    prompt_line,
    result_card,
    shortened,
)
from bot.faces.discord.components.details import image_details
from bot.faces.discord.components.flags_page import flags_card
from bot.faces.discord.controls import ending_controls, job_controls
from bot.faces.discord.localisation import Words
from bot.prompts import FLAGS
from bot.studio.contract import (
    Destination,
    ImageView,
    JobState,
    JobUpdate,
    JobView,
    Operation,
)
from bot.wording import as_plain, from_plain
from engine.api import InvalidRequest, Said

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ENGLISH = Words("en")


def image(index: int, prompt: str) -> ImageView:
    return ImageView(
        id=f"image000000{index}",
        job_id="job000000000",
        index=index,
        owner_id=2**63 - 1,
        guild_id=None,
        seed=2**32 - 1,
        width=2048,
        height=2048,
        prompt=prompt,
        model="m" * 64,
        parameters=prompt,
        operation=Operation.VARY_SUBTLE,
        parent_id=None,
        is_private=False,
        is_favourite=False,
        created_at=NOW,
        alt_text=prompt[:1024],
    )


def job(count: int = 4, prompt: str = "a fox", **changes) -> JobView:
    made = JobView(
        id="job000000000",
        owner_id=2**63 - 1,
        guild_id=None,
        state=JobState.FINISHED,
        operation=Operation.IMAGINE,
        prompt=prompt,
        model="m" * 64,
        seed=2**32 - 1,
        created_at=NOW,
        is_private=False,
        destination=Destination(face="discord"),
        images=tuple(image(index, prompt) for index in range(count)),
    )
    return replace(made, **changes)


@pytest.mark.parametrize("language", ["en", "zh-CN"])
@pytest.mark.parametrize("count", range(1, 9))
def test_a_result_keeps_all_limits_whatever_the_prompt(language, count):
    words = Words(language)
    result = job(count, "*_`~|>#@" * 400)
    shown = Shown(b"x", "picture.png", "a" * 5000)
    view = result_card(words, result, [shown], job_controls(words, result), note="n" * 200)
    assert view.total_children_count <= 40
    assert view.content_length() <= 4000
    items = [child for child in view.walk_children() if getattr(child, "custom_id", None)]
    assert len({child.custom_id for child in items}) == len(items)
    assert all(len(child.custom_id) <= 100 for child in items)
    buttons = [child for child in items if hasattr(child.item, "label")]
    assert all(len(child.item.label or "") <= 80 for child in buttons)


def test_a_result_is_wholly_made_of_lasting_controls():
    view = result_card(ENGLISH, job(), [], job_controls(ENGLISH, job()))
    assert view.is_persistent()
    assert view.timeout is None


def test_a_failed_job_tells_its_reason():
    failed = job(0, state=JobState.FAILED, reason="the model is gone")
    view = ending_card(ENGLISH, failed, ending_controls(ENGLISH, failed))
    assert "the model is gone" in str(view.to_components())


def test_a_job_whose_pictures_were_deleted_before_they_were_shown_was_not_cancelled():
    emptied = job(0, state=JobState.FINISHED)
    told = str(ending_card(ENGLISH, emptied, []).to_components())
    assert "are deleted" in told
    assert "Cancelled" not in told


def test_a_board_of_many_jobs_fits():
    updates = [JobUpdate(job(0, state=JobState.QUEUED, position=n)) for n in range(40)]
    assert board_card(ENGLISH, updates, []).content_length() <= 4000


def test_progress_says_place_then_percentage_and_estimate():
    waiting = job(0, state=JobState.QUEUED, position=3, estimate_s=40)
    assert progress_line(ENGLISH, waiting) == "Waiting, place 3 · about 40 s"
    running = job(0, state=JobState.RUNNING, step=5, total=20)
    assert "25 %" in progress_line(ENGLISH, running)


def test_a_preview_is_named_by_the_message():
    running = JobUpdate(job(0, state=JobState.RUNNING, step=5, total=20), b"webp")
    view = progress_card(ENGLISH, running, [], Shown(b"webp", "preview.webp", "soon a fox"))
    assert "attachment://preview.webp" in str(view.to_components())


def test_a_prompt_is_shown_on_one_line_without_effect_as_markdown():
    assert prompt_line("a **fox**\n# big") == "**a \\*\\*fox\\*\\* # big**"
    assert prompt_line("   ") == "**-**"


def test_long_texts_end_in_an_ellipsis():
    assert shortened("abcdef", 4) == "abc…"
    assert shortened("abcd", 4) == "abcd"


def test_lines_that_are_too_many_are_counted():
    def more(count: int) -> str:
        return f"+{count}"

    assert lines_within(["ab", "cd"], 5, more) == "ab\ncd"
    assert lines_within(["ab", "cd", "ef"], 7, more) == "ab\n+2"
    assert lines_within([], 5, more) == ""


def test_the_details_of_a_picture_fit_whatever_its_tags():
    tagged = replace(image(0, "p" * 3000), tags=("t" * 40,) * 20, parent_id="image0000009")
    for language in ("en", "zh-CN"):
        assert len(image_details(Words(language), tagged)) <= 2000


@pytest.mark.parametrize("language", ["en", "zh-CN"])
def test_all_flags_fit_in_one_message(language):
    view = flags_card(Words(language))
    assert view.content_length() <= 4000
    assert FLAGS[-1].usage in str(view.to_components())


def test_a_chinese_member_reads_in_chinese_why_a_job_failed() -> None:
    refused = InvalidRequest(
        "stop", Said("must be in {low}..{high}, not {given}", low=10, high=100, given=5)
    )
    failed = job(0, state=JobState.FAILED, reason=from_plain(as_plain(refused.text)), images=())
    words = Words("zh-CN")
    view = ending_card(words, failed, ending_controls(words, failed))
    assert "停止位置必须在 10 到 100 之间，不能是 5" in str(view.to_components())


def test_a_reason_of_any_length_fits_into_a_message():
    long = job(prompt="a " * 3000, reason="left out: " + "x, " * 3000)
    for view in (
        progress_card(ENGLISH, JobUpdate(long), [], None),
        result_card(ENGLISH, long, [], []),
        ending_card(ENGLISH, replace(long, state=JobState.FAILED), []),
    ):
        assert view.content_length() <= 4000
