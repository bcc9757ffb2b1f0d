"""`python -m engine.training.evaluate_style --data DIR`: figures and a contact sheet of restyling.

Contents are the Kodak pictures, styles the classic paintings and paintings that were never trained
on. Distances are taken in a network that nobody trained: VGG-19's layers with random weights of a
fixed seed, whose Gram matrices are known to tell textures apart (Ustyuzhaninov et al. 2016,
https://arxiv.org/abs/1606.00021). They are relative: content to the content's own size, style to
the distance of the untouched content (the identity, which therefore scores 1).

What is measured is written down pair by pair, so that a run may be stopped and go on, and several
may take a share each: `--share 2/8` and `--minutes 30` measure and write no tables. A last run
without them measures what is missing and writes them. Seconds are those of one core, on which all
is computed: what else a machine does changes them little. What sharing a pass gains is also told
of all cores, by the clock: ask for that on a machine that does nothing else.
"""

import argparse
import io
import itertools
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import torch
from PIL import Image
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from engine.calls import (
    ContentFeatures,
    DescribeStyle,
    NetworkRef,
    Pause,
    Report,
    Restyle,
    StyleGradient,
)
from engine.media.png import encode_png, images_of_pixels
from engine.models.families.style import StyleNetworks
from engine.networks.style import StyleTransfer
from engine.networks.vgg import Vgg19
from engine.networks.weights import save_network
from engine.pipelines import stylize
from engine.requests import StyleMethod, StyleReference, Stylize
from engine.style import losses
from engine.style.colour import colour_moments, match_colours
from engine.style.target import Style
from engine.training.job import PACK
from engine.training.monitors import contact_sheet
from engine.training.pictures import Picture, read_pictures
from engine.training.style_pictures import unseen_paintings
from engine.training.style_programs import style_pixels

LAYERS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1")
CONTENT = "relu3_1"
SIDE = 256  # pixels of the longer side
DIRECTIONS = 32  # of the sliced Wasserstein distance
UNSEEN_STYLES = 24
PAIRS_BETWEEN = 37  # of those that are optimised: a prime, so that both content and style change

TOGETHER = 8  # pictures whose iterations share a pass
SHARED_SIDES = (32, 64, 128, SIDE)  # pixels at which that is measured
RUNS = 5
NETWORK = NetworkRef("style")

Pair: TypeAlias = tuple[Picture, Picture]  # content, style
Clock: TypeAlias = Callable[[], float]
Method: TypeAlias = Callable[[Tensor, Tensor], Tensor]  # content, style -> pixels, (1, 3, H, W)


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """What is compared of a picture; of each layer one."""

    content: Tensor  # (1, C, h, w)
    grams: tuple[Tensor, ...]  # (1, C, C)
    quantiles: tuple[Tensor, ...]  # (1, DIRECTIONS, H * W)
    variances: tuple[Tensor, ...]  # of all features, ()


class Judge:
    """Distances in random features."""

    def __init__(self) -> None:
        generator = torch.Generator().manual_seed(0)
        self._network = Vgg19().eval().requires_grad_(requires_grad=False)
        for parameter in self._network.parameters():
            if parameter.dim() > 1:
                scale = (2 / parameter[0].numel()) ** 0.5
                parameter.copy_(scale * torch.randn(parameter.shape, generator=generator))
            else:
                parameter.zero_()
        self._known: dict[str, tuple[Tensor, Seen]] = {}

    def known(self, picture: Picture) -> tuple[Tensor, Seen]:
        """Pixels (1, 3, H, W) of a picture that is looked at again and again, and what is seen."""
        if picture.file not in self._known:
            pixels = style_pixels(picture.open(), SIDE)
            self._known[picture.file] = pixels, self.seen(pixels)
        return self._known[picture.file]

    def seen(self, pixels: Tensor) -> Seen:
        """Look at pixels (1, 3, H, W)."""
        found: dict[str, Tensor] = self._network(pixels, LAYERS)
        layers = [found[name] for name in LAYERS]
        quantiles = []
        for layer in layers:
            generator = torch.Generator().manual_seed(1)
            directions = losses.random_directions(layer.shape[1], DIRECTIONS, generator)
            quantiles.append(losses.projected_quantiles(layer, directions))
        return Seen(
            found[CONTENT],
            tuple(losses.gram_matrix(layer) for layer in layers),
            tuple(quantiles),
            tuple(layer.var() for layer in layers),
        )

    def content(self, found: Seen, content: Seen) -> float:
        """How far from what was shown, relative to its size."""
        target = content.content
        return float(losses.content_loss(found.content, target) / target.square().mean())

    def gram(self, found: Seen, style: Seen) -> float:
        """How far the correlations are from the style's."""
        pairs = zip(found.grams, style.grams, strict=True)
        parts = [losses.gram_loss(own, wanted) / wanted.square().mean() for own, wanted in pairs]
        return float(torch.stack(parts).mean())

    def wasserstein(self, found: Seen, style: Seen) -> float:
        """How far the distributions are from the style's."""
        triples = zip(found.quantiles, style.quantiles, style.variances, strict=True)
        parts = [losses.quantile_loss(own, wanted) / size for own, wanted, size in triples]
        return float(torch.stack(parts).mean())


