"""From a command or button to jobs: acknowledge, submit, show progress."""

import re
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeAlias

import discord

from bot.errors import NotFound
from bot.faces.discord.addresses import ChatAddress, edit_answer
from bot.faces.discord.answers import exchange_for_secret
from bot.faces.discord.cards import BLUE, card, secret_card
from bot.faces.discord.face import Interaction, caller_of
from bot.faces.discord.localisation import Words
from bot.faces.discord.places import check_place, has_company
from bot.faces.discord.progress import ProgressMessage
from bot.studio.contract import Caller, Destination, JobView, Preferences

Submit: TypeAlias = Callable[[Caller, Destination], Awaitable[tuple[JobView, ...]]]
_VISIBILITY = re.compile(r"(?:--|[–—])(private|public)\b", re.IGNORECASE)
_LOOKS = re.compile(r"(?:--|[–—])sref\b(.*?)(?=\s(?:--|[–—])|$)", re.IGNORECASE | re.DOTALL)
_IMAGE = re.compile(r"\b[0-9a-z]{8,12}\b(?::\d{1,3}\b)?", re.IGNORECASE)


def stated_privacy(text: str) -> bool | None:
    """What a prompt's own flags say about who may see the result; None: nothing."""
    found = _VISIBILITY.findall(text)
    return found[-1].lower() == "private" if found else None


def looks_in(text: str) -> list[str]:
    """What may be ids of images among the looks that a prompt names, whatever is drawn for it."""
    return [name for names in _LOOKS.findall(text) for name in _IMAGE.findall(names)]


async def resolved_privacy(
    interaction: Interaction,
    said: bool | None,  # noqa: FBT001
) -> bool | None:
    """Who may see the result, as far as it must be known before it is shown."""
    if said is not None:
        return said
    studio, caller = interaction.client.studio, caller_of(interaction)
    own = _set_privacy(await studio.preferences(caller))
    return _set_privacy(await studio.guild_preferences(caller)) if own is None else own


def _set_privacy(preferences: Preferences) -> bool | None:
    """What is set as default, by itself or among the default flags."""
    if preferences.is_private is not None:
        return preferences.is_private
    return stated_privacy(preferences.flags or "")


@dataclass(slots=True)
class Answer:
    """The acknowledged answer of an interaction, which becomes the message of its jobs."""

    interaction: Interaction
    message_id: int
    is_ephemeral: bool

    async def hide(self) -> None:
        """Exchange a public "thinking..." for one that only the member sees, where others would."""
        interaction = self.interaction
        if self.is_ephemeral or not has_company(interaction):
            return
        view = card(Words(interaction.locale.value)("progress.accepted"), colour=BLUE)
        message = await exchange_for_secret(interaction, view)
        self.message_id = message.id
        self.is_ephemeral = True

    async def hide_like(self, *names: str) -> None:
        """Hide it where one of these is a private image, as `/show` would.

        A server shows what is made of private images in secret by itself. Among members who
        brought the bot along all results are private, and shown nevertheless.
        """
        interaction = self.interaction
        if interaction.guild_id is not None or not has_company(interaction):
            return
        studio, caller = interaction.client.studio, caller_of(interaction)
        for name in names:
            with suppress(NotFound):  # another look, or what the studio will refuse
                if (await studio.image(caller, name)).is_private:
                    await self.hide()
                    return

    async def hide_like_looks_of(self, *prompts: str) -> None:
        """Hide it where prompts, or the flags set for them, name the look of a private image."""
        interaction = self.interaction
        if not any(prompts) or interaction.guild_id is not None:
            return
        preferences = await interaction.client.studio.preferences(caller_of(interaction))
        texts = (*prompts, preferences.flags or "")
        await self.hide_like(*(look for text in texts for look in looks_in(text)))

    async def show(self, view: discord.ui.LayoutView, files: Sequence[discord.File] = ()) -> None:
        """Replace what the answer shows."""
        await self.interaction.followup.edit_message(
            self.message_id, view=view, attachments=list(files)
        )

    async def run(self, submit: Submit, *, has_several: bool = False) -> None:
        """Submit jobs that answer here, then show their progress until they end.

        With `has_several` each job's result gets a message of its own.
        """
        interaction = self.interaction
        address = ChatAddress.of(interaction, self.message_id, is_ephemeral=self.is_ephemeral)
        place = address
        if has_several:
            place = ChatAddress.of(
                interaction, None, is_ephemeral=self.is_ephemeral, board_id=self.message_id
            )
        caller = caller_of(interaction)
        jobs = await submit(caller, place.destination())
        if any(job.is_private and ChatAddress.read(job.destination).is_public for job in jobs):
            # What made it private was not known before; the deliverer shows it to its owner alone.
            await edit_answer(interaction.client, address, secret_card(Words(address.locale)))
            return
        message = ProgressMessage(
            interaction.client, caller, jobs, address, is_result=not has_several
        )
        await interaction.client.follow(message)


async def acknowledge(interaction: Interaction, *, is_secret: bool) -> Answer:
    """Check the place, then answer "thinking..." within Discord's three seconds.

    A secret answer is for the member alone, where others would see it.

    Raises:
        NotAllowed: pictures can't be shown here.
    """
    check_place(interaction)
    is_ephemeral = is_secret and has_company(interaction)
    response = await interaction.response.defer(thinking=True, ephemeral=is_ephemeral)
    message_id = response.message_id if response else None
    if message_id is None:
        message_id = (await interaction.original_response()).id
    return Answer(interaction, message_id, is_ephemeral)


async def submit_one(
    interaction: Interaction,
    submit: Callable[[Caller, Destination], Awaitable[JobView]],
    *,
    is_secret: bool = False,
    text: str = "",
) -> None:
    """Answer a button with one new job, as visible as the message it was pressed on.

    With `is_secret`, or where the prompt `text` or what is set says so, it is for this member
    alone, whatever that message is.
    """
    message, said = interaction.message, stated_privacy(text)
    is_on_secret = message is not None and message.flags.ephemeral
    answer = await acknowledge(interaction, is_secret=is_secret or is_on_secret or bool(said))
    if await resolved_privacy(interaction, said):
        await answer.hide()
    await answer.hide_like_looks_of(text)

    async def submit_all(caller: Caller, destination: Destination) -> tuple[JobView, ...]:
        return (await submit(caller, destination),)

    await answer.run(submit_all)
