"""What Discord refuses though its document allows it: rules of commands and messages by hand."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

IS_V2 = 1 << 15
TEXT_MAX = 4000  # characters of all texts of a V2 message
COMPONENTS_MAX = 40
ROWS_MAX = 5
COMMAND_MAX = 8000  # characters of a command's names, descriptions and values
ACTION_ROW, BUTTON, TEXT, GALLERY, FILE, THUMBNAIL, CONTAINER = 1, 2, 10, 12, 13, 11, 17
V2_KINDS = frozenset({9, TEXT, THUMBNAIL, GALLERY, FILE, 14, CONTAINER})
SUBCOMMANDS = frozenset({1, 2})
_NAME = re.compile(r"[-_'\w\u0900-\u097f\u0e00-\u0e7f]{1,32}")


def command_problems(commands: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """What Discord would refuse of commands."""
    names = Counter((command.get("type", 1), command["name"]) for command in commands)
    yield from (f"two commands are named {name}" for (_, name), n in names.items() if n > 1)
    for command in commands:
        if _length(command) > COMMAND_MAX:
            yield f"{command['name']} has more than {COMMAND_MAX} characters"
        if command.get("type", 1) == 1:
            yield from _named_problems(command)
            if not command.get("description"):
                yield f"{command['name']} has no description"
            yield from _option_problems(command)


def _named_problems(named: Mapping[str, Any]) -> Iterator[str]:
    for name in (named["name"], *(named.get("name_localizations") or {}).values()):
        if not _NAME.fullmatch(name) or name != name.lower():
            yield f"{name!r} is no name of a command or option"


def _option_problems(parent: Mapping[str, Any]) -> Iterator[str]:
    options = parent.get("options") or ()
    kinds = {option["type"] in SUBCOMMANDS for option in options}
    if len(kinds) > 1:
        yield f"{parent['name']} mixes subcommands and options"
    names = Counter(option["name"] for option in options)
    yield from (f"{parent['name']} has two options {name}" for name, n in names.items() if n > 1)
    was_optional = False
    for option in options:
        yield from _named_problems(option)
        if option.get("required") and was_optional:
            yield f"{option['name']} of {parent['name']} is required after an optional one"
        was_optional |= not option.get("required")
        if option.get("choices") and option.get("autocomplete"):
            yield f"{option['name']} of {parent['name']} has both choices and autocomplete"
        yield from _option_problems(option)


def _length(part: Any) -> int:
    """Characters of all names, descriptions and values."""
    if isinstance(part, str):
        return len(part)
    if isinstance(part, Mapping):
        # Only the longest translation counts.
        texts = [_longest(part, key) for key in ("name", "description")]
        return (
            sum(texts)
            + _length(part.get("value"))
            + sum(_length(inner) for key in ("options", "choices") for inner in part.get(key) or ())
        )
    return 0


def _longest(part: Mapping[str, Any], key: str) -> int:
    texts = [part.get(key) or "", *(part.get(f"{key}_localizations") or {}).values()]
    return max(map(len, texts))


def message_problems(
    message: Mapping[str, Any], filenames: Sequence[str], *, was_v2: bool = False
) -> Iterator[str]:
    """What Discord would refuse of a new or changed message.

    `filenames` are those of all attachments it will have. `was_v2` says the message that is edited
    had the flag, which stays.
    """
    components = message.get("components") or []
    parts = list(walk(components))
    is_v2 = bool((message.get("flags") or 0) & IS_V2) or was_v2
    kinds = {part["type"] for part in parts}
    if kinds & V2_KINDS and not is_v2:
        yield "components of version 2 without their flag"
    if is_v2 and (message.get("content") or message.get("embeds") or message.get("poll")):
        yield "a message of version 2 can't have content, embeds or a poll"
    if is_v2:
        yield from _v2_problems(parts)
    elif len(components) > ROWS_MAX:
        yield f"{len(components)} rows of components"
    yield from component_problems(parts)
    yield from _attachment_problems(parts, filenames)


def _v2_problems(parts: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    if len(parts) > COMPONENTS_MAX:
        yield f"{len(parts)} components"
    length = sum(len(part.get("content") or "") for part in parts if part["type"] == TEXT)
    if length > TEXT_MAX:
        yield f"texts of {length} characters"


def component_problems(parts: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """What holds for components of messages and forms alike."""
    for key in ("custom_id", "id"):
        known = Counter(part[key] for part in parts if part.get(key))
        yield from (f"{key} {value!r} is used twice" for value, n in known.items() if n > 1)
    for part in parts:
        if part["type"] == ACTION_ROW and not 1 <= len(part["components"]) <= 5:
            yield f"a row of {len(part['components'])} components"
        if part["type"] == BUTTON:
            yield from _button_problems(part)
        if "options" in part:
            yield from _select_problems(part)


def _button_problems(button: Mapping[str, Any]) -> Iterator[str]:
    if not button.get("label") and not button.get("emoji"):
        yield "a button without label and emoji"
    is_link = button["style"] == 5
    if is_link != bool(button.get("url")) or is_link == bool(button.get("custom_id")):
        yield f"a button of style {button['style']} with the wrong one of url and custom_id"


def _select_problems(select: Mapping[str, Any]) -> Iterator[str]:
    values = Counter(option["value"] for option in select["options"])
    yield from (f"option {value!r} is offered twice" for value, n in values.items() if n > 1)
    if sum(bool(option.get("default")) for option in select["options"]) > (
        select.get("max_values") or 1
    ):
        yield "more defaults than can be chosen"


def _attachment_problems(
    parts: Sequence[Mapping[str, Any]], filenames: Sequence[str]
) -> Iterator[str]:
    if len(filenames) > 10:
        yield f"{len(filenames)} attachments"
    for url in media_urls(parts):
        name = url.removeprefix("attachment://")
        if name != url and name not in filenames:
            yield f"{url} names no attachment of the message"


def media_urls(parts: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """The addresses of all pictures and files shown."""
    for part in parts:
        shown = [item["media"] for item in part.get("items") or ()]
        shown += [part[key] for key in ("media", "file") if part.get(key)]
        yield from (media["url"] for media in shown)


def walk(components: Sequence[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    """All components, nested ones too."""
    for component in components:
        yield component
        inner = [*(component.get("components") or ())]
        inner += [component[key] for key in ("accessory", "component") if component.get(key)]
        yield from walk(inner)
