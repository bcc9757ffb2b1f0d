"""What the denoiser is trained on: which times of the flow, and at which rate."""

import pytest
import torch

from engine.training import programs
from engine.training.denoise import LEARNING_RATE, flow_times
from engine.training.job import PACK, Job
from engine.training.loop import Budget


def test_times_are_spread_over_early_fine_and_middle_ones():
    t = flow_times(40_000, torch.Generator().manual_seed(0))
    assert t.shape == (40_000,)
    assert ((t > 0) & (t < 1)).all()
    share = {
        low / 10: float(((t >= low / 10) & (t < (low + 1) / 10)).float().mean())
        for low in range(10)
    }
    # 0.2 of all over [0.8, 1), 0.45 over [0.1, 0.7), the others logit-normal around 0.62
    assert share[0.1] == pytest.approx(0.45 / 6 + 0.35 * 0.026, abs=0.01)
    assert share[0.3] == pytest.approx(0.45 / 6 + 0.35 * 0.094, abs=0.01)
    assert share[0.7] == pytest.approx(0.35 * 0.176, abs=0.01)
    assert share[0.8] == pytest.approx(0.2 / 2 + 0.35 * 0.146, abs=0.01)
    assert share[0.0] < 0.01


def test_times_are_drawn_again_from_their_generator():
    one, again, other = (flow_times(8, torch.Generator().manual_seed(s)) for s in (1, 1, 2))
    assert torch.equal(one, again)
    assert not torch.equal(one, other)


@pytest.mark.parametrize(("start", "rate"), [(None, LEARNING_RATE), (PACK, LEARNING_RATE / 2)])
def test_a_denoiser_that_goes_on_learns_at_half_the_rate(tmp_path, monkeypatch, start, rate):
    learnt = []
    for name in ("begun", "LatentStore", "trained_vae"):
        monkeypatch.setattr(programs, name, lambda *_, **__: torch.nn.Linear(1, 1))
    words = type("Words", (), {"encode": lambda *_: (torch.zeros(1), torch.zeros(1))})
    monkeypatch.setattr(programs, "trained_words", lambda _: words())
    monkeypatch.setattr(programs, "train_a_share", lambda p, _: learnt.append(p.learning_rate))
    programs._train_denoiser(Job(data=tmp_path, out=tmp_path, budget=Budget(images=1), start=start))
    assert learnt == [rate]
