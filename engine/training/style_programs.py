"""The training programs of the style networks.

python -m engine.training style-encoder --data DIR --out DIR --minutes 30
python -m engine.training style --data DIR --out DIR --minutes 30
python -m engine.training export-style --data DIR --out DIR
"""

import tomllib
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor, nn

from engine.calls import DescribeStyle, NetworkRef
from engine.models.families.style import StyleNetworks
from engine.models.families.style_files import PRESETS, preset_tensors
from engine.networks.style import StyleConfig, StyleTransfer
from engine.networks.weights import BrokenWeights, save_network
from engine.training.job import PACK, Job
from engine.training.kept import fill
from engine.training.loop import load_average, replace_weights
from engine.training.pictures import BrokenSet, read_pictures
from engine.training.replicas import shared, train_a_share
from engine.training.style_encoder import StyleClassifier, TrainStyleEncoder, equalise, shares_named
from engine.training.style_pictures import UNKNOWN, Labelled, labelled_pictures
from engine.training.style_transfer import TrainStyleTransfer

LEFT_OUT = 768  # pictures by which a trained encoder is asked what it names
OTHER_STYLES = 1500  # drawings and photographs among the styles, beside all paintings
PAINTINGS = PACK / "style-presets" / "whole"
PRESET_SIDE = 512  # pixels of the longer side


def train_style_encoder(job: Job) -> None:
    """Train the encoder by naming what crops show, and bring its channels to one size.

    Raises:
        BrokenSet: there is nothing to tell apart.
    """
    shared(job, _train_encoder)


def _train_encoder(job: Job) -> None:
    pictures = labelled_pictures(read_pictures(job.data), job.seed)
    if max(pictures.counts, default=0) <= 1:
        raise BrokenSet(
            str(job.data),
            "has nothing to tell apart: give it pictures in several folders or styles, or "
            "paintings (a column artist)",
        )
    torch.default_generator.manual_seed(job.seed)
    network = StyleClassifier(StyleConfig(), pictures.counts)
    if job.start is not None:
        begun = StyleTransfer(StyleConfig())
        fill(begun, job.start, "style")
        network.encoder = begun.encoder
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    pictures, left_out = pictures.parted(job.seed, min(LEFT_OUT, len(pictures.pixels) // 8))
    if train_a_share(TrainStyleEncoder(network, pictures), job.settings("style-encoder")):
        shares = shares_named(network.cpu(), left_out)
        named = ", ".join(f"{share:.0%} of {said}s" for said, share in shares.items())
        print(f"style-encoder: of pictures that were left out it names {named}")
        equalise(network.encoder, pictures)
        torch.save(network.encoder.state_dict(), _finished_encoder(job))


def _finished_encoder(job: Job) -> Path:
    return job.out / "style-encoder" / "finished.pt"


def train_style(job: Job) -> None:
    """Train the decoder on the finished encoder, or go on from a pack's networks.

    Raises:
        BrokenWeights: there is no encoder yet, and the job names no pack.
    """
    shared(job, _train_decoder)


def _train_decoder(job: Job) -> None:
    finished = _finished_encoder(job)
    with torch.random.fork_rng():
        torch.default_generator.manual_seed(job.seed)
        network = StyleTransfer(StyleConfig())
    if finished.exists():
        network.encoder.load_state_dict(torch.load(finished, weights_only=True))
    elif job.start is not None:
        fill(network, job.start, "style")
    else:
        raise BrokenWeights(str(finished), "train style-encoder first, or name a pack with --start")
    pictures = labelled_pictures(read_pictures(job.data), job.seed)
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    contents, styles = contents_and_styles(pictures, job.seed)
    train_a_share(TrainStyleTransfer(network, contents, styles), job.settings("style"))


def contents_and_styles(
    pictures: Labelled, seed: int
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """What is restyled (anything), and after what (all paintings, some of the rest)."""
    rng = np.random.default_rng([seed, 78])
    contents = pictures.pixels[rng.permutation(len(pictures.pixels))]
    is_painting = pictures.paintings != UNKNOWN
    others = pictures.pixels[~is_painting]
    some = others[rng.permutation(len(others))[:OTHER_STYLES]]
    styles = np.concatenate([pictures.pixels[is_painting], some])
    return contents, styles[rng.permutation(len(styles))]


def export_style(job: Job) -> None:
    """Write network and presets into the pack, once both are whole.

    Paintings that are not among the data are those that ship.

    Raises:
        BrokenWeights: the network is not trained.
        NotSaved: there is no room; those that were there are kept.
    """
    network = load_average(StyleTransfer(StyleConfig()), job.out / "style")
    replace_weights(job.pack, partial(_write_style, job, network))


def _write_style(job: Job, network: nn.Module, folder: Path) -> None:
    save_network(folder, "style", network)
    networks = StyleNetworks(torch.device("cpu"), folder=folder)
    wanted = tomllib.loads((PACK / "style-presets.toml").read_text(encoding="utf-8"))
    found = {picture.file: picture for picture in read_pictures(job.data)}
    tensors: dict[str, Tensor] = {}
    for name, preset in wanted.items():
        with torch.no_grad():
            picture = found.get(preset["source"])
            image = Image.open(PAINTINGS / f"{name}.webp") if picture is None else picture.open()
            pixels = style_pixels(image)
            (style,) = networks.execute([DescribeStyle(NetworkRef("style"), pixels)])
        tensors |= preset_tensors(name, style)
    save_file(tensors, folder / PRESETS)


def style_pixels(image: Image.Image, longest: int = PRESET_SIDE) -> Tensor:
    """A picture as pixels (1, 3, H, W) in [0, 1], both sides multiples of 8."""
    scale = min(1.0, longest / max(image.size))
    size = tuple(max(8, round(side * scale / 8) * 8) for side in image.size)
    small = image.convert("RGB").resize((size[0], size[1]), Image.Resampling.LANCZOS)
    values = torch.from_numpy(np.array(small, dtype=np.float32))
    return values.permute(2, 0, 1)[None] / 255


STYLE_PROGRAMS: dict[str, Callable[[Job], object]] = {
    "style-encoder": train_style_encoder,
    "style": train_style,
    "export-style": export_style,
}
