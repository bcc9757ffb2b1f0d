"""The pack's networks at tiny size: shapes, independence of rows, and files that come back."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from engine.networks.denoiser import Denoiser, DenoiserConfig, TextAdapter
from engine.networks.text_encoder import TextEncoder, TextEncoderConfig, Tokenizer
from engine.networks.upscaler import Upscaler, UpscalerConfig, enlarged
from engine.networks.vae import Vae, VaeConfig
from engine.networks.weights import BrokenWeights, quantised, read_network, save_network

pytestmark = pytest.mark.usefixtures("one_thread")

PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "cat", "red", "app", "##le", "##s", ",", "two"]


def stirred(network: nn.Module) -> nn.Module:
    """The network with random weights everywhere, zero-initialised layers included."""
    generator = torch.Generator().manual_seed(3)
    for parameter in network.parameters():
        parameter.data.copy_(0.1 * torch.randn(parameter.shape, generator=generator))
    return network.eval().requires_grad_(False)


@pytest.fixture
def denoiser() -> Denoiser:
    config = DenoiserConfig(latent_channels=4, widths=(16, 32), blocks=1, heads=2, text_width=8)
    return stirred(Denoiser(config))


@pytest.fixture
def vae() -> Vae:
    config = VaeConfig(
        latent_channels=4, encoder_widths=(8, 8, 16), decoder_widths=(8, 8, 16),
        encoder_blocks=1, decoder_blocks=(1, 1, 1),
    )  # fmt: skip
    return stirred(Vae(config))


def inputs(rows: int, height: int = 4, width: int = 6) -> tuple[torch.Tensor, ...]:
    generator = torch.Generator().manual_seed(rows)
    x = torch.randn(rows, 4, height, width, generator=generator)
    t = torch.rand(rows, generator=generator)
    return (
        x,
        t,
        torch.randn(rows, 5, 8, generator=generator),
        torch.randn(rows, 8, generator=generator),
    )


def test_a_velocity_has_the_shape_of_its_latents_at_any_even_size(denoiser):
    for height, width in ((4, 4), (4, 6), (12, 8)):
        x, t, tokens, pooled = inputs(2, height, width)
        assert denoiser(x, t, tokens, pooled).shape == x.shape


def test_what_a_denoiser_is_told_beside_the_prompt_counts_once_it_has_learnt_it(denoiser):
    told = Denoiser(replace(denoiser.config, unsaid=6))
    told.load_state_dict(denoiser.state_dict(), strict=False)
    rows, codes = inputs(2), torch.randn(2, 6, generator=torch.Generator().manual_seed(0))
    assert torch.equal(told(*rows, codes), denoiser(*rows))
    stirred(told.unsaid)
    assert not torch.allclose(told(*rows, codes), denoiser(*rows))
    assert torch.equal(told(*rows, torch.zeros(2, 6)), denoiser(*rows))
    torch.testing.assert_close(told(*rows), denoiser(*rows))


def test_a_row_of_a_batch_gets_what_it_gets_alone(denoiser):
    x, t, tokens, pooled = inputs(3)
    together = denoiser(x, t, tokens, pooled)
    alone = denoiser(x[1:2], t[1:2], tokens[1:2], pooled[1:2])
    torch.testing.assert_close(together[1:2], alone, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("length", [0, 5])
def test_the_order_of_words_counts_where_places_are_marked(length):
    with torch.random.fork_rng():
        torch.default_generator.manual_seed(5)
        adapter = TextAdapter(width=8, layers=1, condition=16, length=length)
    tokens = inputs(1)[2]
    exchanged = tokens[:, [0, 3, 2, 1, 4]]  # the first token starts every prompt
    change = adapter(exchanged)[1] - adapter(tokens)[1]
    assert bool(change.abs().max() > 1e-4) == (length > 0)


def test_a_velocity_depends_on_time_prompt_and_place(denoiser):
    x, t, tokens, pooled = inputs(1)
    plain = denoiser(x, t, tokens, pooled)
    for other in (
        denoiser(x, t + 0.2, tokens, pooled),
        denoiser(x, t, -3 * tokens, pooled),
        denoiser(x, t, tokens, pooled + 1),
        denoiser(x.flip(-1), t, tokens, pooled).flip(-1),
    ):
        assert not torch.allclose(plain, other, atol=1e-3)


def test_latents_are_an_eighth_of_the_picture_and_come_back_in_range(vae):
    pixels = torch.rand(2, 3, 32, 48, generator=torch.Generator().manual_seed(0))
    latents = vae.encode(pixels)
    assert latents.shape == (2, 4, 4, 6)
    again = vae.decode(latents)
    assert again.shape == pixels.shape
    assert again.min() >= 0
    assert again.max() <= 1
    assert vae.preview(latents).shape == (2, 3, 4, 6)


def test_normalising_latents_does_not_change_what_is_decoded(vae):
    pixels = torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    vae.mean.zero_()
    vae.std.fill_(1)
    plain = vae.decode(vae.encode(pixels))
    vae.mean.uniform_(-1, 1)
    vae.std.uniform_(0.5, 2)
    torch.testing.assert_close(vae.decode(vae.encode(pixels)), plain, rtol=1e-4, atol=1e-5)


def test_an_untrained_upscaler_is_bicubic_enlargement():
    upscaler = Upscaler(UpscalerConfig(width=8, blocks=1))
    pixels = torch.rand(1, 3, 8, 10, generator=torch.Generator().manual_seed(0))
    for factor in (2, 4):
        wide = upscaler.enlarge(pixels, factor)
        assert wide.shape == (1, 3, 8 * factor, 10 * factor)
        torch.testing.assert_close(wide, enlarged(pixels, factor).clamp(0, 1))


def test_words_become_pieces_and_unknown_ones_are_marked():
    tokenizer = Tokenizer(PIECES, {}, length=8)
    assert tokenizer.pieces("Two RED apples, cat!") == [
        "two", "red", "app", "##le", "##s", ",", "cat", "[UNK]",
    ]  # fmt: skip
    assert tokenizer(["cat"])[0].tolist() == [2, 4, 3, 0, 0, 0, 0, 0]


def test_a_prompt_that_is_too_long_loses_its_end_but_keeps_the_end_mark():
    row = Tokenizer(PIECES, {}, length=4)(["cat cat cat cat cat"])[0]
    assert row.tolist() == [2, 4, 4, 3]


def test_chinese_words_of_the_lexicon_are_put_into_english_longest_first():
    tokenizer = Tokenizer(PIECES, {"苹果": "apple", "红": "red", "果": "cat"}, length=8)
    assert tokenizer.pieces("红苹果") == ["red", "app", "##le"]


def test_padding_adds_nothing_to_a_prompt():
    config = TextEncoderConfig(
        vocabulary=len(PIECES), table_width=8, width=16, layers=1, heads=2, length=12
    )
    encoder = stirred(TextEncoder(config))
    short, long = Tokenizer(PIECES, {}, 6), Tokenizer(PIECES, {}, 12)
    tokens, pooled = encoder(long(["red cat"]))
    assert torch.all(tokens[0, 4:] == 0)
    torch.testing.assert_close(encoder(short(["red cat"]))[1], pooled)


def test_a_network_comes_back_from_its_file(tmp_path, denoiser):
    save_network(tmp_path, "denoiser", denoiser)
    configuration, weights = read_network(tmp_path, "denoiser")
    again = Denoiser(DenoiserConfig(**configuration)).eval()
    again.load_state_dict(weights)
    torch.testing.assert_close(again(*inputs(1)), denoiser(*inputs(1)), rtol=1e-2, atol=1e-2)


def test_a_large_network_is_cut_into_files_and_read_whole(tmp_path, denoiser, monkeypatch):
    monkeypatch.setattr("engine.networks.weights.FILE_BYTES", 40_000)
    paths = save_network(tmp_path, "denoiser", denoiser)
    assert len(paths) > 1
    assert set(read_network(tmp_path, "denoiser")[1]) == set(denoiser.state_dict())


def test_a_table_kept_as_bytes_is_close_to_what_it_was():
    table = torch.randn(20, 8, generator=torch.Generator().manual_seed(1))
    small, scale = quantised(table)
    assert small.dtype == torch.int8
    torch.testing.assert_close(small.float() * scale.float(), table, rtol=0, atol=0.02)


@pytest.mark.parametrize("content", [None, b"no weights"])
def test_missing_or_damaged_weights_are_refused_by_name(tmp_path, content):
    if content is not None:
        (tmp_path / "vae.safetensors").write_bytes(content)
    with pytest.raises(BrokenWeights, match=r"vae\.safetensors"):
        read_network(tmp_path, "vae")


def test_weights_may_be_read_by_whoever_runs_the_studio(vae, tmp_path):
    [file] = save_network(tmp_path, "vae", vae)
    assert file.stat().st_mode & 0o777 == 0o644
