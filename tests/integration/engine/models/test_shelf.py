"""Batches through real networks, and which models stay in memory."""

import weakref

import pytest
import torch
from safetensors.torch import load_file, save_file

from engine.calls import Decode, Denoise, Encode, EncodeText, Enlarge, Facts, NetworkRef
from engine.errors import ModelUnavailable, UnknownModel, Unsupported
from engine.models.catalogue import Catalogue
from engine.models.families.stable_diffusion import colour_matrix
from engine.models.shelf import chosen_device, loader_of
from engine.pipelines import imagine, morph
from engine.requests import Morph, Sampler, Span, Waypoint, plain

FAMILIES = [("sd1", "sd1"), ("sdxl", "sdxl")]


def words(*texts):
    return tuple((Span(text),) for text in texts)


def encoded(shelf, name, *prompts):
    call = EncodeText(NetworkRef(name), prompts, 64, 64)
    return shelf.execute([call])[0]


@pytest.mark.parametrize(("name", "family"), FAMILIES)
def test_an_image_is_the_same_alone_and_among_strangers(
    answers_of, info_of, request_of, name, family
):
    answers = answers_of(info_of(name, family))
    mine = request_of(name, image_count=1, sampler=Sampler.DPMPP_2M)
    strangers = [
        request_of(name, prompt="a blue dog", seed=99, steps=3, sampler=Sampler.HEUN),
        request_of(name, prompt="zzz", seed=5, steps=5, image_count=3, guidance_scale=9.0),
    ]
    (alone,) = answers.run(imagine.run(mine))
    together = answers.run(
        *(imagine.run(request) for request in [strangers[0], mine, strangers[1]])
    )
    torch.testing.assert_close(together[1], alone, atol=1e-4, rtol=0)
    assert (together[0][:1] - alone).abs().max() > 1e-2


@pytest.mark.parametrize(("name", "family"), FAMILIES)
def test_results_come_back_on_the_cpu_in_fp32_with_the_rows_of_each_call(
    shelf_of, info_of, name, family
):
    shelf = shelf_of(info_of(name, family))
    network = NetworkRef(name)
    text = encoded(shelf, name, *words("a cat"))
    calls = [
        Denoise(network, torch.randn(rows, 4, 8, 8), torch.full((rows,), 2.0), tiled(text, rows))
        for rows in (1, 3, 2)
    ]
    results = shelf.execute(calls)
    assert [result.shape for result in results] == [(1, 4, 8, 8), (3, 4, 8, 8), (2, 4, 8, 8)]
    assert all(result.dtype is torch.float32 for result in results)
    assert not any(result.requires_grad for result in results)
    pixels = shelf.execute([Decode(network, results[0]), Decode(network, results[1])])
    assert [each.shape for each in pixels] == [(1, 3, 64, 64), (3, 3, 64, 64)]
    assert all(each.min() >= 0 and each.max() <= 1 for each in pixels)
    (latents,) = shelf.execute([Encode(network, pixels[1])])
    assert latents.shape == (3, 4, 8, 8)


def tiled(conditioning, rows):
    parts = (conditioning.tokens, conditioning.pooled, conditioning.extra)
    return type(conditioning)(*(part.repeat(rows, *[1] * (part.ndim - 1)) for part in parts))


def assert_in_unit_range(pixels):
    assert pixels.min() >= 0
    assert pixels.max() <= 1


def test_long_prompts_take_more_chunks_and_short_ones_of_the_same_call_as_many(shelf_of, info_of):
    shelf = shelf_of(info_of("sd1", "sd1"))
    long = "cat dog " * 40  # 80 tokens
    both = encoded(shelf, "sd1", *words(long, "cat"))
    assert both.tokens.shape == (2, 154, 64)
    assert encoded(shelf, "sd1", *words("cat")).tokens.shape == (1, 77, 64)
    start = encoded(shelf, "sd1", *words("cat dog " * 37 + "cat"))  # the first 75 of them
    torch.testing.assert_close(both.tokens[0, :77], start.tokens[0])
    nothing = encoded(shelf, "sd1", *words(""))
    torch.testing.assert_close(both.tokens[1, 77:], nothing.tokens[0])


def test_a_prompts_length_does_not_depend_on_other_calls_of_its_batch(shelf_of, info_of):
    shelf = shelf_of(info_of("sd1", "sd1"))
    network = NetworkRef("sd1")
    short = EncodeText(network, words("cat"), 64, 64)
    long = EncodeText(network, words("cat dog " * 40), 64, 64)
    results = shelf.execute([short, long, short])
    assert [result.tokens.shape[1] for result in results] == [77, 154, 77]


