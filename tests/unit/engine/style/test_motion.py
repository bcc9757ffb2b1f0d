"""Where things of one frame were in the one before."""

import pytest
import torch
from torch.nn import functional

from engine.style.motion import brought, way_back

INNER = slice(24, -24)


@pytest.fixture
def scene():
    """Soft shapes (3, 96, 160) without a place that looks like another."""
    numbers = torch.Generator().manual_seed(3)
    coarse = torch.rand(1, 3, 32, 48, generator=numbers)
    wide = functional.interpolate(coarse, (128, 192), mode="bicubic", align_corners=False)
    return wide[0].clamp(0, 1)


def window(scene, down, right):
    return scene[:, 16 + down : 112 + down, 16 + right : 176 + right]


@pytest.mark.parametrize(("down", "right"), [(0, 0), (3, -5), (-12, 9), (1, 14)])
def test_a_moved_scene_is_found_where_it_was(scene, down, right):
    before, now = window(scene, 0, 0), window(scene, down, right)
    way = way_back(now, before)[:, INNER, INNER].float()
    wanted = torch.tensor([float(down), float(right)])[:, None, None]
    assert ((way - wanted).abs() < 0.5).all(0).float().mean() > 0.97
    back = brought(before, way_back(now, before))
    assert (back - now)[:, INNER, INNER].abs().mean() < 0.006


def test_nothing_has_moved_where_all_looks_alike():
    grey = torch.full((3, 40, 56), 0.5)
    assert not way_back(grey, grey).any()


def test_two_things_go_their_own_ways(scene):
    left, right = scene[:, :96, :80], scene[:, 20:116, 100:180]
    before = torch.cat([left, right], dim=2)
    now = torch.cat([left, scene[:, 20:116, 104:184]], dim=2)
    way = way_back(now, before).float()
    assert way[:, 10:-10, 10:60].abs().mean() < 0.05
    assert way[1, 10:-10, 100:140].mean() == pytest.approx(4, abs=0.1)


@pytest.mark.parametrize("size", [(1, 1), (8, 200), (33, 47)])
def test_frames_of_any_size_have_a_way(size):
    numbers = torch.Generator().manual_seed(1)
    frames = torch.rand(2, 3, *size, generator=numbers)
    way = way_back(*frames)
    assert way.shape == (2, *size)
    assert brought(frames[1], way).shape == (3, *size)


def test_what_lies_beyond_the_border_is_the_border():
    frame = torch.arange(12.0).view(1, 3, 4).expand(3, -1, -1)
    far = torch.full((2, 3, 4), 50)
    assert (brought(frame, far) == 11).all()
