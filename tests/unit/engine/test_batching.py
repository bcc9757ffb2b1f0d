import pickle

import pytest
import torch

from engine.batching import RowCaps, Share, Waiting, can_be_cut, next_batch, row_count, rows_of
from engine.calls import (
    Conditioning,
    Decode,
    Denoise,
    EncodeText,
    InversionGradient,
    MapNoise,
    MeanOfLook,
    NetworkRef,
    Pause,
    Restyle,
    StyleTokens,
    Synthesise,
)
from engine.requests import Span

NETWORK = NetworkRef("base")


def waiting(rows, key="a", *, done=0, can_be_cut=True):
    return Waiting(key, done, rows, can_be_cut)


@pytest.mark.parametrize(
    ("line", "chosen"),
    [
        pytest.param([], [], id="nothing to do"),
        pytest.param([waiting(2), waiting(3)], [(0, 0, 2), (1, 0, 3)], id="all fit"),
        pytest.param([waiting(6), waiting(6)], [(0, 0, 6), (1, 0, 2)], id="the last is cut"),
        pytest.param([waiting(20)], [(0, 0, 8)], id="a large one is cut"),
        pytest.param([waiting(20, done=16)], [(0, 16, 20)], id="it goes on where it was cut"),
        pytest.param(
            [waiting(1), waiting(1, "b"), waiting(1)],
            [(0, 0, 1), (2, 0, 1)],
            id="other keys wait for their turn",
        ),
        pytest.param(
            [waiting(9, can_be_cut=False), waiting(1)],
            [(0, 0, 9)],
            id="the first runs even if it is too large",
        ),
        pytest.param(
            [waiting(6), waiting(9, can_be_cut=False), waiting(2)],
            [(0, 0, 6), (2, 0, 2)],
            id="what can't be cut is overtaken",
        ),
    ],
)
def test_next_batch(line, chosen):
    assert next_batch(line, lambda key: 8) == [Share(*share) for share in chosen]


def a_denoise(rows):
    conditioning = Conditioning(
        tokens=torch.arange(rows * 6.0).view(rows, 3, 2),
        pooled=torch.arange(rows * 1.0).view(rows, 1),
        extra=torch.zeros(rows, 0),
        style=StyleTokens(torch.arange(rows * 2.0).view(rows, 1, 2), torch.arange(rows * 1.0)),
    )
    return Denoise(NETWORK, torch.randn(rows, 4, 2, 2), torch.arange(1.0, rows + 1), conditioning)


def test_rows_of_a_call_keep_what_belongs_together():
    call = a_denoise(5)
    part = rows_of(call, 1, 3)
    assert part.batch_key == call.batch_key
    assert torch.equal(part.x, call.x[1:3])
    assert torch.equal(part.sigma, torch.tensor([2.0, 3.0]))
    assert torch.equal(part.conditioning.tokens, call.conditioning.tokens[1:3])
    assert torch.equal(part.conditioning.pooled, torch.tensor([[1.0], [2.0]]))
    assert part.conditioning.extra.shape == (2, 0)
    assert torch.equal(part.conditioning.style.tokens, call.conditioning.style.tokens[1:3])
    assert torch.equal(part.conditioning.style.scale, torch.tensor([1.0, 2.0]))


def test_all_rows_of_a_call_are_the_call_itself():
    call = Decode(NETWORK, torch.zeros(2, 4, 2, 2))
    assert rows_of(call, 0, 2) is call


def test_calls_without_rows_of_pixels_or_latents_are_never_cut():
    text = EncodeText(NETWORK, ((Span("fox"),), (Span("owl"),)), 64, 64)
    assert not can_be_cut(text)
    assert row_count(text) == row_count(Pause()) == 1
    assert rows_of(text, 0, 1) is text


def test_what_is_no_call_is_refused():
    with pytest.raises(TypeError, match="str"):
        row_count("fox")


def test_what_is_remembered_of_calls_holds_none_of_their_weights():
    generator = NetworkRef("own 0123456789abcdef", weights=bytes(100_000))
    pixels, w = torch.zeros(1, 3, 8, 8), torch.zeros(1, 4)
    heavy = [
        MapNoise(generator, w, torch.zeros(1)),
        MeanOfLook(generator, torch.zeros(1)),
        Synthesise(generator, w),
        InversionGradient(generator, w, pixels),
        Restyle(NETWORK, pixels, w, torch.ones(1), changes=((bytes(100_000), 0.5),)),
    ]
    caps = RowCaps(tick_budget_s=1.0, most=8)
    for call in heavy:
        caps.ran(call.batch_key, 1, 0.0)
        caps.ran_out(call.batch_key, 2)
    assert len(caps._measured) == len(caps._limits) == len(heavy)
    assert len(pickle.dumps([list(caps._measured), list(caps._limits)])) < 2000