@pytest.mark.parametrize(("name", "family"), FAMILIES)
def test_a_morph_goes_between_prompts_of_different_lengths(
    answers_of, info_of, request_of, name, family
):
    stops = tuple(Waypoint(prompt=plain(text)) for text in ("a red cat", "a red dog " * 40))
    drawing = request_of(name, image_count=1, steps=2)
    request = Morph(stops=stops, drawing=drawing, frames=4, loop=False)
    (frames,) = answers_of(info_of(name, family)).run(morph.run(request))
    assert len(frames) == 4
    away = [(frame - frames[0]).abs().mean() for frame in frames]
    assert away == sorted(away)
    assert away[-1] > 0


def test_the_weight_of_a_span_scales_its_tokens_and_keeps_the_mean(shelf_of, info_of):
    shelf = shelf_of(info_of("sd1", "sd1"))
    plain = encoded(shelf, "sd1", (Span("a "), Span("red"), Span(" cat"))).tokens[0]
    heavy = encoded(shelf, "sd1", (Span("a "), Span("red", 1.5), Span(" cat"))).tokens[0]
    whole = encoded(shelf, "sd1", *words("a red cat")).tokens[0]
    torch.testing.assert_close(plain, whole)
    expected = plain.clone()
    expected[2] *= 1.5  # behind the mark of the beginning and "a"
    expected *= plain.mean() / expected.mean()
    torch.testing.assert_close(heavy, expected, rtol=1e-4, atol=1e-5)


def test_sdxl_is_told_the_size_of_the_picture(shelf_of, info_of):
    shelf = shelf_of(info_of("sdxl", "sdxl"))
    call = EncodeText(NetworkRef("sdxl"), words("cat", "dog"), 96, 64)
    (conditioning,) = shelf.execute([call])
    assert conditioning.extra.tolist() == [[64, 96, 0, 0, 64, 96]] * 2
    assert conditioning.pooled.shape == (2, 64)


@pytest.mark.parametrize("tiny_vae", [False, True])
def test_a_preview_is_small_and_cheap(checkpoints, shelf_of, info_of, tiny_vae):
    fields = {"tiny_vae": str(checkpoints / "tiny-vae")} if tiny_vae else {}
    shelf = shelf_of(info_of("sd1", "sd1", **fields))
    latents = torch.randn(2, 4, 8, 8)
    (pixels,) = shelf.execute([Decode(NetworkRef("sd1"), latents, preview=True)])
    assert pixels.shape == ((2, 3, 64, 64) if tiny_vae else (2, 3, 8, 8))
    assert_in_unit_range(pixels)
    assert pixels.std() > 0.01


def test_the_matrix_of_previews_finds_the_colours_that_latents_hold():
    generator = torch.Generator().manual_seed(3)
    pixels = torch.rand(4, 3, 8, 8, generator=generator)
    mixing = torch.randn(4, 3, generator=generator)
    latents = torch.einsum("bchw,dc->bdhw", pixels, mixing) + 0.5
    latents[:, 3] += 0.01 * torch.randn(4, 8, 8, generator=generator)
    matrix = colour_matrix(latents, pixels)
    found = torch.einsum("bchw,cd->bdhw", latents, matrix[:-1]) + matrix[-1].view(1, 3, 1, 1)
    assert (found - pixels).abs().max() < 0.02


def test_tiled_passes_see_across_the_edges_and_leave_no_trace(shelf_of, info_of):
    shelf = shelf_of(info_of("sd1", "sd1"))
    text = encoded(shelf, "sd1", *words("cat"))
    generator = torch.Generator().manual_seed(0)
    x, sigma = torch.randn(1, 4, 8, 8, generator=generator), torch.tensor([2.0])
    rolled = torch.roll(x, (2, 4), (2, 3))  # even, so that halved sizes roll along

    def denoised(latents, *, tile):
        call = Denoise(NetworkRef("sd1", tile=tile), latents, sigma, text)
        return shelf.execute([call])[0]

    before = denoised(x, tile=False)
    seamless = denoised(x, tile=True)
    # Whatever is shifted around the edges comes out shifted: there is no edge.
    torch.testing.assert_close(
        torch.roll(seamless, (2, 4), (2, 3)), denoised(rolled, tile=True), atol=1e-4, rtol=0
    )
    assert (seamless - before).abs().max() > 1e-2
    assert torch.equal(denoised(x, tile=False), before)


def test_a_tiled_picture_is_encoded_and_decoded_without_edges(shelf_of, info_of):
    shelf = shelf_of(info_of("sd1", "sd1"))
    network = NetworkRef("sd1", tile=True)
    latents = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    (pixels,) = shelf.execute([Decode(network, latents)])
    (rolled,) = shelf.execute([Decode(network, torch.roll(latents, 2, 3))])
    torch.testing.assert_close(torch.roll(pixels, 16, 3), rolled, atol=1e-4, rtol=0)
    (encoded_again,) = shelf.execute([Encode(network, pixels)])
    assert encoded_again.shape == latents.shape


