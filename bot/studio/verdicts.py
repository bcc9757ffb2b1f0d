"""What is said of a generator that learns or has learnt, in members' words. Pure."""

from collections.abc import Sequence

from bot.storage.generators import GeneratorRow
from bot.wording import Said, joined

_HEALTHY = "The dreams are varied, and none of your pictures is copied."
_VERDICTS = {
    "collapse": "The dreams repeat one another: more varied pictures help, or more minutes.",
    "memorised": "The dreams copy what they learnt from: more pictures help, or fewer minutes.",
    "blurred": "The dreams are softer than your pictures: more minutes help.",
    "critic wins": "The judge tells dreams from pictures without doubt: more pictures help.",
    "diverged": "The numbers overflowed; what was learnt before is kept. Delete it to train anew.",
    "early": "It has learnt for a short time only, so this is a beginning: more minutes help.",
}


def remark_of(row: GeneratorRow) -> Said:
    """What is to be said of a generator that has just been trained."""
    return Said(
        "It learnt from {pictures} pictures. {verdict}",
        pictures=row.pictures,
        verdict=verdict_of(row.verdict),
    )


def remark_so_far(report: Sequence[tuple[str, str]]) -> str:
    """What the monitors say of a training under way: three figures, and faults if there are any."""
    told = dict(report)
    figures = Said(
        "So far: distance from your pictures {kid} (0 is best), {coverage} of them met, "
        "variety {variety}.",
        kid=told.get("KID", "?"),
        coverage=told.get("Coverage", "?"),
        variety=told.get("Diversity", "?"),
    )
    if not told.get("Verdict"):
        return figures
    return joined(figures, verdict_of(told["Verdict"]))


def verdict_of(names: str) -> str:
    """What the monitors found, in words."""
    found = [_VERDICTS[name] for name in names.split(", ") if name in _VERDICTS]
    return joined(*(found or [_HEALTHY]))
