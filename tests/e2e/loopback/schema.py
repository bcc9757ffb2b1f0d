"""Discord's own OpenAPI document, as a judge of requests and of our answers to them.

Objects of the document allow any further key; here they allow none, so that a misspelt field is
found. Ids of attachments, mentions and recipients are made strings first: clients send numbers,
which Discord takes, and the document does not.
"""

import json
import os
from functools import cache
from pathlib import Path
from typing import Any, TypeAlias

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

from tests.json_schemas import close_objects
from tests.shared_data import FOLDER

Json: TypeAlias = dict[str, Any]
ADDRESS = "urn:discord"
SHARED = frozenset({"Error"})  # other objects are made of this one and more
EDITS = (
    "IncomingWebhookUpdateRequestPartial",
    "IncomingWebhookUpdateForInteractionCallbackRequestPartial",
    "MessageEditRequestPartial",
)


def document_path() -> Path | None:
    """Where the document is: DISCORD_OPENAPI, else in the folder of data; None where it is not."""
    path = Path(os.environ.get("DISCORD_OPENAPI", FOLDER / "reference" / "discord_openapi.json"))
    return path if path.is_file() else None


class Contract:
    """What the document says about each route."""

    def __init__(self, document: dict[str, Any]) -> None:
        self._document = document
        _complete(document["components"]["schemas"])
        close_objects(document, SHARED)
        resource = Resource.from_contents(document, default_specification=DRAFT202012)
        self._registry = Registry().with_resource(ADDRESS, resource)
        self._judge = cache(self._new_judge)

    @classmethod
    def read(cls, path: Path) -> "Contract":
        """The contract of a file."""
        return cls(json.loads(path.read_text(encoding="utf-8")))

    def request_problem(self, method: str, template: str, body: Any) -> str:
        """What is wrong with a request's JSON, or nothing."""
        operation = self._operation(method, template)
        if operation is None:
            return f"{method} {template} is no route of Discord's"
        if "requestBody" not in operation:
            return "a body where none belongs" if body is not None else ""
        if body is None:
            return ""
        pointer = f"{_pointer(method, template)}/requestBody/content/application~1json/schema"
        return self._problem(pointer, _with_text_ids(body))

    def answer_problem(self, method: str, template: str, status: int, body: Any) -> str:
        """What is wrong with one of our own answers, or nothing."""
        operation = self._operation(method, template)
        if operation is None:
            return ""
        key = str(status) if str(status) in operation["responses"] else f"{status // 100}XX"
        answer = operation["responses"].get(key)
        if answer is None:
            return f"{method} {template} never answers {status}"
        pointer = f"{_pointer(method, template)}/responses/{key}"
        if "$ref" in answer:
            pointer = answer["$ref"]
            answer = self._document["components"]["responses"][pointer.rsplit("/", 1)[1]]
        if "content" not in answer:
            return "a body where none belongs" if body is not None else ""
        return self._problem(f"{pointer}/content/application~1json/schema", body)

    def shape_problem(self, name: str, body: Any) -> str:
        """What is wrong with a value of a named shape, such as a message inside an event."""
        return self._problem(f"#/components/schemas/{name}", body)

    def _operation(self, method: str, template: str) -> dict[str, Any] | None:
        operation: dict[str, Any] | None
        operation = self._document["paths"].get(template, {}).get(method.lower())
        return operation

    def _problem(self, pointer: str, body: Any) -> str:
        found = next(iter(self._judge(pointer).iter_errors(body)), None)
        if found is None:
            return ""
        error = _innermost(found)
        return f"{error.json_path}: {error.message[:300]}"

    def _new_judge(self, pointer: str) -> Draft202012Validator:
        return Draft202012Validator({"$ref": ADDRESS + pointer}, registry=self._registry)


def _innermost(error: ValidationError) -> ValidationError:
    """The error that says what to change: of alternatives, that of the one that was meant."""
    while error.context:
        branches: dict[Any, list[ValidationError]] = {}
        for inner in error.context:
            branches.setdefault(inner.schema_path[0], []).append(inner)
        # One that fails for its own kind was not meant; of the others, the deepest.
        error = min(branches.values(), key=_distance)[0]
    return error


def _distance(branch: list[ValidationError]) -> tuple[bool, int]:
    is_other_kind = any(inner.path and inner.path[-1] == "type" for inner in branch)
    return is_other_kind, -max(len(inner.absolute_path) for inner in branch)


def _pointer(method: str, template: str) -> str:
    escaped = template.replace("~", "~0").replace("/", "~1")
    # A "{" of a template is no character of a URI's fragment.
    escaped = escaped.replace("{", "%7B").replace("}", "%7D")
    return f"#/paths/{escaped}/{method.lower()}"


def _complete(schemas: Json) -> None:
    """Add what Discord's pages for developers name and this document of theirs forgets."""
    schemas["ApplicationCommandUpdateRequest"]["properties"]["nsfw"] = {"type": "boolean"}
    schemas["ChannelTypes"]["oneOf"].append({"title": "GUILD_MEDIA", "const": 16})
    # discord.py says it with each edit, and Discord has always let it.
    for name in EDITS:
        schemas[name]["properties"]["tts"] = {"type": "boolean"}


def _with_text_ids(body: Any) -> Any:
    if isinstance(body, list):
        return [_with_text_ids(part) for part in body]
    if not isinstance(body, dict):
        return body
    changed = {key: _with_text_ids(part) for key, part in body.items()}
    for attachment in changed.get("attachments") or ():
        attachment["id"] = str(attachment["id"])
    if isinstance(changed.get("recipient_id"), int):
        changed["recipient_id"] = str(changed["recipient_id"])
    mentioned = changed.get("allowed_mentions") or {}
    for key in ("users", "roles"):
        if mentioned.get(key):
            mentioned[key] = [str(number) for number in mentioned[key]]
    return changed
