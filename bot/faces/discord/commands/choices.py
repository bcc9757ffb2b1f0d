"""Choices and autocompletion that several commands offer."""

from discord import app_commands

from bot.errors import NotFound
from bot.faces.discord.cards import shortened
from bot.faces.discord.face import Interaction, caller_of
from bot.faces.discord.localisation import CHINESE, Words, phrase
from bot.prompts import NO_PRESET, load_presets, preset_named
from bot.studio.contract import JobView, StyleView
from bot.studio.house import as_style_name
from bot.studio.restyling import read_weighted
from engine.api import Ability

CHOICES_MAX = 25
CHOICE_LENGTH_MAX = 100
ASPECTS = ("1:1", "3:2", "2:3", "4:3", "3:4", "16:9", "9:16", "2:1", "1:2")


def aspects() -> list[app_commands.Choice[str]]:
    """The usual shapes; any other can be typed as --ar."""
    return [app_commands.Choice(name=aspect, value=aspect) for aspect in ASPECTS]


async def complete_model(interaction: Interaction, current: str) -> list[app_commands.Choice[str]]:
    """Models that match what is typed."""
    found = interaction.client.studio.catalogue.autocomplete(current, CHOICES_MAX)
    return [_choice(label, name) for label, name in found]


async def complete_look(interaction: Interaction, current: str) -> list[app_commands.Choice[str]]:
    """Looks of the models that dream."""
    typed = current.strip().casefold()
    models = interaction.client.studio.catalogue.models()
    looks = dict.fromkeys(look for info in models for look in info.looks)
    return [_choice(look, look) for look in looks if typed in look][:CHOICES_MAX]


async def complete_dreamer(
    interaction: Interaction, current: str
) -> list[app_commands.Choice[str]]:
    """Models that dream: those that were trained here, then those of the catalogue."""
    shipped = interaction.client.studio.catalogue.autocomplete(current, ability=Ability.DREAM)
    own = await complete_generator(interaction, current)
    return [*own, *(_choice(label, name) for label, name in shipped)][:CHOICES_MAX]


async def complete_generator(
    interaction: Interaction, current: str
) -> list[app_commands.Choice[str]]:
    """Generators that were trained here."""
    typed = as_style_name(current)
    found = await interaction.client.studio.generators(caller_of(interaction))
    return [_choice(one.name, one.name) for one in found if typed in one.name][:CHOICES_MAX]


async def complete_preset(interaction: Interaction, current: str) -> list[app_commands.Choice[str]]:
    """Style presets that match what is typed, titled in the member's language; then none."""
    words = Words(interaction.locale.value)
    is_chinese = words.language == CHINESE
    typed = current.casefold()
    found = [
        _choice(preset.title_zh if is_chinese else preset.title, preset.name)
        for preset in load_presets()
        if typed in f"{preset.name} {preset.title} {preset.title_zh}".casefold()
    ]
    nothing = words("preset.none")
    if typed in f"{NO_PRESET} {nothing}".casefold():
        found = [*found[: CHOICES_MAX - 1], _choice(nothing, NO_PRESET)]
    return found[:CHOICES_MAX]


def known_preset(name: str | None, words: Words) -> str | None:
    """The name of a style preset that was typed by name or title, or none.

    Raises:
        NotFound: there is no such preset.
    """
    if not name:
        return None
    if name.strip().lower() == NO_PRESET:
        return NO_PRESET
    preset = preset_named(name, load_presets())
    if preset is None:
        raise NotFound(words("preset.unknown", name=name))
    return preset.name


async def complete_style(interaction: Interaction, current: str) -> list[app_commands.Choice[str]]:
    """Styles that match what is typed, with the weight that was typed after them."""
    typed, weight = read_weighted(current)
    suffix = "" if typed == current.strip() else f":{weight:g}"
    found = await _styles_like(interaction, typed)
    return [
        _choice(f"{style.title}{suffix}", f"{style.name}{suffix}") for style in found[:CHOICES_MAX]
    ]


async def complete_own_style(
    interaction: Interaction, current: str
) -> list[app_commands.Choice[str]]:
    """The member's own styles that match what is typed."""
    found = await _styles_like(interaction, current)
    own = [style for style in found if style.owner_id == interaction.user.id]
    return [_choice(style.name, style.name) for style in own[:CHOICES_MAX]]


async def complete_shared_style(
    interaction: Interaction, current: str
) -> list[app_commands.Choice[str]]:
    """Styles that the member may share or take back: own ones, for admins all of the server."""
    caller = caller_of(interaction)
    found = [
        style
        for style in await _styles_like(interaction, current)
        if style.owner_id == caller.owner_id or (style.is_shared and caller.is_admin)
    ]
    return [_choice(style.name, style.name) for style in found[:CHOICES_MAX]]


async def _styles_like(interaction: Interaction, typed: str) -> list[StyleView]:
    name, title = as_style_name(typed), typed.strip().casefold()
    styles = await interaction.client.studio.styles(caller_of(interaction))
    return [style for style in styles if name in style.name or title in style.title.casefold()]


async def complete_own_job(
    interaction: Interaction, current: str
) -> list[app_commands.Choice[str]]:
    """The member's own waiting and running jobs."""
    queue = await interaction.client.studio.queue(caller_of(interaction))
    return _job_choices((*queue.running, *queue.waiting), current)


def _job_choices(jobs: tuple[JobView, ...], current: str) -> list[app_commands.Choice[str]]:
    typed = current.casefold()
    found = [job for job in jobs if typed in f"{job.id} {job.prompt}".casefold()]
    return [_choice(f"{job.id} · {job.prompt}", job.id) for job in found[:CHOICES_MAX]]


def _choice(label: str, value: str) -> app_commands.Choice[str]:
    return app_commands.Choice(name=shortened(label, CHOICE_LENGTH_MAX), value=value)


def choice_of(*names: str, prefix: str) -> list[app_commands.Choice[str]]:
    """Fixed choices with translated names."""
    return [app_commands.Choice(name=phrase(f"{prefix}.{name}"), value=name) for name in names]
