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
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file

from engine.diffusion.unsaid import CODES
from engine.models.families.pack import DRAFT
from engine.networks.denoiser import Denoiser
from engine.networks.text_encoder import TextEncoder
from engine.networks.upscaler import Upscaler, UpscalerConfig
from engine.networks.vae import Vae, VaeConfig
from engine.networks.weights import save_changes, save_network
from engine.training import few_steps
from engine.training.autoencode import Autoencode, fit_statistics
from engine.training.denoise import LEARNING_RATE, Denoise, LatentStore, Words
from engine.training.distil_text import DistilText, Lesson, Teacher
from engine.training.enlarge import Enlarge, large_pictures
from engine.training.few_steps import FewSteps
from engine.training.gan_pictures import folder_pictures
from engine.training.job import PACK, Job
from engine.training.kept import (
    DENOISER,
    MIXED,
    begin_beside,
    begun,
    fill_changes,
    keep,
    kin_of,
    require_kin,
    trained_changes,
    trained_denoiser,
    trained_upscaler,
    trained_vae,
    trained_words,
)
from engine.training.loop import (
    AVERAGE,
    Budget,
    Draw,
    Programme,
    Run,
    Settings,
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
    origin_of,
    read_captions,
    shard_size,
    whole_shards,
    write_scenes,
)
from engine.training.texts import lesson_texts, sheet_prompts
from engine.training.words import write_vocabulary

LEXICON = "lexicon_zh.tsv"
LATENTS, CAPTIONS = ("latents",), ("tokens", "pooled")  # kinds of files in a store
SCENES = ("scenes", "unsaid", *LATENTS, *CAPTIONS)
ENCODED = ("latents", "pooled")  # the last that is written of each
LEFT_OUT = 384  # scenes by which a denoiser between its start and its end is chosen
# Share of the learning rate at which a network goes on: at the whole of it a short run spends half
# of itself on coming back to where it began.
GOING_ON = 0.5
VAE_SHARDS = 6  # square shards whose pictures teach the autoencoder
VAE_SIDE = 128  # pixels of the squares cut from pictures without captions
# How a budget for the whole pack is shared out; measured on 2 CPU cores.
SHARES = {"vae": 0.11, "text": 0.06, "upscaler": 0.10, "denoiser": 0.65, "few-steps": 0.08}


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
        "codes": CODES,  # of what captions leave open
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
        pictures = folder_pictures(job.data, VAE_SIDE, job.out / "vae").pixels
        seed = split_seed(job.settings("vae"))
        pictures = pictures[np.random.default_rng(seed).permutation(len(pictures))]
    network = begun(job, "vae", lambda: Vae(VaeConfig()))
    programme = Autoencode(network, pictures, held_out=min(64, max(1, len(pictures) // 8)))
    _run(programme, job.settings("vae"))
    fit_statistics(network.cpu(), pictures[:2048])
    keep(network, job.out / "vae")
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
    keep(student.encoder.cpu(), job.out / "text")
    return student.encoder


def train_denoiser(job: Job) -> None:
    """Train the denoiser on latents of the trained autoencoder and words of the text encoder.

    One that went on from a pack is kept where it is best between both (see `soup`).

    Raises:
        BrokenWeights: it is to go on beside other networks than it began with.
    """
    vae, words = trained_vae(job), trained_words(job)
    begin_beside(job, "denoiser", kin_of(vae, words))
    (job.out / "denoiser" / MIXED).unlink(missing_ok=True)  # of the run before
    _encode(job, vae, words)
    shared(job, _train_denoiser)
    if job.start is not None:
        _mix(job)


def _train_denoiser(job: Job) -> None:
    network = begun(job, "denoiser", lambda: Denoiser(DENOISER))
    store = LatentStore(job.store, device=job.device)
    programme = Denoise(
        network,
        store,
        trained_words(job),
        trained_vae(job),
        sheet_prompts(),
        learning_rate=LEARNING_RATE * (1 if job.start is None else GOING_ON),
    )
    train_a_share(programme, job.settings("denoiser"))


def _mix(job: Job) -> None:
    """Keep weights between the pack's and the trained ones, by their loss on other scenes."""
    left_out = replace(
        job, out=job.out / "left-out", seed=job.seed + 1, scenes=LEFT_OUT, resume=False
    )
    vae, words = trained_vae(job), trained_words(job)
    _encode(left_out, vae, words)
    network = begun(job, "denoiser", lambda: Denoiser(DENOISER)).eval()
    start = {name: value.clone() for name, value in network.state_dict().items()}
    end = load_file(job.out / "denoiser" / AVERAGE)
    network.to(job.device)
    programme = Denoise(network, LatentStore(left_out.store, device=job.device), words, vae)

    def loss(tried: Denoiser) -> float:
        steps = range(math.ceil(LEFT_OUT / programme.batch))
        draws = [Draw.of_step(left_out.seed, step) for step in steps]
        return sum(float(programme.loss(tried, draw)) for draw in draws)

    way = brought_to_the_best(network, start, end, loss)
    weights = {name: value.cpu().contiguous() for name, value in network.state_dict().items()}
    replace_file(job.out / "denoiser" / MIXED, partial(save_file, weights))
    print(f"denoiser: best at {way:.0%} of the way from the pack it went on from")


def _encode(job: Job, vae: Vae, words: Words) -> None:
    """Encode the store's scenes and captions that are not yet."""
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
    teacher, words, vae = trained_denoiser(job), trained_words(job), trained_vae(job)
    begin_beside(job, "few_steps", kin_of(vae, words) | {"denoiser": digest(teacher)})
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
        fill_changes(programme.network, job.start)
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
    network = begun(job, "upscaler", lambda: Upscaler(UpscalerConfig()))
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
    words, vae, denoiser = trained_words(job), trained_vae(job), trained_denoiser(job)
    upscaler, changes = trained_upscaler(job), trained_changes(job, denoiser)
    kin = kin_of(vae, words)
    require_kin(job, "denoiser", kin)
    require_kin(job, "few_steps", kin | {"denoiser": digest(denoiser)})

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


def _run(programme: Programme, settings: Settings) -> None:
    Run(programme, settings).train()


PROGRAMS: dict[str, Callable[[Job], object]] = {
    "vae": train_vae,
    "text": train_text,
    "upscaler": train_upscaler,
    "denoiser": train_denoiser,
    "few-steps": train_few_steps,
    "pack": train_pack,
    "export": export,
}
