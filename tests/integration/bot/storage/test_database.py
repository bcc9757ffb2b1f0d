"""Connections: what is said where one breaks off, or can't be made."""

from pathlib import Path

import pytest
from sqlalchemy import text

from bot.errors import BadConfiguration, StorageUnavailable
from bot.storage.database import database_url, open_database

SECRET = "a fox that nobody else may read of"


async def test_where_a_query_breaks_off_the_log_names_the_reason_and_no_prompt(
    sqlite_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with open_database(sqlite_url) as database:
        with pytest.raises(StorageUnavailable, match="nothing was lost"):
            async with database.writing() as session:
                await session.execute(text("SELECT :words FROM nowhere"), {"words": SECRET})
    assert "no such table: nowhere" in caplog.text
    assert SECRET not in caplog.text


async def test_no_error_shows_the_values_of_its_query(postgres_url: str) -> None:
    async with open_database(postgres_url) as database:
        with pytest.raises(Exception, match="nowhere") as broken:
            async with database.writing() as session:
                await session.execute(text("SELECT :words FROM nowhere"), {"words": SECRET})
    assert SECRET not in str(broken.value)


async def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(BadConfiguration, match="file can't be made: File exists"):
        async with open_database(f"sqlite:///{tmp_path}/file/atelier.db"):
            pass


@pytest.mark.parametrize("port", ["secret", "70000", "0", "1:2"])
def test_a_port_that_is_none_is_said_without_the_address(port: str) -> None:
    with pytest.raises(BadConfiguration, match="its port is no number") as refused:
        database_url(f"postgresql://ada:secret@host:{port}/atelier")
    assert "secret" not in str(refused.value)


def test_options_that_hosting_services_append_are_those_of_the_driver() -> None:
    url = database_url("postgres://ada@host/x?sslmode=require&channel_binding=require")
    assert dict(url.query) == {"ssl": "require"}
    assert dict(database_url("sqlite:///a.db?timeout=3").query) == {"timeout": "3"}


def test_an_option_that_cannot_be_followed_is_named() -> None:
    with pytest.raises(BadConfiguration, match="followed: pgbouncer; leave it out") as refused:
        database_url("postgresql://ada:secret@host/x?sslmode=require&pgbouncer=true")
    assert "secret" not in str(refused.value)


def test_a_certificate_is_named_in_a_variable_of_the_driver() -> None:
    address = "postgresql://ada@host/x?sslmode=verify-full&sslrootcert=/etc/ca.pem"
    with pytest.raises(BadConfiguration, match="sslrootcert; name the file in the variable PGSSLR"):
        database_url(address)


async def test_options_of_a_session_reach_the_server(postgres_url: str) -> None:
    options = "sslmode=prefer&application_name=art&options=-c%20work_mem%3D5MB&connect_timeout=9"
    async with (
        open_database(f"{postgres_url}?{options}") as database,
        database.reading() as session,
    ):
        for name, value in (("application_name", "art"), ("work_mem", "5MB")):
            assert await session.scalar(text(f"SHOW {name}")) == value


@pytest.mark.parametrize(
    "option",
    [
        "sslmode=nonsense",
        "target_session_attrs=nonsense",
        "options=a&options=b",
        "prepared_statement_cache_size=few",
    ],
)
async def test_a_value_that_an_option_cannot_have_is_no_passing_fault(option: str) -> None:
    with pytest.raises(BadConfiguration, match="has an option that can't work"):
        async with open_database(f"postgresql://ada@127.0.0.1:1/x?{option}") as database:
            await database.check()
