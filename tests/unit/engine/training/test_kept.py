"""Networks that go on from a pack: what is new since it was made begins without effect."""

import pytest
import torch

from engine.networks.denoiser import Denoiser, DenoiserConfig
from engine.networks.weights import BrokenWeights, save_network
from engine.training.kept import fill


def small(**changes) -> Denoiser:
    sizes = {"latent_channels": 4, "widths": (16, 32), "blocks": 1, "heads": 2, "text_width": 8}
    return Denoiser(DenoiserConfig(**sizes | changes))


def test_a_denoiser_goes_on_from_a_pack_that_was_told_nothing_beside_the_prompt(tmp_path):
    before, after = small(), small(unsaid=6)
    torch.nn.init.normal_(before.leave.weight, std=0.1)
    save_network(tmp_path, "denoiser", before)
    fill(after, tmp_path, "denoiser")
    rows = torch.randn(2, 4, 4, 4), torch.rand(2), torch.randn(2, 5, 8), torch.randn(2, 8)
    torch.testing.assert_close(after(*rows, torch.randn(2, 6)), before(*rows), rtol=0, atol=5e-3)


def test_a_pack_of_another_size_is_refused(tmp_path):
    save_network(tmp_path, "denoiser", small())
    for other in (small(deeper=1), small(blueprint=32), small(widths=(16, 16))):
        with pytest.raises(BrokenWeights, match="do not fit"):
            fill(other, tmp_path, "denoiser")