def test_restylings_by_different_changes_share_no_pass():
    pixels, code = torch.zeros(1, 3, 8, 8), torch.zeros(1, 4)

    def key(*changes):
        return Restyle(NETWORK, pixels, code, torch.ones(1), changes=changes).batch_key

    ways = [(), ((b"a", 0.5),), ((b"b", 0.5),), ((b"a", 0.25),), ((b"a", 0.5), (b"b", 0.5))]
    assert len({key(*changes) for changes in ways}) == len(ways)
    assert key((b"a", 0.5)) == key((b"a", 0.5))


def learnt(caps, seconds_of, passes=12):
    """Run passes as large as allowed; `seconds_of` is what a pass of so many rows takes."""
    for _ in range(passes):
        rows = caps.cap("key")
        caps.ran("key", rows, seconds_of(rows))
    return caps.cap("key")


@pytest.mark.parametrize(
    ("seconds_of", "rows"),
    [
        pytest.param(lambda rows: 0.05 * rows, 2, id="twice as long for twice the rows"),
        pytest.param(lambda rows: 0.02 + 0.001 * rows, 32, id="rows that cost almost nothing"),
        pytest.param(lambda rows: 5.0 * rows, 1, id="one row is over the budget"),
        pytest.param(lambda rows: 0.01 * rows if rows < 8 else 1.0, 4, id="a cliff"),
    ],
)
def test_the_cap_grows_until_a_pass_would_take_longer_than_the_budget(seconds_of, rows):
    assert learnt(RowCaps(tick_budget_s=0.12, most=32), seconds_of) == rows


def test_a_slow_first_pass_is_forgiven():
    times = iter([9.0])
    caps = RowCaps(tick_budget_s=0.12, most=8)
    assert learnt(caps, lambda rows: next(times, 0.01)) == 8


def test_a_slow_first_pass_of_more_rows_is_forgiven_once():
    """A GPU may load code for a shape it never saw; the next pass of it is quick."""
    caps = RowCaps(tick_budget_s=0.12, most=8)
    seen = set()

    def seconds_of(rows):
        is_new = rows not in seen
        seen.add(rows)
        return 9.0 if is_new else 0.01

    assert learnt(caps, seconds_of) == 8


def test_more_rows_are_tried_only_where_there_is_memory_for_them():
    room = [400]
    caps = RowCaps(tick_budget_s=1.0, most=32, room_bytes=lambda: room[0])
    for _ in range(8):
        rows = caps.cap("key")
        caps.ran("key", rows, seconds=0.0, taken_bytes=100 * rows)
    assert caps.cap("key") == 4
    room[0] = 799
    assert caps.cap("key") == 4
    room[0] = 800
    assert caps.cap("key") == 8


def test_a_size_is_new_until_it_was_measured_twice():
    caps = RowCaps(tick_budget_s=1.0, most=32)
    assert caps.is_new("key", 5)
    caps.ran("key", 4, 0.0)
    assert caps.is_new("key", 5)
    caps.ran("key", 7, 0.0)
    assert not caps.is_new("key", 5)
    assert caps.is_new("key", 8)
    assert caps.is_new("another key", 5)


def test_the_cap_starts_at_one_row_for_each_key():
    caps = RowCaps(tick_budget_s=0.12, most=8)
    learnt(caps, lambda rows: 0.001)
    assert caps.cap("another key") == 1


def test_one_row_at_most_means_one_row():
    assert learnt(RowCaps(tick_budget_s=1.0, most=1), lambda rows: 0.0) == 1


def test_rows_that_found_no_memory_are_not_tried_again_soon():
    caps = RowCaps(tick_budget_s=1.0, most=32)
    assert learnt(caps, lambda rows: 0.0) == 32
    caps.ran_out("key", 32)
    assert caps.cap("key") == 16
    caps.ran_out("key", 1)
    assert caps.cap("key") == 1
    assert learnt(caps, lambda rows: 0.0, passes=100) == 1
    assert learnt(caps, lambda rows: 0.0, passes=1000) == 32
