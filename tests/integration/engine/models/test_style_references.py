"""Drawing in the look of a picture through an adapter, against diffusers' own, and its files."""

import io
from dataclasses import replace

import diffusers
import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from bot.studio.contract import Caller, Destination, JobState
from bot.studio.opening import open_studio
from engine.calls import EncodeReference, Facts, NetworkRef, Restyle, StyleTokens
from engine.config import EngineConfig
from engine.errors import ModelUnavailable, UnsafeCheckpoint
from engine.host import open_engine
from engine.media.png import encode_png
from engine.models.catalogue import Family, open_catalogue
from engine.models.families import Place
from engine.models.inspection import problems
from engine.models.shelf import loader_of
from engine.pipelines import imagine, stylize
from engine.requests import Sampler, Span, StyleMethod, StyleReference, Stylize
from tests import tiny_checkpoints

pytestmark = [
    # diffusers' own, under NumPy 2; transformers' own, without torchvision
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.*torchvision"),
]

PIPELINES = {
    Family.SD1: diffusers.StableDiffusionPipeline,
    Family.SDXL: diffusers.StableDiffusionXLPipeline,
}
WEIGHT = 100  # of `--sw`
SCALE = 100 / 150
FAMILIES = [("sd1", Family.SD1), ("sdxl", Family.SDXL)]


def a_picture(seed, size=(75, 52)):
    numbers = np.random.default_rng(seed)
    small = Image.fromarray(numbers.integers(0, 256, (5, 5, 3), dtype=np.uint8))
    return small.resize(size, Image.Resampling.BICUBIC)


def a_reference(seed, **fields):
    return StyleReference(image=encode_png(a_picture(seed)), **fields)


@pytest.fixture(scope="session")
def adapters(checkpoints):
    """`encoder`, and for `sd1` and `sdxl` a plain and a plus adapter."""
    folder = checkpoints / "adapters"
    tiny_checkpoints.write_image_encoder(folder / "encoder")
    for name in ("sd1", "sdxl"):
        for kind in ("plain", "plus"):
            file = folder / f"{name}-{kind}.safetensors"
            tiny_checkpoints.write_ip_adapter(
                file, checkpoints / name / "unet", plus=kind == "plus"
            )
    return folder


@pytest.fixture
def styled(info_of, adapters):
    """Make the entry of a checkpoint that has an adapter."""

    def make(name, family, kind="plain", **fields):
        wanted = {
            "ip_adapter": str(adapters / f"{name}-{kind}.safetensors"),
            "image_encoder": str(adapters / "encoder"),
        }
        return info_of(name, family, **(wanted | fields))

    return make


def by_diffusers(checkpoints, adapters, name, family, kind, picture):
    pipe = PIPELINES[family].from_pretrained(str(checkpoints / name), local_files_only=True)
    pipe.set_progress_bar_config(disable=True)
    pipe.load_ip_adapter(
        str(adapters),
        subfolder="",
        weight_name=f"{name}-{kind}.safetensors",
        image_encoder_folder="encoder",
        local_files_only=True,
    )
    pipe.set_ip_adapter_scale(SCALE)
    pipe.scheduler = diffusers.EulerDiscreteScheduler.from_config(pipe.scheduler.config)
    generators = [torch.Generator().manual_seed(7 + i) for i in range(2)]
    latents = torch.stack([torch.randn((4, 8, 8), generator=g) for g in generators])
    return pipe(
        "a red cat",
        negative_prompt="dog, blue",
        ip_adapter_image=picture,
        width=64,
        height=64,
        num_inference_steps=4,
        guidance_scale=5.0,
        num_images_per_prompt=2,
        latents=latents,
        output_type="pt",
    ).images


@pytest.mark.parametrize("kind", ["plain", "plus"])
@pytest.mark.parametrize(("name", "family"), FAMILIES)
def test_it_draws_the_images_of_the_diffusers_pipeline(
    checkpoints, adapters, answers_of, styled, request_of, name, family, kind
):
    theirs = by_diffusers(checkpoints, adapters, name, family, kind, a_picture(1))
    answers = answers_of(styled(name, family, kind))
    request = request_of(name, sampler=Sampler.EULER)
    (without,) = answers.run(imagine.run(request))
    request = replace(request, style_references=(a_reference(1),), style_weight=WEIGHT)
    (ours,) = answers.run(imagine.run(request))
    assert (ours - without).abs().max() > 0.02, "the style changes nothing"
    torch.testing.assert_close(ours, theirs, atol=1e-3, rtol=0)