@dataclass(frozen=True, slots=True)
class Task:
    """A method, and the pairs of pictures it is measured on."""

    name: str
    method: Method
    pairs: Sequence[Pair]


class Measured:
    """What is known of each method and pair: a file that grows by a line for each."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._rows: dict[tuple[str, str, str], list[float]] = {}
        if path.exists():
            for line in path.read_text(encoding="utf-8").splitlines():
                name, content, style, *numbers = json.loads(line)
                self._rows[name, content, style] = numbers

    def measure(self, task: Task, pair: Pair, judge: Judge) -> None:
        """Measure one pair, unless an earlier run has."""
        content, style = pair
        key = (task.name, content.file, style.file)
        if key in self._rows:
            return
        self._rows[key] = distances(task.method, pair, judge)
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps([*key, *self._rows[key]]) + "\n")

    def line(self, task: Task) -> str:
        """One line of the table: the means over what is measured of a task so far."""
        keys = [(task.name, content.file, style.file) for content, style in task.pairs]
        rows = [self._rows[key] for key in keys if key in self._rows]
        means = [sum(column) / len(rows) for column in zip(*rows, strict=True)]
        figures = " | ".join(f"{mean:.3f}" for mean in means)
        return f"| {task.name} | {len(rows)} of {len(keys)} | {figures} |"


def main() -> None:
    """Measure; unless a part alone was asked for, print the tables, write them and the sheet."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--pack", type=Path, default=PACK, help="whose style networks")
    parser.add_argument("--out", type=Path, default=Path("docs/style"))
    parser.add_argument("--measured", type=Path, default=Path("style-pairs.jsonl"))
    parser.add_argument("--share", default="1/1", help="2/8: the second eighth of all pairs")
    parser.add_argument("--minutes", type=float, help="after which no further pair is begun")
    parser.add_argument("--contents", type=int, default=12)
    parser.add_argument("--optimised", type=int, default=4, help="pairs that are optimised too")
    parser.add_argument("--iterations", type=int, nargs="*", default=[100, 300])
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    given = parser.parse_args()
    torch.set_grad_enabled(False)
    cores = torch.get_num_threads()
    torch.set_num_threads(1)
    pictures = read_pictures(given.data)
    contents = [p for p in pictures if p.source.name == "kodak"][: given.contents]
    classic = [p for p in pictures if p.file.startswith("classic/")]
    unseen = unseen_paintings(pictures)[:UNSEEN_STYLES]
    given.out.mkdir(parents=True, exist_ok=True)
    networks = StyleNetworks(torch.device(given.device), folder=given.pack)
    measured = Measured(given.measured)
    pairs = list(itertools.product(contents, [*classic, *unseen]))
    tasks = tasks_of(networks, pairs, given.optimised, given.iterations)
    guessing = untrained(networks, given.out / "untrained")
    tasks += optimisers_of(guessing, tasks[-1].pairs, given.iterations[-1:], ", untrained encoder")
    number, shares = (int(part) for part in given.share.split("/"))
    chosen = [(task, pair) for task in tasks for pair in task.pairs[number - 1 :: shares]]
    is_whole = measure_in_time(measured, chosen, given.minutes)
    if shares > 1 or not is_whole:
        print(f"{given.measured} holds what is measured so far: go on with the same command.")
        return
    table = table_of(measured, tasks) + "\n" + speeds_of(networks, cores)
    (given.out / "figures.md").write_text(table, encoding="utf-8")
    print(table)
    sheet(networks, contents[:6], classic).save(given.out / "sheet.webp", quality=85)


