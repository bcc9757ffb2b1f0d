"""Whose job is next."""

from bot.studio.fair_queue import FairQueue, Ticket


def ticket(owner: int, number: int, **values: object) -> Ticket:
    return Ticket(job_id=f"{owner}-{number}", number=number, owner_id=owner, **values)  # type: ignore[arg-type]


def drained(queue: FairQueue, now: float = 0.0, resident: tuple[str, ...] = ()) -> list[str]:
    picked = []
    while chosen := queue.pick(now, resident):
        picked.append(chosen.job_id)
        queue.ended(chosen.job_id, now)
    return picked


def owners(job_ids: list[str]) -> list[int]:
    return [int(job_id.split("-")[0]) for job_id in job_ids]


def filled(*tickets: Ticket, **settings: float) -> FairQueue:
    queue = FairQueue(**settings)  # type: ignore[arg-type]
    for one in tickets:
        queue.put(one, 0.0)
    return queue


def test_jobs_of_one_member_run_in_their_order() -> None:
    queue = filled(*(ticket(1, number) for number in (3, 1, 2)))
    assert drained(queue) == ["1-1", "1-2", "1-3"]


def test_a_member_with_one_job_does_not_wait_for_anothers_hundred() -> None:
    queue = filled(*(ticket(1, n, cost_s=4.0) for n in range(100)), ticket(2, 100, cost_s=4.0))
    assert "2-100" in drained(queue)[:2]


def test_turns_are_shared_by_device_seconds_not_by_jobs() -> None:
    large = [ticket(1, n, cost_s=40.0) for n in range(20)]
    small = [ticket(2, 100 + n, cost_s=4.0) for n in range(200)]
    first = owners(drained(filled(*large, *small))[:110])
    assert 8 <= first.count(1) <= 12


def test_twice_the_weight_gets_twice_the_share() -> None:
    heavy = [ticket(1, n, weight=2.0) for n in range(100)]
    light = [ticket(2, 100 + n) for n in range(100)]
    first = owners(drained(filled(*heavy, *light, quantum_s=1.0))[:60])
    assert 38 <= first.count(1) <= 42


def test_what_a_job_really_took_is_charged() -> None:
    queue = FairQueue()
    for number in range(8):
        queue.put(ticket(1, number), 0.0)
        queue.put(ticket(2, 100 + number), 0.0)
    picked = []
    while chosen := queue.pick(0.0):
        picked.append(chosen.owner_id)
        queue.ended(chosen.job_id, 0.0, 30.0 if chosen.owner_id == 1 else 1.0)
    assert picked[:9].count(2) >= 6


def test_a_debt_is_remembered_while_the_member_is_away_and_forgotten_in_time() -> None:
    for pause_s, first in ((1.0, 2), (100_000.0, 1)):
        queue = FairQueue()
        queue.put(ticket(1, 1, cost_s=500.0), 0.0)
        chosen = queue.pick(0.0)
        assert chosen is not None
        queue.ended(chosen.job_id, 0.0)
        queue.put(ticket(1, 2), pause_s)
        queue.put(ticket(2, 3), pause_s)
        assert owners(drained(queue, pause_s))[0] == first


def test_a_cap_on_running_jobs_lets_others_pass() -> None:
    queue = filled(ticket(1, 1, running_cap=1), ticket(1, 2, running_cap=1), ticket(2, 3))
    picked = [queue.pick(0.0), queue.pick(0.0), queue.pick(0.0)]
    assert [one.job_id if one else None for one in picked] == ["1-1", "2-3", None]
    queue.ended("1-1", 0.0)
    assert drained(queue) == ["1-2"]


def test_a_guilds_cap_counts_all_its_members() -> None:
    guild = {"guild_id": 9, "guild_running_cap": 1}
    queue = filled(ticket(1, 1, **guild), ticket(2, 2, **guild), ticket(3, 3, guild_id=8))
    picked = [queue.pick(0.0), queue.pick(0.0), queue.pick(0.0)]
    assert [one.owner_id if one else None for one in picked] == [1, 3, None]


def test_work_for_a_resident_model_passes_by_a_bounded_number_of_times() -> None:
    cold = ticket(1, 1, model="cold")
    warm = [ticket(2 + n, 2 + n, model="warm") for n in range(20)]
    order = drained(filled(cold, *warm, look_ahead=3), resident=("warm",))
    assert order.index("1-1") == 3


