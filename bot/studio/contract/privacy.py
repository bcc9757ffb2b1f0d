"""What becomes of a member's own data."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Erased:
    """How much of a member was forgotten."""

    jobs: int
    images: int
    files: int  # that nobody else needs
