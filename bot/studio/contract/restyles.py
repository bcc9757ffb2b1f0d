"""How a picture takes on a look, and the looks that may be named."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from engine.api import KeepColour, StyleLoss, StyleMethod, StyleStart


class Detail(StrEnum):
    """How long an optimiser works on a restyle."""

    DRAFT = "draft"
    NORMAL = "normal"
    FINE = "fine"


@dataclass(frozen=True, kw_only=True, slots=True)
class StyleChoice:
    """Whose look is taken: an upload, else a name, else an image of the gallery."""

    upload: bytes = b""
    name: str = ""  # of a saved style or a painting that ships, `random`, or an image's id
    weight: float = 1.0  # above 0; those of several styles are normalised


@dataclass(frozen=True, kw_only=True, slots=True)
class Restyling:
    """How a picture takes on a look."""

    strength: float = 1.0  # 0 keeps the content, 1 takes the whole style
    strengths: tuple[float, ...] = ()  # several to choose from, an image each; fast method only
    method: StyleMethod = StyleMethod.FAST
    detail: Detail = Detail.NORMAL  # of the optimise method
    loss: StyleLoss = StyleLoss.GRAM  # of the optimise method
    start: StyleStart = StyleStart.CONTENT  # of the optimise method
    keep_colour: KeepColour = KeepColour.NO
    size: int = 0  # longer side in pixels; 0: the content's own, up to what is quick
    seed: int | None = None  # None: at random
    variations: int = 1  # 1..4
    model: str | None = None  # of the diffusion method; None: as preferred
    mask: bytes = b""  # an upload; white is restyled; empty: everywhere
    cells: str = ""  # in place of a mask: A1 to D4, such as "A1-B2 D4"
    is_private: bool | None = None  # None: as the content, else as preferred


AS_USUAL = Restyling()


@dataclass(frozen=True, kw_only=True, slots=True)
class StyleView:
    """A style that may be named."""

    name: str
    title: str  # of a painting: with artist and year, in the caller's language
    owner_id: int | None = None  # None: it ships
    is_shared: bool = False  # with the caller's guild
    is_trained: bool = False  # the fast network has learnt it
    is_outdated: bool = False  # what was learnt is left out: the network is a newer one
    saved_at: datetime | None = None  # None: it ships
    colours: tuple[str, ...] = ()  # of a painting, as #rrggbb, from dark to light

    @property
    def is_preset(self) -> bool:
        """It ships."""
        return self.owner_id is None
