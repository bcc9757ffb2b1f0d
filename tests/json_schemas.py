"""JSON schemas that are stricter than their documents, so that a misspelt key is found."""

from collections.abc import Mapping
from typing import Any


def close_objects(schema: Any, shared: frozenset[str] = frozenset()) -> None:
    """Allow no further keys where an object states its own, parts of an `allOf` excepted; in place.

    Objects under the names of `shared` are left open: others are made of them and more.
    """
    if isinstance(schema, list):
        for part in schema:
            close_objects(part, shared)
    if not isinstance(schema, dict):
        return
    if schema.get("type") == "object" and isinstance(schema.get("properties"), Mapping):
        schema.setdefault("additionalProperties", False)
    for key, part in schema.items():
        if key != "allOf" and key not in shared:
            close_objects(part, shared)
