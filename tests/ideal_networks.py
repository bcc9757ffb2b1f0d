"""A worker on networks with an exact answer, for tests of how calls are batched."""

import io

import torch
from PIL import Image

from engine.batching import RowCaps
from engine.calls import (
    Conditioning,
    Decode,
    Denoise,
    EncodeText,
    Facts,
    NetworkRef,
    Pause,
    Report,
)
from engine.events import Finished, Picture
from engine.messages import Start
from engine.requests import Span, TextToImage, plain
from engine.worker import Worker

NETWORK = NetworkRef("base")


def a_request(**changes):
    fields = {
        "model": "base",
        "prompt": plain("a fox"),
        "seed": 1,
        "width": 64,
        "height": 64,
        "steps": 4,
        "image_count": 2,
    }
    return TextToImage(**fields | changes)


def draw(request):
    """A small pipeline of all kinds of rows: Euler steps, decoded and written as PNG."""
    conditioning = yield EncodeText(NETWORK, ((Span("fox"),),), request.width, request.height)
    count = request.image_count
    seeds = [request.seed + i for i in range(count)]
    noise = [torch.randn(4, 8, 8, generator=torch.Generator().manual_seed(s)) for s in seeds]
    sigmas = torch.linspace(3.0, 0.0, request.steps + 1)
    x = torch.stack(noise) * sigmas[0]
    rows = Conditioning(
        conditioning.tokens.expand(count, -1, -1),
        conditioning.pooled.expand(count, -1),
        conditioning.extra.expand(count, -1),
    )
    for step in range(request.steps):
        sigma, following = sigmas[step], sigmas[step + 1]
        denoised = yield Denoise(NETWORK, x, sigma.expand(count), rows)
        x = x + (x - denoised) / sigma * (following - sigma)
        yield Report(step + 1, request.steps)
    pixels = yield Decode(NETWORK, x)
    yield Pause()
    return tuple(Picture(png(p), s, 8, 8) for p, s in zip(pixels, seeds, strict=True))


def png(pixels):
    buffer = io.BytesIO()
    Image.fromarray((pixels[0] * 255).byte().numpy()).save(buffer, "PNG")
    return buffer.getvalue()


class IdealNetworks:
    """Knows that all images are Gaussian noise; `passes` holds the rows of each denoising pass."""

    def __init__(self, most_rows=99):
        self.most_rows = most_rows
        self.passes = []
        self.attempts = 0

    def clear(self, keep=""):
        pass

    def kept(self):
        return 0, ("base",)

    def fetch(self, network):
        return None

    def fingerprint(self, model):
        return f"hash of {model}"

    def execute(self, calls):
        self.attempts += 1
        match calls[0]:
            case Facts():
                return [None for _ in calls]
            case EncodeText():
                none = torch.zeros(1, 0)
                return [Conditioning(torch.ones(1, 3, 2), none, none) for _ in calls]
            case Decode():
                return [call.latents[:, :3].sigmoid() for call in calls]
            case Denoise():
                return self.denoise(calls)

    def denoise(self, calls):
        x = torch.cat([call.x for call in calls])
        sigma = torch.cat([call.sigma for call in calls]).view(-1, 1, 1, 1)
        if len(x) > self.most_rows:
            raise MemoryError
        self.passes.append(len(x))
        return (x / (1 + sigma**2)).split([len(call.x) for call in calls])


class Reports(dict):
    """Number -> what the worker said about that request."""

    def __call__(self, number, report):
        self.setdefault(number, []).append(report)

    def ending(self, number):
        return self[number][-1]

    def images(self, number):
        assert isinstance(self.ending(number), Finished), self.ending(number)
        return self.ending(number).images


class Caps(RowCaps):
    """As many rows as allowed at once, without learning first."""

    def __init__(self, most=99):
        super().__init__(tick_budget_s=1e9, most=most)
        self.most = most

    def cap(self, key):
        return min(self.most, self._limits[key].rows if key in self._limits else self.most)


def a_worker(reports, networks, *, begin=draw, caps=None, **options):
    return Worker(reports, networks, begin=begin, caps=caps or Caps(), **options)


def finish(worker):
    ticks = 0
    while not worker.is_idle:
        worker.tick()
        ticks += 1
        assert ticks < 1000, "the worker does not end"


def alone(request):
    reports = Reports()
    worker = a_worker(reports, IdealNetworks())
    worker.obey(1, Start(request))
    finish(worker)
    return reports.images(1)
