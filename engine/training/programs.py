"""The training programs: one per network, and one that makes the whole pack from nothing.

    python -m engine.training pack --data DIR --out DIR --minutes 240 --teacher DIR
    python -m engine.training denoiser --data DIR --out DIR --images 300000 --resume
    python -m engine.training denoiser --data DIR --out DIR --minutes 90 --start engine/models/pack

`--data` is any folder with a captions.tsv, or whose folders and tar archives have one. Everything
a run makes lies below `--out`: prepared scenes, checkpoints, sample sheets, loss curves, weights.
"""

import json
import math
import os
import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import TypeVar, cast

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from engine.models.families.pack import DRAFT
from engine.networks.denoiser import Denoiser, DenoiserConfig
from engine.networks.lora import load_lora, lora_of
from engine.networks.text_encoder import TextEncoder, TextEncoderConfig, Tokenizer
from engine.networks.upscaler import Upscaler, UpscalerConfig
from engine.networks.vae import Vae, VaeConfig
from engine.networks.weights import BrokenWeights, read_network, save_changes, save_network
from engine.training import few_steps
from engine.training.autoencode import Autoencode, fit_statistics
from engine.training.denoise import LEARNING_RATE, Denoise, LatentStore, Words
from engine.training.distil_text import DistilText, Lesson, Teacher
from engine.training.enlarge import Enlarge, large_pictures
from engine.training.few_steps import FewSteps, student_of
from engine.training.gan_pictures import folder_pictures
from engine.training.loop import (
    AVERAGE,
    Budget,
    Draw,
    Programme,
    Run,
    Settings,
    load_average,
    replace_file,
    replace_weights,
    split_seed,
)
from engine.training.pictures import NoPictures, read_pictures
from engine.training.replicas import shared, train_a_share
from engine.training.soup import brought_to_the_best
from engine.training.store import (
    SHARD,
    claim,
    digest,
    encode_shards,
    note_origin,
    origin_of,
    read_captions,
    shard_size,
    whole_shards,
    write_scenes,
)
from engine.training.texts import lesson_texts, sheet_prompts
from engine.training.words import read_words, write_vocabulary

N = TypeVar("N", bound=nn.Module)

PACK = Path(__file__).parents[1] / "models" / "pack"
LEXICON = "lexicon_zh.tsv"
LATENTS, CAPTIONS = ("latents",), ("tokens", "pooled")  # kinds of files in a store
SCENES = ("scenes", *LATENTS, *CAPTIONS)
ENCODED = ("latents", "pooled")  # the last that is written of each
DENOISER = DenoiserConfig(deeper=1, blueprint=2048, text_length=32)
MIXED = "mixed.safetensors"  # a denoiser between its start and its end
KIN = "learnt_with"  # the file that says which networks one was trained beside
LEFT_OUT = 384  # scenes by which it is chosen
# Share of the learning rate at which a network goes on: at the whole of it a short run spends half
# of itself on coming back to where it began.
GOING_ON = 0.5
VAE_SHARDS = 6  # square shards whose pictures teach the autoencoder
VAE_SIDE = 128  # pixels of the squares cut from pictures without captions
# How a budget for the whole pack is shared out; measured on 2 CPU cores.
SHARES = {"vae": 0.11, "text": 0.06, "upscaler": 0.10, "denoiser": 0.65, "few-steps": 0.08}


@dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    """What a member asked to have trained."""

    data: Path
    out: Path
    budget: Budget
    seed: int = 0
    resume: bool = False
    scenes: int = 60_000  # composed pictures in the store
    replicas: int = 1  # processes that share the run of a denoiser or a style network
    start: Path | None = None  # a pack: the run goes on from its networks
    teacher: Path | None = None  # folder of the sentence encoder
    recipe: str = "r3gan"  # of a pair of generator and discriminator
    device: str = "cpu"
    pack: Path = PACK

    @property
    def store(self) -> Path:
        """The prepared scenes."""
        return self.out / "store"

    def settings(self, network: str) -> Settings:
        """How the loop runs for one network."""
        return Settings(
            self.out / network,
            self.budget,
            seed=self.seed,
            resume=self.resume,
            device=self.device,
            compile=self.device.startswith("cuda"),
        )


