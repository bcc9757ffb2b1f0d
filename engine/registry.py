"""Which pipeline answers which request. The one place to add a kind of request."""

from engine.calls import Pipeline
from engine.pipelines import (
    blend,
    dream,
    edit,
    imagine,
    morph,
    stylize,
    train_gan,
    train_style,
    upscale,
)
from engine.requests import (
    Blend,
    Dream,
    ImageToImage,
    Morph,
    Request,
    Stylize,
    TextToImage,
    TrainGan,
    TrainStyle,
    Upscale,
)


def start(request: Request, preview_interval_s: float) -> Pipeline:
    """Make the pipeline for this kind of request; it has not begun yet."""
    match request:
        case TextToImage():
            return imagine.run(request, preview_interval_s=preview_interval_s)
        case ImageToImage():
            return edit.run(request, preview_interval_s=preview_interval_s)
        case Upscale():
            return upscale.run(request)
        case Stylize():
            return stylize.run(request, preview_interval_s=preview_interval_s)
        case TrainStyle():
            return train_style.run(request, preview_interval_s=preview_interval_s)
        case TrainGan():
            return train_gan.run(request)
        case Blend():
            return blend.run(request, preview_interval_s=preview_interval_s)
        case Dream():
            return dream.run(request, preview_interval_s=preview_interval_s)
        case Morph():
            return morph.run(request, preview_interval_s=preview_interval_s)
