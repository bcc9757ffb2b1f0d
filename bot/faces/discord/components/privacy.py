"""Who may see a picture, changed after it was made."""

import re
from typing import Self

import discord

from bot.errors import NotAllowed
from bot.faces.discord.cards import card, secret_card
from bot.faces.discord.components.identifiers import IMAGE
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
        if not image.is_private or message_id is None:
            image = await studio.publish(caller, image.id, is_private=not image.is_private)
        await interaction.edit_original_response(view=_explained(words, image, message_id))


def _explained(words: Words, image: ImageView, message_id: int | None) -> discord.ui.LayoutView:
    back = LockButton(image.id, words("buttons.lock"))
    if not image.is_private:
        return card(words("privacy.public", id=image.id), rows=[[back]])
    text = words("privacy.private", id=image.id)
    if message_id is None:
        return card(text, words("privacy.elsewhere"), rows=[[back]])
    hide = HideButton(image.id, message_id, words("buttons.hide"))
    return card(text, words("privacy.still_shown"), rows=[[hide, back]])


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
        if image.owner_id != interaction.user.id:
            raise NotAllowed(words("privacy.not_yours"))
        is_hidden = await take_down(
            interaction, self.message_id, f"info:{self.image_id}", secret_card(words)
        )
        text = words("privacy.hidden" if is_hidden else "delete.stays")
        await interaction.edit_original_response(view=card(text))
