"""The samplers against the schedulers of diffusers: same network, same noise, same latents."""

import functools
import math

import diffusers
import pytest
import torch

from engine.diffusion import prediction, samplers, schedules
from engine.diffusion.prediction import ModelFacts, Prediction, Spacing
from engine.requests import Sampler, Schedule

# diffusers' own, under NumPy 2
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

TRAINED = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}
SHAPE = (2, 4, 8, 8)

SCHEDULERS = {
    Sampler.EULER: diffusers.EulerDiscreteScheduler,
    Sampler.EULER_ANCESTRAL: diffusers.EulerAncestralDiscreteScheduler,
    Sampler.HEUN: diffusers.HeunDiscreteScheduler,
    Sampler.DDIM: functools.partial(
        diffusers.DDIMScheduler, clip_sample=False, set_alpha_to_one=False
    ),
    Sampler.DPMPP_2M: diffusers.DPMSolverMultistepScheduler,
    Sampler.DPMPP_2M_SDE: functools.partial(
        diffusers.DPMSolverMultistepScheduler, algorithm_type="sde-dpmsolver++"
    ),
    Sampler.LCM: diffusers.LCMScheduler,
}
KINDS = {Prediction.EPS: "epsilon", Prediction.V: "v_prediction", Prediction.X0: "sample"}


def network(z, timestep):
    """Stands for a UNet: smooth in both its input and the timestep, and not linear."""
    phase = timestep.view(-1, 1, 1, 1) / 130
    return torch.tanh(0.9 * z + 0.4 * torch.roll(z, 1, 1) + 0.3 * torch.sin(phase))


def facts_of(kind, spacing):
    sigmas = schedules.training_sigmas(0.00085, 0.012)
    return ModelFacts(
        prediction=kind,
        latent_channels=4,
        training_sigmas=sigmas,
        spacing=spacing,
        ddim_final_sigma=sigmas[0],
    )


def noises(steps):
    generator = torch.Generator().manual_seed(7)
    return torch.randn((steps + 1, *SHAPE), generator=generator)


def by_diffusers(scheduler, steps, monkeypatch, timesteps=None, source=None, start=0):
    """The loop of a diffusers pipeline, with given noise; of an edit, with a source."""
    supply = noises(steps)
    draws = iter(supply[1:])
    monkeypatch.setattr(
        f"{type(scheduler).__module__}.randn_tensor", lambda *_, **__: next(draws), raising=False
    )
    scheduler.set_timesteps(steps)
    if timesteps is not None:
        scheduler.timesteps = timesteps
        scheduler.set_begin_index(0)
    x = supply[0] * scheduler.init_noise_sigma
    if source is not None:
        if hasattr(scheduler, "set_begin_index"):
            scheduler.set_begin_index(start * scheduler.order)
        first = scheduler.timesteps[start * scheduler.order :][:1]
        x = scheduler.add_noise(source, supply[0], first)
    for t in scheduler.timesteps[start * scheduler.order :]:
        output = network(scheduler.scale_model_input(x, t), t.float().view(1))
        x = scheduler.step(output, t, x, return_dict=False)[0]
    return x


def by_us(answered, facts, sampler, schedule, steps, source=None, strength=1.0):
    supply = noises(steps)
    draws = iter(supply[1:])

    def denoise(x, sigma):
        sigma = torch.full((len(x),), sigma)
        z = prediction.network_input(facts.prediction, x, sigma)
        if facts.is_flow:
            output = network(z, 1000 * prediction.flow_time(sigma))
        else:
            output = network(z, prediction.training_timestep(sigma, facts.training_sigmas))
        return prediction.clean_latents(facts.prediction, output, x, sigma)

    def run(denoise, x, sigmas, on_step):
        return samplers.sample(sampler, denoise, x, sigmas, lambda: next(draws), on_step)

    sigmas = schedules.sigmas_for(facts, schedule, sampler, steps)
    x = supply[0] * schedules.noise_scale(facts, sampler, sigmas[0])
    if source is not None:
        sigmas = schedules.started(sigmas, strength)
        x = source + supply[0] * sigmas[0]
    return answered(run, denoise, x, sigmas)


def assert_same_images(ours, theirs):
    assert float(theirs.std()) > 0.1
    torch.testing.assert_close(ours, theirs, atol=1e-3, rtol=0)


AS_TRAINED = [
    (sampler, spacing)
    for sampler in SCHEDULERS
    for spacing in Spacing
    # diffusers' DDIM does not step from one of these timesteps to the next.
    if (sampler, spacing) != (Sampler.DDIM, Spacing.LINSPACE)
]
PREDICTIONS = [
    (sampler, kind)
    for sampler in SCHEDULERS
    for kind in (Prediction.V, Prediction.X0)
    # diffusers' Euler ancestral does not know networks that predict x0.
    if (sampler, kind) != (Sampler.EULER_ANCESTRAL, Prediction.X0)
]


