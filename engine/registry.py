"""Which pipeline answers which request. The one place to add a kind of request."""

from engine.calls import Pipeline
from engine.errors import Unsupported
from engine.pipelines import edit, imagine, upscale
from engine.requests import ImageToImage, Request, TextToImage, Upscale


def start(request: Request, preview_interval_s: float) -> Pipeline:
    """Make the pipeline for this kind of request; it has not begun yet.

    Raises:
        Unsupported: no pipeline takes this kind.
    """
    match request:
        case TextToImage():
            return imagine.run(request, preview_interval_s=preview_interval_s)
        case ImageToImage():
            return edit.run(request, preview_interval_s=preview_interval_s)
        case Upscale():
            return upscale.run(request)
        case _:
            raise Unsupported(f"this engine can't carry out {type(request).__name__} yet")
