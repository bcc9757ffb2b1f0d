from concurrent.futures import Future

import pytest
import torch

from engine.batching import RowCaps
from engine.calls import Conditioning, Decode, Denoise, EncodeText, Facts, NetworkRef, Pause
from engine.config import EngineConfig
from engine.errors import Defect, ModelUnavailable, NotANumber, OutOfMemory, Unsupported
from engine.events import Failed, Finished, Progress, Started
from engine.messages import Cancel, Start
from engine.models.catalogue import open_catalogue
from engine.requests import Dream, Span
from engine.worker import Profiles, begin
from engine.worker_process import Link
from tests.ideal_networks import (
    NETWORK,
    Caps,
    IdealNetworks,
    Reports,
    a_request,
    a_worker,
    alone,
    draw,
    finish,
)

pytestmark = pytest.mark.usefixtures("restored_gradients")


@pytest.fixture
def reports():
    return Reports()


@pytest.fixture
def networks():
    return IdealNetworks()


@pytest.fixture
def worker(reports, networks):
    return a_worker(reports, networks)


def test_requests_that_share_passes_get_what_they_get_alone(worker, reports, networks):
    requests = [
        a_request(seed=1, steps=8, image_count=2),
        a_request(seed=5, steps=5, image_count=3),
        a_request(seed=9, steps=3, image_count=1),
    ]
    for number, request in enumerate(requests):  # each joins one tick later
        worker.obey(number, Start(request))
        worker.tick()
    finish(worker)
    assert [reports.images(n) for n in range(3)] == [alone(r) for r in requests]
    assert len(networks.passes) < 8 + 5 + 3
    assert max(networks.passes) == 6


def test_with_one_row_a_pass_the_images_are_those_of_full_passes(reports, networks):
    worker = a_worker(reports, networks, caps=Caps(most=1))
    requests = [a_request(seed=1, image_count=3), a_request(seed=9, image_count=1)]
    for number, request in enumerate(requests):
        worker.obey(number, Start(request))
    finish(worker)
    assert set(networks.passes) == {1}
    assert [reports.images(n) for n in range(2)] == [alone(r) for r in requests]


def test_a_small_request_is_not_held_up_by_the_many_rows_of_a_large_one(reports, networks):
    worker = a_worker(reports, networks, caps=Caps(most=1))
    worker.obey(1, Start(a_request(image_count=8, steps=10)))
    worker.obey(2, Start(a_request(image_count=1, steps=10)))
    ticks = 0
    while not isinstance(reports.ending(2), Finished):
        worker.tick()
        ticks += 1
    assert ticks < 2 * 14  # every other tick is its own: text, ten steps, decoding, pause


def test_events_come_in_order_and_timings_are_measured(reports, networks):
    ticking = iter(range(1000))
    worker = a_worker(reports, networks, clock=lambda: float(next(ticking)), versions={"a": "1"})
    worker.obey(1, Start(a_request(steps=3)))
    finish(worker)
    steps = [Progress(step, 3) for step in (1, 2, 3)]
    assert reports[1][:-1] == [Started(), *steps]
    ending = reports.ending(1)
    assert ending.versions == {"a": "1", "model": "base", "model_hash": "hash of base"}
    assert 0 < ending.timings.waited_s < ending.timings.total_s
    assert 0 < ending.timings.device_s < ending.timings.total_s


def test_progress_is_told_ten_times_a_second_at_most_but_always_at_the_end(reports, networks):
    worker = a_worker(reports, networks, clock=lambda: 0.0)
    worker.obey(1, Start(a_request(steps=40)))
    finish(worker)
    assert reports[1][1:-1] == [Progress(1, 40), Progress(40, 40)]


def test_device_time_is_shared_by_rows(reports, networks):
    seconds = iter(range(1000))
    worker = a_worker(reports, networks, clock=lambda: float(next(seconds)))
    worker.obey(1, Start(a_request(image_count=1, steps=20)))
    worker.obey(2, Start(a_request(image_count=3, steps=20)))
    finish(worker)
    few, many = (reports.ending(n).timings.device_s for n in (1, 2))
    assert many / few == pytest.approx(3, rel=0.2)


