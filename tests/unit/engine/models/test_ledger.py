"""Which models go when memory is short."""

from engine.models.ledger import Ledger


def entered(*sizes, budget=100, reserve=0):
    ledger = Ledger(budget, reserve)
    for name, size in zip("abcdef", sizes, strict=False):
        ledger.enter(name, size)
    return ledger


def test_nobody_goes_while_there_is_room():
    ledger = entered(30, 30)
    assert ledger.used_bytes == 60
    assert ledger.victims(40) == ()


def test_the_one_used_longest_ago_goes_first_and_no_more_than_needed():
    ledger = entered(30, 30, 30)
    assert ledger.victims(20) == ("a",)
    assert ledger.victims(41) == ("a", "b")
    ledger.enter("a", 30)
    assert ledger.names() == ("b", "c", "a")
    assert ledger.victims(20) == ("b",)


def test_what_grows_makes_others_go_but_stays_itself():
    ledger = entered(30, 30, 30)
    ledger.enter("a", 60)
    assert ledger.victims(0, keep="a") == ("b",)
    ledger.enter("a", 500)
    assert ledger.victims(0, keep="a") == ("b", "c")


def test_the_reserve_is_not_for_models():
    ledger = entered(50, budget=100, reserve=20)
    assert ledger.room_bytes == 80
    assert ledger.victims(30) == ()
    assert ledger.victims(31) == ("a",)
    assert ledger.fits(80)
    assert not ledger.fits(81)


def test_a_model_given_up_leaves_its_room():
    ledger = entered(60, 40)
    ledger.strike("a")
    assert ledger.names() == ("b",)
    assert ledger.victims(60) == ()
