"""Small randomly initialised Stable Diffusion checkpoints, in every layout the engine reads.

The networks are of the real classes, with channel counts so chosen that a single file's shapes
determine them: 8 heads for SD1, heads of 64 channels for SDXL and text encoders.
"""

import json
from pathlib import Path

import torch
from diffusers import (
    AutoencoderKL,
    AutoencoderTiny,
    DDIMScheduler,
    EulerDiscreteScheduler,
    StableDiffusionPipeline,
    StableDiffusionXLPipeline,
    UNet2DConditionModel,
)
from safetensors.torch import load_file, save_file
from transformers import (
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTextModelWithProjection,
    CLIPTokenizer,
    CLIPVisionConfig,
    CLIPVisionModelWithProjection,
)

from engine.models import original_layout as original
from engine.models.catalogue import Family
from engine.models.families.weights import with_text_names
from engine.networks.ip_adapter import LinearProjection, Resampler

LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789.,!"
BEGIN, END = "<|startoftext|>", "<|endoftext|>"
_POOLED = 64


def write_tokenizer(folder: Path) -> Path:
    """A CLIP vocabulary of single letters and a few words; "!" is number 0 as in CLIP's own."""
    letters = "!" + LETTERS.replace("!", "")
    merges = [("c", "a"), ("ca", "t</w>"), ("r", "e"), ("re", "d</w>"), ("d", "o"), ("do", "g</w>")]
    tokens = [*letters, *(f"{letter}</w>" for letter in letters), *("".join(m) for m in merges)]
    vocabulary = {token: number for number, token in enumerate([*tokens, BEGIN, END])}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.json").write_text(json.dumps(vocabulary))
    lines = ["#version: 0.2", *(" ".join(merge) for merge in merges)]
    (folder / "merges.txt").write_text("\n".join(lines) + "\n")
    settings = {
        "tokenizer_class": "CLIPTokenizer",
        "model_max_length": 77,
        "bos_token": BEGIN,
        "eos_token": END,
        "unk_token": END,
        "pad_token": END,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    return folder


def _text_config(tokenizer: CLIPTokenizer, activation: str) -> CLIPTextConfig:
    return CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=64,
        intermediate_size=96,
        num_hidden_layers=3,
        num_attention_heads=1,
        max_position_embeddings=77,
        hidden_act=activation,
        projection_dim=_POOLED,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=2,
        pad_token_id=tokenizer.pad_token_id,
    )


def _vae(scaling_factor: float) -> AutoencoderKL:
    return AutoencoderKL(
        block_out_channels=(32, 32, 32, 64),
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        layers_per_block=1,
        latent_channels=4,
        sample_size=64,
        scaling_factor=scaling_factor,
    )


def _shaken(network: torch.nn.Module) -> torch.nn.Module:
    """Give biases and norms values too, so that a forgotten one shows."""
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.ndim == 1:
                parameter.add_(0.1 * torch.randn_like(parameter))
    return network.eval()


def _noise(prediction: str) -> DDIMScheduler:
    return DDIMScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        clip_sample=False,
        set_alpha_to_one=False,
        steps_offset=1,
        prediction_type=prediction,
    )


def write_sd1(folder: Path, *, prediction: str = "epsilon", seed: int = 0) -> Path:
    """A tiny SD1 checkpoint as a diffusers folder."""
    tokenizer = CLIPTokenizer.from_pretrained(str(write_tokenizer(folder / "tokenizer")))
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        unet = UNet2DConditionModel(
            sample_size=8,
            block_out_channels=(32, 64),
            layers_per_block=1,
            down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
            up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
            cross_attention_dim=64,
            attention_head_dim=8,
        )
        pipeline = StableDiffusionPipeline(
            unet=_shaken(unet),
            vae=_shaken(_vae(0.18215)),
            text_encoder=_shaken(CLIPTextModel(_text_config(tokenizer, "quick_gelu"))),
            tokenizer=tokenizer,
            scheduler=_noise(prediction),
            safety_checker=None,
            feature_extractor=None,
            requires_safety_checker=False,
        )
    pipeline.save_pretrained(str(folder))
    return folder


