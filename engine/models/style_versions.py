"""Whether what was learnt of a style fits the network that ships; no torch here."""

import hashlib
import json
from functools import cache
from pathlib import Path

from engine.errors import ModelUnavailable

WEIGHTS = Path(__file__).with_name("pack") / "style.safetensors"


def version_of(weights: Path) -> str:
    """A short name for just these weights, so that what was made with others is not used.

    Raises:
        ModelUnavailable: the file is missing.
    """
    try:
        return hashlib.sha256(weights.read_bytes()).hexdigest()[:16]
    except OSError as error:
        raise ModelUnavailable("style", f"{weights} is missing ({error})") from None


def fits_shipped(learnt: bytes) -> bool:
    """Whether what a training made of a style counts with the network that ships now."""
    return learnt_name(shipped_version()) in _names_in(learnt)


def learnt_name(version: str) -> str:
    """What the one tensor of a learnt file is called."""
    return f"change {version}"


@cache
def shipped_version() -> str:
    """The version of the network that ships."""
    return version_of(WEIGHTS)


def _names_in(data: bytes) -> frozenset[str]:
    """The names in a safetensors header; none where it is damaged."""
    length = int.from_bytes(data[:8], "little")
    try:
        return frozenset(json.loads(data[8 : 8 + length]))
    except (ValueError, TypeError):
        return frozenset()
