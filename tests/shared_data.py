"""The optional folder of data beside the checkout. It is nobody's duty to have it.

Tests that need it are skipped aloud where it is missing, in CI too: a missing tool can be installed
there, this folder cannot.
"""

import os
from pathlib import Path

import pytest

FOLDER = Path(os.environ.get("ATELIER_SHARED", Path(__file__).parents[2] / "shared"))


def shared_file(name: str) -> Path:
    """The path of a file of the folder; the test that asks is skipped where it is missing."""
    path = FOLDER / name
    if not path.is_file():
        pytest.skip(f"{path} is missing: set ATELIER_SHARED to the folder that has {name}")
    return path
