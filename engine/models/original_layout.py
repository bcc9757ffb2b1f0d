"""The layout of single-file checkpoints, as the first Stable Diffusion code wrote them.

One file holds all networks, each under a prefix, with names that follow that code's lists of
blocks. Here: which family a file is, the configuration its shapes imply, and for each weight of
the networks we build where in the file it is. Names and shapes only; no torch.

    model.diffusion_model.                    the denoiser
    first_stage_model.                        the VAE
    cond_stage_model.transformer.             SD1's text encoder, named as we name it
    cond_stage_model.model.                   SD2's, named as OpenCLIP does
    conditioner.embedders.0.transformer.      SDXL's first
    conditioner.embedders.1.model.            SDXL's second, as OpenCLIP
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto
from pathlib import Path
from typing import Any

from engine.errors import ModelUnavailable
from engine.models.catalogue import Family, ModelInfo
from engine.models.files import Header

UNET = "model.diffusion_model."
VAE = "first_stage_model."
CLIP = {
    Family.SD1: "cond_stage_model.transformer.",
    Family.SDXL: "conditioner.embedders.0.transformer.",
}
OPEN_CLIP = {Family.SD2: "cond_stage_model.model.", Family.SDXL: "conditioner.embedders.1.model."}

_HEAD_CHANNELS = 64  # of one attention head: all text encoders, SD2's and SDXL's denoisers
_SD1_HEADS = 8
_SCALING_FACTOR = {Family.SD1: 0.18215, Family.SD2: 0.18215, Family.SDXL: 0.13025}


class Change(Enum):
    """What is done to a tensor of the file to get the weight."""

    NONE = auto()
    TRANSPOSE = auto()
    FIRST_THIRD = auto()  # query, key and value in one matrix
    SECOND_THIRD = auto()
    LAST_THIRD = auto()
    FLATTEN = auto()  # a convolution of one pixel that we hold as a matrix


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a weight comes from."""

    key: str  # in the file
    change: Change = Change.NONE


def recognise(name: str, header: Header) -> Family:
    """Tell a file's family by its names.

    Raises:
        ModelUnavailable: it is no such checkpoint, or one of a kind not known here.
    """
    if not any(key.startswith(UNET) for key in header):
        raise ModelUnavailable(
            name,
            "the file is no whole Stable Diffusion checkpoint (no denoiser in it); "
            "a LoRA goes under [loras]",
        )
    for family, prefix in (
        (Family.SDXL, CLIP[Family.SDXL]),
        (Family.SD2, OPEN_CLIP[Family.SD2]),
        (Family.SD1, CLIP[Family.SD1]),
    ):
        if any(key.startswith(prefix) for key in header):
            return family
    raise ModelUnavailable(name, "the file holds no text encoder known here (SD1, SD2, SDXL)")


def check_family(info: ModelInfo, file: Path, header: Header) -> None:
    """See that a file is of the family its catalogue entry says.

    Raises:
        ModelUnavailable: it is not.
    """
    found = recognise(info.name, header)
    if found is not info.family:
        raise ModelUnavailable(
            info.name, f'{file.name} is of another family: set family = "{found}"'
        )


def networks_of(header: Header, family: Family) -> Header:
    """The part of a file that is read: its trainer's averages, for one, are not."""
    texts = (prefixes[family] for prefixes in (CLIP, OPEN_CLIP) if family in prefixes)
    read = (UNET, VAE, *texts)
    return {key: entry for key, entry in header.items() if key.startswith(read)}