def test_a_job_that_must_wait_a_little_does_not_hold_up_the_rest() -> None:
    queue = filled(ticket(1, 1, not_before=5.0), ticket(1, 2))
    assert drained(queue, 0.0) == ["1-2"]
    assert queue.next_moment(0.0) == 5.0
    assert drained(queue, 5.0) == ["1-1"]


def test_who_was_not_served_for_long_is_next_whatever_their_debt() -> None:
    queue = FairQueue(patience_s=300.0)
    queue.put(ticket(1, 1, cost_s=10_000.0), 0.0)
    chosen = queue.pick(0.0)
    assert chosen is not None
    queue.put(ticket(1, 2), 0.0)
    for number in range(50):
        queue.put(ticket(2, 100 + number), 0.0)
    served = {moment: queue.pick(float(moment)) for moment in range(0, 500, 10)}
    assert [moment for moment, job in served.items() if job and job.owner_id == 1] == [310]


def test_relaxed_jobs_wait_until_no_other_may_run_whatever_model_is_resident() -> None:
    relaxed = [ticket(1, n, is_relaxed=True, model="warm") for n in range(2)]
    queue = filled(*relaxed, ticket(1, 5), ticket(2, 6), ticket(2, 7))
    assert [queue.position(job) for job in ("1-5", "1-0", "1-1")] == [1, 4, 5]
    assert drained(queue, resident=("warm",)) == ["1-5", "2-6", "2-7", "1-0", "1-1"]


def test_relaxed_jobs_leave_their_owner_the_whole_share() -> None:
    queue = filled(ticket(1, 1, is_relaxed=True, cost_s=500.0))
    assert drained(queue) == ["1-1"]
    for number in range(2, 6):
        queue.put(ticket(1 + number % 2, number, cost_s=4.0), 0.0)
    assert owners(drained(queue)) == [1, 2, 1, 2]


def test_a_relaxed_job_does_not_wait_for_ever() -> None:
    queue = filled(ticket(1, 1, is_relaxed=True), relaxed_patience_s=1800.0)
    for number in range(10):
        queue.put(ticket(2, 100 + number), 1700.0)
    served = [queue.pick(moment) for moment in (1700.0, 1800.0, 1801.0)]
    assert [one.owner_id if one else None for one in served] == [2, 2, 1]


def test_a_job_that_must_run_alone_is_next_as_soon_as_those_end_that_run() -> None:
    queue = filled(*(ticket(2, n) for n in range(9)), ticket(1, 100, is_solo=True))
    before = []
    while chosen := queue.pick(0.0):
        before.append(chosen.job_id)
    assert 0 < len(before) < 9
    for job_id in before:
        assert (queue.pick(0.0), queue.position("1-100")) == (None, 1)
        queue.ended(job_id, 0.0)
    alone = queue.pick(0.0)
    assert alone is not None
    assert (alone.job_id, queue.pick(0.0)) == ("1-100", None)
    queue.ended("1-100", 0.0)
    assert owners(drained(queue)) == [2] * (9 - len(before))


def test_a_job_that_must_run_alone_does_not_wait_for_a_patient_one() -> None:
    queue = filled(ticket(1, 1, is_patient=True))
    assert queue.pick(0.0)
    queue.put(ticket(2, 2, is_solo=True), 0.0)
    assert drained(queue) == ["2-2"]


def test_nobody_waits_for_a_job_to_run_alone_that_waits_no_more() -> None:
    queue = filled(ticket(1, 1))
    assert queue.pick(0.0)
    queue.put(ticket(2, 2, is_solo=True), 0.0)
    assert queue.pick(0.0) is None
    queue.put(ticket(3, 3), 0.0)
    assert queue.pick(0.0) is None
    assert queue.remove("2-2", 0.0)
    assert drained(queue) == ["3-3"]


def test_positions_follow_the_order_and_a_removed_job_leaves_none() -> None:
    queue = filled(ticket(1, 1), ticket(2, 2), ticket(1, 3), quantum_s=1.0)
    assert [queue.position(job) for job in ("1-1", "2-2", "1-3")] == [1, 2, 3]
    assert queue.remove("2-2", 0.0)
    assert not queue.remove("2-2", 0.0)
    assert (queue.position("2-2"), queue.position("1-3"), len(queue)) == (None, 2, 2)


def test_a_job_that_is_put_twice_runs_once() -> None:
    queue = filled(ticket(1, 1), ticket(1, 1))
    chosen = queue.pick(0.0)
    assert chosen is not None
    queue.put(ticket(1, 1), 0.0)
    assert queue.pick(0.0) is None
