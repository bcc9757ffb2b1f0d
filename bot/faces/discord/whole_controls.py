"""Which buttons stand under the pictures of a job, about all of them."""

from typing import Any

import discord

from bot.faces.discord.cards import Row
from bot.faces.discord.components.details import JobInfoButton
from bot.faces.discord.components.keeping import PickButton
from bot.faces.discord.components.privacy import LockAllButton
from bot.faces.discord.components.reroll import RerollButton
from bot.faces.discord.localisation import Words
from bot.studio.contract import JobView


def whole_controls(words: Words, job: JobView, changing: discord.ui.Item[Any]) -> list[Row]:
    """What concerns a whole job; `changing` is how it is made otherwise."""
    making = [
        RerollButton(job.id, words("buttons.reroll")),
        changing,
        PickButton("favourite", job.id, words("buttons.favourite")),
        PickButton("delete", job.id, words("buttons.delete")),
        JobInfoButton(job.id),
    ]
    return [making, [LockAllButton(job.id, words("buttons.lock_all"))]]
