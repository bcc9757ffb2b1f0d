"""LoRAs of every layout change the weights as their paper says, and leave no trace."""

import pytest
import torch
from safetensors.torch import save_file

from engine.calls import NetworkRef
from engine.errors import ModelUnavailable, UnknownModel, UnsafeCheckpoint, Unsupported
from engine.models.catalogue import Family, LoraInfo
from engine.models.families import PRISTINE, Adaptation, Place
from engine.models.families.stable_diffusion import load
from engine.models.inspection import lora_problems
from engine.pipelines import imagine
from engine.requests import LoraReference

LAYER = "down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q"
RANK, ALPHA = 3, 6.0


@pytest.fixture
def model(checkpoints, info_of):
    info, place = info_of("sd1", "sd1"), Place(torch.device("cpu"), torch.float32)
    with torch.no_grad():
        yield load(info, checkpoints / "sd1", place, lambda _: None)


def matrices(width, *, seed=0, outputs=None):
    generator = torch.Generator().manual_seed(seed)
    down = torch.randn(RANK, width, generator=generator)
    return down, torch.randn(outputs or width, RANK, generator=generator)


def weights_of(model):
    networks = model._parts.networks()
    return {
        f"{name}.{key}": value.clone()
        for name, network in networks.items()
        for key, value in network.state_dict().items()
    }


