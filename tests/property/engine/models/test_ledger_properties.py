"""However models come and go, the ledger never holds more than fits, and keeps what was used."""

from hypothesis import given
from hypothesis import strategies as st

from engine.models.ledger import Ledger

ROOM = 100
uses = st.lists(st.tuples(st.sampled_from("abcdef"), st.integers(1, ROOM)), max_size=30)


@given(uses=uses)
def test_after_the_victims_are_gone_the_new_one_fits(uses):
    ledger = Ledger(ROOM)
    sizes = {}
    last_used = {}
    for moment, (name, new_size) in enumerate(uses):
        size = sizes.setdefault(name, new_size)
        if name not in ledger.names():
            gone = ledger.victims(size)
            stay = [other for other in ledger.names() if other not in gone]
            # Whoever goes was used before everyone who stays.
            assert all(last_used[a] < last_used[b] for a in gone for b in stay)
            for victim in gone:
                ledger.strike(victim)
        ledger.enter(name, size)
        last_used[name] = moment
        assert ledger.used_bytes <= ROOM
        assert ledger.names()[-1] == name
