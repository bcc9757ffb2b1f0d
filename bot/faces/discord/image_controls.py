"""Which buttons stand under a single picture."""

from typing import Any

import discord

from bot.faces.discord.cards import Row
from bot.faces.discord.components.details import InfoButton
from bot.faces.discord.components.keeping import DeleteButton, FavouriteButton
from bot.faces.discord.components.privacy import LockButton
from bot.faces.discord.components.reroll import RemixButton, RerollButton
from bot.faces.discord.components.restyle import RestyleButton
from bot.faces.discord.components.strengths import StrengthsButton
from bot.faces.discord.components.variations import UpscaleButton, VaryButton
from bot.faces.discord.localisation import Words
from bot.studio.contract import ImageView, Operation


def image_controls(words: Words, image: ImageView) -> list[Row]:
    """Under a single picture, or one that moves."""
    if image.is_animated:
        return [_animation_controls(words, image), [_lock(words, image)]]
    if image.operation.is_training:
        return [[*_keeping(words, image), _lock(words, image)]]
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
    again.append(RemixButton(image.job_id, words("buttons.remix")))
    further: list[discord.ui.Item[Any]] = [_lock(words, image)]
    if image.operation is Operation.STYLIZE:
        further.append(StrengthsButton(image.id, words("buttons.strengths")))
    return [making, [*again, *_keeping(words, image)], further]


def _animation_controls(words: Words, image: ImageView) -> list[discord.ui.Item[Any]]:
    return [
        RerollButton(image.job_id, words("buttons.reroll")),
        RestyleButton(image.id, words("buttons.restyle")),
        *_keeping(words, image),
    ]


def _keeping(words: Words, image: ImageView) -> list[discord.ui.Item[Any]]:
    return [
        FavouriteButton(image.id, words("buttons.favourite")),
        DeleteButton(image.id, words("buttons.delete")),
        InfoButton(image.id),
    ]


def _lock(words: Words, image: ImageView) -> LockButton:
    return LockButton(image.id, words("buttons.lock"))
