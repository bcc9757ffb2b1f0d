"""The networks of a training run: those it has trained, else those of the pack it goes on from.

A denoiser means something beside one autoencoder and one text encoder alone, and drafts beside one
denoiser: each notes which it was trained beside, and is refused beside others.
"""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TypeVar, cast

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from engine.diffusion.unsaid import CODES
from engine.models.families.pack import DRAFT
from engine.networks.denoiser import Denoiser, DenoiserConfig
from engine.networks.lora import load_lora, lora_of
from engine.networks.text_encoder import TextEncoder, TextEncoderConfig, Tokenizer
from engine.networks.upscaler import Upscaler, UpscalerConfig
from engine.networks.vae import Vae, VaeConfig
from engine.networks.weights import BrokenWeights, read_network
from engine.training.denoise import Words
from engine.training.few_steps import student_of
from engine.training.job import Job
from engine.training.loop import AVERAGE, load_average, replace_file
from engine.training.store import digest, note_origin, origin_of
from engine.training.words import read_words

N = TypeVar("N", bound=nn.Module)

DENOISER = DenoiserConfig(deeper=1, blueprint=2048, text_length=32, unsaid=CODES)
NEW = "unsaid."  # a part of the denoiser that older packs lack; it has no effect at first
MIXED = "mixed.safetensors"  # a denoiser between its start and its end
KIN = "learnt_with"  # the file that says which networks one was trained beside


def begun(job: Job, name: str, build: Callable[[], N]) -> N:
    """A network as its run begins: the pack's that the job goes on from, or one of random weights.

    It is laid out for fast convolutions.
    """
    network = _new(job, build)
    if job.start is not None:
        fill(network, job.start, name)
    return network.to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


def _new(job: Job, build: Callable[[], N]) -> N:
    """A network of random weights, the same for every run of a seed."""
    with torch.random.fork_rng():
        torch.default_generator.manual_seed(job.seed)
        return build()


def fill(network: nn.Module, pack: Path, name: str) -> None:
    """Give a network its weights in a pack; a part that is new since stays as it begins.

    Raises:
        BrokenWeights: they are missing, damaged or of another size.
    """
    _, weights = read_network(pack, name)
    new = {key: value for key, value in network.state_dict().items() if key.startswith(NEW)}
    try:
        network.load_state_dict(new | weights)
    except RuntimeError as error:
        raise BrokenWeights(str(pack / name), f"the weights do not fit ({error})") from error


def fill_changes(student: nn.Module, pack: Path) -> None:
    """Give a student what few steps change in a pack's denoiser.

    Raises:
        BrokenWeights: the changes are missing, damaged or of another size.
    """
    _, changes = read_network(pack, DRAFT)
    try:
        load_lora(student, changes)
    except (KeyError, RuntimeError) as error:
        raise BrokenWeights(str(pack / DRAFT), f"the changes do not fit ({error})") from error


def keep(network: nn.Module, folder: Path) -> None:
    """Store a finished network where the next programs find it."""
    replace_file(folder / "finished.pt", partial(torch.save, network.state_dict()))


def kin_of(vae: Vae, words: Words) -> dict[str, str]:
    """What tells the networks from all others that a denoiser means something beside."""
    return {"autoencoder": digest(vae), "text encoder": digest(words.encoder)}


def begin_beside(job: Job, network: str, kin: Mapping[str, str]) -> None:
    """Note which networks a run of another is trained beside; one that goes on must have the same.

    Raises:
        BrokenWeights: it goes on, and they are others.
    """
    if job.resume:
        require_kin(job, network, kin)
    note_origin(job.out / network, KIN, kin)


def require_kin(job: Job, network: str, kin: Mapping[str, str]) -> None:
    """Refuse a network that was trained beside others than these.

    Raises:
        BrokenWeights: one of them is another.
    """
    known = origin_of(job.out / network, KIN) or {}
    for name, found in kin.items():
        if known.get(name, found) != found:
            raise BrokenWeights(
                str(job.out / network),
                f"this network was trained beside another {name}: train it anew, without --resume",
            )


def trained_vae(job: Job) -> Vae:
    """The autoencoder of this run, else of the pack it goes on from."""
    network = Vae(VaeConfig())
    kept = job.out / "vae" / "finished.pt"
    if kept.exists():
        network.load_state_dict(torch.load(kept, weights_only=True))
    else:
        fill(network, _pack_of(job, kept), "vae")
    return network.eval()


def trained_words(job: Job) -> Words:
    """The text encoder of this run, else of the pack it goes on from, with its vocabulary."""
    kept = job.out / "text" / "finished.pt"
    pieces = read_words(kept.parent if kept.exists() else _pack_of(job, kept))
    network = TextEncoder(TextEncoderConfig(vocabulary=len(pieces)))
    if kept.exists():
        network.load_state_dict(torch.load(kept, weights_only=True))
    else:
        fill(network, _pack_of(job, kept), "text_encoder")
    return Words(Tokenizer(pieces, {}, network.config.length), network.eval())


def trained_denoiser(job: Job) -> Denoiser:
    """The denoiser of this run, else of the pack it goes on from."""
    network = _new(job, lambda: Denoiser(DENOISER))
    mixed = job.out / "denoiser" / MIXED
    if mixed.exists():
        network.load_state_dict(load_file(mixed))
        return network
    return cast("Denoiser", _averaged(job, "denoiser", network))


def trained_upscaler(job: Job) -> nn.Module:
    """The upscaler of this run, else of the pack it goes on from."""
    return _averaged(job, "upscaler", Upscaler(UpscalerConfig()))


def _averaged(job: Job, name: str, network: nn.Module) -> nn.Module:
    kept = job.out / name / AVERAGE
    if kept.exists():
        return load_average(network, kept.parent)
    fill(network, _pack_of(job, kept), name)
    return network


def trained_changes(job: Job, denoiser: Denoiser) -> Mapping[str, Tensor]:
    """What few steps change in the denoiser, by this run, else by the pack it goes on from."""
    kept = job.out / "few_steps" / AVERAGE
    if kept.exists():
        return lora_of(load_average(student_of(denoiser), kept.parent))
    if (job.out / "denoiser" / AVERAGE).exists():
        raise BrokenWeights(str(kept), "the denoiser is a new one: distil it with few-steps first")
    return read_network(_pack_of(job, kept), DRAFT)[1]


def _pack_of(job: Job, kept: Path) -> Path:
    """The pack whose network stands in for one that this run has not trained.

    Raises:
        BrokenWeights: the job names no pack.
    """
    if job.start is None:
        raise BrokenWeights(str(kept), "train this network first, or name a pack with --start")
    return job.start
