"""The same pictures as diffusers' own pipelines, from the same files and the same noise."""

import functools

import diffusers
import pytest
import torch

from engine.models.catalogue import Family
from engine.pipelines import imagine
from engine.requests import Sampler

# diffusers' own, under NumPy 2
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

PROMPT, NEGATIVE, SEED, COUNT, STEPS = "a red cat", "dog, blue", 7, 2, 4

SCHEDULERS = {
    Sampler.EULER: diffusers.EulerDiscreteScheduler,
    Sampler.EULER_ANCESTRAL: diffusers.EulerAncestralDiscreteScheduler,
    Sampler.HEUN: diffusers.HeunDiscreteScheduler,
    Sampler.DDIM: functools.partial(diffusers.DDIMScheduler.from_config, clip_sample=False),
    Sampler.DPMPP_2M: diffusers.DPMSolverMultistepScheduler,
    Sampler.DPMPP_2M_SDE: functools.partial(
        diffusers.DPMSolverMultistepScheduler.from_config, algorithm_type="sde-dpmsolver++"
    ),
    Sampler.LCM: diffusers.LCMScheduler,
}
PIPELINES = {
    Family.SD1: diffusers.StableDiffusionPipeline,
    Family.SD2: diffusers.StableDiffusionPipeline,
    Family.SDXL: diffusers.StableDiffusionXLPipeline,
}


def by_diffusers(folder, family, sampler, guidance_scale=5.0):
    pipe = PIPELINES[family].from_pretrained(str(folder), local_files_only=True)
    pipe.set_progress_bar_config(disable=True)
    make = SCHEDULERS[sampler]
    make = make.from_config if isinstance(make, type) else make
    pipe.scheduler = make(pipe.scheduler.config)
    generators = [torch.Generator().manual_seed(SEED + i) for i in range(COUNT)]
    latents = torch.stack([torch.randn((4, 8, 8), generator=g) for g in generators])
    return pipe(
        PROMPT,
        negative_prompt=NEGATIVE,
        width=64,
        height=64,
        num_inference_steps=STEPS,
        guidance_scale=guidance_scale,
        num_images_per_prompt=COUNT,
        latents=latents,
        generator=generators,
        output_type="pt",
    ).images


@pytest.mark.parametrize("sampler", SCHEDULERS)
@pytest.mark.parametrize(
    ("name", "family"),
    [("sd1", Family.SD1), ("sd1-v", Family.SD1), ("sd2", Family.SD2), ("sdxl", Family.SDXL)],
)
def test_every_sampler_gives_the_images_of_the_diffusers_pipeline(
    checkpoints, answers_of, info_of, request_of, name, family, sampler
):
    theirs = by_diffusers(checkpoints / name, family, sampler)
    answers = answers_of(info_of(name, family))
    (ours,) = answers.run(imagine.run(request_of(name, sampler=sampler)))
    assert theirs.std() > 0.02
    torch.testing.assert_close(ours, theirs, atol=1e-3, rtol=0)


@pytest.mark.parametrize(("name", "family"), [("sd1", Family.SD1), ("sdxl", Family.SDXL)])
def test_without_guidance_too(checkpoints, answers_of, info_of, request_of, name, family):
    theirs = by_diffusers(checkpoints / name, family, Sampler.EULER, guidance_scale=1.0)
    answers = answers_of(info_of(name, family))
    (ours,) = answers.run(imagine.run(request_of(name, guidance_scale=1.0)))
    torch.testing.assert_close(ours, theirs, atol=1e-3, rtol=0)