class MissingTeacher(Exception):
    """The text encoder can't be distilled without a sentence encoder."""

    def __init__(self, lacking: str = "") -> None:
        """`lacking` is the file that is not in the folder that was named."""
        super().__init__(lacking)
        self.lacking = lacking

    def __str__(self) -> str:
        need = (
            "Name the sentence encoder's folder (config.json, model.safetensors, vocab.txt of "
            "all-MiniLM-L6-v2) with --teacher."
        )
        return f"{self.lacking} is not there. {need}" if self.lacking else need


def prepare_scenes(job: Job) -> list[int]:
    """Compose the store's scenes that are still missing; returns its shards.

    A run that goes on keeps those it began with; any other composes them anew where they are of
    other data, another seed or another size.

    Raises:
        NoPictures: there is no captions.tsv below the folder.
        BrokenSet: there is nothing to compose them from, or a file can't be read.
    """
    read_pictures(job.data)  # refuses what is no data before anything is thrown away
    shards = range(math.ceil(job.scenes / SHARD))
    count = min(SHARD, job.scenes)
    begun = origin_of(job.store, "scenes") if job.resume else None
    if begun is not None:
        job = replace(job, seed=int(begun["seed"]))
        if int(begun["count"]) < SHARD:  # there was one shard, and not a whole one
            shards, count = range(1), int(begun["count"])
    origin: dict[str, str | int] = {
        "data": str(job.data.resolve()),
        "seed": job.seed,
        "count": count,
    }
    claim(job.store, SCENES, origin)
    whole = whole_shards(job.store)
    missing = [index for index in shards if index not in whole]
    _share_out(partial(write_scenes, job.data, job.store, seed=job.seed, count=count), missing)
    return list(shards)


def _share_out(work: Callable[[Sequence[int]], None], shards: Sequence[int]) -> None:
    """Do what is to be done for some shards in as many processes as there are cores."""
    if not shards:
        return
    workers = min(len(shards), os.cpu_count() or 1)
    if workers == 1:
        work(shards)
        return
    with get_context("spawn").Pool(workers, torch.set_num_threads, (1,)) as pool:
        pool.map(work, [shards[k::workers] for k in range(workers)])