@pytest.mark.parametrize("kind", ["plain", "plus"])
@pytest.mark.parametrize(("name", "family"), FAMILIES)
def test_strangers_of_other_styles_and_none_share_a_pass_and_change_nothing(
    answers_of, styled, request_of, name, family, kind
):
    answers = answers_of(styled(name, family, kind))
    base = request_of(name)
    requests = [
        replace(base, style_references=(a_reference(1),)),
        replace(base, seed=50, style_references=(a_reference(2),), style_weight=500),
        replace(base, seed=60),
        replace(
            base, seed=70, style_references=(a_reference(3), a_reference(1, weight=0.3)), chaos=40
        ),
        replace(base, seed=80, guidance_scale=1.0, style_references=(a_reference(2),)),
    ]
    alone = [answers.run(imagine.run(request))[0] for request in requests]
    together = answers.run(*(imagine.run(request) for request in requests))
    for one, other in zip(alone, together, strict=True):
        torch.testing.assert_close(other, one, atol=1e-4, rtol=0)


def test_a_style_without_weight_and_one_that_is_not_given_draw_the_same(
    answers_of, styled, info_of, request_of
):
    request = request_of("sd1")
    (plain,) = answers_of(info_of("sd1", Family.SD1)).run(imagine.run(request))
    weightless = replace(request, style_references=(a_reference(1),), style_weight=0)
    ours = answers_of(styled("sd1", Family.SD1)).run(imagine.run(weightless), imagine.run(request))
    for images in ours:  # another size of batch may round differently
        torch.testing.assert_close(images, plain, atol=1e-4, rtol=0)


def test_more_weight_leads_further_from_the_words_alone(answers_of, styled, request_of):
    answers = answers_of(styled("sd1", Family.SD1))
    request = replace(request_of("sd1"), style_references=(a_reference(1),))
    images = [
        answers.run(imagine.run(replace(request, style_weight=weight)))[0]
        for weight in (0, 20, 100, 1000)
    ]
    distances = [(image - images[0]).abs().mean() for image in images]
    assert distances == sorted(distances)
    assert distances[1] > 0


def test_the_paintings_that_ship_are_shown_to_the_model_too(answers_of, styled, request_of):
    answers = answers_of(styled("sd1", Family.SD1))
    request = request_of("sd1")
    wave, night = (
        answers.run(imagine.run(replace(request, style_references=(StyleReference(preset=name),))))[
            0
        ]
        for name in ("great-wave", "starry-night")
    )
    assert (wave - night).abs().max() > 0.01


def test_a_picture_is_encoded_once_however_often_it_is_asked_for(shelf_of, styled, monkeypatch):
    shelf = shelf_of(styled("sd1", Family.SD1, "plus"))
    network = NetworkRef("sd1")
    shelf.execute([Facts(network)])
    encoder = shelf._models["sd1"]._parts.adapter._encoder
    passes = []
    encoder.register_forward_hook(lambda *_: passes.append(1))
    pixels = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    (first,) = shelf.execute([EncodeReference(network, pixels)])
    assert first.shape == (2, 2, 5, 64)
    assert len(passes) == 3  # two pictures, and none at all
    (again, swapped) = shelf.execute(
        [EncodeReference(network, pixels), EncodeReference(network, pixels.flip(0))]
    )
    assert len(passes) == 3
    assert torch.equal(again, first)
    assert torch.equal(swapped, first.flip(0))


