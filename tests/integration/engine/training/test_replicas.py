"""Processes that share a run."""

import os
import pickle
import signal
from dataclasses import dataclass
from inspect import signature
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from safetensors.torch import load_file
from torch import nn

from engine.training.__main__ import REFUSALS
from engine.training.loop import AVERAGE, Budget, Settings
from engine.training.pictures import BrokenSet
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


def refuse(job):
    raise BrokenSet(str(job.out), "is empty")


def die(job):
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.timeout(120)
def test_what_one_replica_learns_the_others_learn_too(tmp_path):
    shared(Shares(tmp_path), train_heads)
    learnt = load_file(tmp_path / "heads" / AVERAGE)
    for name, before in OneHeadEach().network.state_dict().items():
        assert not torch.equal(learnt[name], before)
    assert (tmp_path / "kept").read_text() == "0"


@pytest.mark.timeout(120)
def test_what_a_replica_refuses_is_refused_in_its_words_and_told_where(tmp_path):
    with pytest.raises(BrokenSet) as refused:
        shared(Shares(tmp_path), refuse)
    assert str(refused.value) == f"{tmp_path}: is empty"
    assert "in refuse" in refused.value.__notes__[0]


@pytest.mark.timeout(120)
def test_a_replica_that_is_killed_is_told_of(tmp_path):
    with pytest.raises(ReplicaFailed):
        shared(Shares(tmp_path), die)


@pytest.mark.parametrize("refusal", REFUSALS)
def test_refusals_come_out_of_a_replica_as_they_were(refusal):
    count = len(signature(refusal).parameters) if refusal.__init__ is not Exception.__init__ else 0
    error = refusal(*["what"] * count)
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), again.args, vars(again)) == (refusal, error.args, vars(error))
