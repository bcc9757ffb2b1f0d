"""The decoder's finishing: what it learns from, which part of it learns, and how much of each."""

import numpy as np
import pytest
import torch
from torch import nn

from engine.networks.denoiser import Denoiser, DenoiserConfig
from engine.networks.style import StyleConfig, StyleEncoder
from engine.networks.vae import Vae, VaeConfig
from engine.training import finish
from engine.training.denoise import LatentStore, denoised
from engine.training.finish import Finish, leave_latents, left_file
from engine.training.loop import Budget, Draw, Run, Settings
from engine.training.store import digest

WORDS, LENGTH = 16, 4
SMALL = VaeConfig(encoder_widths=(8, 8, 8), decoder_widths=(8, 8, 8), decoder_blocks=(1, 1, 1))


class StubWords:
    """Says of any prompt the same."""

    def encode(self, prompts):
        return torch.zeros(len(prompts), LENGTH, WORDS), torch.zeros(len(prompts), WORDS)


@pytest.fixture
def vae():
    torch.manual_seed(0)
    return Vae(SMALL)


@pytest.fixture
def programme(vae):
    rng = np.random.default_rng(0)
    pictures = rng.integers(0, 256, (40, 64, 64, 3), np.uint8)
    exact = rng.normal(size=(40, 8, 8, 8)).astype(np.float16)
    left = (exact + rng.normal(size=exact.shape)).astype(np.float16)
    torch.manual_seed(1)
    return Finish(vae, StyleEncoder(StyleConfig(widths=(8, 8, 8, 8))), pictures, exact, left)


def write_shard(folder, count=6):
    folder.mkdir()
    rng = np.random.default_rng(2)
    np.save(folder / "latents_00000.npy", rng.normal(size=(count, 8, 8, 8)).astype(np.float16))
    np.save(folder / "tokens_00000.npy", np.zeros((count, LENGTH, WORDS), np.float16))
    np.save(folder / "pooled_00000.npy", np.zeros((count, WORDS), np.float16))
    return LatentStore(folder, [0])


def test_the_decoder_and_its_critic_learn_and_the_encoder_stays(programme, vae):
    before = digest(vae.encoder)
    programme.loss(programme.network, Draw.of_step(0, 0)).backward()
    assert all(p.grad is not None for p in programme.network.parameters())
    assert all(p.grad is None for p in vae.encoder.parameters())
    assert all(p.grad is None for p in programme.eye.parameters())
    assert digest(vae.encoder) == before


def test_a_row_of_exact_latents_is_nearer_than_any_other(programme):
    _, _, distance = programme._batch(np.random.default_rng(0))
    exact = round(finish.EXACT_SHARE * programme.batch)
    assert (distance[:exact] == 0).all()
    assert (distance[exact:] > 0.3).all()


def test_the_critic_counts_as_a_share_of_absolute_differences_however_loud_it_is(
    programme, monkeypatch
):
    draw = Draw.of_step(0, 0)
    wanted, latents, distance = programme._batch(draw.numpy)
    out = programme._decoded(programme.network.decoder, latents).detach()

    def gradient(exact, left):
        monkeypatch.setattr(finish, "CRITIC_SHARE_EXACT", exact)
        monkeypatch.setattr(finish, "CRITIC_SHARE_LEFT", left)
        same = Draw.of_step(0, 1)
        critic = programme.network.critic
        return programme._gradient(critic, out, wanted, distance, same)[0]

    alone = gradient(0.0, 0.0)
    told = finish.FORGIVEN / (finish.FORGIVEN + distance)
    for loudness in (1, 100):
        programme.network.critic.layers[-1].weight.data.mul_(loudness)
        both = gradient(0.5, 2.0)
        for rows, share in ((distance == 0, 0.5), (distance > 0, 2.0)):
            added = (both - alone)[rows].square().mean().sqrt() * out.numel()
            assert float(added) == pytest.approx(share * float(told[rows].mean()), rel=1e-2)


def test_far_latents_are_told_less_of_single_pixels(programme):
    draw = Draw.of_step(0, 0)
    wanted, latents, _ = programme._batch(draw.numpy)
    out = programme._decoded(programme.network.decoder, latents).detach()
    critic = programme.network.critic
    near, far = (
        programme._gradient(critic, out, wanted, torch.full((len(out),), d), Draw.of_step(0, 1))[1]
        for d in (0.0, 10.0)
    )
    assert far < 0.5 * near


