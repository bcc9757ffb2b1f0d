"""Processes that share a run."""

from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from safetensors.torch import load_file
from torch import nn

from engine.training.loop import AVERAGE, Budget, Settings
from engine.training.replicas import ReplicaFailed, shared, train_a_share


@dataclass(frozen=True)
class Shares:
    out: Path
    replicas: int = 2


class OneHeadEach:
    """Each replica's pictures ask another head."""

    batch = 2
    learning_rate = 1e-2

    def __init__(self):
        torch.manual_seed(0)
        self.network = nn.ModuleList([nn.Linear(2, 2), nn.Linear(2, 2)])

    def loss(self, network, draw):
        return network[dist.get_rank()](torch.rand(2, generator=draw.torch)).square().sum()

    def sheet(self, network):
        return None


def train_heads(job):
    settings = Settings(job.out / "heads", Budget(images=8), warmup_images=1, ema=0.0, bar=False)
    if train_a_share(OneHeadEach(), settings):
        (job.out / "kept").write_text(str(dist.get_rank()))


def fail(job):
    raise RuntimeError(str(job.out))


@pytest.mark.timeout(120)
def test_what_one_replica_learns_the_others_learn_too(tmp_path):
    shared(Shares(tmp_path), train_heads)
    learnt = load_file(tmp_path / "heads" / AVERAGE)
    for name, before in OneHeadEach().network.state_dict().items():
        assert not torch.equal(learnt[name], before)
    assert (tmp_path / "kept").read_text() == "0"


@pytest.mark.timeout(120)
def test_a_replica_that_fails_is_told_of(tmp_path):
    with pytest.raises(ReplicaFailed):
        shared(Shares(tmp_path), fail)
