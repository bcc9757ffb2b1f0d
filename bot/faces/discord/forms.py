"""Forms that survive a restart: what was asked is in the form's custom_id, not in memory."""

import re
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import discord

from bot.faces.discord.answers import guarded
from bot.faces.discord.face import Interaction

Fields: TypeAlias = Mapping[str, str]
Submitted: TypeAlias = Callable[[Interaction, re.Match[str], Fields], Coroutine[Any, Any, None]]


@dataclass(frozen=True, slots=True)
class FormAnswer:
    """What happens when a form whose custom_id matches `template` is sent."""

    template: re.Pattern[str]
    submitted: Submitted


async def show_form(
    interaction: Interaction, *, title: str, custom_id: str, fields: Sequence[discord.ui.Label[Any]]
) -> None:
    """Open a form; its answer comes to the `FormAnswer` that matches `custom_id`."""
    form = discord.ui.Modal(title=title[:45], custom_id=custom_id, timeout=None)
    for field in fields:
        form.add_item(field)
    # A stopped form is not kept by discord.py, which would hold it for ever if it is dismissed.
    form.stop()
    await interaction.response.send_modal(form)


def text_field(
    name: str,
    label: str,
    *,
    value: str = "",
    max_length: int = 4000,
    is_required: bool = True,
    is_long: bool = False,
) -> discord.ui.Label[Any]:
    """A text box of a form; `name` is its key in the answer."""
    style = discord.TextStyle.paragraph if is_long else discord.TextStyle.short
    box: discord.ui.TextInput[Any] = discord.ui.TextInput(
        custom_id=name,
        style=style,
        default=value[:max_length] or None,
        max_length=max_length,
        required=is_required,
    )
    return discord.ui.Label(text=label[:45], component=box)


async def answer_form(interaction: Interaction, answers: Sequence[FormAnswer]) -> None:
    """Pass a sent form to the answer that knows it; others are ignored."""
    data: Any = interaction.data or {}
    for answer in answers:
        match = answer.template.fullmatch(str(data.get("custom_id", "")))
        if match is not None:
            async with guarded(interaction):
                fields = dict(_text_values(data.get("components", [])))
                await answer.submitted(interaction, match, fields)


def _text_values(components: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
    for component in components:
        if "value" in component and "custom_id" in component:
            yield component["custom_id"], str(component["value"])
        inner = [*component.get("components", ()), component.get("component")]
        yield from _text_values([part for part in inner if part])
