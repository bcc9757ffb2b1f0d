"""`python -m engine.training.evaluate_style --data DIR`: figures and a contact sheet of restyling.

Contents are the Kodak pictures, styles the classic paintings and paintings that were never trained
on. Distances are taken in a network that nobody trained: VGG-19's layers with random weights of a
fixed seed, whose Gram matrices are known to tell textures apart (Ustyuzhaninov et al. 2016,
https://arxiv.org/abs/1606.00021). They are relative: content to the content's own size, style to
the distance of the untouched content (the identity, which therefore scores 1).
"""

import argparse
import io
import itertools
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import torch
from PIL import Image
from torch import Tensor

from engine.calls import Pause, Report
from engine.media.png import encode_png, images_of_pixels
from engine.models.families.style import StyleNetworks
from engine.networks.vgg import Vgg19
from engine.pipelines import stylize
from engine.requests import StyleMethod, StyleReference, Stylize
from engine.style import losses
from engine.style.colour import colour_moments, match_colours
from engine.training.monitors import contact_sheet
from engine.training.pictures import Picture, read_pictures
from engine.training.style_pictures import split_paintings
from engine.training.style_programs import style_pixels

LAYERS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1")
CONTENT = "relu3_1"
SIDE = 256  # pixels of the longer side
DIRECTIONS = 32  # of the sliced Wasserstein distance
UNSEEN_STYLES = 24

Method: TypeAlias = Callable[[Tensor, Tensor], Tensor]  # content, style -> pixels, (1, 3, H, W)


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

    def features(self, pixels: Tensor) -> dict[str, Tensor]:
        """The layers that are compared."""
        found: dict[str, Tensor] = self._network(pixels, LAYERS)
        return found

    def content(self, found: dict[str, Tensor], content: dict[str, Tensor]) -> float:
        """How far from what was shown, relative to its size."""
        target = content[CONTENT]
        return float(losses.content_loss(found[CONTENT], target) / target.square().mean())

    def gram(self, found: dict[str, Tensor], style: dict[str, Tensor]) -> float:
        """How far the correlations are from the style's."""
        grams = [(losses.gram_matrix(found[n]), losses.gram_matrix(style[n])) for n in LAYERS]
        parts = [losses.gram_loss(a, b) / b.square().mean() for a, b in grams]
        return float(torch.stack(parts).mean())

    def wasserstein(self, found: dict[str, Tensor], style: dict[str, Tensor]) -> float:
        """How far the distributions are from the style's."""
        parts = []
        for name in LAYERS:
            generator = torch.Generator().manual_seed(1)
            directions = losses.random_directions(found[name].shape[1], DIRECTIONS, generator)
            distance = losses.sliced_wasserstein_loss(found[name], style[name], directions)
            parts.append(distance / style[name].var())
        return float(torch.stack(parts).mean())


@dataclass
class Row:
    """Means over all pictures of one method."""

    name: str
    content: list[float] = field(default_factory=list)
    gram: list[float] = field(default_factory=list)
    wasserstein: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)

    def line(self) -> str:
        """One line of the table."""
        numbers = (self.content, self.gram, self.wasserstein, self.seconds)
        means = [sum(part) / len(part) for part in numbers]
        figures = " | ".join(f"{mean:.3f}" for mean in means)
        return f"| {self.name} | {len(self.gram)} | {figures} |"


def main() -> None:
    """Measure, print the table, write it and the sheet."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=Path("docs/style"))
    parser.add_argument("--contents", type=int, default=12)
    parser.add_argument("--optimised", type=int, default=4, help="pairs that are optimised too")
    parser.add_argument("--iterations", type=int, nargs="*", default=[100, 300])
    given = parser.parse_args()
    torch.set_grad_enabled(False)
    pictures = read_pictures(given.data)
    contents = [p for p in pictures if p.source.name == "kodak"][: given.contents]
    classic = [p for p in pictures if p.file.startswith("classic/")]
    unseen = split_paintings(pictures)[1][:UNSEEN_STYLES]
    given.out.mkdir(parents=True, exist_ok=True)
    networks = StyleNetworks(torch.device("cpu"))
    table = measure(networks, contents, [*classic, *unseen], given.optimised, given.iterations)
    (given.out / "figures.md").write_text(table, encoding="utf-8")
    print(table)
    sheet(networks, contents[:6], classic).save(given.out / "sheet.webp", quality=85)


def measure(
    networks: StyleNetworks,
    contents: Sequence[Picture],
    styles: Sequence[Picture],
    optimised: int,
    iterations: Sequence[int],
) -> str:
    """The table of all methods, in Markdown."""
    judge = Judge()
    pairs = list(itertools.product(contents, styles))
    # The same pairs for every optimiser, spread over contents and styles.
    some = pairs[:: max(1, len(pairs) // max(1, optimised))][:optimised]
    rows = [
        compare("content untouched", lambda content, _: content, judge, pairs),
        compare("colours alone", recoloured, judge, pairs),
        compare("fast", restyler(networks, method=StyleMethod.FAST), judge, pairs),
        compare("fast, pairs below", restyler(networks, method=StyleMethod.FAST), judge, some),
    ]
    for count in iterations:
        method = restyler(networks, method=StyleMethod.OPTIMISE, iterations=count)
        rows.append(compare(f"optimise, {count} iterations", method, judge, some))
    head = "| method | pairs | content | style (Gram) | style (sliced Wasserstein) | s |\n"
    lines = [head + "|---|---|---|---|---|---|", *(row.line() for row in rows)]
    return "\n".join(lines) + "\n"


def compare(
    name: str, method: Method, judge: Judge, pairs: Sequence[tuple[Picture, Picture]]
) -> Row:
    """The distances of one method over pairs of pictures."""
    row = Row(name)
    for content_picture, style_picture in pairs:
        content = style_pixels(content_picture.open(), SIDE)
        style = style_pixels(style_picture.open(), SIDE)
        begun = time.perf_counter()
        pixels = method(content, style)
        row.seconds.append(time.perf_counter() - begun)
        found, before, wanted = (judge.features(p) for p in (pixels, content, style))
        row.content.append(judge.content(found, before))
        row.gram.append(judge.gram(found, wanted) / judge.gram(before, wanted))
        row.wasserstein.append(judge.wasserstein(found, wanted) / judge.wasserstein(before, wanted))
    return row


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
