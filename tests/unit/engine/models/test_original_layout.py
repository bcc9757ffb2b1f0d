"""The shapes of the published checkpoints tell their published configurations.

Networks of the real sizes are built without memory, their weights named as in single files, and
the configuration is read back from names and shapes alone.
"""

import pytest
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModelWithProjection

from engine.errors import ModelUnavailable
from engine.models import original_layout as original
from engine.models.catalogue import Family
from engine.models.files import TensorEntry

CROSS, PLAIN = "CrossAttnDownBlock2D", "DownBlock2D"
PUBLISHED = {
    Family.SD1: {
        "block_out_channels": (320, 640, 1280, 1280),
        "down_block_types": (CROSS, CROSS, CROSS, PLAIN),
        "cross_attention_dim": 768,
        "attention_head_dim": 8,
    },
    Family.SD2: {
        "block_out_channels": (320, 640, 1280, 1280),
        "down_block_types": (CROSS, CROSS, CROSS, PLAIN),
        "cross_attention_dim": 1024,
        "attention_head_dim": (5, 10, 20, 20),
        "use_linear_projection": True,
        "upcast_attention": True,
    },
    Family.SDXL: {
        "block_out_channels": (320, 640, 1280),
        "down_block_types": (PLAIN, CROSS, CROSS),
        "cross_attention_dim": 2048,
        "attention_head_dim": (5, 10, 20),
        "use_linear_projection": True,
        "transformer_layers_per_block": (1, 2, 10),
        "addition_embed_type": "text_time",
        "addition_time_embed_dim": 256,
        "projection_class_embeddings_input_dim": 2816,
    },
}
PARAMETERS = {Family.SD1: 859_520_964, Family.SD2: 865_910_724, Family.SDXL: 2_567_463_684}


def built(config):
    mirrored = tuple(kind.replace("Down", "Up") for kind in reversed(config["down_block_types"]))
    with torch.device("meta"):
        return UNet2DConditionModel(up_block_types=mirrored, layers_per_block=2, **config)


def header_of(tensors):
    return {key: TensorEntry("F16", tuple(t.shape), 2 * t.numel()) for key, t in tensors.items()}


@pytest.fixture(scope="module", params=PUBLISHED)
def family(request):
    return request.param


@pytest.fixture(scope="module")
def unet(family):
    return built(PUBLISHED[family])


@pytest.fixture(scope="module")
def header(family, unet):
    up_attention = ["CrossAttn" in kind for kind in unet.config.up_block_types]
    named = {
        original.UNET + original.unet_key(key, 2, up_attention): value
        for key, value in unet.state_dict().items()
    }
    if family is Family.SDXL:
        named[original.OPEN_CLIP[family] + "text_projection"] = torch.empty(
            1280, 1280, device="meta"
        )
    return header_of(named)


def test_every_weight_has_a_name_of_its_own(family, unet, header):
    assert sum(parameter.numel() for parameter in unet.parameters()) == PARAMETERS[family]
    extra = family is Family.SDXL  # the projection of the text
    assert len(header) == len(unet.state_dict()) + extra


def test_the_configuration_of_the_denoiser_is_read_from_its_shapes(family, unet, header):
    found = original.unet_config("x", header, family)
    with torch.device("meta"):
        again = UNet2DConditionModel.from_config(found)
    shapes = {key: value.shape for key, value in unet.state_dict().items()}
    assert {key: value.shape for key, value in again.state_dict().items()} == shapes
    heads = [module.heads for module in unet.modules() if hasattr(module, "heads")]
    assert [module.heads for module in again.modules() if hasattr(module, "heads")] == heads
    upcast = PUBLISHED[family].get("upcast_attention", False)
    assert again.config.upcast_attention == upcast


