"""What people look at: contact sheets and the page of prompts."""

import numpy as np
import torch

from engine.training.monitors import contact_sheet, draw_loss_curve
from engine.training.texts import page_prompts


def test_a_sheet_has_a_row_for_each_so_many_pictures_and_a_band_for_captions():
    pixels = torch.zeros(5, 3, 16, 24)
    assert contact_sheet(pixels, 2).size == (48, 48)
    assert contact_sheet(pixels, 2, ["a"] * 5).size == (48, 3 * (16 + 24))
    assert contact_sheet(pixels, 2, scale=3).size == (144, 144)


def test_each_picture_stands_in_its_own_place_above_its_own_words():
    pixels = torch.stack([torch.full((3, 32, 96), shade) for shade in (0.2, 0.4, 0.6)])
    sheet = np.asarray(contact_sheet(pixels, 2, ["", "a fox", ""]).convert("L"))
    shades = [sheet[4, 4], sheet[4, 100], sheet[60, 4]]
    assert shades == [round(shade * 255) for shade in (0.2, 0.4, 0.6)]
    assert sheet[32:56, :96].min() == 255
    assert sheet[32:56, 96:].min() < 128


def test_a_long_caption_keeps_its_words_whole_and_ends_in_dots():
    pixels = torch.zeros(2, 3, 32, 96)
    sheet = np.asarray(contact_sheet(pixels, 2, ["a red apple glossy 3D of the best", "apple"]))
    assert sheet.shape == (56, 192, 3)
    assert sheet[44:56, :96].min() < 128  # its second line
    assert sheet[44:56, 96:].min() == 255


def test_every_prompt_of_the_page_has_a_caption_that_the_sheet_can_write():
    entries = page_prompts()
    assert len(entries) == 64
    assert all(entry.caption.isascii() for entry in entries)
    assert any(not entry.prompt.isascii() for entry in entries)
    assert all("\t" not in entry.prompt for entry in entries)


def test_a_loss_curve_falls_from_left_to_right_with_the_loss():
    image = np.asarray(draw_loss_curve([2.0, 1.0, 0.5, float("nan"), 0.25], 100)).astype(int)
    ys, xs = np.nonzero((image[..., 2] > 150) & (image[..., 0] < 80))
    left, right = ys[xs < 100].mean(), ys[xs > 580].mean()
    assert left < right  # rows are counted downwards


def test_a_loss_that_may_be_negative_is_drawn_in_proportion():
    image = np.asarray(draw_loss_curve([4.0, 2.0, 0.0, -2.0, -4.0], 100)).astype(int)
    ys, xs = np.nonzero((image[..., 2] > 150) & (image[..., 0] < 80))
    heights = [ys[abs(xs - x) < 3].mean() for x in (55, 195, 340, 485, 625)]
    steps = np.diff(heights)
    assert steps.min() > 50
    assert steps.max() < 1.2 * steps.min()


def test_a_loss_curve_names_the_pictures_it_was_told():
    few, many = (np.asarray(draw_loss_curve([2.0, 1.0], images)) for images in (160, 800))
    assert (few[:295] == many[:295]).all()
    assert (few[295:] != many[295:]).any()
