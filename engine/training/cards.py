"""Model cards: what each shipped network is, what it was made of, and its measured figures.

The hand-written part of a card ends at a marker line; everything below is written by evaluation.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

MARKER = "<!-- figures: written by engine.training.evaluate -->"
# Which measurements belong to which network's card.
SECTIONS: Mapping[str, tuple[str, ...]] = {
    "denoiser": ("adherence", "painted", "arrangement", "likeness", "speed", "parti"),
    "vae": ("fidelity",),
    "upscaler": ("fidelity",),
    "text_encoder": ("parti",),
}


def write_cards(pack: Path, figures: Mapping[str, Any]) -> None:
    """Put the figures below the marker of every card in the pack's folder."""
    for network, sections in SECTIONS.items():
        card = pack / f"{network}.md"
        head = card.read_text(encoding="utf-8") if card.exists() else f"# {network}\n"
        head = head.split(MARKER)[0].rstrip()
        parts = [head, "", MARKER, "", "## Figures", "", _conditions(figures), ""]
        for section in sections:
            parts += _table(section, _relevant(network, figures.get(section, {})))
        card.write_text("\n".join(parts).rstrip() + "\n", encoding="utf-8")


def _conditions(figures: Mapping[str, Any]) -> str:
    return (
        f"Measured by `python -m engine.training.evaluate`, {figures.get('steps')} Euler steps, "
        f"guidance scale {figures.get('guidance_scale')}; `n` says how many questions were asked."
    )


def _relevant(network: str, values: Mapping[str, Any]) -> Mapping[str, Any]:
    if network == "vae":
        return {key: value for key, value in values.items() if key.startswith(("vae", "n_"))}
    if network == "upscaler":
        return {key: value for key, value in values.items() if not key.startswith("vae")}
    return values


def _table(section: str, values: Mapping[str, Any]) -> list[str]:
    if not values:
        return []
    lines = [f"### {section}", "", "| what | figure |", "| --- | --- |"]
    for key, value in values.items():
        lines.append(f"| {key.replace('_', ' ')} | {_shown(value)} |")
    return [*lines, ""]


def _shown(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {number}" for name, number in value.items())
    return str(value)