def test_a_cancelled_request_is_closed_and_makes_no_more_calls(reports, networks):
    closed = []

    def closing(request):
        try:
            return (yield from draw(request))
        finally:
            closed.append(request.seed)

    worker = a_worker(reports, networks, begin=closing)
    worker.obey(1, Start(a_request(seed=3)))
    worker.tick()
    worker.tick()
    calls = networks.attempts
    worker.obey(1, Cancel())
    worker.obey(1, Cancel())
    assert worker.is_idle
    assert closed == [3]
    worker.tick()
    assert networks.attempts == calls == 2
    assert not isinstance(reports.ending(1), Finished | Failed)


def test_a_pipeline_that_refuses_to_close_harms_nobody(worker, reports, networks, caplog):
    def stubborn(request):
        while True:
            try:
                yield Pause()
            except GeneratorExit:
                yield Pause()

    worker = a_worker(reports, networks, begin=stubborn)
    worker.obey(1, Start(a_request()))
    worker.obey(1, Cancel())
    assert worker.is_idle
    assert "did not end cleanly" in caplog.text


def broken_at_once(request):
    raise ZeroDivisionError("oops")
    yield


def broken_later(request):
    yield Pause()
    raise ZeroDivisionError("oops")


def yields_no_rows(request):
    empty = torch.zeros(0, 1, 2)
    yield Denoise(NETWORK, torch.zeros(0, 4, 8, 8), torch.zeros(0), Conditioning(*[empty] * 3))


def yields_nonsense(request):
    yield "fox"


def ends_with_nonsense(request):
    yield Pause()
    return torch.zeros(3)


@pytest.mark.parametrize(
    "broken",
    [broken_at_once, broken_later, yields_no_rows, yields_nonsense, ends_with_nonsense],
)
def test_a_broken_pipeline_fails_its_own_request_only(broken, reports, networks):
    worker = a_worker(
        reports, networks, begin=lambda request: (broken if request.seed == 1 else draw)(request)
    )
    worker.obey(1, Start(a_request(seed=1)))
    worker.obey(2, Start(a_request(seed=2)))
    finish(worker)
    assert type(reports.ending(1).error) is Defect
    assert reports.images(2) == alone(a_request(seed=2))


def test_a_request_without_a_pipeline_fails_with_its_reason(reports, networks):
    def refuse(request):
        raise Unsupported("not here")

    worker = a_worker(reports, networks, begin=refuse)
    worker.obey(1, Start(a_request()))
    assert worker.is_idle
    assert reports[1][0] == Started()
    assert str(reports.ending(1).error) == "not here"


def test_out_of_memory_halves_the_batch_until_it_fits(reports):
    networks = IdealNetworks(most_rows=3)
    worker = a_worker(reports, networks)
    requests = {1: a_request(image_count=2), 2: a_request(image_count=8, seed=20)}
    for number, request in requests.items():
        worker.obey(number, Start(request))
    finish(worker)
    assert max(networks.passes) == 2  # ten rows, five, two
    for number, request in requests.items():
        assert reports.images(number) == alone(request)


def test_memory_that_the_cpu_refuses_halves_the_batch_too(reports):
    class Greedy(IdealNetworks):
        def denoise(self, calls):
            if sum(len(call.x) for call in calls) > 2:
                torch.empty(1 << 50)
            return super().denoise(calls)

    networks = Greedy()
    worker = a_worker(reports, networks)
    worker.obey(1, Start(a_request(image_count=8)))
    finish(worker)
    assert set(networks.passes) == {2}
    assert reports.images(1) == alone(a_request(image_count=8))


def test_only_a_batch_of_one_row_fails_for_lack_of_memory(reports):
    networks = IdealNetworks(most_rows=0)
    worker = a_worker(reports, networks)
    worker.obey(1, Start(a_request(image_count=8)))
    finish(worker)
    assert isinstance(reports.ending(1).error, OutOfMemory)
    assert networks.attempts == 1 + 5  # the text, then 8, 4, 2 and 1 rows, and 1 once more


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB"),
        RuntimeError("CUDA error: out of memory\nCUDA kernel errors might be reported later"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        RuntimeError("cuDNN error: CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED"),
    ],
)
def test_one_row_that_finds_too_little_memory_gets_that_of_the_other_models(error, reports):
    class Crowded(IdealNetworks):
        others = ("another", "a third")

        def clear(self, keep=""):
            assert keep == NETWORK.model
            self.others = ()

        def denoise(self, calls):
            if self.others:
                raise error
            return super().denoise(calls)

    networks = Crowded()
    worker = a_worker(reports, networks)
    worker.obey(1, Start(a_request(image_count=2)))
    finish(worker)
    assert reports.images(1) == alone(a_request(image_count=2))


