import pytest
import torch

from engine.calls import Decode, Facts, NetworkRef, Pause
from engine.turns import STAY, Turns

A, B = NetworkRef("a"), NetworkRef("b")
INK = NetworkRef("a", loras=(("ink", 1.0),))


def a_call(network):
    return Decode(network, torch.zeros(1, 4, 1, 1))


@pytest.fixture
def turns():
    """Both models were loaded once: `a` in 3 s, then `b` in 5 s, which was over at 100 s."""
    turns = Turns()
    turns.ran(a_call(A), seconds=0.1, loading_s=3.0, now=90.0)
    turns.ran(a_call(B), seconds=0.1, loading_s=5.0, now=100.0)
    return turns


def test_models_that_are_both_in_memory_take_turns_freely(turns):
    calls = [a_call(A), a_call(B), a_call(A)]
    assert turns.whose_turn(calls, ["a", "b"], now=100.1) == [0, 1, 2]


def test_a_model_that_left_memory_waits_while_there_is_work_for_the_one_that_is_there(turns):
    calls = [a_call(A), a_call(B), a_call(A), a_call(B)]
    assert turns.whose_turn(calls, ["b"], now=100.1) == [1, 3]


def test_it_waits_for_a_multiple_of_its_loading_time_and_no_longer(turns):
    calls = [a_call(A), a_call(B)]
    assert turns.whose_turn(calls, ["b"], now=100.0 + STAY * 3.0 - 0.1) == [1]
    assert turns.whose_turn(calls, ["b"], now=100.0 + STAY * 3.0) == [0, 1]


def test_without_other_work_the_change_is_made_at_once(turns):
    assert turns.whose_turn([a_call(A)], ["b"], now=100.1) == [0]
    assert turns.whose_turn([a_call(A), a_call(A)], ["b"], now=100.1) == [0, 1]
    assert turns.whose_turn([], ["b"], now=100.1) == []


def test_a_model_that_was_never_loaded_is_loaded_when_it_is_first_in_line(turns):
    calls = [Facts(NetworkRef("new")), a_call(B)]
    assert turns.whose_turn(calls, ["b"], now=100.1) == [0, 1]


def test_an_adaptation_is_changed_at_once_the_first_time_and_then_for_a_while_not(turns):
    assert turns.whose_turn([a_call(INK), a_call(A)], ["a", "b"], now=101.0) == [0, 1]
    turns.ran(a_call(INK), seconds=0.5, loading_s=0.0, now=102.0)
    turns.ran(a_call(A), seconds=0.4, loading_s=0.0, now=103.0)
    calls = [a_call(INK), a_call(A)]
    assert turns.whose_turn(calls, ["a", "b"], now=103.1) == [1]
    assert turns.whose_turn(calls, ["a", "b"], now=103.0 + STAY * 0.5) == [0, 1]


def test_calls_that_need_no_adaptation_never_wait_for_one(turns):
    turns.ran(a_call(INK), seconds=0.5, loading_s=0.0, now=102.0)
    turns.ran(a_call(A), seconds=0.5, loading_s=0.0, now=103.0)
    calls = [Facts(INK), a_call(A), Pause()]
    assert turns.whose_turn(calls, ["a"], now=103.1) == [0, 1, 2]


def test_the_same_network_again_is_no_change(turns):
    turns.ran(a_call(INK), seconds=0.5, loading_s=0.0, now=102.0)
    turns.ran(a_call(INK), seconds=9.0, loading_s=0.0, now=103.0)
    turns.ran(a_call(A), seconds=0.5, loading_s=0.0, now=104.0)
    calls = [a_call(INK), a_call(A)]
    assert turns.whose_turn(calls, ["a"], now=104.0 + STAY * 0.5) == [0, 1]


def test_what_is_remembered_stays_bounded(turns):
    for number in range(3000):
        turns.ran(a_call(NetworkRef("a", (("ink", number),))), 0.1, 0.0, now=200.0 + number)
    assert len(turns._adapt_s) <= 1000
