"""The parts of a Stable Diffusion checkpoint, read from a diffusers folder or a single file.

Networks of diffusers' and transformers' classes are built from the folder's configurations, or from
what the shapes of a single file imply, and filled with its weights.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, AutoencoderTiny, UNet2DConditionModel
from torch import Tensor, nn
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

from engine.errors import ModelUnavailable
from engine.models import original_layout as original
from engine.models.catalogue import Family, ModelInfo
from engine.models.families import OnLoad, Place
from engine.models.families.clip_text import ClipText, check_vocabulary_size, load_tokenizer
from engine.models.families.ip_adapter import StyleAdapter, style_adapter
from engine.models.families.noise import ORIGINAL_NOISE, Noise, noise_from
from engine.models.families.weights import (
    Meter,
    Weights,
    build,
    fill,
    with_new_attention_names,
    with_text_names,
)
from engine.models.files import (
    Header,
    component_weights,
    components_of,
    model_index,
    read_header,
    read_json,
)
from engine.models.original_layout import Origin


@dataclass(frozen=True, slots=True)
class Parts:
    """The networks of a checkpoint and the noise it was trained with."""

    unet: UNet2DConditionModel
    vae: AutoencoderKL
    text: tuple[ClipText, ...]
    noise: Noise
    tiny_vae: AutoencoderTiny | None = None
    adapter: StyleAdapter | None = None

    def networks(self) -> dict[str, nn.Module]:
        """All networks by their names in a diffusers folder."""
        texts = {_numbered("text_encoder", i): text.network for i, text in enumerate(self.text)}
        return {"unet": self.unet, "vae": self.vae, **texts}


def read_parts(info: ModelInfo, files: Path, place: Place, on_progress: OnLoad) -> Parts:
    """Read a checkpoint of SD1, SD2 or SDXL.

    Raises:
        ModelUnavailable: the files are missing, broken or of another family.
        UnsafeCheckpoint: they would run code.
    """
    reader = SingleFile if files.is_file() else Folder
    return reader(info, files, place, on_progress).parts()


def _numbered(component: str, index: int) -> str:
    return component if index == 0 else f"{component}_{index + 1}"


class Folder:
    """Reads a diffusers folder."""

    def __init__(self, info: ModelInfo, folder: Path, place: Place, on_progress: OnLoad) -> None:
        self._info = info
        self._folder = folder
        self._place = place
        self._texts = 2 if info.family is Family.SDXL else 1
        components = components_of(info.family)
        self._index = model_index(info.name, folder, components)
        networks = components[: 2 + self._texts]
        self._files = {part: component_weights(info.name, folder / part) for part in networks}
        total = sum(file.stat().st_size for files in self._files.values() for file in files)
        self._weights = Weights(info.name, place.device, Meter(total, on_progress))

    def parts(self) -> Parts:
        """Build and fill all networks."""
        if self._texts == 1 and "text_encoder_2" in self._index:
            raise ModelUnavailable(self._info.name, 'it is an SDXL model: set family = "sdxl"')
        name = self._info.name
        unet = build_unet(name, self._config("unet"))
        vae = build_vae(name, self._config("vae"))
        check_unet(name, unet, vae)
        vae_dtype = vae_dtype_of(self._info, vae, self._place)
        vae_tensors = self._weights.read(self._files["vae"], vae_dtype)
        fill(name, "VAE", vae, with_new_attention_names(vae_tensors))
        fill(name, "unet", unet, self._tensors("unet"))
        return Parts(
            unet=on_device(unet, self._place),
            vae=vae,
            text=tuple(self._text(index) for index in range(self._texts)),
            noise=noise_from(
                name, read_json(name, self._folder / "scheduler/scheduler_config.json")
            ),
            tiny_vae=tiny_vae(self._info, self._place),
            adapter=style_adapter(self._info, unet, self._place),
        )

    def _text(self, index: int) -> ClipText:
        name, component = self._info.name, _numbered("text_encoder", index)
        config = self._config(component)
        network = build_text(name, config, is_projected=index == 1)
        fill(name, component, network, with_text_names(self._tensors(component), network))
        tokenizer = load_tokenizer(name, self._folder / _numbered("tokenizer", index))
        check_vocabulary_size(name, tokenizer, network)
        return ClipText(tokenizer, network, is_penultimate=self._texts == 2)

    def _config(self, component: str) -> dict[str, Any]:
        return read_json(self._info.name, self._folder / component / "config.json")

    def _tensors(self, component: str) -> dict[str, Tensor]:
        return self._weights.read(self._files[component], self._place.dtype)


class SingleFile:
    """Reads one file of the original layout."""

    def __init__(self, info: ModelInfo, file: Path, place: Place, on_progress: OnLoad) -> None:
        self._info = info
        self._file = file
        self._place = place
        self._header: Header = read_header(info.name, file)
        self._weights = Weights(info.name, place.device, Meter(file.stat().st_size, on_progress))
        original.check_family(info, file, self._header)

    def parts(self) -> Parts:
        """Build and fill all networks."""
        name, family = self._info.name, self._info.family
        try:
            unet = build_unet(name, original.unet_config(name, self._header, family))
            vae = build_vae(name, original.vae_config(self._header, family))
            check_unet(name, unet, vae)
            texts = self._texts()
        except KeyError as error:
            raise ModelUnavailable(name, f"{self._file.name} lacks {error}") from error
        except (IndexError, ValueError) as error:
            raise ModelUnavailable(name, f"{self._file.name} has odd shapes: {error}") from error
        self._fill("unet", unet, self._unet_origins(unet), self._place.dtype)
        levels = len(vae.config.block_out_channels)
        vae_origins = {key: original.vae_origin(key, levels) for key in vae.state_dict()}
        self._fill("VAE", vae, vae_origins, vae_dtype_of(self._info, vae, self._place))
        return Parts(
            unet=on_device(unet, self._place),
            vae=vae,
            text=texts,
            noise=noise_from(name, self._noise_config()),
            tiny_vae=tiny_vae(self._info, self._place),
            adapter=style_adapter(self._info, unet, self._place),
        )

    def _unet_origins(self, unet: UNet2DConditionModel) -> dict[str, Origin]:
        return {
            key: Origin(original.UNET + original_name)
            for key, original_name in original_names(unet).items()
        }

    def _texts(self) -> tuple[ClipText, ...]:
        match self._info.family:
            case Family.SD1:
                return (self._clip(),)
            case Family.SD2:
                return (self._open_clip(is_projected=False),)
            case _:
                return (self._clip(), self._open_clip(is_projected=True))

    def _clip(self) -> ClipText:
        prefix = original.clip_prefix(self._header, self._info.family)
        config = original.clip_config(self._header, prefix)
        network = build_text(self._info.name, config, is_projected=False)
        origins = {
            key: Origin(prefix + key.removeprefix("text_model.")) for key in network.state_dict()
        }
        self._fill("text encoder", network, origins, self._place.dtype)
        is_penultimate = self._info.family is Family.SDXL
        return ClipText(self._tokenizer(network), network, is_penultimate=is_penultimate)

    def _open_clip(self, *, is_projected: bool) -> ClipText:
        prefix = original.OPEN_CLIP[self._info.family]
        config = original.open_clip_config(self._header, prefix, drop_last_layer=not is_projected)
        network = build_text(self._info.name, config, is_projected=is_projected)
        origins = {key: original.open_clip_origin(key, prefix) for key in network.state_dict()}
        self._fill("text encoder", network, origins, self._place.dtype)
        tokenizer = self._tokenizer(network)
        # These two were trained with "!" (number 0) behind the end mark.
        tokenizer.pad_token = tokenizer.convert_ids_to_tokens(0)
        return ClipText(tokenizer, network, is_penultimate=is_projected)

    def _tokenizer(self, network: nn.Module) -> Any:
        tokenizer = load_tokenizer(self._info.name, Path(self._info.tokenizer))
        check_vocabulary_size(self._info.name, tokenizer, network)
        return tokenizer

    def _noise_config(self) -> Mapping[str, Any]:
        # Two empty tensors by which trainers mark their files.
        predicts_v = self._info.prediction == "v" or (
            not self._info.prediction
            and ("v_pred" in self._header or self._info.family is Family.SD2)
        )
        return {
            **ORIGINAL_NOISE,
            **({"timestep_spacing": self._info.spacing} if self._info.spacing else {}),
            "prediction_type": "v_prediction" if predicts_v else "epsilon",
            "rescale_betas_zero_snr": "ztsnr" in self._header,
        }

    def _fill(
        self, what: str, network: nn.Module, origins: Mapping[str, Origin], dtype: torch.dtype
    ) -> None:
        tensors = self._weights.pick(self._file, origins, dtype)
        fill(self._info.name, what, network, tensors)


def original_names(unet: UNet2DConditionModel) -> dict[str, str]:
    """Each weight of a denoiser under its name in the original layout, without prefix."""
    config = unet.config
    up_attention = ["CrossAttn" in kind for kind in config.up_block_types]
    return {
        key: original.unet_key(key, int(config.layers_per_block), up_attention)
        for key in unet.state_dict()
    }


def build_unet(name: str, config: Mapping[str, Any]) -> UNet2DConditionModel:
    """An empty denoiser."""
    return build(name, "unet", lambda: UNet2DConditionModel.from_config(dict(config)))


def build_vae(name: str, config: Mapping[str, Any]) -> AutoencoderKL:
    """An empty VAE."""
    return build(name, "VAE", lambda: AutoencoderKL.from_config(dict(config)))


def build_text(name: str, config: Mapping[str, Any], *, is_projected: bool) -> nn.Module:
    """An empty CLIP text encoder, with SDXL's second one's projection or without."""
    kind = CLIPTextModelWithProjection if is_projected else CLIPTextModel
    network: nn.Module = build(
        name, "text encoder", lambda: kind(CLIPTextConfig.from_dict(dict(config)))
    )
    return network


def check_unet(name: str, unet: UNet2DConditionModel, vae: AutoencoderKL) -> None:
    """See that the denoiser belongs to the VAE, and is told no more than the time and the text.

    Raises:
        ModelUnavailable: it is an inpainting, a guidance-distilled or another special model.
    """
    channels, latents = int(unet.config.in_channels), int(vae.config.latent_channels)
    if channels != latents:
        raise ModelUnavailable(
            name,
            f"its denoiser takes {channels} channels, not {latents}: "
            "it is an inpainting or other special model, choose the plain one",
        )
    if unet.config.time_cond_proj_dim:
        raise ModelUnavailable(
            name,
            "its denoiser must be told the guidance scale (a whole LCM), which is not done here: "
            "use the LCM-LoRA with the plain model, or a checkpoint into which it is merged",
        )


def vae_dtype_of(info: ModelInfo, vae: AutoencoderKL, place: Place) -> torch.dtype:
    """SDXL's VAE overflows in half precision unless it was mended and says so."""
    if info.family is Family.SDXL and vae.config.force_upcast:
        return torch.float32
    return place.dtype


def on_device(unet: UNet2DConditionModel, place: Place) -> UNet2DConditionModel:
    """The denoiser in the memory layout that suits the device."""
    if place.device.type == "cuda":
        unet.to(memory_format=torch.channels_last)
    return unet


def tiny_vae(info: ModelInfo, place: Place) -> AutoencoderTiny | None:
    """The small decoder for previews, if the catalogue names one."""
    if not info.tiny_vae:
        return None
    folder = Path(info.tiny_vae)
    config = read_json(info.name, folder / "config.json")
    network = build(info.name, "tiny VAE", lambda: AutoencoderTiny.from_config(config))
    weights = Weights(info.name, place.device, Meter(0, lambda _: None))
    files = component_weights(info.name, folder)
    fill(info.name, "tiny VAE", network, weights.read(files, place.dtype))
    return network
