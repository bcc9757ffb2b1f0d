"""Bodies and queries of the wrong shape: which field, and what is wrong with it, in words."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from bot.wording import Said, said

# By pydantic's names of what can be wrong; the values in braces are those it gives along.
REASONS: Mapping[str, str] = MappingProxyType(
    {
        "missing": "is needed",
        "extra_forbidden": "is not known here",
        "string_type": "must be a text",
        "string_too_long": "must have at most {max_length} characters",
        "string_too_short": "must have at least {min_length} characters",
        "string_unicode": "holds characters that can't be read",
        "bytes_type": "must be a data URL such as data:image/png;base64,...",
        "bytes_too_short": "must not be empty",
        "int_type": "must be a whole number",
        "int_parsing": "must be a whole number",
        "int_parsing_size": "must be a smaller number",
        "int_from_float": "must be a whole number",
        "float_type": "must be a number",
        "float_parsing": "must be a number",
        "finite_number": "must be a finite number",
        "bool_type": "must be true or false",
        "bool_parsing": "must be true or false",
        "greater_than": "must be more than {gt}",
        "greater_than_equal": "must be at least {ge}",
        "less_than": "must be less than {lt}",
        "less_than_equal": "must be at most {le}",
        "enum": "must be one of {expected}",
        "literal_error": "must be one of {expected}",
        "tuple_type": "must be a list",
        "too_long": "must have at most {max_length} entries",
        "too_short": "must have at least {min_length} entries",
        "model_type": "must be an object",
        "datetime_type": "must be a date such as 2026-01-31",
        "datetime_parsing": "must be a date such as 2026-01-31",
        "datetime_from_date_parsing": "must be a date such as 2026-01-31",
        "datetime_object_invalid": "must be a date such as 2026-01-31",
    }
)
OTHERWISE = "has a value that is not taken here"


def field_and_reason(error: ValidationError) -> tuple[str, Said]:
    """The first wrong field as `stylize.styles.0.weight`, or nothing for the whole; and why."""
    first = error.errors(include_url=False, include_input=False)[0]
    return ".".join(str(step) for step in first["loc"]), _reason(first)


def _reason(error: ErrorDetails) -> Said:
    given: dict[str, Any] = error.get("ctx", {})
    if error["type"] == "value_error":  # of one of our own validators
        return said(given["error"].args[0])
    template = REASONS.get(error["type"], OTHERWISE)
    values = {name: value for name, value in given.items() if f"{{{name}}}" in template}
    if "expected" in values:  # such as "'mine' or 'guild'", or "2 or 4"
        values["expected"] = values["expected"].replace("'", "").replace(" or ", ", ")
    return Said(template, **values)
