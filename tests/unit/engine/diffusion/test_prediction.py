import pytest
import torch
from torch._subclasses import FakeTensorMode

from engine.diffusion import prediction, schedules
from engine.diffusion.prediction import Prediction

SIGMA = torch.tensor([0.03, 0.7, 14.0, 300.0])


def truth(kind, clean, noise, sigma):
    """What a perfect network of that kind would answer."""
    match kind:
        case Prediction.EPS:
            return noise
        case Prediction.V:
            return (noise - sigma * clean) / (1 + sigma**2).sqrt()
        case Prediction.X0:
            return clean
        case Prediction.FLOW:
            return noise - clean


@pytest.mark.parametrize("kind", list(Prediction))
def test_a_perfect_network_of_any_kind_gives_the_clean_latents(kind):
    generator = torch.Generator().manual_seed(0)
    clean, noise = torch.randn((2, 4, 4, 8, 8), generator=generator, dtype=torch.float64)
    sigma = SIGMA.double()
    wide = sigma.view(-1, 1, 1, 1)
    x = clean + wide * noise
    answer = prediction.clean_latents(kind, truth(kind, clean, noise, wide), x, sigma)
    torch.testing.assert_close(answer, clean)


@pytest.mark.parametrize("kind", list(Prediction))
def test_the_network_sees_latents_of_unit_scale(kind):
    noise = torch.randn((4, 4, 32, 32), generator=torch.Generator().manual_seed(0))
    clean = torch.randn((4, 4, 32, 32), generator=torch.Generator().manual_seed(1))
    seen = prediction.network_input(kind, clean + SIGMA.view(-1, 1, 1, 1) * noise, SIGMA)
    assert ((seen.std((1, 2, 3)) > 0.65) & (seen.std((1, 2, 3)) < 1.05)).all()


def test_flow_input_lies_on_the_line_between_image_and_noise():
    clean, noise = torch.full((1, 1, 1, 1), 2.0), torch.full((1, 1, 1, 1), -1.0)
    sigma = torch.tensor([3.0])
    t = prediction.flow_time(sigma)
    assert float(t) == 0.75
    seen = prediction.network_input(Prediction.FLOW, clean + 3 * noise, sigma)
    assert float(seen) == pytest.approx(0.25 * 2 - 0.75)


def test_training_levels_are_told_as_their_timesteps_and_others_between():
    table = schedules.training_sigmas(0.00085, 0.012)
    at = torch.tensor([table[0], table[1], table[500], table[999]], dtype=torch.float64)
    told = prediction.training_timestep(at, table)
    assert told.tolist() == pytest.approx([0, 1, 500, 999], abs=1e-4)
    between = torch.tensor([(table[10] * table[11]) ** 0.5], dtype=torch.float64)
    assert float(prediction.training_timestep(between, table)) == pytest.approx(10.5, abs=1e-4)


def test_a_device_that_knows_no_double_precision_is_not_asked_for_it(doubles_elsewhere):
    with FakeTensorMode(), doubles_elsewhere:
        levels = torch.ones(2, device="mps")
        told = prediction.training_timestep(levels, schedules.training_sigmas(0.00085, 0.012))
    assert (told.device, told.dtype) == (levels.device, torch.float32)
    assert not doubles_elsewhere.seen


def test_levels_outside_of_training_are_told_as_the_nearest():
    table = schedules.training_sigmas(0.00085, 0.012)
    told = prediction.training_timestep(torch.tensor([0.0, 1e-6, 500.0]), table)
    assert told.tolist() == [0, 0, 999]
