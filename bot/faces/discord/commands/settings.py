"""/settings: a member's own defaults, and how defaults are shown."""

from collections.abc import Iterator
from dataclasses import replace
from types import MappingProxyType

from discord import app_commands

from bot.faces.discord.commands.choices import (
    aspects,
    choice_of,
    complete_model,
    complete_preset,
    known_preset,
)
from bot.faces.discord.face import Interaction, caller_of
from bot.faces.discord.localisation import Words, described, phrase
from bot.studio.contract import Preferences

FLAGS_MAX = 200  # characters
COUNT_MAX = 4  # images of one job
# Fields of `Preferences` by the option that sets them.
_FIELDS = MappingProxyType(
    {
        "model": "model",
        "aspect": "aspect",
        "count": "image_count",
        "preset": "preset",
        "flags": "flags",
        "private": "is_private",
    }
)


def clearable() -> list[app_commands.Choice[str]]:
    """The defaults that can be taken back one by one."""
    return choice_of(*_FIELDS, prefix="settings.clear")


@app_commands.command(
    name=phrase("commands.settings.name"), description=phrase("commands.settings.description")
)
@app_commands.describe(
    **described(
        "settings", "model", "aspect", "count", "preset", "flags", "private", "clear", "reset"
    )
)
@app_commands.choices(aspect=aspects(), clear=clearable())
@app_commands.autocomplete(model=complete_model, preset=complete_preset)
@app_commands.allowed_installs(guilds=True, users=True)
@app_commands.allowed_contexts(guilds=True, dms=True, private_channels=True)
async def settings(
    interaction: Interaction,
    model: str | None = None,
    aspect: app_commands.Choice[str] | None = None,
    count: app_commands.Range[int, 1, COUNT_MAX] | None = None,
    preset: str | None = None,
    flags: app_commands.Range[str, 0, FLAGS_MAX] | None = None,
    private: bool | None = None,  # noqa: FBT001
    clear: app_commands.Choice[str] | None = None,
    reset: bool = False,  # noqa: FBT001, FBT002
) -> None:
    """Change what is given, keep the rest, and show all of it."""
    await interaction.response.defer(thinking=True, ephemeral=True)
    words, caller = Words(interaction.locale.value), caller_of(interaction)
    studio = interaction.client.studio
    known = Preferences() if reset else await studio.preferences(caller)
    cleared = without(known, clear)
    wanted = changed(words, cleared, model, aspect, count, preset, flags, private)
    saved = reset or wanted != known
    if saved:
        await studio.set_preferences(caller, wanted)
    lines = [words("settings.title"), *preference_lines(words, wanted)]
    if saved:
        lines.append(words("settings.saved"))
    await interaction.edit_original_response(content="\n".join(lines))


def without(known: Preferences, clear: app_commands.Choice[str] | None) -> Preferences:
    """The preferences without the one that was chosen."""
    return known if clear is None else replace(known, **{_FIELDS[clear.value]: None})


def changed(
    words: Words,
    known: Preferences,
    model: str | None,
    aspect: app_commands.Choice[str] | None,
    count: int | None,
    preset: str | None,
    flags: str | None,
    private: bool | None,  # noqa: FBT001
) -> Preferences:
    """The preferences with all that was given to a command.

    Raises:
        NotFound: there is no such style preset.
    """
    given = {
        "model": model,
        "aspect": aspect.value if aspect else None,
        "image_count": count,
        "preset": known_preset(preset, words),
        "flags": flags,
        "is_private": private,
    }
    values = {name: value for name, value in given.items() if value is not None}
    return replace(known, **values)  # type: ignore[arg-type]


def preference_lines(words: Words, preferences: Preferences) -> Iterator[str]:
    """Each preference with its value."""
    for name in _FIELDS.values():
        value = getattr(preferences, name)
        if value is None:
            shown = words("settings.unset")
        elif isinstance(value, bool):
            shown = words("answers.yes" if value else "answers.no")
        else:
            shown = f"`{value}`"
        yield words(f"settings.{name}", value=shown)