def test_a_call_that_cannot_be_cut_fails_at_once_for_lack_of_memory(reports, networks):
    def text_only(request):
        yield EncodeText(NETWORK, ((Span("fox"),), (Span("owl"),)), 64, 64)

    def execute(calls):
        raise torch.OutOfMemoryError

    networks.execute = execute
    worker = a_worker(reports, networks, begin=text_only)
    worker.obey(1, Start(a_request()))
    worker.obey(2, Start(a_request()))
    finish(worker)
    assert [type(reports.ending(n).error) for n in (1, 2)] == [OutOfMemory] * 2


class PoisonedNetworks(IdealNetworks):
    """Fails, or answers with NaN, where a row is larger than any noise can be."""

    def __init__(self, error=None):
        super().__init__()
        self.error = error

    def denoise(self, calls):
        is_poisoned = [bool(call.x.abs().max() > 1e6) for call in calls]
        if self.error and any(is_poisoned):
            raise self.error
        return [
            x * torch.nan if poisoned else x
            for x, poisoned in zip(super().denoise(calls), is_poisoned, strict=True)
        ]


def poisoned(request):
    one = torch.ones(1, 3, 2)
    conditioning = Conditioning(one, torch.zeros(1, 0), torch.zeros(1, 0))
    yield Denoise(NETWORK, torch.full((1, 4, 8, 8), 1e7), torch.ones(1), conditioning)


@pytest.mark.parametrize(("error", "reason"), [(ValueError("bad row"), Defect), (None, NotANumber)])
def test_a_poisoned_row_fails_its_own_request_only(error, reason, reports):
    worker = a_worker(
        reports,
        PoisonedNetworks(error),
        begin=lambda request: (poisoned if request.seed == 1 else draw)(request),
    )
    worker.obey(2, Start(a_request(seed=2)))
    worker.tick()
    worker.obey(1, Start(a_request(seed=1)))
    worker.obey(3, Start(a_request(seed=30)))
    finish(worker)
    assert type(reports.ending(1).error) is reason
    assert reports.images(2) == alone(a_request(seed=2))
    assert reports.images(3) == alone(a_request(seed=30))


def test_an_error_of_the_device_is_nobodys_failure_and_ends_the_worker(reports, networks):
    def execute(calls):
        networks.attempts += 1
        raise torch.AcceleratorError("CUDA error: an illegal memory access was encountered")

    networks.execute = execute
    worker = a_worker(reports, networks)
    for number in (1, 2):
        worker.obey(number, Start(a_request()))
    with pytest.raises(torch.AcceleratorError):
        worker.tick()
    assert networks.attempts == 1
    assert reports == {1: [Started()], 2: [Started()]}


def test_a_model_that_cannot_be_loaded_is_tried_once_for_all_who_wait(reports, networks):
    def execute(calls):
        networks.attempts += 1
        raise ModelUnavailable("base", "the file is cut short")

    networks.execute = execute
    worker = a_worker(reports, networks)
    for number in range(3):
        worker.obey(number, Start(a_request()))
    finish(worker)
    assert networks.attempts == 1
    assert {str(reports.ending(n).error) for n in range(3)} == {
        "the model base can't be loaded: the file is cut short"
    }


def test_a_pipeline_may_go_on_after_an_error(reports):
    def tries_again(request):
        try:
            yield from poisoned(request)
        except NotANumber:
            return (yield from draw(request))

    worker = a_worker(reports, PoisonedNetworks(), begin=tries_again)
    worker.obey(1, Start(a_request()))
    finish(worker)
    assert reports.images(1) == alone(a_request())


class FarNetworks(IdealNetworks):
    """Has to fetch one model from far away."""

    def __init__(self):
        super().__init__()
        self.fetching = Future()

    def fetch(self, network):
        return self.fetching if network.model == "far" else None


def draw_by(request):
    """`draw` by the model of the request."""
    yield Facts(NetworkRef(request.model))
    return (yield from draw(request))