def measure_in_time(
    measured: Measured, chosen: Sequence[tuple[Task, Pair]], minutes: float | None
) -> bool:
    """Measure pairs until the time is over, if there is one; whether it was enough for all."""
    judge = Judge()
    begun = time.monotonic()
    for task, pair in chosen:
        if minutes is not None and time.monotonic() - begun >= 60 * minutes:
            return False
        measured.measure(task, pair, judge)
    return True


def tasks_of(
    networks: StyleNetworks, pairs: Sequence[Pair], optimised: int, iterations: Sequence[int]
) -> list[Task]:
    """Both controls, the fast method, and the optimiser on some of the pairs."""
    # The same pairs for every optimiser, and of a longer run those of a shorter one too.
    some = [pairs[number * PAIRS_BETWEEN % len(pairs)] for number in range(optimised)]
    fast = restyler(networks, method=StyleMethod.FAST)
    tasks = [
        Task("content untouched", lambda content, _: content, pairs),
        Task("colours alone", recoloured, pairs),
        Task("fast", fast, pairs),
        Task("fast, pairs below", fast, some),
    ]
    return tasks + optimisers_of(networks, some, iterations)


def optimisers_of(
    networks: StyleNetworks, pairs: Sequence[Pair], iterations: Sequence[int], guide: str = ""
) -> list[Task]:
    """The optimiser for so many iterations each; `guide` says whose features it follows."""
    return [
        Task(
            f"optimise, {count} iterations{guide}",
            restyler(networks, method=StyleMethod.OPTIMISE, iterations=count),
            pairs,
        )
        for count in iterations
    ]


def untrained(networks: StyleNetworks, folder: Path) -> StyleNetworks:
    """The same networks as they were before any training: what the encoder's training is worth."""
    folder.mkdir(parents=True, exist_ok=True)
    config = networks.config  # reads them, which takes random numbers
    with torch.random.fork_rng():
        torch.default_generator.manual_seed(0)
        save_network(folder, "style", StyleTransfer(config))
    return StyleNetworks(networks.device, folder=folder)


def table_of(measured: Measured, tasks: Sequence[Task]) -> str:
    """The table of all methods, in Markdown."""
    head = "| method | pairs | content | style (Gram) | style (sliced Wasserstein) | core s |\n"
    lines = [head + "|---|---|---|---|---|---|", *(measured.line(task) for task in tasks)]
    return "\n".join(lines) + "\n"


def distances(method: Method, pair: Pair, judge: Judge) -> list[float]:
    """Content, Gram and sliced Wasserstein distance of one pair, and the seconds of a core."""
    (content, before), (style, wanted) = (judge.known(picture) for picture in pair)
    begun = time.process_time()
    pixels = method(content, style)
    seconds = time.process_time() - begun
    found = before if pixels is content else judge.seen(pixels)
    return [
        judge.content(found, before),
        judge.gram(found, wanted) / judge.gram(before, wanted),
        judge.wasserstein(found, wanted) / judge.wasserstein(before, wanted),
        seconds,
    ]


def speeds_of(networks: StyleNetworks, cores: int = 1) -> str:
    """Seconds of a pass, its part of what a core can multiply, and what sharing a pass gains.

    The last is told of one core, and of all `cores` where there are several.
    """
    square = torch.rand(1, 3, 512, 512)
    (style,) = networks.execute([DescribeStyle(NETWORK, square)])
    restyle = Restyle(NETWORK, square, style.code, torch.ones(1), style.code)
    look, gradient = _iteration(networks, style, SIDE)
    passes = (
        ("fast, the network, 512 px", restyle, _flops(networks, restyle), networks.precision),
        # With fixed weights the way back costs what the way there does; Gram matrices are left out.
        (f"one iteration, {SIDE} px", gradient, 2 * _flops(networks, look), torch.float32),
    )
    lines = ["| pass | s of a core | in | of its limit of multiplications |", "|---|---|---|---|"]
    for name, call, flops, precision in passes:
        seconds = _seconds(partial(networks.execute, [call]))
        kind = str(precision).removeprefix("torch.")
        share = flops / seconds / _flops_limit(precision, networks.device)
        lines.append(f"| {name} | {seconds:.3f} | {kind} | {share:.0%} |")
    told = "\n".join(lines) + "\n\n" + _sharing(networks, style, "a core", time.process_time)
    torch.set_num_threads(cores)
    try:
        seconds = _seconds(partial(restyler(networks), square, square), time.perf_counter)
        told += (
            f"\n{seconds:.2f} s by the clock for a whole restyle of 512 x 512 px by `fast`, from "
            f"one PNG to the other, the style looked at and its strokes laid, on {cores} cores.\n"
        )
        if cores == 1:
            return told
        return told + "\n" + _sharing(networks, style, f"{cores} cores", time.perf_counter)
    finally:
        torch.set_num_threads(1)


