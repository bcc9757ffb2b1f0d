"""Style presets: named looks, put into words that are added to a prompt."""

import difflib
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cache
from importlib import resources

from bot.prompts.parsed import DEFAULT_NO_WEIGHT, ParsedPrompt, PromptPart, Span

NO_PRESET = "none"  # in place of a name: no look is added


@dataclass(frozen=True, kw_only=True, slots=True)
class StylePreset:
    """One look by name."""

    name: str
    title: str
    title_zh: str
    added: str  # words that join every part that is to be shown
    avoided: str = ""  # words that join what is to be avoided

    def apply(self, prompt: ParsedPrompt) -> ParsedPrompt:
        """Add the words of this look to a prompt."""
        parts = tuple(self._look(part) if part.weight > 0 else part for part in prompt.parts)
        if not any(part.weight > 0 for part in parts):
            parts = (PromptPart((Span(self.added),)), *parts)
        if self.avoided:
            parts += (PromptPart((Span(self.avoided),), DEFAULT_NO_WEIGHT),)
        return replace(prompt, parts=parts)

    def _look(self, part: PromptPart) -> PromptPart:
        *kept, last = part.spans
        if last.weight == 1:
            spans = (*kept, Span(f"{last.text}, {self.added}"))
        else:
            spans = (*part.spans, Span(f", {self.added}"))
        return PromptPart(spans, part.weight)


@cache
def load_presets() -> tuple[StylePreset, ...]:
    """Read the presets shipped beside this module, in the order to show them in."""
    text = resources.files("bot.prompts").joinpath("presets.toml").read_text(encoding="utf-8")
    return read_presets(text)


def read_presets(text: str) -> tuple[StylePreset, ...]:
    """Read presets from TOML: a table for each name.

    Raises: ValueError or TypeError for what is no such file.
    """
    return tuple(StylePreset(name=name, **values) for name, values in tomllib.loads(text).items())


def preset_named(name: str, presets: Iterable[StylePreset]) -> StylePreset | None:
    """Find a preset by its name or title in any case; None where there is none."""
    wanted = name.strip().casefold()
    for preset in presets:
        if wanted in (preset.name, preset.title.casefold(), preset.title_zh):
            return preset
    return None


def with_look(prompt: ParsedPrompt, usual: str | None = None) -> ParsedPrompt:
    """A prompt with the words of its preset, else of the `usual` one."""
    preset = preset_named(prompt.flags.preset or usual or NO_PRESET, load_presets())
    return preset.apply(prompt) if preset else prompt


def nearest_preset(name: str, presets: Iterable[StylePreset]) -> str:
    """Give the name of the preset most like `name`, or an empty string."""
    names = [preset.name for preset in presets]
    return next(iter(difflib.get_close_matches(name.casefold()[:40], names, n=1)), "")
