"""Worker processes that die, stop, hang or outlive their host; drawn by the fake worker."""

import asyncio
import contextlib
import io
import logging
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from engine import child, host
from engine.config import EngineConfig
from engine.errors import EngineError, WorkerDied
from engine.events import Finished, Progress
from engine.models.catalogue import open_catalogue
from engine.requests import StyleReference, Stylize, TextToImage, plain
from engine.testing import CRASH, open_fake_engine

ONE = EngineConfig(devices=("fake",))
LONG_S = 0.02  # of one step; a request of 150 steps then takes seconds


def a_request(**changes):
    fields = {
        "model": "atelier-pack",
        "prompt": plain("a red fox"),
        "seed": 7,
        "width": 64,
        "height": 64,
        "steps": 3,
        "image_count": 1,
    }
    return TextToImage(**fields | changes)


def a_crash():
    return Stylize(content=CRASH, styles=(StyleReference(preset="wave"),))


def ignore(event):
    pass


def workers():
    return [p for p in multiprocessing.active_children() if p.name.startswith("atelier worker")]


@contextlib.asynccontextmanager
async def running(engine, **changes):
    """A long request that has made its first step."""
    begun = asyncio.Event()
    job = asyncio.create_task(
        engine.run(
            a_request(steps=150, **changes),
            lambda event: begun.set() if isinstance(event, Progress) else None,
        )
    )
    await begun.wait()
    yield job
    job.cancel()
    await asyncio.wait([job])


async def until(condition):
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.02)


async def test_a_killed_worker_fails_its_requests_as_retryable_and_is_replaced():
    async with open_fake_engine(ONE, step_delay_s=LONG_S) as engine, running(engine) as job:
        before = workers()[0].pid
        os.kill(before, signal.SIGKILL)
        with pytest.raises(WorkerDied) as caught:
            await job
        assert caught.value.retryable
        finished = await engine.run(a_request(), ignore)
        assert isinstance(finished, Finished)
        assert workers()[0].pid != before
        assert engine.status().workers[0].restarts == 1


async def test_a_worker_that_may_have_died_of_profiling_is_replaced_by_one_that_does_none(
    monkeypatch,
):
    configs = []

    class Dying:
        is_gone, ending = True, "died"

        def __init__(self, device, config, catalogue, main, on_ready):
            configs.append(config)

        async def gone(self):
            pass

        async def end(self):
            pass

    monkeypatch.setattr(host, "Child", Dying)
    monkeypatch.setattr(host, "FIRST_PAUSE_S", 0.01)
    async with host.open_host(replace(ONE, profile_s=1.0), ignore):
        await until(lambda: len(configs) > 2)
    assert [config.profile_s for config in configs[:3]] == [1.0, 0.0, 0.0]


async def test_a_stopped_worker_is_silent_and_is_replaced(caplog):
    config = replace(ONE, silence_timeout_s=3.0)
    async with open_fake_engine(config, step_delay_s=LONG_S) as engine, running(engine) as job:
        os.kill(workers()[0].pid, signal.SIGSTOP)
        with pytest.raises(WorkerDied):
            await job
        assert "said nothing" in caplog.text
        assert isinstance(await engine.run(a_request(), ignore), Finished)


async def test_a_worker_that_hangs_in_one_pass_is_replaced_though_its_heart_beats(caplog):
    config = replace(ONE, stuck_timeout_s=1.0)
    async with open_fake_engine(config, step_delay_s=30.0) as engine:
        with pytest.raises(WorkerDied):
            await engine.run(a_request(), ignore)
    assert "worked at one pass" in caplog.text


async def test_a_worker_whose_message_can_not_be_read_is_replaced(caplog):
    async with host.open_host(ONE, _send_garbage) as engine:
        for _ in range(2):
            with pytest.raises(WorkerDied):
                await engine.run(a_request(), ignore)
        assert engine.status().workers[0].restarts >= 1
    assert "a message of the worker of fake can't be read" in caplog.text


def _send_garbage(link):
    link.orders.recv()
    link.reports.send_bytes(b"garbage, not a pickle")
    signal.pause()


