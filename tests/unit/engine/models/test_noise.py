"""The noise configuration of checkpoints, as their classes mean it."""

import diffusers
import pytest

from engine.diffusion.prediction import Prediction, Spacing
from engine.errors import ModelUnavailable
from engine.models.families.noise import ORIGINAL_NOISE, noise_from

# diffusers' own, under NumPy 2
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

CLASSES = [
    diffusers.PNDMScheduler,
    diffusers.DDIMScheduler,
    diffusers.EulerDiscreteScheduler,
    diffusers.EulerAncestralDiscreteScheduler,
    diffusers.DPMSolverMultistepScheduler,
    diffusers.LCMScheduler,
]


@pytest.mark.parametrize("kind", CLASSES)
@pytest.mark.parametrize("schedule", ["linear", "scaled_linear"])
def test_the_levels_and_the_spacing_are_those_of_the_class(kind, schedule):
    scheduler = kind(beta_start=0.001, beta_end=0.01, beta_schedule=schedule)
    alphas = scheduler.alphas_cumprod.double()
    noise = noise_from("x", {"_class_name": kind.__name__, **scheduler.config})
    levels = ((1 - alphas) / alphas).sqrt().tolist()
    assert noise.training_sigmas == pytest.approx(levels, rel=1e-3)
    assert noise.prediction is Prediction.EPS


@pytest.mark.parametrize("kind", CLASSES)
def test_a_configuration_that_is_silent_means_what_its_class_does_by_default(kind):
    defaults = kind().config
    noise = noise_from("x", {"_class_name": kind.__name__})
    assert noise.spacing == defaults["timestep_spacing"]
    assert noise.steps_offset == defaults.get("steps_offset", 0)
    levels = noise_from("x", dict(defaults)).training_sigmas
    assert noise.training_sigmas == pytest.approx(levels)


def test_a_single_file_is_taken_to_be_trained_as_stable_diffusion_was():
    noise = noise_from("x", ORIGINAL_NOISE)
    assert noise.spacing is Spacing.LEADING
    assert noise.training_sigmas[0] == pytest.approx(0.0292, rel=1e-2)
    assert noise.training_sigmas[-1] == pytest.approx(14.6146, rel=1e-4)
    assert noise.ddim_final_sigma == noise.training_sigmas[0]


@pytest.mark.parametrize(
    "kind", [diffusers.EDMDPMSolverMultistepScheduler, diffusers.FlowMatchEulerDiscreteScheduler]
)
def test_noise_without_training_timesteps_is_refused_instead_of_drawn_as_another(kind):
    with pytest.raises(ModelUnavailable, match=f"another kind of noise .{kind.__name__}"):
        noise_from("x", {"_class_name": kind.__name__, **kind().config})


@pytest.mark.parametrize(
    ("field", "value"),
    [("prediction_type", "magic"), ("beta_schedule", "squared"), ("timestep_spacing", "odd")],
)
def test_what_is_unknown_is_named(field, value):
    with pytest.raises(ModelUnavailable, match=value):
        noise_from("x", {field: value})