DOWN, UP = matrices(32)
WITH_ALPHA = ALPHA / RANK * UP @ DOWN
LAYOUTS = {
    "kohya": (
        {
            f"lora_unet_{LAYER.replace('.', '_')}.lora_down.weight": DOWN,
            f"lora_unet_{LAYER.replace('.', '_')}.lora_up.weight": UP,
            f"lora_unet_{LAYER.replace('.', '_')}.alpha": torch.tensor(ALPHA),
        },
        WITH_ALPHA,
    ),
    "kohya by the original names": (
        {
            "lora_unet_input_blocks_1_1_transformer_blocks_0_attn1_to_q.lora_down.weight": DOWN,
            "lora_unet_input_blocks_1_1_transformer_blocks_0_attn1_to_q.lora_up.weight": UP,
            "lora_unet_input_blocks_1_1_transformer_blocks_0_attn1_to_q.alpha": torch.tensor(ALPHA),
        },
        WITH_ALPHA,
    ),
    "peft": (
        {f"unet.{LAYER}.lora_A.weight": DOWN, f"unet.{LAYER}.lora_B.weight": UP},
        UP @ DOWN,
    ),
    "early diffusers": (
        {
            f"unet.{LAYER.replace('.to_q', '.processor.to_q_lora')}.down.weight": DOWN,
            f"unet.{LAYER.replace('.to_q', '.processor.to_q_lora')}.up.weight": UP,
        },
        UP @ DOWN,
    ),
    "peft, of a denoiser alone": (
        {
            f"base_model.model.{LAYER}.lora_A.weight": DOWN,
            f"base_model.model.{LAYER}.lora_B.weight": UP,
        },
        UP @ DOWN,
    ),
    "early diffusers, of a denoiser alone": (
        {
            f"{LAYER.replace('.to_q', '.processor.to_q_lora')}.down.weight": DOWN,
            f"{LAYER.replace('.to_q', '.processor.to_q_lora')}.up.weight": UP,
        },
        UP @ DOWN,
    ),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_each_layout_adds_the_product_of_its_matrices(model, tmp_path, layout):
    tensors, product = LAYOUTS[layout]
    save_file(tensors, tmp_path / "lora.safetensors")
    before = weights_of(model)
    model.adapt(Adaptation(((tmp_path / "lora.safetensors", 0.5),)))
    after = weights_of(model)
    changed = {key for key in before if not torch.equal(before[key], after[key])}
    assert changed == {f"unet.{LAYER}.weight"}
    added = after[f"unet.{LAYER}.weight"] - before[f"unet.{LAYER}.weight"]
    torch.testing.assert_close(added, 0.5 * product, atol=1e-5, rtol=1e-5)


def test_the_alpha_that_diffusers_writes_beside_the_weights_counts(model, tmp_path):
    tensors, product = LAYOUTS["peft"]
    settings = f'{{"unet.r": {RANK}, "unet.lora_alpha": {ALPHA}}}'
    save_file(tensors, tmp_path / "lora.safetensors", {"lora_adapter_metadata": settings})
    before = weights_of(model)[f"unet.{LAYER}.weight"]
    model.adapt(Adaptation(((tmp_path / "lora.safetensors", 1.0),)))
    added = weights_of(model)[f"unet.{LAYER}.weight"] - before
    torch.testing.assert_close(added, ALPHA / RANK * product, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    "settings", ["[1]", '["unet.lora_alpha"]', '{"unet.lora_alpha": null}', "no JSON"]
)
def test_what_others_write_there_does_not_count(model, tmp_path, settings):
    tensors, product = LAYOUTS["peft"]
    save_file(tensors, tmp_path / "lora.safetensors", {"lora_adapter_metadata": settings})
    before = weights_of(model)[f"unet.{LAYER}.weight"]
    model.adapt(Adaptation(((tmp_path / "lora.safetensors", 1.0),)))
    added = weights_of(model)[f"unet.{LAYER}.weight"] - before
    torch.testing.assert_close(added, product, atol=1e-5, rtol=1e-5)


def test_convolutions_and_the_text_encoder_are_reached(model, tmp_path):
    generator = torch.Generator().manual_seed(1)
    down, up = matrices(64)
    conv_down = torch.randn(RANK, 32, 3, 3, generator=generator)
    conv_up = torch.randn(32, RANK, 1, 1, generator=generator)
    text = "lora_te_text_model_encoder_layers_1_self_attn_k_proj"
    tensors = {
        f"{text}.lora_down.weight": down,
        f"{text}.lora_up.weight": up,
        "lora_unet_down_blocks_0_resnets_0_conv1.lora_down.weight": conv_down,
        "lora_unet_down_blocks_0_resnets_0_conv1.lora_up.weight": conv_up,
    }
    save_file(tensors, tmp_path / "lora.safetensors")
    before = weights_of(model)
    model.adapt(Adaptation(((tmp_path / "lora.safetensors", 1.0),)))
    after = weights_of(model)
    changed = sorted(key for key in before if not torch.equal(before[key], after[key]))
    assert len(changed) == 2
    added = after["unet.down_blocks.0.resnets.0.conv1.weight"]
    added = added - before["unet.down_blocks.0.resnets.0.conv1.weight"]
    expected = torch.einsum("or,rikl->oikl", conv_up[..., 0, 0], conv_down)
    torch.testing.assert_close(added, expected, atol=1e-4, rtol=1e-5)


def test_weights_are_restored_bit_by_bit_after_many_switches(model, tmp_path):
    files = []
    for seed in range(3):
        down, up = matrices(32, seed=seed)
        tensors = {f"unet.{LAYER}.lora_A.weight": down, f"unet.{LAYER}.lora_B.weight": up}
        files.append(tmp_path / f"{seed}.safetensors")
        save_file(tensors, files[-1])
    before = weights_of(model)
    alone = []
    for file in files:
        model.adapt(Adaptation(((file, 0.7),)))
        alone.append(weights_of(model)[f"unet.{LAYER}.weight"])
    model.adapt(Adaptation(tuple((file, 1.3) for file in files), tile=True))
    model.adapt(Adaptation(((files[0], 0.7),)))
    assert torch.equal(weights_of(model)[f"unet.{LAYER}.weight"], alone[0])
    model.adapt(PRISTINE)
    after = weights_of(model)
    assert all(torch.equal(before[key], after[key]) for key in before)


def test_several_loras_add_up(model, tmp_path):
    products = []
    adaptation = []
    for seed, weight in ((0, 1.0), (1, -0.5)):
        down, up = matrices(32, seed=seed)
        file = tmp_path / f"{seed}.safetensors"
        save_file({f"unet.{LAYER}.lora_A.weight": down, f"unet.{LAYER}.lora_B.weight": up}, file)
        products.append(weight * up @ down)
        adaptation.append((file, weight))
    before = weights_of(model)[f"unet.{LAYER}.weight"]
    model.adapt(Adaptation(tuple(adaptation)))
    added = weights_of(model)[f"unet.{LAYER}.weight"] - before
    torch.testing.assert_close(added, sum(products), atol=1e-5, rtol=1e-5)


REFUSED = {
    "for another family": {
        f"unet.{LAYER}.lora_A.weight": torch.zeros(RANK, 640),
        f"unet.{LAYER}.lora_B.weight": torch.zeros(640, RANK),
    },
    "no layer matches": {
        "transformer.x.lora_A.weight": torch.zeros(RANK, 4),
        "transformer.x.lora_B.weight": torch.zeros(4, RANK),
    },
    "no plain LoRA": {"lora_unet_x.hada_w1_a": torch.zeros(2, 2)},
    "the LoRA lacks": {f"unet.{LAYER}.lora_A.weight": torch.zeros(RANK, 32)},
    "it has no rank": (
        "odd shapes",
        {
            f"unet.{LAYER}.lora_A.weight": torch.zeros(0, 32),
            f"unet.{LAYER}.lora_B.weight": torch.zeros(32, 0),
        },
    ),
    "its matrices are single numbers": (
        "odd shapes",
        {
            f"unet.{LAYER}.lora_A.weight": torch.tensor(1.0),
            f"unet.{LAYER}.lora_B.weight": torch.tensor(1.0),
        },
    ),
    "it has two alphas": (
        "odd shapes",
        LAYOUTS["peft"][0] | {f"unet.{LAYER}.alpha": torch.ones(2)},
    ),
    "its matrices are of different ranks": (
        "another size",
        {
            f"unet.{LAYER}.lora_A.weight": torch.zeros(RANK, 32),
            f"unet.{LAYER}.lora_B.weight": torch.zeros(16, 2 * RANK),
        },
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_does_not_fit_is_refused_and_nothing_is_changed(model, tmp_path, case):
    reason, tensors = REFUSED[case] if isinstance(REFUSED[case], tuple) else (case, REFUSED[case])
    good, bad = tmp_path / "good.safetensors", tmp_path / "bad.safetensors"
    save_file(LAYOUTS["peft"][0], good)
    save_file(tensors, bad)
    pristine = weights_of(model)
    model.adapt(Adaptation(((good, 0.3),)))
    before = weights_of(model)
    with pytest.raises(ModelUnavailable, match=reason):
        model.adapt(Adaptation(((good, 1.0), (bad, 1.0))))
    assert all(torch.equal(before[key], value) for key, value in weights_of(model).items())
    model.adapt(PRISTINE)
    assert all(torch.equal(pristine[key], value) for key, value in weights_of(model).items())


def test_the_doctor_tells_a_lora_of_another_kind_without_loading_it(tmp_path):
    file = tmp_path / "loha.safetensors"
    save_file({"lora_unet_x.hada_w1_a": torch.zeros(1)}, file)
    info = LoraInfo(name="loha", where=str(file), families=frozenset({Family.SD1}))
    [problem] = lora_problems(info)
    assert problem.startswith("it is no plain LoRA (lora_unet_x.hada_w1_a)")
    save_file(LAYOUTS["kohya"][0], file)
    assert lora_problems(info) == []


def test_a_pickled_lora_is_refused(model, tmp_path):
    torch.save({}, tmp_path / "lora.pt")
    with pytest.raises(UnsafeCheckpoint):
        model.adapt(Adaptation(((tmp_path / "lora.pt", 1.0),)))


@pytest.fixture
def ink(tmp_path):
    save_file(LAYOUTS["kohya"][0], tmp_path / "ink.safetensors")
    where = str(tmp_path / "ink.safetensors")
    return LoraInfo(name="ink", where=where, families=frozenset({Family.SD1}))


def test_a_lora_by_name_changes_the_images_of_its_request_alone(
    answers_of, info_of, request_of, ink
):
    answers = answers_of(info_of("sd1", "sd1"), loras=[ink])
    plain, inked = request_of("sd1"), request_of("sd1", loras=(LoraReference("ink", 0.8),))
    (before,) = answers.run(imagine.run(plain))
    together = answers.run(imagine.run(plain), imagine.run(inked))
    (alone,) = answers.run(imagine.run(inked))
    torch.testing.assert_close(together[0], before, atol=1e-4, rtol=0)
    torch.testing.assert_close(together[1], alone, atol=1e-4, rtol=0)
    assert (before - alone).abs().max() > 1e-3


def test_a_lora_for_another_family_or_unknown_is_refused_by_name(shelf_of, info_of, ink):
    shelf = shelf_of(info_of("sdxl", "sdxl"), loras=[ink])
    with pytest.raises(Unsupported, match="the LoRA ink is for sd1"):
        shelf._adapted(NetworkRef("sdxl", (("ink", 1.0),)))
    with pytest.raises(UnknownModel, match="did you mean ink"):
        shelf._adapted(NetworkRef("sdxl", (("inc", 1.0),)))
