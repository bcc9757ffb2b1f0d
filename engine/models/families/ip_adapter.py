"""An adapter that shows style references to a denoiser, with the image encoder it was trained on.

The published files hold `image_proj.…`, which makes tokens of what the encoder sees, and for the
n-th cross attention of the denoiser `ip_adapter.{2n + 1}.to_k_ip.weight` and `….to_v_ip.weight`.
"""

import hashlib
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from diffusers import UNet2DConditionModel
from torch import Tensor, nn
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

from engine.errors import ModelUnavailable
from engine.models.catalogue import ModelInfo
from engine.models.families import Place
from engine.models.families.weights import Meter, Weights, build, bytes_of, fill
from engine.models.files import Header, component_weights, read_header, read_json, refuse_code
from engine.models.original_layout import Origin
from engine.networks.ip_adapter import (
    HEAD_CHANNELS,
    RESAMPLED_LAYER,
    LinearProjection,
    Resampler,
    StyledAttention,
)

_PROJECTION, _LAYERS = "image_proj.", "ip_adapter."
_MOST_KEPT = 64  # pictures whose tokens are remembered
_MEAN = (0.48145466, 0.4578275, 0.40821073)  # of the pictures CLIP was trained on
_STD = (0.26862954, 0.26130258, 0.27577711)


class StyleAdapter:
    """Makes tokens of style references; the denoiser it was read for attends to them."""

    def __init__(self, encoder: Any, projection: nn.Module, weights_bytes: int) -> None:
        self._encoder = encoder
        self._projection = projection
        self.bytes_used = weights_bytes
        self._kept: OrderedDict[bytes, Tensor] = OrderedDict()
        self._nothing: Tensor | None = None

    @property
    def side(self) -> int:
        """Pixels of the square that the encoder looks at."""
        return int(self._encoder.config.image_size)

    def encode(self, pixels: Tensor) -> Tensor:
        """Pictures (B, 3, S, S) in [0, 1] -> (B, 2, N, D): their tokens, and those of none."""
        if self._nothing is None:
            self._nothing = self._tokens_of_nothing(pixels)
        return torch.stack([torch.stack([self._known(row), self._nothing]) for row in pixels])

    def _known(self, row: Tensor) -> Tensor:
        """Tokens (N, D) of one picture, computed once: the same few styles come again and again."""
        key = hashlib.sha256(row.cpu().numpy().tobytes()).digest()
        tokens = self._kept.pop(key, None)
        if tokens is None:
            mean, std = (row.new_tensor(values).view(3, 1, 1) for values in (_MEAN, _STD))
            tokens = self._tokens(((row - mean) / std)[None])[0]
        self._kept[key] = tokens
        if len(self._kept) > _MOST_KEPT:
            self._kept.popitem(last=False)
        return tokens

    def _tokens(self, seen: Tensor) -> Tensor:
        answer = self._encoder(seen.to(self._encoder.dtype), output_hidden_states=True)
        is_resampled = isinstance(self._projection, Resampler)
        found = answer.hidden_states[RESAMPLED_LAYER] if is_resampled else answer.image_embeds
        tokens: Tensor = self._projection(found).float()
        return tokens

    def _tokens_of_nothing(self, like: Tensor) -> Tensor:
        """What it was trained with in place of a picture: black for a resampler, else zeros."""
        if isinstance(self._projection, Resampler):
            return self._tokens(torch.zeros_like(like[:1]))[0]
        width = int(self._encoder.config.projection_dim)
        nothing = like.new_zeros(1, width).to(self._encoder.dtype)
        tokens: Tensor = self._projection(nothing).float()[0]
        return tokens


def style_adapter(info: ModelInfo, unet: UNet2DConditionModel, place: Place) -> StyleAdapter | None:
    """Read the adapter that the catalogue names, if any, and let the denoiser attend to it.

    Raises:
        ModelUnavailable: a file is missing, broken, of another kind or for another denoiser.
        UnsafeCheckpoint: it would run code.
    """
    if not info.ip_adapter:
        return None
    return _Reader(info, unet, place).adapter()


