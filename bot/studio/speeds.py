"""How long things take here: measured, never promised."""

from collections.abc import Iterable

from bot.studio.contract import Operation
from engine.api import (
    Blend,
    Diffusion,
    Dream,
    Morph,
    Request,
    StyleMethod,
    Stylize,
    TrainGan,
    TrainStyle,
    Upscale,
)

FIRST_GUESS_S = 1.0  # device seconds of one megapixel-step, before anything was measured
_MEMORY = 0.8  # share of the old value that a new measurement leaves
_UPSCALE_WORK = 4.0  # megapixel-steps of one megapixel drawn by an upscaler
_DECODE_WORK = 1.0  # megapixel-steps of one megapixel that a decoder draws
_RESTYLE_WORK = 2.0  # megapixel-steps of one megapixel in the look of another picture
_TRAINING_WORK = 0.1  # of one step of a style's training
_DREAM_WORK = 0.3  # megapixel-steps of one dream, enlarged
_SEARCH_WORK = 4.0  # megapixel-steps of the search for a picture among dreams
_UPLOAD_MEGAPIXELS = 1.0  # where the size of a source is not known without decoding it


def work_of(request: Request) -> float:
    """Roughly how much there is to compute, in megapixel-steps."""
    match request:
        case Blend():
            megapixels = _megapixels(request, request.image_count)
            mixing = request.strength * _drawing_work(request) + megapixels * _DECODE_WORK
            return mixing + _restyling_work(request, request.image_count)
        case Diffusion():
            return _drawing_work(request) + _restyling_work(request, request.image_count)
        case Dream():
            searched = _SEARCH_WORK if request.like else 0.0
            return searched + request.image_count * _DREAM_WORK
        case Morph():
            drawn = sum(bool(stop.prompt) for stop in request.stops)
            count = request.frames if drawn == len(request.stops) else drawn
            drawing = request.drawing
            decoding = _megapixels(drawing, request.frames) * _DECODE_WORK
            restyling = _restyling_work(drawing, request.frames)
            return count * _drawing_work(drawing) + decoding + restyling
        case Upscale():
            return _UPLOAD_MEGAPIXELS * request.factor**2 * _UPSCALE_WORK
        case Stylize():
            megapixels = (request.size / 1e3) ** 2 if request.size else _UPLOAD_MEGAPIXELS
            passes = request.iterations if request.method is StyleMethod.OPTIMISE else _RESTYLE_WORK
            return megapixels * passes * request.image_count * (1 + len(request.frames))
        case TrainStyle():
            return request.steps * _TRAINING_WORK
        case TrainGan():
            return 60 * request.minutes


def _drawing_work(request: Diffusion) -> float:
    passes = 2 if request.guidance_scale > 1 else 1
    megapixels = _megapixels(request, request.image_count)
    return megapixels * request.steps * request.stop / 100 * passes


def _restyling_work(request: Diffusion, images: int) -> float:
    """Of images that are drawn first and restyled then, as most models take a style."""
    is_restyled = bool(request.style_references) and request.style_weight > 0
    return _megapixels(request, images) * _RESTYLE_WORK * is_restyled


def _megapixels(request: Diffusion, images: int) -> float:
    return request.width * request.height * images / 1e6


_OWN_PACES = (
    Operation.UPSCALE,
    Operation.STYLIZE,
    Operation.TRAIN_STYLE,
    Operation.TRAIN_GAN,
    Operation.BLEND,
    Operation.DREAM,
    Operation.MORPH,
)


def pace_of(model: str, operation: str) -> str:
    """What jobs have a speed in common: those of a model, but upscaling is a matter of its own."""
    return operation if operation in _OWN_PACES else model


class Speeds:
    """Device seconds of one megapixel-step, for each pace; recent measurements count most."""

    def __init__(self, measured: Iterable[tuple[str, float, float]] = ()) -> None:
        self._rates: dict[str, float] = {}
        for pace, work, device_s in measured:
            self.learn(pace, work, device_s)

    def learn(self, pace: str, work: float, device_s: float) -> None:
        """Take in what a job of so much work took."""
        if work <= 0 or device_s <= 0:
            return
        rate = device_s / work
        old = self._rates.get(pace, rate)
        self._rates[pace] = _MEMORY * old + (1 - _MEMORY) * rate

    def estimate_s(self, pace: str, work: float) -> float | None:
        """Device seconds for so much work; None where this one was never measured."""
        rate = self._rates.get(pace)
        return None if rate is None else rate * work

    def cost_s(self, pace: str, work: float) -> float:
        """As `estimate_s`, with a guess for what was never measured."""
        return self._rates.get(pace, FIRST_GUESS_S) * work
