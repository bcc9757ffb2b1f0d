"""The networks that ship: what is said is drawn for every seed, the rest by each otherwise."""

import numpy as np
import pytest
import torch

from engine.models.families.pack import make_draft, read_networks
from engine.training.denoise import Words, sample_pictures
from engine.training.few_steps import STEPS
from engine.training.job import PACK

pytestmark = pytest.mark.timeout(180)


@pytest.fixture(scope="module")
def draw():
    """Drafts of a prompt by seeds, as pixels (B, 3, 128, 128) in [0, 1]."""
    networks = read_networks(PACK)
    make_draft(PACK, networks)
    words = Words(networks.tokenizer, networks.text_encoder)

    def of(prompt: str, seeds: int, first: int = 0) -> torch.Tensor:
        pixels = sample_pictures(
            networks.denoiser,
            words,
            networks.vae,
            [prompt] * seeds,
            seed=first,
            steps=STEPS,
            guidance_scale=1.0,
        )
        return pixels.clamp(0, 1)

    return of


def grounds(pixels: torch.Tensor) -> torch.Tensor:
    """Mean colours (B, 3) of the two upper corners."""
    corners = torch.cat([pixels[..., :12, :12], pixels[..., :12, -12:]], dim=-1)
    return corners.mean((2, 3))


def test_a_ground_that_is_said_is_that_of_every_seed(draw):
    red, green, blue = grounds(draw("a fox on a blue background", 6)).unbind(1)
    assert (blue > red + 0.25).all()
    assert (blue > green).all()


def test_seeds_differ_in_what_is_left_open(draw):
    fox = draw("a fox", 8)
    away = (fox[:, None] - fox[None]).abs().mean((2, 3, 4))
    away = away[~torch.eye(len(fox), dtype=torch.bool)]
    said = draw("a fox on a blue background", 8)
    assert float(grounds(fox).std(0).mean()) > 3 * float(grounds(said).std(0).mean())
    assert float(away.median()) > 0.1


def test_a_thing_is_drawn_in_more_than_one_size_and_place(draw):
    fox = draw("a fox on a white background", 12)
    is_thing = (fox.min(1).values < 0.75).flatten(1).float()
    shares = is_thing.mean(1).numpy()
    assert shares.max() > 1.4 * shares.min()
    across = np.array([np.argwhere(one.view(128, 128).numpy())[:, 1].mean() for one in is_thing])
    assert np.ptp(across) > 6  # pixels