def test_known_names_are_those_of_published_files(family, unet):
    """Spelled out from the files that are in circulation."""
    up_attention = ["CrossAttn" in kind for kind in unet.config.up_block_types]
    ours = {
        "conv_in.weight": "input_blocks.0.0.weight",
        "time_embedding.linear_2.bias": "time_embed.2.bias",
        "mid_block.resnets.1.conv2.weight": "middle_block.2.out_layers.3.weight",
        "mid_block.attentions.0.proj_in.weight": "middle_block.1.proj_in.weight",
        "down_blocks.1.resnets.0.conv_shortcut.weight": "input_blocks.4.0.skip_connection.weight",
        "down_blocks.0.downsamplers.0.conv.bias": "input_blocks.3.0.op.bias",
        "conv_norm_out.weight": "out.0.weight",
    }
    if family is Family.SDXL:
        ours["up_blocks.0.upsamplers.0.conv.weight"] = "output_blocks.2.2.conv.weight"
        ours["up_blocks.1.attentions.2.norm.weight"] = "output_blocks.5.1.norm.weight"
        ours["add_embedding.linear_1.weight"] = "label_emb.0.0.weight"
    else:
        ours["up_blocks.0.upsamplers.0.conv.weight"] = "output_blocks.2.1.conv.weight"
        ours["up_blocks.1.upsamplers.0.conv.weight"] = "output_blocks.5.2.conv.weight"
        ours["up_blocks.3.attentions.2.norm.weight"] = "output_blocks.11.1.norm.weight"
    for key, name in ours.items():
        assert key in unet.state_dict()
        assert original.unet_key(key, 2, up_attention) == name


def test_the_vae_of_all_versions_is_read_from_its_shapes():
    with torch.device("meta"):
        vae = AutoencoderKL(
            block_out_channels=(128, 256, 512, 512),
            down_block_types=("DownEncoderBlock2D",) * 4,
            up_block_types=("UpDecoderBlock2D",) * 4,
            layers_per_block=2,
            latent_channels=4,
        )
    origins = {key: original.vae_origin(key, 4) for key in vae.state_dict()}
    assert len({origin.key for origin in origins.values()}) == len(origins)
    header = header_of({origins[key].key: value for key, value in vae.state_dict().items()})
    found = original.vae_config(header, Family.SDXL)
    assert found["block_out_channels"] == [128, 256, 512, 512]
    assert (found["layers_per_block"], found["latent_channels"]) == (2, 4)
    assert (found["scaling_factor"], found["force_upcast"]) == (0.13025, True)
    assert original.vae_config(header, Family.SD1)["scaling_factor"] == 0.18215
    up = origins["decoder.up_blocks.0.upsamplers.0.conv.weight"]
    assert up.key == "first_stage_model.decoder.up.3.upsample.conv.weight"
    query = origins["encoder.mid_block.attentions.0.to_q.weight"]
    assert query == original.Origin(
        "first_stage_model.encoder.mid.attn_1.q.weight", original.Change.FLATTEN
    )


def test_the_large_text_encoder_of_sdxl_is_read_from_its_shapes():
    config = CLIPTextConfig(
        vocab_size=49408,
        hidden_size=1280,
        intermediate_size=5120,
        num_hidden_layers=32,
        num_attention_heads=20,
        projection_dim=1280,
        hidden_act="gelu",
    )
    with torch.device("meta"):
        encoder = CLIPTextModelWithProjection(config)
    prefix = original.OPEN_CLIP[Family.SDXL]
    named = {}
    for key, value in encoder.state_dict().items():
        origin = original.open_clip_origin(key, prefix)
        is_third = origin.change in (
            original.Change.FIRST_THIRD,
            original.Change.SECOND_THIRD,
            original.Change.LAST_THIRD,
        )
        shape = (3 * value.shape[0], *value.shape[1:]) if is_third else value.shape
        named[origin.key] = torch.empty(shape, device="meta")
    found = original.open_clip_config(header_of(named), prefix, drop_last_layer=False)
    assert {key: getattr(config, key) for key in found if key != "eos_token_id"} == {
        key: value for key, value in found.items() if key != "eos_token_id"
    }
    assert f"{prefix}transformer.resblocks.31.attn.in_proj_bias" in named
    assert f"{prefix}positional_embedding" in named


def test_what_is_no_checkpoint_is_refused():
    with pytest.raises(ModelUnavailable, match="no denoiser in it"):
        original.recognise("x", header_of({"a": torch.zeros(1)}))
    with pytest.raises(ModelUnavailable, match="no text encoder known"):
        original.recognise("x", header_of({original.UNET + "a": torch.zeros(1)}))
    with pytest.raises(ModelUnavailable, match="not those of Stable Diffusion"):
        original.unet_config("x", header_of({original.UNET + "a": torch.zeros(1)}), Family.SD1)
