"""Which buttons stand under which message."""

from typing import Any

import discord

from bot.faces.discord.cards import Row
from bot.faces.discord.components.details import InfoButton, JobInfoButton
from bot.faces.discord.components.keeping import DeleteButton, FavouriteButton, PickButton
from bot.faces.discord.components.reroll import RemixButton, RerollButton
from bot.faces.discord.components.restyle import RestyleButton, RestylePickButton
from bot.faces.discord.components.variations import UpscaleButton, VaryButton
from bot.faces.discord.localisation import Words
from bot.studio.contract import ImageView, JobView, Operation

ROW = 5  # buttons of a row


def job_controls(words: Words, job: JobView) -> list[Row]:
    """Under a result: upscale and vary for each image, and what concerns the whole job."""
    if len(job.images) == 1:
        return image_controls(words, job.images[0])
    larger = [UpscaleButton(image.id, f"U{image.index + 1}") for image in job.images]
    nearer = [VaryButton(image.id, f"V{image.index + 1}", is_strong=True) for image in job.images]
    restyle = RestylePickButton(job.id, words("buttons.restyle"))
    whole = [
        RerollButton(job.id, words("buttons.reroll")),
        RemixButton(job.id, words("buttons.remix")),
        PickButton("favourite", job.id, words("buttons.favourite")),
        PickButton("delete", job.id, words("buttons.delete")),
        JobInfoButton(job.id),
    ]
    return [*_rows(larger), *_rows([*nearer, restyle]), whole]


def image_controls(words: Words, image: ImageView) -> list[Row]:
    """Under a single picture, or one that moves."""
    if image.is_animated:
        return [_animation_controls(words, image)]
    making = [
        UpscaleButton(image.id, words("buttons.upscale", factor=2), factor=2),
        UpscaleButton(image.id, words("buttons.upscale", factor=4), factor=4),
        VaryButton(image.id, words("buttons.vary_subtle"), is_strong=False),
        VaryButton(image.id, words("buttons.vary_strong"), is_strong=True),
        RestyleButton(image.id, words("buttons.restyle")),
    ]
    again: list[discord.ui.Item[Any]] = []
    if image.operation is not Operation.UPSCALE:  # it would only be made once more
        again.append(RerollButton(image.job_id, words("buttons.reroll")))
    keeping = [
        *again,
        RemixButton(image.job_id, words("buttons.remix")),
        FavouriteButton(image.id, words("buttons.favourite")),
        DeleteButton(image.id, words("buttons.delete")),
        InfoButton(image.id),
    ]
    return [making, keeping]


def _animation_controls(words: Words, image: ImageView) -> list[discord.ui.Item[Any]]:
    return [
        RerollButton(image.job_id, words("buttons.reroll")),
        RestyleButton(image.id, words("buttons.restyle")),
        FavouriteButton(image.id, words("buttons.favourite")),
        DeleteButton(image.id, words("buttons.delete")),
        InfoButton(image.id),
    ]


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