def test_the_diffusion_method_of_a_restyle_is_shown_the_style(answers_of, styled, shelf_of):
    answers = answers_of(styled("sd1", Family.SD1))
    request = Stylize(
        content=encode_png(a_picture(9, (64, 64))),
        styles=(a_reference(1),),
        method=StyleMethod.DIFFUSION,
        model="sd1",
    )
    calls = []
    execute = answers.shelf.execute
    answers.shelf.execute = lambda batch: calls.extend(batch) or execute(batch)
    (wave,) = answers.run(stylize.run(request))
    (other,) = answers.run(stylize.run(replace(request, styles=(a_reference(2),))))
    assert (wave - other).abs().max() > 0.01
    assert sum(isinstance(call, EncodeReference) for call in calls) == 2
    assert not any(isinstance(call, Restyle) for call in calls), "it needs no second way"


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("kind", ["plain", "plus"])
@pytest.mark.parametrize(("name", "family"), FAMILIES)
def test_half_precision_answers_nearly_the_same(checkpoints, styled, name, family, kind, dtype):
    info = styled(name, family, kind)
    pixels = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    x = 3 * torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(1))
    answers = []
    with torch.no_grad():
        for precision in (torch.float32, dtype):
            place = Place(torch.device("cpu"), precision)
            model = loader_of(family)(info, checkpoints / name, place, lambda _: None)
            text = model.encode_text(((Span("a cat"),), (Span(""),)), 64, 64)
            tokens = model.encode_reference(pixels)[:, 0]
            style = StyleTokens(tokens, torch.tensor([0.7, 0.0]))
            sigma = torch.tensor([3.0, 3.0])
            answers.append((tokens, model.denoise(x, sigma, replace(text, style=style))))
    for exact, near in zip(*answers, strict=True):
        assert near.dtype is torch.float32
        assert (near - exact).square().mean().sqrt() < 0.1 * exact.std()


@pytest.mark.parametrize("kind", ["plain", "plus"])
def test_an_adapter_counts_as_memory(shelf_of, styled, info_of, kind):
    plain, with_adapter = (
        shelf_of(info_of("sd1", Family.SD1)),
        shelf_of(styled("sd1", Family.SD1, kind)),
    )
    for shelf in (plain, with_adapter):
        shelf.execute([Facts(NetworkRef("sd1"))])
    assert with_adapter.kept()[0] > plain.kept()[0]