async def test_a_worker_that_can_not_go_on_is_replaced_though_one_of_its_threads_does(caplog):
    async with host.open_host(ONE, _break_down) as engine, asyncio.timeout(20):
        for _ in range(2):
            with pytest.raises(WorkerDied):
                await engine.run(a_request(), ignore)
    assert "the worker can't go on" in caplog.text
    assert "the device is broken" in caplog.text


def _break_down(link):
    from engine import testing, worker_process
    from engine.messages import Ready

    class Broken(testing._DrawingWork):
        def tick(self):
            raise RuntimeError("the device is broken")

    threading.Thread(target=threading.Event().wait).start()
    worker_process.run(lambda link, send: (Broken(send, 0.0), Ready(link.device)), link)


async def test_a_worker_that_can_not_read_an_order_is_replaced(caplog):
    async with open_fake_engine(ONE) as engine, asyncio.timeout(20):
        with pytest.raises(WorkerDied):
            await engine.run(Unreadable(), ignore)
        assert isinstance(await engine.run(a_request(), ignore), Finished)
    assert "an order can't be read" in caplog.text


class Unreadable:
    """A request that finds no memory in the worker."""

    def __reduce__(self):
        return _run_out_of_memory, ()


def _run_out_of_memory():
    raise MemoryError


async def test_a_killed_worker_whose_connection_stays_open_does_not_hang_its_callers(monkeypatch):
    monkeypatch.setattr(child, "CHECK_S", 0.1)
    monkeypatch.setattr(child, "END_TIMEOUT_S", 0.5)
    async with host.open_host(replace(ONE, silence_timeout_s=0.5), _leave_a_heir) as engine:
        async with asyncio.timeout(20):
            with pytest.raises(WorkerDied):
                await engine.run(a_request(), ignore)


def _leave_a_heir(link):
    """Fall silent, after another process has got hold of the connection."""
    from engine.messages import NO_REQUEST, Heartbeat

    link.orders.recv()
    if os.fork() == 0:
        with contextlib.suppress(EOFError):
            while True:  # as long as there is a host
                link.orders.recv()
        os._exit(0)
    link.reports.send((NO_REQUEST, Heartbeat()))
    signal.pause()


async def test_a_worker_that_is_busy_for_longer_than_the_silence_timeout_is_left_alone():
    config = replace(ONE, silence_timeout_s=4.0)
    async with open_fake_engine(config, step_delay_s=5.0) as engine:
        assert isinstance(await engine.run(a_request(steps=1), ignore), Finished)
        assert engine.status().workers[0].restarts == 0


async def test_a_request_that_kills_its_worker_each_time_fails_each_time_and_others_go_on():
    async with open_fake_engine(ONE) as engine:
        for _ in range(2):
            with pytest.raises(WorkerDied):
                await engine.run(a_crash(), ignore)
            assert isinstance(await engine.run(a_request(), ignore), Finished)


async def test_the_pauses_before_a_replacement_grow_while_workers_die_early(monkeypatch):
    pauses = []

    async def live(self, config):
        if len(pauses) == 5:
            await asyncio.Event().wait()
        return 1.0 if len(pauses) != 3 else 1000.0

    async def pause(seconds):
        pauses.append(seconds)

    monkeypatch.setattr(host._Device, "_live", live)
    monkeypatch.setattr(host.asyncio, "sleep", pause)
    catalogue = open_catalogue(ONE)
    device = host._Device("fake", ONE, catalogue, lambda link: None, lambda names: None)
    keeper = asyncio.create_task(device.keep())
    while len(pauses) < 5:
        await asyncio.wait([keeper], timeout=0.01)
    keeper.cancel()
    await asyncio.wait([keeper])
    assert pauses == [0.5, 1.0, 2.0, 0.0, 0.5]


async def test_a_worker_that_never_starts_does_not_hang_its_callers():
    async with host.open_host(ONE, _end_at_once) as engine:
        with pytest.raises(WorkerDied):
            await engine.run(a_request(), ignore)


def _end_at_once(link):
    raise SystemExit(3)


