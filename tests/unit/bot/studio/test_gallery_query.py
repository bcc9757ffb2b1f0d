"""What is typed into a search of the gallery."""

import contextlib

import pytest

from bot.errors import NotFound
from bot.studio.contract import Caller, GalleryQuery, GalleryScope
from bot.studio.gallery import cursor_after, read_cursor, read_query

ME = Caller(owner_id=1, guild_id=9)


def test_fields_are_taken_out_of_the_words() -> None:
    wanted = read_query(ME, GalleryQuery(text='red model:"big one" seed:7 fox Chaos:100 tag:#Best'))
    assert wanted.words.split() == ["red", "fox"]
    assert (wanted.model, wanted.seed, wanted.tags) == ("big one", 7, ("best",))
    assert wanted.parameters == ("chaos: 100",)
    assert wanted.owner_id == 1


def test_by_takes_a_mention() -> None:
    query = GalleryQuery(scope=GalleryScope.ALL, text="by:<@!42>")
    assert read_query(ME, query).owner_id == 42


def test_a_colon_elsewhere_is_no_field() -> None:
    wanted = read_query(ME, GalleryQuery(text="time 12: 30 :fox http:"))
    assert wanted.parameters == ()


@pytest.mark.parametrize("zeros", [1, 20, 5000])
def test_a_number_may_begin_with_zeros_and_is_no_larger_for_it(zeros: int) -> None:
    assert read_query(ME, GalleryQuery(text=f"seed:{'0' * zeros}7")).seed == 7
    assert read_query(ME, GalleryQuery(text=f"seed:{'0' * zeros}")).seed == 0
    with pytest.raises(NotFound, match="up to 4294967295"):
        read_query(ME, GalleryQuery(text=f"seed:{'0' * zeros}{'9' * 30}"))


def test_a_guilds_gallery_needs_a_guild() -> None:
    with pytest.raises(NotFound, match="no server"):
        read_query(Caller(owner_id=1), GalleryQuery(scope=GalleryScope.GUILD))


@pytest.mark.parametrize("number", [0, 1, 35, 36, 10**12])
def test_cursors_come_back(number: int) -> None:
    assert read_cursor(cursor_after(number)) == number


@pytest.mark.parametrize("cursor", ["", "?", "1.5", "z" * 1000])
def test_no_cursor_breaks_anything(cursor: str) -> None:
    with contextlib.suppress(NotFound):
        assert 0 <= read_cursor(cursor) < 2**63