def with_far_model(reports, networks):
    """A worker with two requests of the model that is far, and one of another."""
    worker = a_worker(reports, networks, begin=draw_by)
    for number, model in {1: "far", 2: "base", 3: "far"}.items():
        worker.obey(number, Start(a_request(model=model)))
    while not isinstance(reports.ending(2), Finished):
        worker.tick()
    return worker


def test_while_a_model_is_fetched_the_requests_of_others_run(reports):
    networks = FarNetworks()
    worker = with_far_model(reports, networks)
    assert reports.images(2) == alone(a_request())
    attempts = networks.attempts
    worker.tick()
    assert networks.attempts == attempts
    assert not worker.is_idle
    for number in (1, 3):
        assert reports[number] == [Started(), Progress(0, 0, stage="loading")]
    networks.fetching.set_result(None)
    finish(worker)
    assert reports.images(1) == reports.images(3) == alone(a_request())


def test_a_model_that_can_not_be_fetched_fails_its_own_requests_only(reports):
    networks = FarNetworks()
    worker = with_far_model(reports, networks)
    networks.fetching.set_exception(ModelUnavailable("far", "the hub is down"))
    finish(worker)
    assert [str(reports.ending(number).error) for number in (1, 3)] == [
        "the model far can't be loaded: the hub is down"
    ] * 2
    assert isinstance(reports.ending(2), Finished)


def test_who_cancels_leaves_the_fetch_to_the_others(reports):
    networks = FarNetworks()
    worker = with_far_model(reports, networks)
    worker.obey(1, Cancel())
    networks.fetching.set_result(None)
    finish(worker)
    assert isinstance(reports.ending(1), Progress)
    assert isinstance(reports.ending(3), Finished)


def test_the_profile_of_a_model_that_is_fetched_waits_for_it(reports):
    networks = FarNetworks()

    def profile(model):
        yield Facts(NetworkRef("far"))
        yield from growing(model)

    networks.kept = lambda: (0, ())
    worker, caps = profiling(reports, networks, profile=profile)
    worker.tick()
    worker.obey(1, Start(a_request()))
    while not isinstance(reports.ending(1), Finished):
        worker.tick()
    assert caps.cap(decoding()) <= 2
    networks.fetching.set_result(None)
    finish(worker)
    assert caps.cap(decoding()) == 8


def test_loading_a_model_is_told_to_those_who_wait_and_is_no_device_time(reports):
    class LoadingNetworks(IdealNetworks):
        def denoise(self, calls):
            if not self.passes:
                worker.on_loading("base", 0.0)
                clock[0] += 100.0
                worker.on_loading("base", 1.0)
            return super().denoise(calls)

    clock = [0.0]
    worker = a_worker(reports, LoadingNetworks(), clock=lambda: clock[0])
    worker.obey(1, Start(a_request()))
    finish(worker)
    assert reports[1][1] == Progress(0, 0, stage="loading")
    timings = reports.ending(1).timings
    assert (timings.loading_s, timings.device_s) == (100.0, 0.0)


def test_gradients_that_a_pipeline_turned_on_are_off_for_the_next(reports, networks):
    seen = []

    def turns_on(request):
        torch.set_grad_enabled(True)
        yield Pause()
        return ()

    def looks(request):
        yield Pause()
        seen.append(torch.is_grad_enabled())
        return ()

    worker = a_worker(
        reports, networks, begin=lambda request: (turns_on, looks)[request.seed](request)
    )
    worker.obey(1, Start(a_request(seed=0)))
    worker.obey(2, Start(a_request(seed=1)))
    finish(worker)
    assert seen == [False]


def growing(model):
    """A profile of decoding: 1, 1, 2, 4... rows, until the cap is found."""
    yield Decode(NETWORK, torch.zeros(1, 4, 8, 8))
    rows = 1
    while (yield Decode(NETWORK, torch.zeros(rows, 4, 8, 8))) is not None:
        rows *= 2
    return ()


def profiling(reports, networks, *, profile=growing, budget_s=9.0, most=8, clock=lambda: 0.0):
    caps = RowCaps(tick_budget_s=1.0, most=most)
    profiles = Profiles(profile, budget_s, "base")
    worker = a_worker(reports, networks, caps=caps, profiles=profiles, clock=clock)
    return worker, caps


def decoding():
    return Decode(NETWORK, torch.zeros(1, 4, 8, 8)).batch_key


