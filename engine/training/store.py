"""Stores of prepared training data: scenes in bytes, then their latents and encoded captions.

A store is a folder of numbered shards. `scenes_00012.npy` holds pixels (N, H, W, 3) in bytes,
`unsaid_00012.npy` what their captions leave open (N, CODES) and `scenes_00012.txt` one caption a
line; `latents_00012.npy` and `tokens_00012.npy` are made from them once, so that the denoiser's
loop touches nothing but its network. `scenes.json` and the like say what files were made of: what
is left from something else is thrown away.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import nn

from engine.networks.text_encoder import TextEncoder, Tokenizer
from engine.networks.vae import Vae
from engine.training.loop import replace_file
from engine.training.pictures import BrokenSet, read_pictures
from engine.training.scenes import SceneMaker
from engine.training.subjects import SubjectLibrary, read_nouns

# One shard in eight is wide and one tall; both sizes have 3:2 sides and whole 16-pixel cells.
SQUARE, WIDE, TALL = (128, 128), (96, 144), (144, 96)
SIZES = (SQUARE, SQUARE, SQUARE, WIDE, SQUARE, SQUARE, SQUARE, TALL)
SHARD = 2048


def shard_size(index: int) -> tuple[int, int]:
    """Height and width in pixels of shard `index`."""
    return SIZES[index % len(SIZES)]


def write_scenes(
    data: Path, out: Path, shards: Sequence[int], seed: int, count: int = SHARD
) -> None:
    """Compose the given shards from the pictures below `data`; existing shards are kept.

    Raises:
        BrokenSet: there is nothing to compose them from, or a file can't be read.
    """
    library = SubjectLibrary.read(data)
    pictures = read_pictures(data)
    learnt = [picture for picture in pictures if picture.split == "train"]
    paintings = [picture for picture in learnt if "artist" in picture.columns]
    wholes = [picture for picture in learnt if picture.is_whole]
    makers = {
        size: SceneMaker(library, read_nouns(), paintings, *size, wholes=wholes)
        for size in sorted(set(SIZES))
    }
    if any(maker.is_idle for maker in makers.values()):
        raise BrokenSet(
            str(data),
            "names no picture to learn from: give each row a caption in the column name, and leave "
            "out the columns style, group, category and artist",
        )
    out.mkdir(parents=True, exist_ok=True)
    for index in shards:
        if not (out / f"scenes_{index:05d}.txt").exists():
            _write_shard(makers[shard_size(index)], out, index, seed, count)


def _write_shard(maker: SceneMaker, out: Path, index: int, seed: int, count: int) -> None:
    pixels = np.empty((count, maker.height, maker.width, 3), np.uint8)
    captions, unsaid = [], []
    for number in range(count):
        scene = maker.make(np.random.default_rng([seed, index, number]))
        pixels[number] = scene.pixels
        captions.append(" ".join(scene.caption.split()))
        unsaid.append(scene.unsaid.code().numpy())
    np.save(out / f"scenes_{index:05d}.npy", pixels)
    np.save(out / f"unsaid_{index:05d}.npy", np.stack(unsaid))
    text = "\n".join(captions) + "\n"
    # The text is written last: its presence says that the shard is whole.
    replace_file(
        out / f"scenes_{index:05d}.txt", lambda path: path.write_text(text, encoding="utf-8")
    )


def claim(store: Path, kinds: Sequence[str], origin: Mapping[str, str | int]) -> None:
    """Keep the files of `kinds` if they were made of `origin`; else throw them away."""
    if origin_of(store, kinds[0]) == origin:
        return
    for kind in kinds:
        for path in store.glob(f"{kind}_*"):
            path.unlink()
    note_origin(store, kinds[0], origin)


def note_origin(store: Path, kind: str, origin: Mapping[str, str | int]) -> None:
    """Write what the files of a kind are made of."""
    text = json.dumps(origin)
    replace_file(store / f"{kind}.json", lambda path: path.write_text(text, encoding="utf-8"))


def origin_of(store: Path, kind: str) -> dict[str, str | int] | None:
    """What the files of a kind were made of; None where nobody said so."""
    try:
        found: dict[str, str | int] = json.loads((store / f"{kind}.json").read_text("utf-8"))
    except (OSError, ValueError):
        return None
    return found


def digest(network: nn.Module) -> str:
    """What tells a network's weights from all others."""
    found = hashlib.sha256()
    for value in network.state_dict().values():
        found.update(value.detach().cpu().contiguous().view(torch.uint8).numpy().tobytes())
    return found.hexdigest()


def read_captions(store: Path, index: int) -> list[str]:
    """The captions of one shard."""
    return (store / f"scenes_{index:05d}.txt").read_text(encoding="utf-8").splitlines()


def whole_shards(store: Path, kind: str = "scenes", suffix: str = "txt") -> list[int]:
    """Numbers of the shards that are completely written."""
    return sorted(
        int(path.stem.split("_")[1])
        for path in store.glob(f"{kind}_[0-9][0-9][0-9][0-9][0-9].{suffix}")
    )


def encode_shards(
    store: Path, vae: Vae, tokenizer: Tokenizer, encoder: TextEncoder, shards: Sequence[int]
) -> None:
    """Write what is still missing of shards' latents and captions."""
    for index in shards:
        if not (store / f"latents_{index:05d}.npy").exists():
            encode_latents(store, index, vae)
        if not (store / f"pooled_{index:05d}.npy").exists():
            encode_captions(store, index, tokenizer, encoder)


@torch.no_grad()
def encode_latents(store: Path, index: int, vae: Vae, batch: int = 64) -> None:
    """Write the normalised latents (N, C, h, w) of a shard as half floats."""
    pixels = np.load(store / f"scenes_{index:05d}.npy", mmap_mode="r")
    parts = []
    device = next(vae.parameters()).device
    for start in range(0, len(pixels), batch):
        chunk = torch.from_numpy(pixels[start : start + batch].copy()).to(device)
        chunk = chunk.permute(0, 3, 1, 2).to(memory_format=torch.channels_last)
        with torch.autocast(device.type, torch.bfloat16):
            latents = vae.encode(chunk.float() / 255)
        parts.append(latents.half().cpu().numpy())
    temporary = store / f"latents_{index:05d}.tmp.npy"
    np.save(temporary, np.concatenate(parts))
    temporary.replace(store / f"latents_{index:05d}.npy")


@torch.no_grad()
def encode_captions(
    store: Path, index: int, tokenizer: Tokenizer, encoder: TextEncoder, batch: int = 512
) -> None:
    """Write the token features (N, T, D) and pooled vectors (N, D) of a shard as half floats."""
    captions = read_captions(store, index)
    tokens, pooled = [], []
    for start in range(0, len(captions), batch):
        one, all_of_it = encoder(tokenizer(captions[start : start + batch]))
        tokens.append(one.half().numpy())
        pooled.append(all_of_it.half().numpy())
    np.save(store / f"tokens_{index:05d}.npy", np.concatenate(tokens))
    temporary = store / f"pooled_{index:05d}.tmp.npy"
    np.save(temporary, np.concatenate(pooled))
    temporary.replace(store / f"pooled_{index:05d}.npy")
