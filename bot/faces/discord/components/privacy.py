"""Who may see a picture, changed after it was made."""

import re
from typing import Self

import discord

from bot.errors import NotAllowed, NotFound
from bot.faces.discord.cards import card, secret_card
from bot.faces.discord.components.identifiers import IMAGE, JOB
from bot.faces.discord.components.lasting import LastingButton, SubjectButton
from bot.faces.discord.components.showing import public_id, take_down
from bot.faces.discord.face import Interaction, caller_of
from bot.faces.discord.localisation import Words
from bot.studio.contract import ImageView


class LockButton(SubjectButton, verb="lock", subject=IMAGE, emoji="🔒"):
    """Makes an image private, or public again; the studio allows it to its owner alone.

    Under a message that still shows a private image to others, it offers both ways out.
    """

    async def pressed(self, interaction: Interaction) -> None:
        """Change it, say what that means, and offer to empty a message that others see."""
        words, caller = Words(interaction.locale.value), caller_of(interaction)
        studio = interaction.client.studio
        await interaction.response.defer(thinking=True, ephemeral=True)
        image = await studio.image(caller, self.subject)
        message_id = public_id(interaction)
        is_private = _is_owners_alone(image)
        if not is_private or message_id is None:
            image = await studio.publish(caller, image.id, is_private=not is_private)
        await interaction.edit_original_response(view=_explained(words, image, message_id))


class LockAllButton(SubjectButton, verb="lock-all", subject=JOB, emoji="🔒"):
    """Makes all images of a job private, or public again once they all are; for its owner alone."""

    async def pressed(self, interaction: Interaction) -> None:
        """Change them, say what that means, and offer to empty a message that others see."""
        words, caller = Words(interaction.locale.value), caller_of(interaction)
        studio = interaction.client.studio
        await interaction.response.defer(thinking=True, ephemeral=True)
        images = (await studio.job(caller, self.subject)).images
        if not images:
            raise NotFound(words("pick.none"))
        message_id = public_id(interaction)
        is_private = all(map(_is_owners_alone, images))
        if not is_private or message_id is None:
            is_private = not is_private
            for image in images:
                await studio.publish(caller, image.id, is_private=is_private)
        told = words(f"privacy.all_{'private' if is_private else 'public'}", count=len(images))
        back = LockAllButton(self.subject, words("buttons.lock_all"))
        hide = message_id and HideAllButton(self.subject, message_id, words("buttons.hide"))
        view = _explanation(words, told, back, hide or None, is_private=is_private)
        await interaction.edit_original_response(view=view)


def _is_owners_alone(image: ImageView) -> bool:
    """It is private, for those too who see the channel that it was made in."""
    return image.is_private and image.shown_in is None


def _explained(words: Words, image: ImageView, message_id: int | None) -> discord.ui.LayoutView:
    told = words(f"privacy.{'private' if image.is_private else 'public'}", id=image.id)
    back = LockButton(image.id, words("buttons.lock"))
    hide = message_id and HideButton(image.id, message_id, words("buttons.hide"))
    return _explanation(words, told, back, hide or None, is_private=image.is_private)


def _explanation(
    words: Words,
    told: str,
    back: LastingButton,
    hide: LastingButton | None,
    *,
    is_private: bool,
) -> discord.ui.LayoutView:
    if not is_private:
        return card(told, rows=[[back]])
    if hide is None:
        return card(told, words("privacy.elsewhere"), rows=[[back]])
    return card(told, words("privacy.still_shown"), rows=[[hide, back]])


class HideButton(LastingButton, template=rf"hide:{IMAGE}:(?P<message>\d{{1,20}})"):
    """Takes a private picture off a message that others see; for its owner."""

    def __init__(self, image_id: str, message_id: int, label: str) -> None:
        custom_id = f"hide:{image_id}:{message_id}"
        super().__init__(discord.ui.Button(label=label, emoji="🙈", custom_id=custom_id))
        self.image_id = image_id
        self.message_id = message_id

    @classmethod
    def restored(cls, match: re.Match[str], label: str) -> Self:
        """The button of an earlier message."""
        return cls(match["image"], int(match["message"]), label)

    async def pressed(self, interaction: Interaction) -> None:
        """Exchange the message for one that says it is private, and the question for an answer."""
        words = Words(interaction.locale.value)
        await interaction.response.defer()
        image = await interaction.client.studio.image(caller_of(interaction), self.image_id)
        await _hide(interaction, words, image.owner_id, self.message_id, f"info:{image.id}")


class HideAllButton(LastingButton, template=rf"hide-all:{JOB}:(?P<message>\d{{1,20}})"):
    """Takes the private pictures of a job off a message that others see; for its owner."""

    def __init__(self, job_id: str, message_id: int, label: str) -> None:
        custom_id = f"hide-all:{job_id}:{message_id}"
        super().__init__(discord.ui.Button(label=label, emoji="🙈", custom_id=custom_id))
        self.job_id = job_id
        self.message_id = message_id

    @classmethod
    def restored(cls, match: re.Match[str], label: str) -> Self:
        """The button of an earlier message."""
        return cls(match["job"], int(match["message"]), label)

    async def pressed(self, interaction: Interaction) -> None:
        """Exchange the message for one that says so, and the question for an answer."""
        words = Words(interaction.locale.value)
        await interaction.response.defer()
        job = await interaction.client.studio.job(caller_of(interaction), self.job_id)
        await _hide(interaction, words, job.owner_id, self.message_id, f"details:{job.id}")


async def _hide(
    interaction: Interaction, words: Words, owner_id: int, message_id: int, custom_id: str
) -> None:
    if owner_id != interaction.user.id:
        raise NotAllowed(words("privacy.not_yours"))
    is_hidden = await take_down(interaction, message_id, custom_id, secret_card(words))
    text = words("privacy.hidden" if is_hidden else "delete.stays")
    await interaction.edit_original_response(view=card(text))
