"""The autoencoder as a variational one: its posterior, and samples of it and of the prior."""

import math

import pytest
import torch

from engine.networks.vae import Vae, VaeConfig, reparametrised
from engine.training.gan_programs import read_vae

SMALL = VaeConfig(
    latent_channels=3, encoder_widths=(4, 4, 4), decoder_widths=(4, 4, 4), encoder_blocks=1,
    decoder_blocks=(1, 1, 1),
)  # fmt: skip


@pytest.fixture
def small():
    with torch.random.fork_rng():
        torch.default_generator.manual_seed(0)
        network = Vae(SMALL).eval()
    network.mean.copy_(torch.tensor([0.5, -0.5, 0.0]))
    network.std.copy_(torch.tensor([2.0, 0.5, 1.0]))
    return network


def noise_of(shape, seed=1):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def psnr(a, b):
    return float(-10 * (a - b).square().mean().log10())


def test_samples_have_the_posterior_s_mean_and_variance(small):
    pixels = torch.rand(1, 3, 8, 8, generator=torch.Generator().manual_seed(2))
    mean, log_variance = small.posterior(pixels)
    count = 20_000
    samples = small.sample(pixels.expand(count, -1, -1, -1), noise_of((count, 3, 1, 1)))
    raw = samples * small.std[:, None, None] + small.mean[:, None, None]
    deviation = (0.5 * log_variance).exp()
    error = (raw.mean(0, keepdim=True) - mean) / (deviation / math.sqrt(count))
    assert error.abs().max() < 4.5
    assert torch.allclose(raw.std(0, keepdim=True), deviation, rtol=0.03)


def test_without_noise_the_sample_is_what_encoding_gives(small):
    pixels = torch.rand(2, 3, 16, 24, generator=torch.Generator().manual_seed(3))
    assert torch.equal(small.sample(pixels, torch.zeros(2, 3, 2, 3)), small.encode(pixels))


def test_gradients_pass_through_a_sample_as_the_paper_says():
    mean, log_variance = torch.tensor([0.3], requires_grad=True), torch.tensor([-1.0])
    log_variance.requires_grad_()
    noise = torch.tensor([1.5])
    reparametrised(mean, log_variance, noise).backward()
    assert mean.grad.item() == pytest.approx(1.0)
    assert log_variance.grad.item() == pytest.approx(0.5 * 1.5 * math.exp(-0.5))


def test_the_shipped_posterior_is_narrow_and_its_prior_is_of_the_right_scale(one_thread):
    vae = read_vae()
    y, x = torch.meshgrid(torch.linspace(0, 1, 64), torch.linspace(0, 1, 64), indexing="ij")
    pixels = torch.stack([x, y, (x + y) / 2])[None]
    with torch.no_grad():
        usual = vae.decode(vae.encode(pixels))
        sampled = vae.decode(vae.sample(pixels, noise_of((1, vae.config.latent_channels, 8, 8))))
        prior = vae.decode(noise_of((8, vae.config.latent_channels, 8, 8)))
    assert psnr(sampled, usual) > 25, "a sample is the same picture"
    assert 0.05 < float(prior.std()) < 0.45, "neither grey nor clipped"
    assert float(((prior == 0) | (prior == 1)).float().mean()) < 0.3
