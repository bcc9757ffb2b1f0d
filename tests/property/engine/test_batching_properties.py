from hypothesis import given
from hypothesis import strategies as st

from engine.batching import Waiting, next_batch

lines = st.lists(
    st.builds(
        Waiting,
        key=st.sampled_from("abc"),
        start=st.just(0),
        stop=st.integers(1, 20),
        can_be_cut=st.booleans(),
    ),
    max_size=12,
)


@given(line=lines, cap=st.integers(1, 9))
def test_a_batch_has_one_key_and_never_more_rows_than_the_cap_but_for_a_first_that_is_uncut(
    line, cap
):
    shares = next_batch(line, lambda key: cap)
    assert bool(shares) == bool(line)
    assert len({line[share.position].key for share in shares}) <= 1
    rows = sum(len(share) for share in shares)
    assert rows <= cap or (len(shares) == 1 and not line[0].can_be_cut)
    assert all(len(share) > 0 for share in shares)
    uncut = [share for share in shares if not line[share.position].can_be_cut]
    assert all(share.stop == line[share.position].stop for share in uncut)


@given(line=lines, cap=st.integers(1, 9))
def test_no_call_is_overtaken_by_one_that_came_later_and_could_have_been_cut(line, cap):
    """The rows that are left out are those of the latest calls of the key."""
    shares = {share.position: share for share in next_batch(line, lambda key: cap)}
    same_key = [(p, call) for p, call in enumerate(line) if line and call.key == line[0].key]
    left_out = [p for p, call in same_key if p not in shares and call.can_be_cut]
    assert all(position < min(left_out, default=99) for position in shares)


@given(line=lines, cap=st.integers(1, 9))
def test_every_row_is_computed_once_and_nothing_waits_longer_than_its_place_in_line(line, cap):
    """Serve as the worker does: what was served, but not wholly, goes to the back."""
    waiting = list(enumerate(line))
    computed = {number: [] for number, _ in waiting}
    first_served = {}
    ticks = 0
    while waiting:
        shares = next_batch([call for _, call in waiting], lambda key: cap)
        served = {share.position: share for share in shares}
        back = []
        for position, share in served.items():
            number, call = waiting[position]
            computed[number] += range(share.start, share.stop)
            first_served.setdefault(number, ticks)
            if share.stop < call.stop:
                back.append((number, Waiting(call.key, share.stop, call.stop, call.can_be_cut)))
        waiting = [pair for position, pair in enumerate(waiting) if position not in served] + back
        ticks += 1
    assert computed == {number: list(range(call.stop)) for number, call in enumerate(line)}
    assert all(tick <= number for number, tick in first_served.items())