def write_sd2(folder: Path, file: Path, *, seed: int = 0) -> Path:
    """A tiny SD2 checkpoint as a diffusers folder, and the same as a single file.

    The folder's text encoder is one layer short: the last one but one is what SD2 reads.
    """
    write_tokenizer(folder / "tokenizer")
    tokenizer = CLIPTokenizer.from_pretrained(str(folder / "tokenizer"), pad_token="!")
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        unet = UNet2DConditionModel(
            sample_size=8,
            block_out_channels=(64, 128),
            layers_per_block=1,
            down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
            up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
            cross_attention_dim=64,
            attention_head_dim=(1, 2),
            use_linear_projection=True,
        )
        whole = _shaken(CLIPTextModelWithProjection(_text_config(tokenizer, "gelu")))
        config = _text_config(tokenizer, "gelu")
        config.num_hidden_layers -= 1
        text_encoder = CLIPTextModel(config)
        cut = with_text_names(whole.state_dict(), text_encoder)
        text_encoder.load_state_dict({key: cut[key] for key in text_encoder.state_dict()})
        pipeline = StableDiffusionPipeline(
            unet=_shaken(unet),
            vae=_shaken(_vae(0.18215)),
            text_encoder=text_encoder.eval(),
            tokenizer=tokenizer,
            scheduler=_noise("v_prediction"),
            safety_checker=None,
            feature_extractor=None,
            requires_safety_checker=False,
        )
    pipeline.save_pretrained(str(folder))
    tensors = _networks_of(folder)
    tensors |= _as_open_clip(whole.state_dict(), original.OPEN_CLIP[Family.SD2])
    save_file({key: value.clone() for key, value in tensors.items()}, file)
    return folder


def write_sdxl(folder: Path, *, seed: int = 0) -> Path:
    """A tiny SDXL checkpoint as a diffusers folder."""
    tokenizer = CLIPTokenizer.from_pretrained(str(write_tokenizer(folder / "tokenizer")))
    second = CLIPTokenizer.from_pretrained(str(folder / "tokenizer"), pad_token="!")
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        unet = UNet2DConditionModel(
            sample_size=16,
            block_out_channels=(64, 128),
            layers_per_block=1,
            down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
            up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
            transformer_layers_per_block=(1, 2),
            attention_head_dim=(1, 2),
            cross_attention_dim=128,
            use_linear_projection=True,
            addition_embed_type="text_time",
            addition_time_embed_dim=8,
            projection_class_embeddings_input_dim=_POOLED + 6 * 8,
        )
        pipeline = StableDiffusionXLPipeline(
            unet=_shaken(unet),
            vae=_shaken(_vae(0.13025)),
            text_encoder=_shaken(CLIPTextModel(_text_config(tokenizer, "quick_gelu"))),
            text_encoder_2=_shaken(CLIPTextModelWithProjection(_text_config(second, "gelu"))),
            tokenizer=tokenizer,
            tokenizer_2=second,
            scheduler=EulerDiscreteScheduler.from_config(
                _noise("epsilon").config, timestep_spacing="leading"
            ),
            add_watermarker=False,
        )
    pipeline.save_pretrained(str(folder))
    return folder


