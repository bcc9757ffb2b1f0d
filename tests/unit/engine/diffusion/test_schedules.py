import itertools
import math
from dataclasses import replace

import pytest

from engine.diffusion import schedules
from engine.diffusion.prediction import FLOW_RANGE, ModelFacts, Prediction
from engine.requests import Sampler, Schedule

TABLE = schedules.training_sigmas(0.00085, 0.012)
FAMILIES = {
    "eps": ModelFacts(
        prediction=Prediction.EPS,
        latent_channels=4,
        training_sigmas=TABLE,
    ),
    "flow": ModelFacts(prediction=Prediction.FLOW, latent_channels=4, flow_shift=3.0),
}


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("schedule", list(Schedule))
@pytest.mark.parametrize("steps", [1, 2, 7, 20, 150])
def test_every_schedule_falls_strictly_to_zero(family, schedule, steps):
    for sampler in Sampler:
        check_falls(FAMILIES[family], schedule, sampler, steps)


def check_falls(facts, schedule, sampler, steps):
    sigmas = schedules.sigmas_for(facts, schedule, sampler, steps)
    assert len(sigmas) == steps + 1
    assert sigmas[-1] == 0
    assert all(high > low for high, low in itertools.pairwise(sigmas))
    assert all(math.isfinite(sigma) for sigma in sigmas)


def test_karras_levels_are_those_of_the_paper():
    sigmas = schedules.karras_sigmas(3, 0.002, 80.0)
    middle = ((80 ** (1 / 7) + 0.002 ** (1 / 7)) / 2) ** 7
    assert sigmas == pytest.approx([80.0, middle, 0.002, 0.0])


@pytest.mark.parametrize("schedule", [Schedule.KARRAS, Schedule.EXPONENTIAL])
def test_free_schedules_span_what_the_model_was_trained_on_unless_it_says_otherwise(schedule):
    def ends(facts):
        sigmas = schedules.sigmas_for(facts, schedule, Sampler.EULER, 6)
        return pytest.approx((sigmas[-2], sigmas[0]))

    assert ends(FAMILIES["eps"]) == (TABLE[0], TABLE[-1])
    assert ends(FAMILIES["flow"]) == FLOW_RANGE
    assert ends(replace(FAMILIES["eps"], sigma_min=0.1, sigma_max=9.0)) == (0.1, 9.0)


def test_exponential_levels_have_one_ratio():
    sigmas = schedules.exponential_sigmas(5, 0.01, 100.0)
    assert sigmas == pytest.approx([100, 10, 1, 0.1, 0.01, 0])


def test_flow_levels_are_even_in_time_and_a_shift_moves_them_to_more_noise():
    times = [sigma / (1 + sigma) for sigma in schedules.flow_sigmas(4)]
    assert times == pytest.approx([0.9999, 0.75, 0.5, 0.25, 0])
    shifted = [sigma / (1 + sigma) for sigma in schedules.flow_sigmas(4, shift=3.0)]
    assert shifted == pytest.approx([0.9999, 0.9, 0.75, 0.5, 0])


@pytest.mark.parametrize("steps", [1, 8, 50, 51, 60, 150])
def test_a_consistency_model_begins_at_all_the_noise_of_its_training(steps):
    sigmas = schedules.sigmas_for(FAMILIES["eps"], Schedule.MODEL, Sampler.LCM, steps)
    assert sigmas[0] == TABLE[-1]


def test_ddim_may_end_where_its_training_began():
    facts = ModelFacts(
        prediction=Prediction.EPS,
        latent_channels=4,
        training_sigmas=TABLE,
        ddim_final_sigma=TABLE[0],
    )
    assert schedules.sigmas_for(facts, Schedule.MODEL, Sampler.DDIM, 5)[-1] == TABLE[0]
    assert schedules.sigmas_for(facts, Schedule.MODEL, Sampler.EULER, 5)[-1] == 0


@pytest.mark.parametrize(
    ("percent", "left"), [(100, [8, 4, 2, 1, 0]), (60, [8, 4, 0]), (50, [8, 4, 0]), (10, [8, 0])]
)
def test_stopping_keeps_the_first_steps_and_ends_at_zero(percent, left):
    assert schedules.stopped([8, 4, 2, 1, 0], percent) == left


@pytest.mark.parametrize(
    ("strength", "left"), [(1.0, [8, 4, 2, 1, 0]), (0.75, [4, 2, 1, 0]), (0.01, [1, 0])]
)
def test_an_edit_runs_the_last_part_of_a_schedule(strength, left):
    assert schedules.started([8, 4, 2, 1, 0], strength) == left
