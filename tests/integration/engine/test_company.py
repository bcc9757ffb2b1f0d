"""Dreams, morphs and blends in one worker: who shares passes, and that nobody notices.

Each call of each request is answered in company and again alone, by the same networks: numbers,
not pictures, so that a difference is seen long before a pixel changes.
"""

import io

import numpy as np
import pytest
import torch
from PIL import Image

from engine import batching, calls, registry
from engine.batching import RowCaps
from engine.config import EngineConfig
from engine.events import Failed, Finished
from engine.messages import Start
from engine.models.catalogue import open_catalogue
from engine.models.shelf import Shelf
from engine.requests import Blend, Dream, Morph, TextToImage, Waypoint, plain
from engine.worker import Worker
from tests.tiny_gan import NAME, write_tiny_gan

pytestmark = [pytest.mark.timeout(300), pytest.mark.usefixtures("restored_gradients")]
MOST_ROWS = 32
TOLERANCE = 1e-4


class Witness:
    """A shelf whose passes are counted, and whose answers are kept beside their calls."""

    def __init__(self, shelf):
        self.shelf = shelf
        self.passes = []
        self.answers = []

    def execute(self, company):
        answers = self.shelf.execute(company)
        self.passes.append(company)
        self.answers += zip(company, answers, strict=True)
        return answers

    def fetch(self, network):
        return self.shelf.fetch(network)

    def clear(self, keep=""):
        self.shelf.clear(keep)

    def kept(self):
        return self.shelf.kept()

    def fingerprint(self, model):
        return self.shelf.fingerprint(model)

    def rows(self, kind):
        """How many rows each pass of that kind had."""
        return [
            sum(map(batching.row_count, company))
            for company in self.passes
            if isinstance(company[0], kind)
        ]


@pytest.fixture(scope="module")
def shelf(tmp_path_factory):
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    page = write_tiny_gan(tmp_path_factory.mktemp("gan"))
    config = EngineConfig(devices=("cpu",), catalogue_files=(page,))
    yield Shelf(config, open_catalogue(config), device="cpu")
    torch.set_num_threads(before)


def done(shelf, requests):
    """What the requests end with, all of which run at once, and who saw it."""
    endings, witness = {}, Witness(shelf)

    def send(number, event):
        if isinstance(event, Finished | Failed):
            endings[number] = event

    worker = Worker(
        send,
        witness,
        begin=lambda request: registry.start(request, 1000.0),
        caps=RowCaps(1000.0, MOST_ROWS),
    )
    for number, request in enumerate(requests):
        worker.obey(number, Start(request))
    while not worker.is_idle:
        worker.tick()
    assert all(isinstance(ending, Finished) for ending in endings.values()), endings
    return [endings[number] for number in range(len(requests))], witness


def a_dream(seed):
    return Dream(model=NAME, seed=seed, image_count=2, factor=2, previews=False)


def picture(seed):
    values = np.random.default_rng(seed).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(values).resize((64, 64), Image.Resampling.BICUBIC).save(file, "PNG")
    return file.getvalue()


def a_drawing(seed):
    return TextToImage(
        model="atelier-pack",
        prompt=plain("a red apple"),
        seed=seed,
        width=64,
        height=64,
        steps=2,
        image_count=1,
        previews=False,
    )


def a_morph(seed, *stops):
    return Morph(stops=stops, drawing=a_drawing(seed), frames=4, seconds=1.0, dreams=NAME)


def a_blend(seed):
    drawn = a_drawing(seed)
    names = ("model", "prompt", "seed", "width", "height", "steps", "image_count", "previews")
    fields = {name: getattr(drawn, name) for name in names}
    return Blend(**fields, pictures=(picture(seed), picture(seed + 1)), strength=0.6)


def test_sixteen_members_who_dream_at_once_share_passes(shelf):
    alone = [done(shelf, [a_dream(seed)]) for seed in range(3)]
    together, witness = done(shelf, [a_dream(seed) for seed in range(16)])
    passes = sum(len(one.passes) for _, one in alone) / len(alone)
    assert len(witness.passes) < 16 * passes / 3
    assert max(witness.rows(calls.Synthesise)) >= 16
    assert sum(witness.rows(calls.Synthesise)) == 32
    assert len(witness.rows(calls.Synthesise)) <= 8
    for (endings, _), ending in zip(alone, together, strict=False):
        for one, other in zip(endings[0].images, ending.images, strict=True):
            first, second = (
                np.asarray(Image.open(io.BytesIO(image.png)), dtype=int) for image in (one, other)
            )
            assert abs(first - second).max() <= 1


@pytest.mark.parametrize(
    "requests",
    [
        [a_dream(seed) for seed in range(6)],
        [a_morph(seed, Waypoint(seed=seed), Waypoint(seed=seed + 9)) for seed in range(3)],
        [
            a_morph(seed, Waypoint(prompt=plain("a fox")), Waypoint(prompt=plain("an owl")))
            for seed in range(3)
        ],
        [
            a_morph(seed, Waypoint(picture=picture(seed)), Waypoint(picture=picture(seed + 1)))
            for seed in range(3)
        ],
        [a_blend(seed) for seed in range(4)],
    ],
    ids=["dreams", "morphs of dreams", "morphs of words", "morphs of pictures", "blends"],
)
def test_in_company_each_call_is_answered_as_alone(shelf, requests):
    _, witness = done(shelf, requests)
    assert any(len(company) > 1 for company in witness.passes), "they share passes"
    compared = 0
    for call, answer in witness.answers:
        if not isinstance(answer, torch.Tensor):
            continue
        (solo,) = shelf.execute([call])
        assert float((solo - answer).abs().max()) < TOLERANCE, type(call).__name__
        compared += 1
    assert compared > len(requests)
