"""What tests hold in their hands: the guild's members, what they do and what they see."""

import asyncio
import base64
import io
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeAlias

import aiohttp
from PIL import Image

from tests.e2e.loopback import rules
from tests.e2e.loopback.pace import paced

Json: TypeAlias = dict[str, Any]
PATIENCE_S = paced(15.0)
START_S = paced(45.0)  # of the bot


class Impossible(AssertionError):
    """Discord would not let a member do this."""


class Loopback:
    """The server's control."""

    def __init__(self, session: aiohttp.ClientSession, address: str) -> None:
        self._session = session
        self.address = address

    async def ask(self, verb: str, **asked: Any) -> Any:
        """One request of the control."""
        async with self._session.post(f"{self.address}/control/{verb}", json=asked) as response:
            told = await response.json()
        if response.status != 200:
            raise Impossible(told.get("impossible", told))
        return told

    async def fetch(self, url: str) -> bytes:
        """A file of the content network."""
        async with self._session.get(url) as response:
            assert response.status == 200, f"{url} answers {response.status}"
            return await response.read()

    async def report(self, *, is_cleared: bool = False) -> Json:
        """What was noted: requests, broken rules, the gateway's counts."""
        told: Json = await self.ask("report", is_cleared=is_cleared)
        return told

    async def until(
        self,
        look: Callable[[], Any],
        condition: Callable[[Any], object],
        what: str = "",
        patience_s: float = PATIENCE_S,
    ) -> Any:
        """What `look` sees once it fulfils the condition."""
        seen: Any = None
        try:
            async with asyncio.timeout(patience_s):
                while True:
                    version = (await self.ask("changed", since=-1))["version"]
                    seen = await look()
                    if condition(seen):
                        return seen
                    await self.ask("changed", since=version)
        except TimeoutError:
            raise AssertionError(f"never came {what or condition}; last seen: {seen}") from None

    async def connected(self, is_running: Callable[[], bool]) -> None:
        """Return once the bot is here, or fail once it runs no more."""
        await self.until(
            self.report,
            lambda seen: seen["is_connected"] or not is_running(),
            "the bot",
            START_S,
        )
        assert is_running(), "the bot has ended"

    async def channel(self, name: str = "art", **settings: Any) -> str:
        """A new channel's id."""
        told = await self.ask("channel", name=name, settings=settings)
        return str(told["id"])

    async def change_channel(self, channel_id: str, **settings: Any) -> None:
        """Change permissions, limits and the like."""
        await self.ask("channel", id=channel_id, settings=settings)

    async def fault(self, method: str, path: str, **trouble: Any) -> None:
        """Trouble for the next requests whose path matches."""
        await self.ask("fault", method=method, path=path, **trouble)

    async def actor(self, name: str, channel_id: str, **traits: Any) -> "Actor":
        """A member who sits in a channel."""
        told = await self.ask("member", name=name, **traits)
        return Actor(self, name, told["id"], channel_id, told["direct"])


@dataclass(frozen=True, slots=True)
class Actor:
    """A member in one channel."""

    loopback: Loopback
    name: str
    id: str
    channel_id: str
    direct_id: str  # the channel of their direct messages

    def elsewhere(self, channel_id: str) -> "Actor":
        """The same member in another channel."""
        return Actor(self.loopback, self.name, self.id, channel_id, self.direct_id)

    async def types(
        self, command: str, *, deed: Mapping[str, Any] | None = None, **options: Any
    ) -> "Deed":
        """Type a command with its options."""
        return await self._do("type", command=command, options=options, **(deed or {}))

    async def chooses(self, command: str, message: Json) -> "Deed":
        """Use a command of a message's menu."""
        return await self._do("choose", command=command, message_id=message["id"])

    async def presses(self, message: Json, button: str, values: list[str] | None = None) -> "Deed":
        """Press the button with a label, emoji or custom_id; choose from a menu with `values`."""
        custom_id = custom_id_of(message, button)
        return await self._do(
            "press", message_id=message["id"], custom_id=custom_id, values=values or []
        )

    async def sends(self, opened: "Deed", **fields: str) -> "Deed":
        """Fill in the form that a deed opened."""
        return await self._do("submit", interaction_id=opened.id, fields=fields)

    async def completions(
        self, command: str, option: str, typed: str, **options: Any
    ) -> list[Json]:
        """What Discord offers while an option is typed."""
        deed = await self._do(
            "complete", command=command, focused=option, options=options | {option: typed}
        )
        answer = await deed.answered()
        choices: list[Json] = answer["answer"]["data"]["choices"]
        return choices

    async def posts(self, content: str = "", file: Json | None = None) -> Json:
        """Write a message."""
        extra = {} if file is None else {"file": file}
        told: Json = await self.loopback.ask(
            "post", member=self.name, channel_id=self.channel_id, content=content, **extra
        )
        return told

    async def sees(self, channel_id: str = "") -> list[Json]:
        """All messages of a channel that this member can see."""
        told: list[Json] = await self.loopback.ask(
            "messages", member=self.name, channel_id=channel_id or self.channel_id
        )
        return told

    async def imagines(self, prompt: str = "a red fox", **options: Any) -> Json:
        """The result message of /imagine."""
        return await (await self.types("imagine", prompt=prompt, **options)).result()

    async def _do(self, verb: str, **asked: Any) -> "Deed":
        told = await self.loopback.ask(verb, member=self.name, channel_id=self.channel_id, **asked)
        return Deed(self.loopback, told["id"])


