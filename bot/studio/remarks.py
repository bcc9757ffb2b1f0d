"""What is to be said of a result: what was asked for and had no effect. Pure."""

from bot.prompts import parse
from bot.studio import restyling
from bot.wording import Said
from engine.api import Request, TextToImage

FIRST_FRAME = Said("Of what moves, the first frame was taken.")


def remark_on(request: Request, prompt: str) -> Said | str:
    """What was left out of a job's request, or of the flags of its prompt; "" if nothing was."""
    return restyling.remark_on(request) or _without_effect(request, prompt)


def _without_effect(request: Request, prompt: str) -> Said | str:
    """Flags that act on a picture or a style where there is none."""
    if type(request) is not TextToImage:
        return ""
    flags = parse(prompt, allow_empty=True).flags
    idle = [
        name
        for name, value in (("strength", flags.strength), ("iw", flags.image_weight))
        if value is not None
    ]
    if idle:
        return Said(
            "{flags} had no effect: attach a picture to start from, or leave it out.",
            flags=" ".join(f"--{name}" for name in idle),
        )
    if flags.style_weight is not None and not request.style_references:
        return Said("--sw had no effect: name a style with --sref, or attach one.")
    return ""