def unet_config(name: str, header: Header, family: Family) -> dict[str, Any]:
    """The configuration of the denoiser that a file holds."""
    blocks = _Blocks(header)
    levels = blocks.levels()
    if not levels or len({level.layers for level in levels}) != 1:
        raise ModelUnavailable(name, "the denoiser's blocks are not those of Stable Diffusion")
    attention = ["CrossAttn" if level.depth else "" for level in levels]
    channels = [level.channels for level in levels]
    heads = [max(width // _HEAD_CHANNELS, 1) for width in channels]
    config: dict[str, Any] = {
        "sample_size": 128 if family is Family.SDXL else 64,
        "in_channels": blocks.shape("input_blocks.0.0.weight")[1],
        "out_channels": blocks.shape("out.2.weight")[0],
        "block_out_channels": channels,
        "layers_per_block": levels[0].layers,
        "down_block_types": [f"{kind}DownBlock2D" for kind in attention],
        "up_block_types": [f"{kind}UpBlock2D" for kind in reversed(attention)],
        "transformer_layers_per_block": [max(level.depth, 1) for level in levels],
        "attention_head_dim": _SD1_HEADS if family is Family.SD1 else heads,
        "cross_attention_dim": blocks.context_width(),
        "use_linear_projection": blocks.has_linear_projection(),
        "upcast_attention": family is Family.SD2,
    }
    if family is Family.SDXL:
        width = blocks.shape("label_emb.0.0.weight")[1]
        pooled = header[OPEN_CLIP[family] + "text_projection"].shape[1]
        config |= {
            "addition_embed_type": "text_time",
            "projection_class_embeddings_input_dim": width,
            "addition_time_embed_dim": (width - pooled) // 6,  # six numbers: sizes and crops
        }
    return config


@dataclass(frozen=True, slots=True)
class _Level:
    """The blocks of one resolution."""

    channels: int
    layers: int
    depth: int  # transformer blocks in each attention; 0: none


@dataclass(frozen=True, slots=True)
class _Blocks:
    """The denoiser's part of a header."""

    header: Header

    def shape(self, key: str) -> tuple[int, ...]:
        return self.header[UNET + key].shape

    def levels(self) -> list[_Level]:
        levels: list[_Level] = []
        channels = layers = depth = 0
        index = 1
        while True:
            block = f"input_blocks.{index}"
            if self._has(f"{block}.0.in_layers.2.weight"):
                channels = self.shape(f"{block}.0.in_layers.2.weight")[0]
                depth = self._depth(block)
                layers += 1
            else:
                levels.append(_Level(channels, layers, depth))
                layers = 0
                if not self._has(f"{block}.0.op.weight"):
                    return levels if channels else []
            index += 1

    def context_width(self) -> int:
        return next(
            (
                entry.shape[1]
                for key, entry in self.header.items()
                if key.startswith(UNET) and key.endswith("attn2.to_k.weight")
            ),
            0,
        )

    def has_linear_projection(self) -> bool:
        return any(
            key.startswith(UNET) and key.endswith(".proj_in.weight") and len(entry.shape) == 2
            for key, entry in self.header.items()
        )

    def _has(self, key: str) -> bool:
        return UNET + key in self.header

    def _depth(self, block: str) -> int:
        depth = 0
        while self._has(f"{block}.1.transformer_blocks.{depth}.norm1.weight"):
            depth += 1
        return depth


def vae_config(header: Header, family: Family) -> dict[str, Any]:
    """The configuration of the VAE that a file holds."""

    def count(pattern: str) -> int:
        number = 0
        while VAE + pattern.format(number) in header:
            number += 1
        return number

    levels = count("encoder.down.{}.block.0.conv1.weight")
    channels = [
        header[f"{VAE}encoder.down.{level}.block.0.conv1.weight"].shape[0]
        for level in range(levels)
    ]
    return {
        "block_out_channels": channels,
        "layers_per_block": count("encoder.down.0.block.{}.conv1.weight"),
        "down_block_types": ["DownEncoderBlock2D"] * levels,
        "up_block_types": ["UpDecoderBlock2D"] * levels,
        "latent_channels": header[VAE + "decoder.conv_in.weight"].shape[1],
        "scaling_factor": _SCALING_FACTOR[family],
        "force_upcast": family is Family.SDXL,
    }


def clip_prefix(header: Header, family: Family) -> str:
    """What stands before the names of a text encoder named as transformers does.

    Some merges leave out its inner level.
    """
    outer = CLIP[family]
    inner = outer + "text_model."
    return inner if any(key.startswith(inner) for key in header) else outer


def clip_config(header: Header, prefix: str) -> dict[str, Any]:
    """The configuration of a text encoder named as transformers does."""
    embeddings = prefix + "embeddings."
    layer = prefix + "encoder.layers.{}.mlp.fc1.weight"
    vocabulary, width = header[embeddings + "token_embedding.weight"].shape
    return {
        "vocab_size": vocabulary,
        "hidden_size": width,
        "max_position_embeddings": header[embeddings + "position_embedding.weight"].shape[0],
        **_layers(header, layer),
        "num_attention_heads": max(width // _HEAD_CHANNELS, 1),
        "hidden_act": "quick_gelu",
        "projection_dim": width,
        "eos_token_id": 2,  # transformers then pools at the highest id, as these were trained
    }


def open_clip_config(header: Header, prefix: str, *, drop_last_layer: bool) -> dict[str, Any]:
    """The configuration of a text encoder named as OpenCLIP does.

    SD2 reads the last layer but one, so that the last is left out (`drop_last_layer`).
    """
    layer = prefix + "transformer.resblocks.{}.mlp.c_fc.weight"
    vocabulary, width = header[prefix + "token_embedding.weight"].shape
    layers = _layers(header, layer)
    layers["num_hidden_layers"] -= int(drop_last_layer)
    projection = header.get(prefix + "text_projection")
    return {
        "vocab_size": vocabulary,
        "hidden_size": width,
        "max_position_embeddings": header[prefix + "positional_embedding"].shape[0],
        **layers,
        "num_attention_heads": max(width // _HEAD_CHANNELS, 1),
        "hidden_act": "gelu",
        "projection_dim": projection.shape[1] if projection else width,
        "eos_token_id": 2,
    }


def _layers(header: Header, pattern: str) -> dict[str, int]:
    count = 0
    while pattern.format(count) in header:
        count += 1
    width = header[pattern.format(0)].shape[0] if count else 0
    return {"num_hidden_layers": count, "intermediate_size": width}


_RESNET = {
    "norm1": "in_layers.0",
    "conv1": "in_layers.2",
    "time_emb_proj": "emb_layers.1",
    "norm2": "out_layers.0",
    "conv2": "out_layers.3",
    "conv_shortcut": "skip_connection",
}
_UNET_ENDS = {
    "time_embedding.linear_1": "time_embed.0",
    "time_embedding.linear_2": "time_embed.2",
    "add_embedding.linear_1": "label_emb.0.0",
    "add_embedding.linear_2": "label_emb.0.2",
    "conv_in": "input_blocks.0.0",
    "conv_norm_out": "out.0",
    "conv_out": "out.2",
}
_UNET_BLOCK = re.compile(r"(down|up)_blocks\.(\d+)\.(resnets|attentions)\.(\d+)\.(.+)")
_UNET_MID = re.compile(r"mid_block\.(resnets|attentions)\.(\d+)\.(.+)")
_UNET_RESIZE = re.compile(r"(down|up)_blocks\.(\d+)\.(?:down|up)samplers\.0\.conv(.*)")


def unet_key(key: str, layers: int, up_attention: Sequence[bool]) -> str:
    """Where a weight or module of the denoiser is, without prefix.

    `layers` are those of each block; `up_attention` says which up blocks have attention.
    """
    if match := _UNET_BLOCK.fullmatch(key):
        way, block, kind, index, rest = match.groups()
        number = int(block) * (layers + 1) + int(index) + (way == "down")
        return f"{_list(way)}.{number}.{int(kind == 'attentions')}.{_inner(kind, rest)}"
    if match := _UNET_MID.fullmatch(key):
        kind, index, rest = match.groups()
        number = 1 if kind == "attentions" else 2 * int(index)
        return f"middle_block.{number}.{_inner(kind, rest)}"
    if match := _UNET_RESIZE.fullmatch(key):
        way, block, rest = match.groups()
        if way == "down":
            return f"input_blocks.{(int(block) + 1) * (layers + 1)}.0.op{rest}"
        place = 2 if up_attention[int(block)] else 1
        return f"output_blocks.{int(block) * (layers + 1) + layers}.{place}.conv{rest}"
    return _renamed(key, _UNET_ENDS)


def _list(way: str) -> str:
    return "input_blocks" if way == "down" else "output_blocks"


def _inner(kind: str, rest: str) -> str:
    return _renamed(rest, _RESNET) if kind == "resnets" else rest


def _renamed(key: str, names: dict[str, str]) -> str:
    for ours, theirs in names.items():
        if key == ours or key.startswith(ours + "."):
            return theirs + key[len(ours) :]
    return key


_VAE_WORDS = (
    (re.compile(r"mid_block\.resnets\.(\d)"), lambda m: f"mid.block_{int(m[1]) + 1}"),
    (re.compile(r"mid_block\.attentions\.0"), lambda _: "mid.attn_1"),
    (re.compile(r"down_blocks\.(\d+)\.resnets"), lambda m: f"down.{m[1]}.block"),
    (re.compile(r"down_blocks\.(\d+)\.downsamplers\.0"), lambda m: f"down.{m[1]}.downsample"),
    (re.compile(r"conv_norm_out"), lambda _: "norm_out"),
    (re.compile(r"conv_shortcut"), lambda _: "nin_shortcut"),
)
_VAE_ATTENTION = {
    "group_norm": "norm",
    "to_q": "q",
    "to_k": "k",
    "to_v": "v",
    "to_out.0": "proj_out",
}


def vae_origin(key: str, levels: int) -> Origin:
    """Where a weight of the VAE is; `levels` are its resolutions."""
    change = Change.NONE
    if ".attentions.0." in key:
        head, _, tail = key.partition(".attentions.0.")
        renamed = _renamed(tail, _VAE_ATTENTION)
        if tail.startswith("to_") and tail.endswith("weight"):
            change = Change.FLATTEN
        key = f"{head}.attentions.0.{renamed}"
    for pattern, replacement in _VAE_WORDS:
        key = pattern.sub(replacement, key)

    def up(match: re.Match[str]) -> str:
        return f"up.{levels - 1 - int(match[1])}.{'upsample' if match[2] else 'block'}"

    key = re.sub(r"up_blocks\.(\d+)\.(?:(upsamplers)\.0|resnets)", up, key)
    return Origin(VAE + key, change)


_OPEN_CLIP_LAYER = {
    "layer_norm1": "ln_1",
    "layer_norm2": "ln_2",
    "mlp.fc1": "mlp.c_fc",
    "mlp.fc2": "mlp.c_proj",
    "self_attn.out_proj": "attn.out_proj",
}
_THIRDS = {"q": Change.FIRST_THIRD, "k": Change.SECOND_THIRD, "v": Change.LAST_THIRD}
_LAYER = re.compile(r"encoder\.layers\.(\d+)\.(.+)")
_PROJECTION = re.compile(r"self_attn\.([qkv])_proj\.(weight|bias)")


def open_clip_origin(key: str, prefix: str) -> Origin:
    """Where a weight of an OpenCLIP text encoder is; `key` may start with `text_model.`."""
    key = key.removeprefix("text_model.")
    if match := _LAYER.fullmatch(key):
        layer = f"{prefix}transformer.resblocks.{match[1]}."
        if third := _PROJECTION.fullmatch(match[2]):
            return Origin(f"{layer}attn.in_proj_{third[2]}", _THIRDS[third[1]])
        return Origin(layer + _renamed(match[2], _OPEN_CLIP_LAYER))
    match key:
        case "embeddings.token_embedding.weight":
            return Origin(prefix + "token_embedding.weight")
        case "embeddings.position_embedding.weight":
            return Origin(prefix + "positional_embedding")
        case "text_projection.weight":
            return Origin(prefix + "text_projection", Change.TRANSPOSE)
    return Origin(prefix + key.replace("final_layer_norm", "ln_final"))
