"""Which buttons stand under which message."""

from typing import Any

import discord

from bot.faces.discord.cards import Row
from bot.faces.discord.components.reroll import RemixButton, RerollButton
from bot.faces.discord.components.restyle import RestylePickButton
from bot.faces.discord.components.strength_menu import strengths_controls
from bot.faces.discord.components.variations import UpscaleButton, VaryButton, VaryMenu
from bot.faces.discord.image_controls import image_controls
from bot.faces.discord.localisation import Words
from bot.faces.discord.whole_controls import whole_controls
from bot.studio.contract import JobView

ROW = 5  # buttons of a row


def job_controls(words: Words, job: JobView) -> list[Row]:
    """Under a result: upscale and vary for each image, and what concerns the whole job."""
    if len(job.images) == 1:
        return image_controls(words, job.images[0])
    restyle = RestylePickButton(job.id, words("buttons.restyle"))
    if job.images[0].is_animated:
        return whole_controls(words, job, restyle)
    if job.strengths:
        return strengths_controls(words, job)
    whole = whole_controls(words, job, RemixButton(job.id, words("buttons.remix")))
    larger = [UpscaleButton(image.id, f"U{image.index + 1}") for image in job.images]
    nearer = [VaryButton(image.id, f"V{image.index + 1}", is_strong=True) for image in job.images]
    varying: list[Row] = [*_rows([*nearer, restyle]), [VaryMenu.of(words, job)]]
    return [*_rows(larger), *varying, *whole]


def ending_controls(words: Words, job: JobView) -> list[Row]:
    """Under a job that failed or was cancelled."""
    return [
        [
            RerollButton(job.id, words("buttons.try_again")),
            RemixButton(job.id, words("buttons.remix")),
        ]
    ]


def _rows(buttons: list[Any]) -> list[list[discord.ui.Item[Any]]]:
    return [buttons[start : start + ROW] for start in range(0, len(buttons), ROW)]
