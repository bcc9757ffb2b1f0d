"""Distillation of the denoiser into few steps without guidance, for drafts.

After Salimans and Ho 2022 (progressive distillation, https://arxiv.org/abs/2202.00512) and Meng et
al. 2023 (guided models, https://arxiv.org/abs/2210.03142): one step of the student goes where
several guided Euler steps of its teacher go. The student is the teacher with a low-rank change.
"""

from collections.abc import Sequence
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from engine.networks.denoiser import Denoiser
from engine.networks.lora import add_lora
from engine.networks.vae import Vae
from engine.training.denoise import LatentStore, Rows, Words, sample_pictures
from engine.training.loop import Draw
from engine.training.monitors import contact_sheet

STEPS = 6  # of the student, from noise to picture
TEACHER_STEPS = 3  # for one of the student's
GUIDANCE_SCALE = 5.0  # of the teacher
RANK = 24
LEARNING_RATE = 1e-3


def student_of(teacher: Denoiser) -> Denoiser:
    """The teacher's weights, frozen, with a change to train."""
    student = Denoiser(teacher.config)
    student.load_state_dict(teacher.state_dict())
    add_lora(student, RANK)
    return student.to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


class FewSteps:
    """The student's programme for the loop."""

    batch = 32

    def __init__(
        self,
        teacher: Denoiser,
        store: LatentStore,
        words: Words,
        vae: Vae,
        prompts: Sequence[str] = (),
        learning_rate: float = LEARNING_RATE,
    ) -> None:
        self.teacher = teacher.eval().requires_grad_(requires_grad=False)
        self.network = student_of(teacher)
        self.learning_rate = learning_rate
        self.store = store
        self.words = words
        self.vae = vae
        self.prompts = list(prompts)
        self.nothing = words.encode([""])

    def loss(self, network: Any, draw: Draw) -> Tensor:
        """Mean squared error of the velocity that leads to where the teacher arrives."""
        device = next(self.teacher.parameters()).device
        rows = self.store.batch(self.batch, draw.numpy).to(device)
        count = len(rows.latents)
        noise = torch.randn(rows.latents.shape, generator=draw.torch).to(device)
        start = torch.randint(1, STEPS + 1, (count,), generator=draw.torch).to(device) / STEPS
        mix = start[:, None, None, None]
        noisy = ((1 - mix) * rows.latents + mix * noise).to(memory_format=torch.channels_last)
        wanted = self._mean_velocity(noisy, start, rows)
        with torch.autocast(device.type, torch.bfloat16):
            velocity = network(noisy, start, rows.tokens, rows.pooled, rows.unsaid)
        error: Tensor = (velocity.float() - wanted).square().mean()
        return error

    @torch.no_grad()
    def _mean_velocity(self, x: Tensor, t: Tensor, rows: Rows) -> Tensor:
        """What the teacher's guided steps over one step of the student amount to."""
        device = x.device
        no_tokens, no_pooled = (part.to(device) for part in self.nothing)
        both_tokens = torch.cat([rows.tokens, no_tokens.expand_as(rows.tokens)])
        both_pooled = torch.cat([rows.pooled, no_pooled.expand_as(rows.pooled)])
        both_unsaid = rows.unsaid.repeat(2, 1)
        width = 1 / STEPS / TEACHER_STEPS
        place = x
        for number in range(TEACHER_STEPS):
            now = (t - number * width).repeat(2)
            with torch.autocast(device.type, torch.bfloat16):
                steered, free = (
                    self.teacher(
                        place.repeat(2, 1, 1, 1), now, both_tokens, both_pooled, both_unsaid
                    )
                    .float()
                    .chunk(2)
                )
            place = place - width * (free + GUIDANCE_SCALE * (steered - free))
        return (x - place) * STEPS

    def sheet(self, network: Any) -> Image.Image | None:
        """One picture for each prompt, of fixed noise, in the student's few steps."""
        if not self.prompts:
            return None
        pixels = sample_pictures(
            network,
            self.words,
            self.vae,
            self.prompts,
            seed=0,
            steps=STEPS,
            guidance_scale=1.0,
        )
        return contact_sheet(pixels, 8, self.prompts)
