"""`python -m engine.training NETWORK --data DIR --out DIR --minutes M`."""

import argparse
import math
import re
import sys
from collections.abc import Sequence
from pathlib import Path

import torch

from engine.networks.weights import BrokenWeights
from engine.training.adversarial import OtherRecipe
from engine.training.gan_pictures import TooFewPictures
from engine.training.gan_programs import GAN_PROGRAMS
from engine.training.gan_recipes import RECIPES
from engine.training.job import PACK, Job
from engine.training.loop import Budget, Diverged, NotSaved
from engine.training.pictures import BrokenSet, NoPictures
from engine.training.programs import PROGRAMS, MissingTeacher
from engine.training.replicas import ReplicaFailed
from engine.training.style_programs import STYLE_PROGRAMS

ALL = PROGRAMS | STYLE_PROGRAMS | GAN_PROGRAMS
REFUSALS = (
    NoPictures,
    BrokenSet,
    MissingTeacher,
    ReplicaFailed,
    TooFewPictures,
    BrokenWeights,
    OtherRecipe,
    Diverged,
    NotSaved,
)


def main(argv: Sequence[str] | None = None) -> int:
    """Train what the arguments ask for; returns the exit status."""
    parser = argparse.ArgumentParser(prog="atelier train", description=__doc__)
    parser.add_argument("network", choices=sorted(ALL))
    parser.add_argument(
        "--data", type=Path, required=True, help="folder of pictures, or with captions.tsv"
    )
    parser.add_argument("--out", type=Path, required=True, help="where the run keeps everything")
    budget = parser.add_mutually_exclusive_group()
    budget.add_argument(
        "--minutes", type=_minutes, default=60.0, help="stop after so long (default 60)"
    )
    budget.add_argument("--images", type=_count, help="stop after so many pictures")
    parser.add_argument("--scenes", type=_count, default=60_000, help="composed training pictures")
    parser.add_argument("--seed", type=_seed, default=0, help="the same seed, the same run")
    parser.add_argument(
        "--replicas",
        type=_count,
        default=1,
        help="processes that share the run of a denoiser or a style network",
    )
    parser.add_argument("--recipe", default="r3gan", choices=sorted(RECIPES), help="of a GAN")
    parser.add_argument("--teacher", type=Path, help="folder of the sentence encoder")
    parser.add_argument("--device", type=_device, default="cpu", help="cpu or cuda")
    parser.add_argument("--pack", type=Path, default=PACK, help="where export writes the weights")
    parser.add_argument("--start", type=Path, help="a pack whose networks the run goes on from")
    parser.add_argument("--resume", action="store_true", help="go on from the last checkpoint")
    given = vars(parser.parse_args(argv))
    network, minutes, images = given.pop("network"), given.pop("minutes"), given.pop("images")
    limit = Budget(images=images) if images is not None else Budget(minutes=minutes)
    try:
        given["out"].mkdir(parents=True, exist_ok=True)
    except OSError as error:
        parser.error(f"--out {given['out']}: {error.strerror}")
    try:
        ALL[network](Job(budget=limit, **given))
    except REFUSALS as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("Stopped; what was learnt is kept: go on with --resume.", file=sys.stderr)
        return 130
    return 0


def _minutes(text: str) -> float:
    try:
        minutes = float(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"must be a number, not {text}") from error
    if not (minutes > 0 and math.isfinite(minutes)):
        raise argparse.ArgumentTypeError(f"must be more than 0, not {text}")
    return minutes


def _count(text: str) -> int:
    try:
        count = int(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"must be a whole number, not {text}") from error
    if count < 1:
        raise argparse.ArgumentTypeError(f"must be 1 at least, not {text}")
    return count


def _seed(text: str) -> int:
    if not re.fullmatch(r"\d{1,18}", text):
        raise argparse.ArgumentTypeError(f"must be a whole number from 0 on, not {text}")
    return int(text)


def _device(text: str) -> str:
    if not re.fullmatch(r"cpu|cuda(:\d+)?", text):
        raise argparse.ArgumentTypeError(f"must be cpu, cuda or cuda:1, not {text}")
    if text != "cpu" and not torch.cuda.is_available():
        raise argparse.ArgumentTypeError(f"there is no {text} here; leave it out for the CPU")
    return text


if __name__ == "__main__":
    sys.exit(main())