def test_the_model_used_longest_ago_makes_room(checkpoints, shelf_of, info_of):
    first, second = info_of("sd1", "sd1"), info_of("sd1-v", "sd1")
    size = 7_000_000  # a little more than one of them takes
    told = []
    shelf = shelf_of(first, second, memory_budget_bytes=size)
    shelf._on_loading = lambda name, fraction: told.append((name, fraction))
    shelf.execute([Facts(NetworkRef("sd1"))])
    used, names = shelf.kept()
    assert names == ("sd1",)
    assert 6_000_000 < used < size
    shelf.execute([Facts(NetworkRef("sd1-v"))])
    assert shelf.kept()[1] == ("sd1-v",)
    assert [name for name, fraction in told if fraction == 1.0] == ["sd1", "sd1-v"]
    fractions = [fraction for name, fraction in told if name == "sd1"]
    assert fractions == sorted(fractions)
    assert fractions[0] == 0.0


def test_models_that_fit_together_stay_together(shelf_of, info_of):
    first, second = info_of("sd1", "sd1"), info_of("sd1-v", "sd1")
    shelf = shelf_of(first, second, memory_budget_bytes=20_000_000)
    for name in ("sd1", "sd1-v", "sd1"):
        shelf.execute([Facts(NetworkRef(name))])
    assert shelf.kept()[1] == ("sd1-v", "sd1")
    shelf.clear(keep="sd1-v")
    assert shelf.kept()[1] == ("sd1-v",)
    shelf.clear()
    assert shelf.kept() == (0, ())


def test_what_a_file_holds_beside_its_networks_takes_no_place(
    checkpoints, shelf_of, info_of, tmp_path
):
    weights = load_file(checkpoints / "sd1-file.safetensors")
    averages = {f"model_ema.{key.replace('.', '')}": w.clone() for key, w in weights.items()}
    save_file(weights | averages, tmp_path / "sd1-ema.safetensors")
    entry = {"name": "sd1-ema", "where": str(tmp_path / "sd1-ema.safetensors")}
    tokenizer = str(checkpoints / "tokenizer")
    info = info_of("sd1-file.safetensors", "sd1", tokenizer=tokenizer, **entry)
    shelf = shelf_of(info, memory_budget_bytes=7_000_000)  # a little more than the networks take
    shelf.execute([Facts(NetworkRef("sd1-ema"))])
    assert shelf.kept()[1] == ("sd1-ema",)


def test_a_model_is_read_again_only_when_all_that_was_read_of_it_is_gone(
    shelf_of, info_of, monkeypatch
):
    class Weights:
        pass

    read = []

    def load(info, files, place, on_progress):
        weights = Weights()
        read.append(weakref.ref(weights))
        if len(read) == 1:
            raise torch.OutOfMemoryError
        assert read[0]() is None
        return loader_of(info.family)(info, files, place, on_progress)

    monkeypatch.setattr("engine.models.shelf.loader_of", lambda family: load)
    shelf = shelf_of(info_of("sd1", "sd1"))
    shelf.execute([Facts(NetworkRef("sd1"))])
    assert len(read) == 2


def test_a_model_larger_than_the_whole_budget_says_what_it_takes(shelf_of, info_of):
    shelf = shelf_of(info_of("sdxl", "sdxl"), memory_budget_bytes=1_000_000)
    with pytest.raises(ModelUnavailable, match="set aside for models"):
        shelf.execute([Facts(NetworkRef("sdxl"))])


def test_an_unknown_model_and_a_model_without_upscaler_are_refused(shelf_of, info_of):
    shelf = shelf_of(info_of("sd1", "sd1"))
    with pytest.raises(UnknownModel, match="did you mean sd1"):
        shelf.execute([Facts(NetworkRef("sd2"))])
    with pytest.raises(Unsupported, match="has no upscaler"):
        shelf.execute([Enlarge(NetworkRef("sd1"), torch.zeros(1, 3, 8, 8), 2)])


def test_a_device_that_is_not_there_is_refused():
    with pytest.raises(Unsupported, match="use cpu"):
        chosen_device("toaster")
    if not torch.cuda.is_available():
        with pytest.raises(Unsupported, match="this machine has no cuda:7"):
            chosen_device("cuda:7")
        assert chosen_device("auto") == torch.device("cpu")


def test_a_catalogue_needs_a_default_that_is_in_it(info_of):
    with pytest.raises(UnknownModel):
        Catalogue([info_of("sd1", "sd1")], default="other")
