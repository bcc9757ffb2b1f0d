"""Replicas: processes of one thread each that share a run and average their gradients."""

import sys
import traceback
from collections.abc import Callable
from multiprocessing import get_context, parent_process
from multiprocessing.queues import SimpleQueue
from pathlib import Path
from typing import Protocol, TypeVar

import torch
import torch.distributed as dist

from engine.training.loop import Programme, Progress, Run, Settings, patient

# Exit statuses of a replica, as shells know them
FAILED, INTERRUPTED = 1, 130


class Shared(Protocol):
    """What replicas are told of a job."""

    @property
    def out(self) -> Path:
        """The folder of the job, where its replicas meet."""
        ...

    @property
    def replicas(self) -> int:
        """How many they are."""
        ...


J = TypeVar("J", bound=Shared)


class ReplicaFailed(Exception):
    """One of the processes that share a run ended before it was over."""

    def __str__(self) -> str:
        return "A replica of the run was killed. Go on with --resume."


def shared(job: J, program: Callable[[J], object]) -> None:
    """Run `program`, a function of a module, in this process or in each of the job's replicas.

    Raises:
        Exception: the first that one of them raised, with its traceback as a note.
        ReplicaFailed: one of them was killed.
        KeyboardInterrupt: they were interrupted, and have saved.
    """
    if job.replicas == 1:
        program(job)
        return
    _meeting(job).unlink(missing_ok=True)  # of a run that was killed
    context = get_context("spawn")
    raised = context.SimpleQueue()
    processes = [
        context.Process(target=_replica, args=(rank, job, program, raised))
        for rank in range(job.replicas)
    ]
    for process in processes:
        process.start()
    with patient():  # the replicas hear it themselves, and save first
        for process in processes:
            process.join()
    codes = {process.exitcode for process in processes}
    if INTERRUPTED in codes:
        raise KeyboardInterrupt
    if any(code is not None and code < 0 for code in codes):
        raise ReplicaFailed  # the others raised that they lost it
    if not raised.empty():
        raise raised.get()
    if any(codes):
        raise ReplicaFailed


def train_a_share(programme: Programme, settings: Settings) -> bool:
    """Train this process's share of each batch; whether it is the one that keeps what comes of it.

    Raises:
        Diverged: numbers were not finite; the last checkpoint is kept.
        NotSaved: there is no room for a checkpoint; the last one is kept.
    """
    count = dist.get_world_size() if dist.is_initialized() else 1
    programme.batch = max(1, programme.batch // count)
    run = Run(programme, settings)
    run.train(stop=_is_orphan)
    return run.is_first


def _replica(
    rank: int, job: J, program: Callable[[J], object], raised: "SimpleQueue[Exception]"
) -> None:
    torch.set_num_threads(1)
    meeting = _meeting(job).absolute()
    dist.init_process_group("gloo", f"file://{meeting}", world_size=job.replicas, rank=rank)
    try:
        program(job)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except Exception as error:  # noqa: BLE001  the whole run raises it again
        error.add_note(traceback.format_exc())
        raised.put(error)
        sys.exit(FAILED)
    finally:
        dist.destroy_process_group()


def _meeting(job: Shared) -> Path:
    """The file by which the replicas of a run find each other."""
    return job.out / "replicas"


def _is_orphan(_: Progress) -> bool:
    """Whether this is a replica of a run that was killed: it ends, with its checkpoint."""
    parent = parent_process()
    return parent is not None and not parent.is_alive()