def test_the_default_model_is_profiled_while_there_are_no_requests(reports, networks, caplog):
    caplog.set_level("INFO")
    worker, caps = profiling(reports, networks)
    assert caps.cap(decoding()) == 1
    finish(worker)
    assert caps.cap(decoding()) == 8
    assert networks.attempts == 6  # 1, 1, 2, 4, 8 rows, and 16 cut to 8
    assert "profiled base" in caplog.text
    assert reports == {}  # nobody asked for it


def test_a_request_waits_for_one_pass_of_a_profile_and_has_all_others_to_itself(reports, networks):
    worker, caps = profiling(reports, networks)
    worker.tick()
    worker.obey(1, Start(a_request(image_count=1)))
    while not isinstance(reports.ending(1), Finished):
        worker.tick()
        assert caps.cap(decoding()) <= 2  # its own row tells no more
    assert not worker.is_idle
    finish(worker)
    assert caps.cap(decoding()) == 8


def test_a_profile_ends_when_its_time_is_over(reports, networks):
    seconds = iter(range(1000))
    worker, _ = profiling(reports, networks, budget_s=3.0, clock=lambda: float(next(seconds)))
    finish(worker)
    assert networks.attempts == 3  # of a second each


def test_a_profile_that_runs_out_of_memory_finds_the_lower_cap(reports):
    def denoising(model):
        rows = 1
        while (yield denoise(rows)) is not None:
            rows *= 2
        return ()

    def denoise(rows):
        none = torch.zeros(rows, 0)
        conditioning = Conditioning(torch.ones(rows, 3, 2), none, none)
        return Denoise(NETWORK, torch.zeros(rows, 4, 8, 8), torch.ones(rows), conditioning)

    networks = IdealNetworks(most_rows=5)
    worker, caps = profiling(reports, networks, profile=denoising, most=32)
    finish(worker)
    assert caps.cap(denoise(1).batch_key) == 4
    assert max(networks.passes) == 4


def test_a_profile_that_fails_is_told_to_the_operator_alone(reports, networks, caplog):
    def missing(model):
        raise ModelUnavailable(model, "its folder is gone")
        yield

    worker, _ = profiling(reports, networks, profile=missing)
    worker.obey(1, Start(a_request()))
    finish(worker)
    assert "can't be profiled" in caplog.text
    assert isinstance(reports.ending(1), Finished)


def test_a_loaded_model_is_profiled_unless_it_had_to_go_again(reports, networks):
    begun = []

    def profile(model):
        begun.append(model)
        while True:
            yield Decode(NETWORK, torch.zeros(1, 4, 8, 8))

    worker, _ = profiling(reports, networks, profile=profile, budget_s=99.0)
    worker.on_loading("base", 0.0)
    worker.on_loading("base", 1.0)
    assert begun == ["base"]  # it is under way
    networks.kept = lambda: (0, ("another",))
    worker.tick()
    assert worker.is_idle
    worker.on_loading("base", 0.0)
    worker.on_loading("base", 1.0)
    assert begun == ["base", "base"]


class Gauge:
    """Says that a pass took a byte for each time it was asked."""

    def __init__(self):
        self.asked = 0

    def begin(self):
        pass

    def taken_bytes(self):
        self.asked += 1
        return self.asked


def test_memory_is_looked_at_in_the_first_passes_of_a_size_only(reports, networks):
    gauge = Gauge()
    worker = a_worker(reports, networks, memory=gauge)
    worker.obey(1, Start(a_request(steps=30, image_count=1)))
    finish(worker)
    assert gauge.asked == 4  # text and decoding once, denoising twice


def test_a_worker_has_the_models_of_its_host_whatever_has_become_of_their_file(tmp_path):
    page = tmp_path / "models.toml"
    page.write_text('[models.dream]\nfamily = "gan"\nwhere = "dream.safetensors"\n')
    config = EngineConfig(devices=("cpu",), catalogue_files=(page,), profile_s=1.0)
    catalogue = open_catalogue(config)
    page.write_text("[models.dream")
    endings = []
    link = Link("cpu", config, catalogue, None, None, 0)
    worker, ready = begin(link, lambda _, event: endings.append(event))
    worker.obey(1, Start(Dream(model="dream", seed=1)))
    while not any(isinstance(event, Failed) for event in endings):
        worker.tick()
    assert ready.device == "cpu"
    assert "there is no" in str(endings[-1].error), "it looks for the file of that very model"