@pytest.mark.parametrize(("sampler", "spacing"), AS_TRAINED)
@pytest.mark.parametrize("steps", [4, 20])
def test_a_model_sampled_as_it_was_trained_gives_the_images_of_diffusers(
    answered, monkeypatch, sampler, spacing, steps
):
    scheduler = SCHEDULERS[sampler](
        **TRAINED, timestep_spacing=spacing.value, steps_offset=1, prediction_type="epsilon"
    )
    theirs = by_diffusers(scheduler, steps, monkeypatch)
    facts = facts_of(Prediction.EPS, spacing)
    assert_same_images(by_us(answered, facts, sampler, Schedule.MODEL, steps), theirs)


@pytest.mark.parametrize(("sampler", "kind"), PREDICTIONS)
def test_other_predictions_give_the_images_of_diffusers(answered, monkeypatch, sampler, kind):
    scheduler = SCHEDULERS[sampler](
        **TRAINED, timestep_spacing="leading", steps_offset=1, prediction_type=KINDS[kind]
    )
    theirs = by_diffusers(scheduler, 20, monkeypatch)
    facts = facts_of(kind, Spacing.LEADING)
    assert_same_images(by_us(answered, facts, sampler, Schedule.MODEL, 20), theirs)


@pytest.mark.parametrize("schedule", [Schedule.KARRAS, Schedule.EXPONENTIAL])
@pytest.mark.parametrize(
    "sampler", [Sampler.EULER, Sampler.HEUN, Sampler.DPMPP_2M, Sampler.DPMPP_2M_SDE]
)
@pytest.mark.parametrize("steps", [5, 20])
def test_other_schedules_give_the_images_of_diffusers(
    answered, monkeypatch, sampler, schedule, steps
):
    # With this spacing diffusers, too, spans the whole range the model was trained on.
    options = {"timestep_spacing": "linspace", f"use_{schedule.value}_sigmas": True}
    scheduler = SCHEDULERS[sampler](**TRAINED, **options)
    facts = facts_of(Prediction.EPS, Spacing.LINSPACE)
    timesteps = None
    if sampler in (Sampler.DPMPP_2M, Sampler.DPMPP_2M_SDE):
        # diffusers tells the network whole timesteps here, which do not fit the noise it sees.
        levels = schedules.sigmas_for(facts, schedule, sampler, steps)[:-1]
        timesteps = prediction.training_timestep(torch.tensor(levels), facts.training_sigmas)
    theirs = by_diffusers(scheduler, steps, monkeypatch, timesteps)
    assert_same_images(by_us(answered, facts, sampler, schedule, steps), theirs)


@pytest.mark.parametrize("sampler", [sampler for sampler in SCHEDULERS if sampler != Sampler.LCM])
@pytest.mark.parametrize("strength", [0.25, 0.6])
def test_edits_give_the_images_of_diffusers(answered, monkeypatch, sampler, strength):
    scheduler = SCHEDULERS[sampler](**TRAINED, timestep_spacing="leading", steps_offset=1)
    source = torch.randn(SHAPE, generator=torch.Generator().manual_seed(3))
    start = 20 - int(20 * strength)
    theirs = by_diffusers(scheduler, 20, monkeypatch, source=source, start=start)
    facts = facts_of(Prediction.EPS, Spacing.LEADING)
    ours = by_us(answered, facts, sampler, Schedule.MODEL, 20, source, strength)
    assert_same_images(ours, theirs)


@pytest.mark.parametrize("shift", [1.0, 3.0])
def test_flow_matching_gives_the_images_of_diffusers(answered, monkeypatch, shift):
    scheduler = diffusers.FlowMatchEulerDiscreteScheduler(shift=shift)
    steps, supply = 20, noises(20)
    levels = torch.linspace(1, 0, steps + 1)[:-1]
    scheduler.set_timesteps(sigmas=levels.tolist())
    x = supply[0]
    for t in scheduler.timesteps:
        x = scheduler.step(network(x, t.view(1)), t, x, return_dict=False)[0]
    facts = ModelFacts(prediction=Prediction.FLOW, latent_channels=4, flow_shift=shift)
    assert_same_images(by_us(answered, facts, Sampler.EULER, Schedule.MODEL, steps), x)


@pytest.mark.parametrize("zero_terminal_snr", [False, True])
def test_the_noise_levels_of_training_are_those_of_diffusers(zero_terminal_snr):
    scheduler = diffusers.EulerDiscreteScheduler(
        **TRAINED, rescale_betas_zero_snr=zero_terminal_snr
    )
    ours = schedules.training_sigmas(0.00085, 0.012, zero_terminal_snr=zero_terminal_snr)
    theirs = scheduler.sigmas[:-1].flip(0).tolist()
    assert ours == pytest.approx(theirs, rel=2e-3)
    assert math.isfinite(ours[-1])