class _Reader:
    """Reads one adapter file and the encoder beside it."""

    def __init__(self, info: ModelInfo, unet: UNet2DConditionModel, place: Place) -> None:
        self._name = info.name
        self._file = Path(info.ip_adapter)
        self._folder = Path(info.image_encoder)
        self._unet = unet
        self._place = place
        self._weights = Weights(info.name, place.device, Meter(0, lambda _: None))
        self._header = read_header(info.name, self._file)

    def adapter(self) -> StyleAdapter:
        """Read all and see that it fits together."""
        encoder = self._encoder()
        projection = self._projection(encoder.config)
        layers = self._layers()
        for name, (keys, values) in layers.items():
            attention = self._unet.get_submodule(name)
            attention.set_processor(StyledAttention(attention.processor, keys, values))
        taken = sum(keys.nbytes + values.nbytes for keys, values in layers.values())
        return StyleAdapter(encoder, projection, taken + bytes_of([encoder, projection]))

    def _encoder(self) -> Any:
        refuse_code(self._name, self._folder)
        config = read_json(self._name, self._folder / "config.json")
        if "vision" not in str(config.get("model_type", "")):
            raise self._wrong(f"{self._folder} holds no CLIP image encoder")
        encoder = build(
            self._name,
            "image encoder",
            lambda: CLIPVisionModelWithProjection(CLIPVisionConfig.from_dict(config)),
        )
        files = component_weights(self._name, self._folder)
        fill(self._name, "image encoder", encoder, self._weights.read(files, self._place.dtype))
        return encoder

    def _projection(self, config: Any) -> nn.Module:
        shapes = {
            key.removeprefix(_PROJECTION): entry.shape
            for key, entry in self._header.items()
            if key.startswith(_PROJECTION)
        }
        try:
            make, wanted, has = self._kind(shapes, config)
        except (IndexError, KeyError, ZeroDivisionError) as error:
            raise self._wrong(f"{self._file.name} has odd shapes: {error}") from error
        if wanted != has:
            raise self._wrong(
                f"{self._file.name} wants an image encoder of width {wanted}, the one in "
                f"{self._folder} has {has}: name the one it was trained with"
            )
        projection: nn.Module = build(self._name, "IP-Adapter", make)
        origins = {key: Origin(_PROJECTION + key) for key in shapes}
        tensors = self._weights.pick(self._file, origins, self._place.dtype)
        fill(self._name, "IP-Adapter", projection, tensors)
        return projection

    def _kind(self, shapes: Mapping[str, tuple[int, ...]], config: Any) -> tuple[Any, int, int]:
        """How to make the projection that the shapes imply, the width it reads, the encoder's."""
        if "latents" in shapes:
            channels, embedding = shapes["proj_in.weight"]
            width = shapes["proj_out.weight"][0]
            self._check_width(width)
            heads = max(1, shapes["layers.0.0.to_q.weight"][0] // HEAD_CHANNELS)
            depth = len({key.split(".")[1] for key in shapes if key.startswith("layers.")})
            tokens = shapes["latents"][1]
            return (
                lambda: Resampler(
                    embedding, tokens, width, channels=channels, heads=heads, depth=depth
                ),
                embedding,
                int(config.hidden_size),
            )
        if "proj.weight" in shapes:
            (rows, embedding), (width,) = shapes["proj.weight"], shapes["norm.weight"]
            self._check_width(width)
            return (
                lambda: LinearProjection(embedding, rows // width, width),
                embedding,
                int(config.projection_dim),
            )
        raise self._wrong(
            f"{self._file.name} is no IP-Adapter of the kinds read here (the plain and the plus "
            "ones, not those for faces)"
        )

    def _check_width(self, width: int) -> None:
        wanted = int(self._unet.config.cross_attention_dim)
        if width != wanted:
            raise self._wrong(
                f"{self._file.name} is for another family: its tokens have the width {width}, "
                f"this model's {wanted}"
            )

    def _layers(self) -> dict[str, tuple[Tensor, Tensor]]:
        """For each cross attention of the denoiser, by its path, the adapter's matrices."""
        ends = (".attn2.processor", ".processor")
        names = [key.removesuffix(ends[1]) for key in self._unet.attn_processors if ends[0] in key]
        pairs = {
            name: [f"{_LAYERS}{2 * n + 1}.to_{part}_ip.weight" for part in "kv"]
            for n, name in enumerate(names)
        }
        self._check_layers({key for pair in pairs.values() for key in pair}, self._header)
        origins = {key: Origin(key) for pair in pairs.values() for key in pair}
        tensors = self._weights.pick(self._file, origins, self._place.dtype)
        for name, (keys, values) in pairs.items():
            wanted = self._unet.get_submodule(name).to_k.weight.shape
            if not tensors[keys].shape == tensors[values].shape == wanted:
                raise self._wrong(f"{self._file.name} is for another family: {keys} does not fit")
        return {name: (tensors[keys], tensors[values]) for name, (keys, values) in pairs.items()}

    def _check_layers(self, wanted: set[str], header: Header) -> None:
        found = {key for key in header if key.startswith(_LAYERS)}
        if found != wanted:
            raise self._wrong(
                f"{self._file.name} is for another family: it has {len(found) // 2} layers, "
                f"this model's denoiser {len(wanted) // 2}"
            )

    def _wrong(self, reason: str) -> ModelUnavailable:
        return ModelUnavailable(self._name, reason)