def write_tiny_vae(folder: Path, *, seed: int = 0) -> Path:
    """A decoder for previews."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = AutoencoderTiny(
            encoder_block_out_channels=(8, 8, 8, 8),
            decoder_block_out_channels=(8, 8, 8, 8),
            num_encoder_blocks=(1, 1, 1, 1),
            num_decoder_blocks=(1, 1, 1, 1),
        )
    network.save_pretrained(str(folder))
    return folder


def write_image_encoder(folder: Path, *, seed: int = 0, projection: int = 24) -> Path:
    """A CLIP image encoder, as a folder of transformers."""
    config = CLIPVisionConfig(
        hidden_size=48,
        intermediate_size=64,
        num_hidden_layers=3,
        num_attention_heads=2,
        image_size=32,
        patch_size=8,
        projection_dim=projection,
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = _shaken(CLIPVisionModelWithProjection(config))
    network.save_pretrained(str(folder))
    return folder


def write_ip_adapter(
    file: Path, unet_folder: Path, *, plus: bool = False, embedding: int = 24, seed: int = 0
) -> Path:
    """An adapter for a denoiser in the published single-file layout, plain or "plus"."""
    unet = UNet2DConditionModel.from_pretrained(str(unet_folder))
    width = unet.config.cross_attention_dim
    attention = [module for name, module in unet.named_modules() if name.endswith("attn2")]
    # As the published trainer numbers them: all attentions in the order of their processors.
    order = [key.removesuffix(".processor") for key in unet.attn_processors]
    crossed = [name for name in order if name.endswith("attn2")]
    assert len(crossed) == len(attention)
    random = torch.Generator().manual_seed(seed)
    tensors = {}
    for name in crossed:
        number = order.index(name)
        shape = unet.get_submodule(name).to_k.weight.shape
        for part in ("to_k_ip", "to_v_ip"):
            weight = 0.2 * torch.randn(shape, generator=random)
            tensors[f"ip_adapter.{number}.{part}.weight"] = weight
    if plus:
        projection = Resampler(48, 5, width, channels=64, heads=2, depth=4)
    else:
        projection = LinearProjection(embedding, 4, width)
    for key, value in projection.state_dict().items():
        noise = torch.randn(value.shape, generator=random)
        tensors[f"image_proj.{key}"] = 0.3 * noise + (1.0 if "norm" in key else 0.0)
    file.parent.mkdir(parents=True, exist_ok=True)
    save_file(tensors, file)
    return file


def write_single_file(folder: Path, file: Path, *, second: bool = False) -> Path:
    """A diffusers folder again, as one file of the original layout; `second`: it is SDXL."""
    parts = {
        name: load_file(next((folder / name).glob("*.safetensors")))
        for name in ("text_encoder", *(["text_encoder_2"] if second else []))
    }
    tensors = _networks_of(folder)
    prefix = original.CLIP[Family.SDXL if second else Family.SD1]
    for key, value in parts["text_encoder"].items():
        # transformers 5 writes without the level that all published files have.
        tensors[f"{prefix}text_model.{key.removeprefix('text_model.')}"] = value
    if second:
        tensors |= _as_open_clip(parts["text_encoder_2"], original.OPEN_CLIP[Family.SDXL])
    file.parent.mkdir(parents=True, exist_ok=True)
    save_file({key: value.clone() for key, value in tensors.items()}, file)
    return file


def _networks_of(folder: Path) -> dict[str, torch.Tensor]:
    """The weights of a diffusers folder's denoiser and VAE under their original names."""
    unet = UNet2DConditionModel.from_pretrained(str(folder / "unet"))
    up_attention = ["CrossAttn" in kind for kind in unet.config.up_block_types]
    tensors = {
        original.UNET + original.unet_key(key, unet.config.layers_per_block, up_attention): value
        for key, value in unet.state_dict().items()
    }
    for key, value in load_file(next((folder / "vae").glob("*.safetensors"))).items():
        origin = original.vae_origin(key, levels=4)
        is_flat = origin.change is original.Change.FLATTEN
        tensors[origin.key] = value[..., None, None] if is_flat else value
    return tensors


def _as_open_clip(weights: dict[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    """The weights of a projected CLIP text encoder under OpenCLIP's names."""
    thirds: dict[str, dict[original.Change, torch.Tensor]] = {}
    tensors = {}
    for key, value in weights.items():
        origin = original.open_clip_origin(key, prefix)
        if origin.change in (original.Change.NONE, original.Change.TRANSPOSE):
            tensors[origin.key] = value if origin.change is original.Change.NONE else value.T
        else:
            thirds.setdefault(origin.key, {})[origin.change] = value
    order = (original.Change.FIRST_THIRD, original.Change.SECOND_THIRD, original.Change.LAST_THIRD)
    joined = {key: torch.cat([parts[third] for third in order]) for key, parts in thirds.items()}
    return {key: value.contiguous() for key, value in (tensors | joined).items()}
