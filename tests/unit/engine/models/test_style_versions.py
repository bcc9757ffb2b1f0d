"""Telling whether what was learnt of a style still counts."""

import pytest
import torch

from engine.models.style_versions import WEIGHTS, fits_shipped, shipped_version, version_of
from engine.style.learning import encode_change


def test_what_was_learnt_for_the_network_that_ships_fits():
    assert shipped_version() == version_of(WEIGHTS)
    assert fits_shipped(encode_change(torch.zeros(5), shipped_version()))


@pytest.mark.parametrize("data", [b"", b"learnt", b"\x02" + bytes(7) + b"[]", bytes(20)])
def test_what_is_damaged_does_not(data):
    assert not fits_shipped(data)


def test_what_was_learnt_for_another_network_does_not():
    assert not fits_shipped(encode_change(torch.zeros(5), "another"))