@dataclass(frozen=True, slots=True)
class Deed:
    """Something a member did, and what came of it."""

    loopback: Loopback
    id: str

    async def seen(self) -> Json:
        """The interaction as it stands."""
        told: Json = await self.loopback.ask("interaction", id=self.id)
        return told

    async def until(
        self,
        condition: Callable[[Json], object],
        what: str = "",
        patience_s: float = PATIENCE_S,
    ) -> Json:
        """The interaction once it fulfils a condition."""
        seen: Json = await self.loopback.until(self.seen, condition, what, patience_s)
        return seen

    async def answered(self) -> Json:
        """The interaction once the bot acknowledged it."""
        return await self.until(lambda seen: seen["answer"] is not None, "an answer")

    async def says(self, words: str) -> Json:
        """The answer's message, or a follow-up, once it holds certain words."""

        def told(seen: Json) -> Json | None:
            messages = [seen["original"], *seen["followups"]]
            return next((m for m in messages if m and words in text(m)), None)

        message = told(await self.until(told, f"the words {words!r}"))
        assert message is not None
        return message

    async def result(self, patience_s: float = PATIENCE_S) -> Json:
        """The answer's message once its job has ended."""
        seen = await self.until(lambda seen: has_ended(seen["original"]), "a result", patience_s)
        message: Json = seen["original"]
        return message

    async def history(self) -> list[Json]:
        """All that the answer's message has been."""
        original = (await self.seen())["original"]
        told = await self.loopback.ask("message", id=original["id"])
        history: list[Json] = told["history"]
        return history


@asynccontextmanager
async def open_loopback(address: str) -> AsyncIterator[Loopback]:
    """The control of a server that runs."""
    async with aiohttp.ClientSession() as session:
        yield Loopback(session, address)


def parts(message: Json) -> list[Mapping[str, Any]]:
    """All components of a message, nested ones too."""
    return list(rules.walk(message["components"]))


def text(message: Json) -> str:
    """All that can be read in a message."""
    return "\n".join(
        [message["content"], *(part["content"] for part in parts(message) if part["type"] == 10)]
    ).strip()


def labels(message: Json) -> list[str]:
    """The buttons of a message, by label or else emoji, in order."""
    return [
        part.get("label") or part["emoji"]["name"] for part in parts(message) if part["type"] == 2
    ]


def custom_id_of(message: Json, button: str) -> str:
    """The custom_id of a button with a label or emoji, or of the first that begins so."""
    for part in parts(message):
        custom_id = str(part.get("custom_id", ""))
        emoji = (part.get("emoji") or {}).get("name")
        if button in (part.get("label"), emoji, custom_id):
            return custom_id
    for part in parts(message):
        if str(part.get("custom_id", "")).startswith(button):
            return str(part["custom_id"])
    raise Impossible(f"no {button!r} among {labels(message)}")


def shown(message: Json) -> list[Json]:
    """What the galleries of a message show."""
    return [item for part in parts(message) for item in part.get("items") or ()]


def has_ended(message: Json | None) -> bool:
    """The message shows a result, or why there is none."""
    return message is not None and any(
        str(part.get("custom_id", "")).startswith(("reroll:", "remix:")) for part in parts(message)
    )


def image_of(data: bytes) -> Image.Image:
    """A picture that was fetched."""
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


def picture_file(filename: str = "photo.png", side: int = 64, colour: str = "teal") -> Json:
    """A picture as a member attaches it."""
    file = io.BytesIO()
    Image.new("RGB", (side, side), colour).save(file, "PNG")
    return attached(filename, file.getvalue())


def attached(filename: str, data: bytes) -> Json:
    """A file as a member attaches it."""
    return {"filename": filename, "data": base64.b64encode(data).decode()}
