"""Distillation into few steps: what the student is asked for, and that it learns it."""

import numpy as np
import pytest
import torch

from engine.networks.denoiser import Denoiser, DenoiserConfig
from engine.training.denoise import Rows
from engine.training.few_steps import GUIDANCE_SCALE, STEPS, TEACHER_STEPS, FewSteps
from engine.training.loop import Draw

CONFIG = DenoiserConfig(
    latent_channels=4, widths=(16, 64), blocks=1, heads=2, text_width=8, blueprint=64, unsaid=6
)


class Store:
    def batch(self, size: int, rng: np.random.Generator) -> Rows:
        draw = torch.Generator().manual_seed(int(rng.integers(2**31)))
        shapes = ((size, 4, 4, 4), (size, 5, 8), (size, 8), (size, 6))
        return Rows(*(torch.randn(shape, generator=draw) for shape in shapes))


class Words:
    def encode(self, prompts: list[str]) -> tuple[torch.Tensor, torch.Tensor]:
        return torch.zeros(len(prompts), 5, 8), torch.zeros(len(prompts), 8)


@pytest.fixture
def programme() -> FewSteps:
    with torch.random.fork_rng():
        torch.default_generator.manual_seed(7)
        teacher = Denoiser(CONFIG)
        for parameter in teacher.parameters():
            parameter.data.copy_(0.08 * torch.randn(parameter.shape))
        made = FewSteps(teacher, Store(), Words(), None)  # type: ignore[arg-type]
    made.batch = 8
    return made


def test_the_student_is_asked_for_what_guided_euler_steps_come_to(programme):
    x, t = torch.randn(2, 4, 4, 4), torch.tensor([1.0, 3 / STEPS])
    tokens, pooled, unsaid = torch.randn(2, 5, 8), torch.randn(2, 8), torch.randn(2, 6)
    place = x.clone()
    for number in range(TEACHER_STEPS):
        now = t - number / STEPS / TEACHER_STEPS
        steered = programme.teacher(place, now, tokens, pooled, unsaid)
        free = programme.teacher(place, now, torch.zeros(2, 5, 8), torch.zeros(2, 8), unsaid)
        velocity = free + GUIDANCE_SCALE * (steered - free)
        place = place - velocity / STEPS / TEACHER_STEPS
    wanted = programme._mean_velocity(x, t, Rows(x, tokens, pooled, unsaid))
    torch.testing.assert_close((x - place) * STEPS, wanted, rtol=0.05, atol=0.05)  # bf16


def test_the_student_begins_as_its_teacher_and_comes_nearer_to_guidance(programme):
    before = float(programme.loss(programme.network, Draw.of_step(0, 999)).detach())
    learning = [p for p in programme.network.parameters() if p.requires_grad]
    optimiser = torch.optim.Adam(learning, 3e-3)
    for step in range(60):
        loss = programme.loss(programme.network, Draw.of_step(0, step))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    after = float(programme.loss(programme.network, Draw.of_step(0, 999)).detach())
    assert after < 0.7 * before