class TestFiles:
    """What is wrong with an adapter's files is said."""

    @pytest.fixture
    def loaded(self, shelf_of, styled):
        def load(**fields):
            name = fields.pop("name", "sd1")
            family = Family.SDXL if name == "sdxl" else Family.SD1
            return shelf_of(styled(name, family, **fields)).execute([Facts(NetworkRef(name))])

        return load

    @pytest.fixture
    def changed(self, adapters, tmp_path):
        """Write an adapter again, changed."""

        def write(change, source="sd1-plain"):
            tensors = load_file(adapters / f"{source}.safetensors")
            change(tensors)
            save_file(tensors, tmp_path / "changed.safetensors")
            return str(tmp_path / "changed.safetensors")

        return write

    def test_one_that_is_cut_short(self, loaded, adapters, tmp_path):
        data = (adapters / "sd1-plain.safetensors").read_bytes()
        (tmp_path / "cut.safetensors").write_bytes(data[: len(data) // 2])
        with pytest.raises(ModelUnavailable, match="fetch it again"):
            loaded(ip_adapter=str(tmp_path / "cut.safetensors"))

    def test_one_of_another_family(self, loaded, adapters):
        with pytest.raises(ModelUnavailable, match="another family: its tokens have the width 128"):
            loaded(ip_adapter=str(adapters / "sdxl-plain.safetensors"))

    @pytest.mark.parametrize("kind", ["plain", "plus"])
    def test_one_with_too_few_layers(self, loaded, changed, kind):
        file = changed(lambda t: t.pop("ip_adapter.3.to_k_ip.weight"), f"sd1-{kind}")
        with pytest.raises(ModelUnavailable, match="another family"):
            loaded(ip_adapter=file)

    def test_one_for_faces(self, loaded, changed):
        def rename(tensors):
            tensors["image_proj.proj.0.weight"] = tensors.pop("image_proj.proj.weight")

        with pytest.raises(ModelUnavailable, match="no IP-Adapter of the kinds read here"):
            loaded(ip_adapter=changed(rename))

    def test_one_that_lacks_a_weight(self, loaded, changed):
        file = changed(lambda t: t.pop("image_proj.norm.bias"))
        with pytest.raises(ModelUnavailable, match=r"missing, such as norm\.bias"):
            loaded(ip_adapter=file)

    def test_one_with_a_weight_of_no_sense(self, loaded, changed):
        def shrink(tensors):
            tensors["image_proj.layers.0.0.to_q.weight"] = torch.zeros(3, 3)

        with pytest.raises(ModelUnavailable, match="fit"):
            loaded(ip_adapter=changed(shrink, "sd1-plus"))

    def test_a_checkpoint_in_its_place(self, loaded, checkpoints):
        with pytest.raises(ModelUnavailable, match="no IP-Adapter"):
            loaded(ip_adapter=str(checkpoints / "sd1-file.safetensors"))

    def test_an_encoder_it_was_not_trained_with(self, loaded, tmp_path):
        tiny_checkpoints.write_image_encoder(tmp_path / "wide", projection=40)
        with pytest.raises(ModelUnavailable, match="wants an image encoder of width 24"):
            loaded(image_encoder=str(tmp_path / "wide"))

    def test_an_encoder_of_text(self, loaded, checkpoints):
        with pytest.raises(ModelUnavailable, match="holds no CLIP image encoder"):
            loaded(image_encoder=str(checkpoints / "sd1" / "text_encoder"))

    def test_pickles(self, loaded, tmp_path, adapters):
        (tmp_path / "ip-adapter.bin").write_bytes(b"x")
        with pytest.raises(UnsafeCheckpoint, match="pickle"):
            loaded(ip_adapter=str(tmp_path / "ip-adapter.bin"))
        folder = tmp_path / "encoder"
        folder.mkdir()
        (folder / "config.json").write_text('{"model_type": "clip_vision_model"}')
        (folder / "pytorch_model.bin").write_bytes(b"x")
        with pytest.raises(UnsafeCheckpoint, match="pickle"):
            loaded(image_encoder=str(folder))

    def test_files_that_are_not_there(self, loaded, tmp_path):
        with pytest.raises(ModelUnavailable, match="there is no"):
            loaded(ip_adapter=str(tmp_path / "nowhere.safetensors"))


@pytest.mark.timeout(240)  # a fresh process imports torch, diffusers and transformers
async def test_a_members_style_reaches_the_adapter_of_a_line_of_configuration(
    checkpoints, adapters, tmp_path
):
    entry = f"""
        [models.tiny]
        family = "sd1"
        where = "{checkpoints / "sd1"}"
        ip_adapter = "{adapters / "sd1-plus.safetensors"}"
        image_encoder = "{adapters / "encoder"}"
        """
    (tmp_path / "mine.toml").write_text(entry, encoding="utf-8")
    config = EngineConfig(
        devices=("cpu",), catalogue_files=(tmp_path / "mine.toml",), models_dir=tmp_path, threads=1
    )
    assert problems(open_catalogue(config).info("tiny"), config) == []
    member, nowhere = Caller(owner_id=1), Destination(face="test", address={})
    text = "a red cat --model tiny --size 64x64 --steps 3 --images 1 --seed 7"
    url = f"sqlite+aiosqlite:///{tmp_path / 'atelier.db'}"
    async with (
        open_engine(config) as engine,
        open_studio(engine, database_url=url, images_dir=tmp_path / "images") as studio,
    ):

        async def drawn(words, style=None):
            [job] = await studio.imagine(member, words, nowhere, style=style)
            async for update in studio.watch(member, job.id):
                job = update.job
            assert job.state is JobState.FINISHED, job.reason
            png = await studio.image_png(member, job.images[0].id)
            return np.asarray(Image.open(io.BytesIO(png))).astype(int)

        plain = await drawn(text)
        first, second = (encode_png(a_picture(seed)) for seed in (1, 2))
        in_first = await drawn(text, first)
        assert abs(in_first - plain).max() > 5
        assert abs(in_first - await drawn(text, second)).max() > 5
        assert np.array_equal(in_first, await drawn(text, first))
        assert np.array_equal(plain, await drawn(f"{text} --sw 0", first))
        await studio.save_style(member, "wave", first)
        assert np.array_equal(in_first, await drawn(f"{text} --sref wave"))


@pytest.mark.parametrize("field", ["ip_adapter", "image_encoder"])
def test_the_doctor_sees_what_is_wrong_without_loading_it(styled, tmp_path, field):
    missing = styled("sd1", Family.SD1, **{field: str(tmp_path / "nowhere.safetensors")})
    assert "there is no" in problems(missing, EngineConfig(models_dir=tmp_path))[0]