async def test_why_a_worker_cannot_start_is_in_the_log_without_a_traceback(caplog, capfd):
    async with host.open_host(ONE, _has_no_device) as engine:
        with pytest.raises(WorkerDied):
            await engine.run(a_request(), ignore)
    assert "the worker of fake can't start: this machine has no fake" in caplog.text
    assert "Traceback" not in capfd.readouterr().err


def _has_no_device(link):
    from engine import worker_process
    from engine.errors import Unsupported

    def begin(link, send):
        raise Unsupported("this machine has no fake")

    worker_process.run(begin, link)


async def test_a_large_request_does_not_block_the_event_loop():
    content = io.BytesIO()
    Image.frombytes("RGB", (2000, 2000), os.urandom(12_000_000)).save(content, "BMP")
    request = Stylize(content=content.getvalue(), styles=(StyleReference(preset="wave"),))
    async with open_fake_engine(ONE) as engine:
        await engine.run(a_request(), ignore)  # it is up
        longest, job = 0.0, asyncio.create_task(engine.run(request, ignore))
        while not job.done():
            before = time.perf_counter()
            await asyncio.sleep(0)
            longest = max(longest, time.perf_counter() - before)
            await asyncio.sleep(0.005)
        assert isinstance(job.result(), Finished)
        # The loop shares two busy cores with others: far from the time a blocking send would take
        # while the worker sleeps, which is for ever.
        assert longest < 1.0


async def test_orders_larger_than_the_pipe_do_not_block_the_loop_while_the_worker_is_stopped():
    request = Stylize(content=bytes(3_000_000), styles=(StyleReference(preset="wave"),))
    async with open_fake_engine(replace(ONE, silence_timeout_s=3.0)) as engine:
        await engine.run(a_request(), ignore)
        os.kill(workers()[0].pid, signal.SIGSTOP)
        job = asyncio.create_task(engine.run(request, ignore))
        async with asyncio.timeout(0.5):
            await asyncio.sleep(0.1)
        assert not job.done()
        with pytest.raises(WorkerDied):
            await job


async def test_leaving_ends_the_workers_within_seconds_and_fails_what_runs():
    async with open_fake_engine(ONE, step_delay_s=LONG_S) as engine, running(engine) as job:
        pid = workers()[0].pid
        begun = time.monotonic()
        await engine.close()
        assert time.monotonic() - begun < 5
        with pytest.raises(WorkerDied):
            await job
        with pytest.raises(WorkerDied):
            await engine.run(a_request(), ignore)
        assert not _lives(pid)


async def test_requests_go_to_the_device_with_their_model_until_it_is_far_busier():
    config = EngineConfig(devices=("fake:0", "fake:1"))
    async with (
        open_fake_engine(config, step_delay_s=LONG_S) as engine,
        contextlib.AsyncExitStack() as jobs,
    ):
        running_at = []
        for seed in range(host.SWITCH_COST + 3):
            await jobs.enter_async_context(running(engine, seed=seed))
            running_at.append([worker.running for worker in engine.status().workers])
        assert running_at[0] == [1, 0]
        assert running_at[host.SWITCH_COST - 1] == [host.SWITCH_COST, 0]
        assert running_at[-1] == [host.SWITCH_COST + 1, 2]


async def test_requests_do_not_go_to_a_device_that_only_starts_while_another_works():
    config = EngineConfig(devices=("fake:0", "fake:1"))
    async with host.open_host(config, _start_but_one) as engine, asyncio.timeout(20):
        await until(lambda: engine._devices[0].is_ready)
        jobs = [engine.run(a_request(seed=seed), ignore) for seed in range(host.SWITCH_COST + 3)]
        assert all(isinstance(done, Finished) for done in await asyncio.gather(*jobs))


def _start_but_one(link):
    from engine import testing, worker_process
    from engine.messages import Ready

    def begin(link, send):
        if link.device == "fake:1":
            signal.pause()
        return testing._DrawingWork(send, 0.0), Ready(link.device)

    worker_process.run(begin, link)


async def test_the_devices_a_worker_finds_get_workers_of_their_own():
    async with host.open_host(EngineConfig(), _find_three) as engine:
        await until(lambda: len(engine.status().workers) == 3)
        await until(lambda: all(worker.is_alive for worker in engine.status().workers))
        await until(lambda: engine.status().workers[0].device == "fake:0")
        assert [w.device for w in engine.status().workers] == ["fake:0", "fake:1", "fake:2"]


