"""The server refuses what Discord refuses; else tests against it would show nothing."""

import pytest

from tests.e2e.loopback import rules
from tests.e2e.loopback.schema import Contract, document_path
from tests.e2e.loopback.world import FILE_LIMIT, Fault, Refusal, World

COMMANDS = "/applications/{application_id}/commands"
ANSWER = "/webhooks/{webhook_id}/{webhook_token}/messages/{message_id}"


@pytest.fixture(scope="module")
def contract() -> Contract:
    path = document_path()
    if path is None:
        pytest.skip(
            "Discord's OpenAPI document is missing, so NO request or answer of these tests is "
            "validated: set DISCORD_OPENAPI to its path"
        )
    return Contract.read(path)


def button(custom_id="a", **changes):
    return {"type": 2, "style": 2, "label": "x", "custom_id": custom_id} | changes


def row(*parts):
    return {"type": 1, "components": list(parts)}


def gallery(*urls):
    return {"type": 12, "items": [{"media": {"url": url}} for url in urls]}


def command(**changes):
    return {"name": "imagine", "description": "Draw", "type": 1} | changes


def option(name, **changes):
    return {"type": 3, "name": name, "description": "x"} | changes


@pytest.mark.shared
@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ([command()], ""),
        ([command(desciption="x")], "desciption"),
        ([command(options=[option("a", type=99)])], "type"),
        ([command(description="x" * 101)], "too long"),
    ],
)
def test_the_document_judges_commands(contract, body, problem):
    found = contract.request_problem("PUT", COMMANDS, body)
    assert (problem in found) if problem else not found


@pytest.mark.shared
def test_the_document_judges_components_inside_components(contract):
    good = {"components": [row(button())], "attachments": [{"id": 0, "filename": "a.png"}]}
    assert not contract.request_problem("PATCH", ANSWER, good)
    bad = {"components": [row(button(label="x" * 81))]}
    assert "components[0].components[0].label" in contract.request_problem("PATCH", ANSWER, bad)


@pytest.mark.shared
def test_the_document_judges_our_own_answers(contract):
    assert contract.answer_problem("GET", "/gateway/bot", 200, {"url": "ws://x"})
    limited = {"message": "x", "code": 0, "retry_after": 0.5, "global": False}
    assert not contract.answer_problem("GET", "/gateway/bot", 429, limited)


@pytest.mark.parametrize(
    ("commands", "problem"),
    [
        ([command()], ""),
        ([command(name="Imagine")], "no name"),
        ([command(name="make it")], "no name"),
        ([command(name_localizations={"zh-CN": "画 图"})], "no name"),
        ([command(), command()], "two commands"),
        ([command(options=[option("a"), option("b", required=True)])], "after an optional"),
        ([command(options=[option("a"), option("a")])], "two options"),
        ([command(options=[option("a", type=1), option("b")])], "mixes"),
        ([command(options=[option(f"o{n}", description="x" * 350) for n in range(25)])], "8000"),
        ([command(options=[option("a", autocomplete=True, choices=[{"name": "x"}])])], "both"),
    ],
)
def test_commands_that_discord_refuses(commands, problem):
    found = "; ".join(rules.command_problems(commands))
    assert (problem in found) if problem else not found


V2 = rules.IS_V2


@pytest.mark.parametrize(
    ("message", "problem"),
    [
        ({"flags": V2, "components": [gallery("attachment://a.png"), row(button())]}, ""),
        ({"content": "x", "components": [row(button())]}, ""),
        ({"components": [{"type": 10, "content": "x"}]}, "without their flag"),
        ({"flags": V2, "content": "x"}, "content"),
        ({"flags": V2, "components": [gallery("attachment://b.png")]}, "no attachment"),
        ({"flags": V2, "components": [row(button(), button())]}, "used twice"),
        ({"components": [row(button(str(n))) for n in range(6)]}, "6 rows"),
        ({"components": [row(*(button(str(n)) for n in range(6)))]}, "row of 6"),
        ({"components": [row(button(label=""))]}, "without label"),
        ({"components": [row(button(url="https://x"))]}, "wrong one"),
        ({"flags": V2, "components": [{"type": 10, "content": "x" * 4001}]}, "4001"),
        ({"flags": V2, "components": [{"type": 10, "content": "x"}] * 41}, "41 components"),
    ],
)
def test_messages_that_discord_refuses(message, problem):
    found = "; ".join(rules.message_problems(message, ["a.png"]))
    assert (problem in found) if problem else not found


async def test_an_interactions_id_tells_its_age():
    world = World("http://127.0.0.1")
    assert world.new_id(age_s=60) < world.new_id() < world.new_id()


async def test_a_link_ends_after_a_day():
    world = World("http://127.0.0.1")
    stored = world.store_file(1, "a.png", b"x")
    assert stored.expires > world.clock.now()
    world.clock.offset_s = 25 * 3600
    assert stored.expires < world.clock.now()


async def test_trouble_is_used_up():
    world = World("http://127.0.0.1")
    world.faults.append(Fault("PATCH", r"/webhooks/.*", times=1, status=500))
    assert world.fault_for("GET", "/webhooks/1") is None
    assert world.fault_for("PATCH", "/webhooks/1") is not None
    assert world.fault_for("PATCH", "/webhooks/1") is None


async def test_what_is_not_there_is_refused_as_by_discord():
    world = World("http://127.0.0.1")
    with pytest.raises(Refusal) as refusal:
        world.message(5)
    assert (refusal.value.status, refusal.value.code) == (404, 10008)
    with pytest.raises(Refusal) as refusal:
        world.channel(5)
    assert refusal.value.code == 10003
    assert FILE_LIMIT == 10 * 2**20
