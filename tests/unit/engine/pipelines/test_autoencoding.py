"""Large pictures through an autoencoder in tiles: the same as whole, without a seam."""

import pytest
import torch

from engine import calls
from engine.calls import NetworkRef
from engine.errors import OutOfMemory
from engine.networks.vae import Vae, VaeConfig
from engine.pipelines.stages import autoencoding
from engine.pipelines.stages.autoencoding import GRID
from engine.pipelines.stages.tiling import tiles_of

NETWORK = NetworkRef("vae")
SCALE = 8


@pytest.fixture(scope="module")
def vae():
    """The shipped layout, narrow, with weights that look at all they can."""
    torch.set_num_threads(1)
    config = VaeConfig(latent_channels=3, encoder_widths=(6, 6, 8), decoder_widths=(6, 6, 8))
    vae = Vae(config).eval().requires_grad_(requires_grad=False)
    noise = torch.Generator().manual_seed(2)
    for parameter in vae.parameters():
        spread = parameter[0].numel() ** -0.5 if parameter.ndim > 1 else 0.1
        parameter.copy_(spread * torch.randn(parameter.shape, generator=noise))
    return vae


def run(vae, work, sizes=None, most_pixels=10**9):
    answer = None
    while True:
        try:
            call = work.send(answer) if not isinstance(answer, Exception) else work.throw(answer)
        except StopIteration as end:
            return end.value
        is_encode = isinstance(call, calls.Encode)
        rows = call.pixels if is_encode else call.latents
        if sizes is not None:
            sizes.append(tuple(rows.shape))
        if rows[:, 0].numel() * (1 if is_encode else SCALE**2) > most_pixels:
            answer = OutOfMemory("too many pixels")
        else:
            answer = vae.encode(rows) if is_encode else vae.decode(rows)


def picture(height=640, width=1088, rows=1):
    noise = torch.rand(
        rows, 3, height // 16, width // 16, generator=torch.Generator().manual_seed(1)
    )
    return torch.nn.functional.interpolate(noise, (height, width), mode="bicubic").clamp(0, 1)


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(autoencoding, "AT_ONCE", 512 * 512)


def test_latents_of_tiles_are_those_of_the_whole(vae, small):
    pixels, sizes = picture(), []
    tiled = run(vae, autoencoding.encoded(NETWORK, pixels, SCALE), sizes)
    assert len(sizes) == len(tiles_of(80, 136, GRID)) > 1
    assert {size[2:] for size in sizes} == {(512, 512)}, "so much memory, and no more"
    torch.testing.assert_close(tiled, vae.encode(pixels), atol=2e-5, rtol=1e-4)


def test_pixels_of_tiles_are_those_of_the_whole_at_every_border(vae, small):
    latents, sizes = vae.encode(picture()), []
    whole = vae.decode(latents)
    tiled = run(vae, autoencoding.decoded(NETWORK, latents, SCALE), sizes)
    assert len(sizes) > 1
    borders = {tile.columns.start for tile in tiles_of(80, 136, GRID)} - {0}
    assert borders
    for column in (SCALE * border for border in borders):
        strip = slice(column - 8, column + 8)
        torch.testing.assert_close(tiled[..., strip], whole[..., strip], atol=2e-5, rtol=0)
    torch.testing.assert_close(tiled, whole, atol=2e-5, rtol=0)


def test_small_pictures_go_through_together_and_whole(vae):
    pixels, sizes = picture(64, 96, rows=3), []
    latents = run(vae, autoencoding.encoded(NETWORK, pixels, SCALE), sizes)
    run(vae, autoencoding.decoded(NETWORK, latents, SCALE), sizes)
    assert sizes == [(3, 3, 64, 96), (3, 3, 8, 12)]


def test_many_pictures_go_through_some_at_a_time(vae, small):
    pixels, sizes = picture(256, 512, rows=5), []
    latents = run(vae, autoencoding.encoded(NETWORK, pixels, SCALE), sizes)
    assert [size[0] for size in sizes] == [2, 2, 1]
    torch.testing.assert_close(latents, vae.encode(pixels), atol=2e-5, rtol=1e-4)


def test_a_picture_whose_edges_meet_is_not_cut(vae, small):
    sizes = []
    run(vae, autoencoding.encoded(NetworkRef("vae", tile=True), picture(), SCALE), sizes)
    assert sizes == [(1, 3, 640, 1088)]


def test_what_finds_too_little_memory_whole_goes_through_in_tiles(vae):
    pixels, most = picture(rows=2), 512 * 512
    latents = run(vae, autoencoding.encoded(NETWORK, pixels, SCALE), most_pixels=most)
    torch.testing.assert_close(latents, vae.encode(pixels), atol=2e-5, rtol=1e-4)
    tiled = run(vae, autoencoding.decoded(NETWORK, latents, SCALE), most_pixels=most)
    torch.testing.assert_close(tiled, vae.decode(latents), atol=2e-5, rtol=0)


def test_what_finds_too_little_memory_even_in_tiles_or_is_never_cut_fails(vae):
    pixels, seamless = picture(), NetworkRef("vae", tile=True)
    with pytest.raises(OutOfMemory):
        run(vae, autoencoding.encoded(NETWORK, pixels, SCALE), most_pixels=1000)
    sizes = []
    with pytest.raises(OutOfMemory):
        run(vae, autoencoding.encoded(seamless, pixels, SCALE), sizes, most_pixels=512 * 512)
    assert len(sizes) == 1