def train_vae(job: Job) -> Vae:
    """Train the autoencoder on prepared scenes and fit its latent statistics.

    A folder without captions.tsv is taken as it is: the middle squares of all its pictures.

    Raises:
        TooFewPictures: there is too little to learn from.
        Diverged: numbers were not finite; the last checkpoint is kept.
        NotSaved: there is no room for a file; the last checkpoint is kept.
    """
    try:
        shards = [index for index in prepare_scenes(job) if shard_size(index) == shard_size(0)]
        pictures = _pictures(job, shards[:VAE_SHARDS])
    except NoPictures:
        pictures = folder_pictures(job.data, VAE_SIDE).pixels
        seed = split_seed(job.settings("vae"))
        pictures = pictures[np.random.default_rng(seed).permutation(len(pictures))]
    network = _first(job, "vae", lambda: Vae(VaeConfig()))
    programme = Autoencode(network, pictures, held_out=min(64, max(1, len(pictures) // 8)))
    _run(programme, job.settings("vae"))
    fit_statistics(network.cpu(), pictures[:2048])
    _keep(network, job.out / "vae")
    save_network(job.out / "vae", "vae", network)
    print(f"vae: {programme.psnr(network):.2f} dB on scenes that were left out")
    return network


def _pictures(job: Job, shards: Sequence[int]) -> NDArray[np.uint8]:
    return np.concatenate([np.load(job.store / f"scenes_{index:05d}.npy") for index in shards])


def train_text(job: Job) -> TextEncoder:
    """Distil the text encoder.

    Raises:
        MissingTeacher: the job names no sentence encoder.
    """
    folder = _teacher_folder(job)
    shards = prepare_scenes(job)
    teacher = Teacher(folder)
    captions = [line for index in shards[:10] for line in read_captions(job.store, index)]
    texts = lesson_texts(captions, teacher.pieces, job.data, job.seed)
    lesson = teacher.lesson(texts)
    with torch.random.fork_rng():
        torch.default_generator.manual_seed(job.seed)
        student = teacher.student()
    write_vocabulary(job.out / "text", teacher.pieces)
    _run(DistilText(student, Lesson(lesson.ids, lesson.features)), job.settings("text"))
    _keep(student.encoder.cpu(), job.out / "text")
    return student.encoder


def train_denoiser(job: Job) -> None:
    """Train the denoiser on latents of the trained autoencoder and words of the text encoder.

    One that went on from a pack is kept where it is best between both (see `soup`).

    Raises:
        BrokenWeights: it is to go on beside other networks than it began with.
    """
    _begin_beside(job, "denoiser", _kin(_trained_vae(job), _trained_words(job)))
    (job.out / "denoiser" / MIXED).unlink(missing_ok=True)  # of the run before
    _prepare_latents(job)
    shared(job, _train_denoiser)
    if job.start is not None:
        _mix(job, job.start)


def _train_denoiser(job: Job) -> None:
    network = _first(job, "denoiser", lambda: Denoiser(DENOISER))
    store = LatentStore(job.store, device=job.device)
    programme = Denoise(
        network,
        store,
        _trained_words(job),
        _trained_vae(job),
        sheet_prompts(),
        learning_rate=LEARNING_RATE * (1 if job.start is None else GOING_ON),
    )
    train_a_share(programme, job.settings("denoiser"))


def _mix(job: Job, pack: Path) -> None:
    """Keep weights between the pack's and the trained ones, by their loss on other scenes."""
    left_out = replace(
        job, out=job.out / "left-out", seed=job.seed + 1, scenes=LEFT_OUT, resume=False
    )
    vae, words = _trained_vae(job), _trained_words(job)
    _encode(left_out, vae, words)
    (_, start), end = read_network(pack, "denoiser"), load_file(job.out / "denoiser" / AVERAGE)
    network = Denoiser(DENOISER).eval()
    network.to(job.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    programme = Denoise(network, LatentStore(left_out.store, device=job.device), words, vae)

    def loss(tried: Denoiser) -> float:
        steps = range(math.ceil(LEFT_OUT / programme.batch))
        draws = [Draw.of_step(left_out.seed, step) for step in steps]
        return sum(float(programme.loss(tried, draw)) for draw in draws)

    way = brought_to_the_best(network, start, end, loss)
    weights = {name: value.cpu().contiguous() for name, value in network.state_dict().items()}
    replace_file(job.out / "denoiser" / MIXED, partial(save_file, weights))
    print(f"denoiser: best at {way:.0%} of the way from the pack it went on from")


def _prepare_latents(job: Job) -> None:
    """Encode the store's scenes and captions that are not yet, by this run's networks."""
    _encode(job, _trained_vae(job), _trained_words(job))


def _encode(job: Job, vae: Vae, words: Words) -> None:
    shards = prepare_scenes(job)
    claim(job.store, LATENTS, {"autoencoder": digest(vae)})
    claim(job.store, CAPTIONS, {"text encoder": digest(words.encoder)})
    encode = partial(encode_shards, job.store, vae.to(job.device), words.tokenizer, words.encoder)
    whole = set.intersection(*(set(whole_shards(job.store, kind, "npy")) for kind in ENCODED))
    missing = [index for index in shards if index not in whole]
    if job.device == "cpu":
        _share_out(encode, missing)
    else:
        encode(missing)


def train_few_steps(job: Job) -> None:
    """Distil the trained denoiser into few steps; the change is written beside the checkpoint.

    It begins as the change of the pack that the job goes on from, or as none.

    Raises:
        BrokenWeights: there is no denoiser yet, and the job names no pack; or the run is to go on
            beside other networks than it began with.
    """
    teacher, words, vae = _trained_denoiser(job), _trained_words(job), _trained_vae(job)
    _begin_beside(job, "few_steps", _kin(vae, words) | {"denoiser": digest(teacher)})
    _encode(job, vae, words)
    with torch.random.fork_rng():
        torch.default_generator.manual_seed(job.seed)
        programme = FewSteps(
            teacher,
            LatentStore(job.store, device=job.device),
            words,
            vae,
            sheet_prompts(),
            few_steps.LEARNING_RATE * (1 if job.start is None else GOING_ON),
        )
    if job.start is not None:
        _fill_changes(programme.network, job.start)
    programme.teacher.to(job.device)
    _run(programme, job.settings("few_steps"))


def _teacher_folder(job: Job) -> Path:
    """The sentence encoder's folder.

    Raises:
        MissingTeacher: the job names none, or a file is not in it.
    """
    if job.teacher is None:
        raise MissingTeacher
    for name in ("config.json", "model.safetensors", "vocab.txt"):
        if not (job.teacher / name).is_file():
            raise MissingTeacher(str(job.teacher / name))
    return job.teacher


def train_upscaler(job: Job) -> Upscaler:
    """Train the upscaler on pictures of 256 pixels."""
    network = _first(job, "upscaler", lambda: Upscaler(UpscalerConfig()))
    pictures = large_pictures(job.data, min(3000, job.scenes), job.seed)
    held_out = large_pictures(job.data, 48, job.seed, split="validation")
    programme = Enlarge(network, pictures, held_out)
    _run(programme, job.settings("upscaler"))
    for factor in network.config.factors:
        plain, ours = programme.gain(network.cpu(), factor)
        print(f"upscaler x{factor}: {ours:.2f} dB, bicubic {plain:.2f} dB")
    return network


def train_pack(job: Job) -> None:
    """Train all networks, sharing the budget out, and write the pack.

    Raises:
        MissingTeacher: the job names no sentence encoder.
        NoPictures, BrokenSet: there is too little to learn from.
    """
    _teacher_folder(job)
    for split in ("train", "validation"):  # what the upscaler lacks is said before hours of work
        large_pictures(job.data, 1, job.seed, split)
    for network, share in SHARES.items():
        images, minutes = job.budget.images, job.budget.minutes
        part = (
            Budget(images=max(1, round(images * share)))
            if images is not None
            else Budget(minutes=(minutes or 0) * share)
        )
        PROGRAMS[network](replace(job, budget=part))
    export(job)


def export(job: Job) -> None:
    """Write the averaged weights below `job.out` as a pack, once all of them are there.

    Networks that this run has not trained are those of the pack it goes on from. A pack of one's
    own gets the catalogue entry that offers it.

    Raises:
        BrokenWeights: a network is missing, and the job names no pack that has it; or one was
            trained beside others than those that are here now.
        NotSaved: there is no room; the pack that was there is kept.
    """
    words, vae, denoiser = _trained_words(job), _trained_vae(job), _trained_denoiser(job)
    upscaler, changes = _trained_upscaler(job), _trained_changes(job, denoiser)
    kin = _kin(vae, words)
    _require_kin(job, "denoiser", kin)
    _require_kin(job, "few_steps", kin | {"denoiser": digest(denoiser)})

    def write(folder: Path) -> None:
        save_network(folder, "text_encoder", words.encoder, tables=("table.weight",))
        write_vocabulary(folder, words.tokenizer.vocabulary)
        shutil.copy(PACK / LEXICON, folder / LEXICON)
        save_network(folder, "vae", vae)
        save_network(folder, "denoiser", denoiser)
        save_network(folder, "upscaler", upscaler)
        save_changes(folder, DRAFT, changes)
        if job.pack.resolve() != PACK:
            _write_entries(folder, job.pack.resolve())

    replace_weights(job.pack, write)


def _write_entries(folder: Path, where: Path) -> None:
    """The page of a catalogue that offers a pack and its drafts."""
    name = re.sub(r"[^a-z0-9]+", "-", where.name.lower()).strip("-") or "pack"
    entry = f'family = "pack"\nwhere = {json.dumps(str(where))}\n'
    text = (
        f'[models.{name}]\n{entry}draft_model = "{name}-draft"\n\n'
        f'[models.{name}-draft]\n{entry}variant = "draft"\nsteps = {few_steps.STEPS}\n'
        f"guidance_scale = 1.0\ndraft_steps = {few_steps.STEPS}\ndraft_guidance_scale = 1.0\n"
    )
    (folder / "catalogue.toml").write_text(text, encoding="utf-8")


def _first(job: Job, name: str, build: Callable[[], N]) -> N:
    """A network as its run begins: the pack's that the job goes on from, or one of random weights.

    It is laid out for fast convolutions.
    """
    with torch.random.fork_rng():
        torch.default_generator.manual_seed(job.seed)
        network = build()
    if job.start is not None:
        fill(network, job.start, name)
    return network.to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


def fill(network: nn.Module, pack: Path, name: str) -> None:
    """Give a network its weights in a pack.

    Raises:
        BrokenWeights: they are missing, damaged or of another size.
    """
    _, weights = read_network(pack, name)
    try:
        network.load_state_dict(weights)
    except RuntimeError as error:
        raise BrokenWeights(str(pack / name), f"the weights do not fit ({error})") from error


def _fill_changes(student: nn.Module, pack: Path) -> None:
    """Give a student what few steps change in a pack's denoiser.

    Raises:
        BrokenWeights: the changes are missing, damaged or of another size.
    """
    _, changes = read_network(pack, DRAFT)
    try:
        load_lora(student, changes)
    except (KeyError, RuntimeError) as error:
        raise BrokenWeights(str(pack / DRAFT), f"the changes do not fit ({error})") from error


def _run(programme: Programme, settings: Settings) -> None:
    Run(programme, settings).train()


def _keep(network: nn.Module, folder: Path) -> None:
    """Store a finished network where the next programs find it."""
    replace_file(folder / "finished.pt", partial(torch.save, network.state_dict()))


def _kin(vae: Vae, words: Words) -> dict[str, str]:
    """What tells the networks from all others that a denoiser means something beside."""
    return {"autoencoder": digest(vae), "text encoder": digest(words.encoder)}


def _begin_beside(job: Job, network: str, kin: Mapping[str, str]) -> None:
    """Note which networks a run of another is trained beside; one that goes on must have the same.

    Raises:
        BrokenWeights: it goes on, and they are others.
    """
    if job.resume:
        _require_kin(job, network, kin)
    note_origin(job.out / network, KIN, kin)


def _require_kin(job: Job, network: str, kin: Mapping[str, str]) -> None:
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


def _trained_vae(job: Job) -> Vae:
    """The autoencoder of this run, else of the pack it goes on from."""
    network = Vae(VaeConfig())
    kept = job.out / "vae" / "finished.pt"
    if kept.exists():
        network.load_state_dict(torch.load(kept, weights_only=True))
    else:
        fill(network, _pack_of(job, kept), "vae")
    return network.eval()


def _trained_words(job: Job) -> Words:
    """The text encoder of this run, else of the pack it goes on from, with its vocabulary."""
    kept = job.out / "text" / "finished.pt"
    pieces = read_words(kept.parent if kept.exists() else _pack_of(job, kept))
    network = TextEncoder(TextEncoderConfig(vocabulary=len(pieces)))
    if kept.exists():
        network.load_state_dict(torch.load(kept, weights_only=True))
    else:
        fill(network, _pack_of(job, kept), "text_encoder")
    return Words(Tokenizer(pieces, {}, network.config.length), network.eval())


def _trained_denoiser(job: Job) -> Denoiser:
    """The denoiser of this run, else of the pack it goes on from."""
    network = Denoiser(DENOISER)
    mixed = job.out / "denoiser" / MIXED
    if mixed.exists():
        network.load_state_dict(load_file(mixed))
        return network
    return cast("Denoiser", _averaged(job, "denoiser", network))


def _trained_upscaler(job: Job) -> nn.Module:
    """The upscaler of this run, else of the pack it goes on from."""
    return _averaged(job, "upscaler", Upscaler(UpscalerConfig()))


def _averaged(job: Job, name: str, network: nn.Module) -> nn.Module:
    kept = job.out / name / AVERAGE
    if kept.exists():
        return load_average(network, kept.parent)
    fill(network, _pack_of(job, kept), name)
    return network


def _trained_changes(job: Job, denoiser: Denoiser) -> Mapping[str, Tensor]:
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


PROGRAMS: dict[str, Callable[[Job], object]] = {
    "vae": train_vae,
    "text": train_text,
    "upscaler": train_upscaler,
    "denoiser": train_denoiser,
    "few-steps": train_few_steps,
    "pack": train_pack,
    "export": export,
}