def _sharing(networks: StyleNetworks, style: Style, of: str, clock: Clock) -> str:
    """A table of how many iterations are made in a second, one at a time and in company."""
    many = f"{TOGETHER} in one pass"
    head = f"| iterations of {of} in a second | one at a time | {many} | gain |"
    lines = [head, "|---|---|---|---|"]
    for side in SHARED_SIDES:
        _, gradient = _iteration(networks, style, side)
        alone = 1 / _seconds(partial(networks.execute, [gradient]), clock)
        shared = TOGETHER / _seconds(partial(networks.execute, [gradient] * TOGETHER), clock)
        lines.append(f"| {side} px | {alone:.1f} | {shared:.1f} | {shared / alone:.2f} |")
    return "\n".join(lines) + "\n"


def _iteration(
    networks: StyleNetworks, style: Style, side: int
) -> tuple[ContentFeatures, StyleGradient]:
    """How a picture is looked at, and one iteration of it."""
    pixels = torch.rand(1, 3, side, side)
    look = ContentFeatures(NETWORK, pixels)
    (content,) = networks.execute([look])
    return look, StyleGradient(NETWORK, pixels, content, style.grams, torch.ones(1))


def _flops(networks: StyleNetworks, call: Restyle | ContentFeatures) -> int:
    with FlopCounterMode(display=False) as counter:
        networks.execute([call])
    return int(counter.get_total_flops())


def _flops_limit(precision: torch.dtype, device: torch.device) -> float:
    """Operations a second of a large product of matrices."""
    side = 1024 if device.type == "cpu" else 8192
    matrix = torch.rand(side, side, device=device).to(precision)
    return float(2 * side**3 / _seconds(lambda: float((matrix @ matrix)[0, 0])))


def _seconds(work: Callable[[], object], clock: Clock = time.process_time) -> float:
    """For the quickest of some runs after a first: the others were disturbed.

    Who waits for a GPU spends the time of a core, too.
    """
    work()
    times = []
    for _ in range(RUNS):
        begun = clock()
        work()
        times.append(clock() - begun)
    return min(times)


def recoloured(content: Tensor, style: Tensor) -> Tensor:
    """The content with the style's mean colour and covariance, and nothing else of it."""
    return match_colours(content, *colour_moments(style))


def restyler(networks: StyleNetworks, **changes: Any) -> Method:
    """The pipeline itself, run on the networks in this process."""

    def restyle(content: Tensor, style: Tensor) -> Tensor:
        request = Stylize(
            content=png_of(content),
            styles=(StyleReference(png_of(style)),),
            previews=False,
            **changes,
        )
        (picture,) = run(networks, request)
        return style_pixels(picture)

    return restyle


def run(networks: StyleNetworks, request: Stylize) -> list[Image.Image]:
    """Carry out a request alone."""
    pipeline = stylize.run(request)
    call = next(pipeline)
    while True:
        result = None
        if not isinstance(call, Pause | Report):
            (result,) = networks.execute([call])  # type: ignore[list-item]
        try:
            call = pipeline.send(result)
        except StopIteration as end:
            return [Image.open(io.BytesIO(picture.png)) for picture in end.value]


def sheet(
    networks: StyleNetworks, contents: Sequence[Picture], styles: Sequence[Picture]
) -> Image.Image:
    """Rows are contents, columns styles; the first of each as they are."""
    side = 192
    columns = [_square(style.open(), side) for style in styles]
    rows = [torch.ones(1, 3, side, side), *columns]
    for picture in contents:
        content = _square(picture.open(), side)
        rows.append(content)
        for style in columns:
            method = restyler(networks, method=StyleMethod.FAST)
            rows.append(method(content, style))
    return contact_sheet(torch.cat(rows), columns=len(styles) + 1)


def png_of(pixels: Tensor) -> bytes:
    """Pixels (1, 3, H, W) as PNG."""
    (image,) = images_of_pixels(pixels.numpy())
    return encode_png(image)


def _square(image: Image.Image, side: int) -> Tensor:
    shorter = min(image.size)
    left, top = ((length - shorter) // 2 for length in image.size)
    cut = image.convert("RGB").crop((left, top, left + shorter, top + shorter))
    return style_pixels(cut.resize((side, side), Image.Resampling.LANCZOS))


if __name__ == "__main__":
    main()