def test_a_critic_sees_patches_one_at_a_time():
    torch.manual_seed(0)
    critic = finish.Critic()
    picture = torch.rand(1, 3, 64, 64)
    other = picture.clone()
    other[..., :8, :8] = 0
    changed = (critic(picture) - critic(other)).abs().view(8, 8) > 0
    assert changed[0, 0]
    assert not changed[5:, 5:].any()


def test_a_short_run_brings_decoded_pictures_nearer(vae, tmp_path):
    rng = np.random.default_rng(0)
    colours = rng.integers(0, 256, (64, 1, 1, 3))
    pictures = np.broadcast_to(colours, (64, 32, 32, 3)).astype(np.uint8)
    code = np.concatenate([colours / 128 - 1, np.zeros((64, 1, 1, 5))], axis=3)
    exact = np.broadcast_to(code.transpose(0, 3, 1, 2), (64, 8, 4, 4)).astype(np.float16)
    left = exact + rng.normal(scale=0.1, size=exact.shape).astype(np.float16)
    eye = StyleEncoder(StyleConfig(widths=(8, 8, 8, 8)))
    programme = Finish(vae, eye, pictures, exact, left)
    programme.batch, programme.learning_rate = 8, 2e-3

    @torch.no_grad()
    def error():
        out = programme._decoded(programme.network.decoder, torch.from_numpy(left[:16]).float())
        wanted = torch.from_numpy(pictures[:16].copy()).permute(0, 3, 1, 2) / 255
        return float((out - wanted).abs().mean())

    before = error()
    settings = Settings(tmp_path, Budget(images=1200), warmup_images=100, bar=False)
    Run(programme, settings).train()
    assert error() < 0.7 * before
    assert programme.sheet(programme.network).width > 0


class Still(nn.Module):
    """A denoiser that changes nothing."""

    def __init__(self):
        super().__init__()
        self.nothing = nn.Parameter(torch.zeros(()))
        self.times = []

    def forward(self, x, t, tokens, pooled):
        self.times.append(t)
        return torch.zeros_like(x)


def test_latents_are_noised_by_times_of_their_own_and_denoised_to_zero(tmp_path):
    store = write_shard(tmp_path / "store")
    still = Still()
    leave_latents(store, 0, still, StubWords())
    assert len(still.times) == 2 * finish.LEFT_STEPS  # with the prompt and without
    first = still.times[0]
    assert ((first > finish.LEAST_NOISE) & (first < finish.MOST_NOISE)).all()
    assert len(set(first.tolist())) == len(first)
    left = np.load(left_file(tmp_path / "store", 0)).astype(np.float32)
    exact = np.load(tmp_path / "store" / "latents_00000.npy").astype(np.float32)
    changed = np.abs(left - exact).mean((1, 2, 3))
    assert np.corrcoef(changed, first.numpy())[0, 1] > 0.9


def test_a_denoiser_of_the_true_velocity_brings_latents_back():
    torch.manual_seed(0)
    clean, noise = torch.randn(2, 8, 4, 4), torch.randn(2, 8, 4, 4)
    t = torch.tensor([0.3, 0.8])
    mix = t[:, None, None, None]
    times = t * torch.linspace(1, 0, 4)[:, None]
    said = (torch.zeros(2, LENGTH, WORDS), torch.zeros(2, WORDS))
    start = (1 - mix) * clean + mix * noise
    back = denoised(lambda *_: noise - clean, start, times, said, said, 1.0)
    torch.testing.assert_close(back, clean, atol=1e-5, rtol=1e-5)


def test_the_same_denoiser_leaves_the_same_latents(tmp_path):
    torch.manual_seed(0)
    config = DenoiserConfig(widths=(32, 32), blocks=1, text_width=WORDS, adapter_layers=1)
    network = Denoiser(config)
    one, two = (write_shard(tmp_path / name) for name in ("one", "two"))
    for store in (one, two):
        leave_latents(store, 0, network, StubWords())
    first, second = (left_file(store.folder, 0).read_bytes() for store in (one, two))
    assert first == second
