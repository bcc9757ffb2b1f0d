import asyncio
import json
import logging

import pytest
from sqlalchemy import text

from bot.logs import JsonLines, about_job, start_logging
from bot.storage.database import open_database


@pytest.fixture(autouse=True)
def as_before():
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = handlers, level


def test_each_line_names_its_job(capsys):
    start_logging("INFO", "text")
    with about_job("abc12345"):
        logging.getLogger("bot.test").info("drawing")
    logging.getLogger("bot.test").info("idle")
    first, second = capsys.readouterr().err.splitlines()
    assert "abc12345" in first
    assert " - " in second


def test_a_connection_given_up_at_the_end_is_no_news(capsys):
    start_logging("INFO", "text")
    pool = logging.getLogger("sqlalchemy.pool.impl.AsyncAdaptedQueuePool")
    for kind in (asyncio.CancelledError, ValueError):
        try:
            raise kind("while reset")
        except kind:
            pool.exception("Exception during reset or similar")
    told = capsys.readouterr().err
    assert told.count("Exception during reset") == 1
    assert "ValueError" in told


def test_json_lines_hold_the_error():
    try:
        raise ValueError("oops")
    except ValueError as error:
        info = (type(error), error, error.__traceback__)
    record = logging.LogRecord("bot", logging.ERROR, "f", 1, "job %s failed", ("x",), info)
    line = json.loads(JsonLines().format(record))
    assert line["message"] == "job x failed"
    assert "ValueError: oops" in line["error"]
    assert line["level"] == "ERROR"


def test_debug_lines_are_left_out_at_info(capsys):
    start_logging("INFO", "text")
    logging.getLogger("bot.test").debug("a prompt")
    assert capsys.readouterr().err == ""


async def test_debug_lines_hold_no_token_of_an_answer(capsys, tmp_path):
    start_logging("DEBUG", "text")
    async with (
        open_database(f"sqlite:///{tmp_path}/a.db") as database,
        database.reading() as session,
    ):
        await session.execute(text("SELECT :token"), {"token": "interaction-token"})
    webhooks = logging.getLogger("discord.webhook.async_")
    webhooks.debug("Webhook ID %s with %s", 1, "PATCH https://d.example/1/interaction-token")
    logging.getLogger("bot.test").debug("a prompt")
    told = capsys.readouterr().err
    assert "a prompt" in told
    assert "interaction-token" not in told