def _find_three(link):
    from engine import testing, worker_process
    from engine.messages import Ready

    def begin(link, send):
        is_first = link.device == "auto"
        ready = Ready("fake:0", ("fake:1", "fake:2")) if is_first else Ready(link.device)
        return testing._DrawingWork(send, 0.0), ready

    worker_process.run(begin, link)


async def test_an_error_of_any_kind_comes_back_as_itself():
    request = Stylize(content=b"no picture", styles=(StyleReference(preset="wave"),))
    async with open_fake_engine(ONE) as engine:
        with pytest.raises(EngineError, match="content is no picture"):
            await engine.run(request, ignore)


async def test_what_a_worker_logs_is_in_the_log_of_its_host(caplog):
    caplog.set_level(logging.INFO)
    async with host.open_host(ONE, _log_something) as engine:
        await engine.run(a_request(), ignore)
    assert ("studio", logging.WARNING, "fake: a warning of 1") in caplog.record_tuples


def _log_something(link):
    from engine import testing, worker_process
    from engine.messages import Ready

    def begin(link, send):
        logging.getLogger("studio").warning("a warning of %d", 1)
        return testing._DrawingWork(send, 0.0), Ready(link.device)

    worker_process.run(begin, link)


async def test_a_cancelled_request_is_worked_at_no_more(caplog):
    caplog.set_level(logging.INFO)
    async with host.open_host(ONE, _count_running) as engine:
        async with running(engine):
            pass  # it is cancelled here
        await engine.run(a_request(steps=5), ignore)
    counts = [int(r.getMessage().rpartition(" ")[2]) for r in caplog.records if r.name == "counts"]
    assert len(counts) >= 6
    assert counts[-6:] == [1] * 6  # five steps and the drawing, with nobody else there


def _count_running(link):
    from engine import testing, worker_process
    from engine.messages import Ready

    class Counting(testing._DrawingWork):
        def tick(self):
            logging.getLogger("counts").info("running %d", len(self._running))
            super().tick()

    def begin(link, send):
        return Counting(send, LONG_S), Ready(link.device)

    worker_process.run(begin, link)


HOST_PROGRAM = """
import asyncio, multiprocessing, sys
from engine.requests import TextToImage, plain
from engine.testing import open_fake_engine

request = TextToImage(model="atelier-pack", prompt=plain("a fox"), seed=1, width=64, height=64)

async def main():
    async with open_fake_engine() as engine:
        await engine.run(request, lambda event: None)  # by then the worker is all set up
        print(multiprocessing.active_children()[0].pid, flush=True)
        await asyncio.Event().wait()

if __name__ == "__main__":
    asyncio.run(main())
"""


@pytest.mark.parametrize("is_stopped", [False, True], ids=["working", "stopped"])
def test_no_worker_outlives_its_host(tmp_path, is_stopped):
    program = tmp_path / "program.py"
    program.write_text(HOST_PROGRAM)
    environment = {**os.environ, "PYTHONPATH": str(Path.cwd())}
    with subprocess.Popen(
        [sys.executable, program], stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        worker = int(process.stdout.readline())
        if is_stopped:
            os.kill(worker, signal.SIGSTOP)
        process.kill()
    deadline = time.monotonic() + 10
    while _lives(worker) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not _lives(worker)


def _lives(pid):
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii")
        return stat.rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_neither_the_engine_s_interface_nor_its_host_imports_torch():
    program = "import sys, engine.api, engine.testing; print('torch' in sys.modules)"
    shown = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert shown.stdout.strip() == "False"


async def test_a_host_that_was_stopped_itself_does_not_blame_its_worker(monkeypatch):
    """Silence is counted in looks: time that passed without the loop running is nobody's."""
    config = replace(ONE, silence_timeout_s=3.0)
    async with open_fake_engine(config) as engine:
        await engine.run(a_request(), ignore)
        time.sleep(3 * child.CHECK_S + 1)
        await asyncio.sleep(0.2)
        assert engine.status().workers[0].restarts == 0
