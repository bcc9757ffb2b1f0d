"""What a pipeline must know of a generator's latent space."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LatentSpace:
    """Sizes of a generator, and the looks it knows by name."""

    looks: tuple[str, ...]  # at least one; their index is what calls name them by
    latent: int  # numbers of z
    styles: int  # numbers of w
    size: int  # pixels of a side of its squares
    extras: int = 0  # numbers that may follow w to draw what no w draws
