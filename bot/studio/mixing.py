"""Blends and morphs: from what a member asks to requests of the engine, and the words for them."""

from dataclasses import replace

from bot.studio.asking import new_seed
from engine.api import Blend, Morph

RESHUFFLED = 60  # the chaos of a blend that is made again without a prompt


def blended_anew(request: Blend) -> Blend:
    """The same blend with another seed, which must not lead to the same picture."""
    chaos = request.chaos if request.strength > 0 else max(request.chaos, RESHUFFLED)
    return replace(request, seed=new_seed(), chaos=chaos)


def morphed_anew(request: Morph) -> Morph:
    """The same morph with its words drawn by another seed."""
    return replace(request, drawing=replace(request.drawing, seed=new_seed()))
