"""The fair queue loses nothing, keeps to its caps, and starves nobody."""

import math
from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from bot.studio.fair_queue import FairQueue, Ticket

COSTS = st.floats(min_value=0.0, max_value=500.0)
MODELS = st.sampled_from(["warm", "cold", "other"])
CAP, GUILD_CAP = 2, 3


class QueueMachine(RuleBasedStateMachine):
    """Jobs come, run, end and leave in any order; a plain set says what should wait."""

    def __init__(self) -> None:
        super().__init__()
        self.queue = FairQueue(patience_s=50.0, relaxed_patience_s=math.inf)
        self.now = 0.0
        self.number = 0
        self.waiting: dict[str, Ticket] = {}
        self.running: dict[str, Ticket] = {}

    @rule(
        owner=st.integers(1, 5),
        cost=COSTS,
        model=MODELS,
        wait=st.sampled_from([0.0, 0.0, 9.0]),
        is_relaxed=st.booleans(),
        is_solo=st.sampled_from([False, False, True]),
    )
    def come(
        self,
        owner: int,
        cost: float,
        model: str,
        wait: float,
        *,
        is_relaxed: bool,
        is_solo: bool,
    ) -> None:
        self.number += 1
        ticket = Ticket(
            job_id=str(self.number),
            number=self.number,
            owner_id=owner,
            guild_id=owner % 2,
            model=model,
            cost_s=cost,
            not_before=self.now + wait,
            running_cap=CAP,
            guild_running_cap=GUILD_CAP,
            is_relaxed=is_relaxed,
            is_solo=is_solo,
        )
        self.queue.put(ticket, self.now)
        self.waiting[ticket.job_id] = ticket

    @rule(resident=st.sets(MODELS))
    def pick(self, resident: set[str]) -> None:
        may_run = [ticket for ticket in self.waiting.values() if self.fits(ticket)]
        chosen = self.queue.pick(self.now, resident)
        if chosen is None:
            solo = [ticket for ticket in (*may_run, *self.running.values()) if ticket.is_solo]
            assert not may_run or (solo and self.running)
        else:
            assert chosen in may_run
            assert not self.running or not chosen.is_solo
            assert not any(ticket.is_solo for ticket in self.running.values())
            # What is to run alone stays next, whoever comes while the others end.
            may_pass = chosen.is_relaxed and not chosen.is_solo
            assert not may_pass or all(ticket.is_relaxed for ticket in may_run)
            self.running[chosen.job_id] = self.waiting.pop(chosen.job_id)

    @rule(choice=st.integers(0, 99), took=st.one_of(st.none(), COSTS), again=st.booleans())
    def end(self, choice: int, took: float | None, again: bool) -> None:
        if self.running:
            job_id = sorted(self.running)[choice % len(self.running)]
            ticket = self.running.pop(job_id)
            self.queue.ended(job_id, self.now, took)
            if again:
                self.queue.put(ticket, self.now)
                self.waiting[job_id] = ticket

    @rule(choice=st.integers(0, 99))
    def leave(self, choice: int) -> None:
        if self.waiting:
            job_id = sorted(self.waiting)[choice % len(self.waiting)]
            del self.waiting[job_id]
            assert self.queue.remove(job_id, self.now)

    @rule(passed=st.floats(min_value=0.0, max_value=200.0))
    def time_passes(self, passed: float) -> None:
        self.now += passed

    def fits(self, ticket: Ticket) -> bool:
        owners = Counter(other.owner_id for other in self.running.values())
        guilds = Counter(other.guild_id for other in self.running.values())
        return (
            ticket.not_before <= self.now
            and owners[ticket.owner_id] < CAP
            and guilds[ticket.guild_id] < GUILD_CAP
        )

    @invariant()
    def nothing_is_lost(self) -> None:
        assert len(self.queue) == len(self.waiting)
        assert {ticket.job_id for ticket in self.queue.order()} == set(self.waiting)
        assert {ticket.job_id for ticket in self.queue.running} == set(self.running)


QueueMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestQueueMachine = QueueMachine.TestCase


@given(
    crowd=st.lists(st.tuples(st.integers(2, 6), COSTS, MODELS), min_size=1, max_size=40),
    debt=COSTS,
    resident=st.sets(MODELS),
)
@settings(max_examples=60, deadline=None)
def test_nobody_is_starved_by_a_crowd_that_never_ends(crowd, debt, resident) -> None:
    queue = FairQueue(patience_s=100.0)
    queue.put(Ticket(job_id="debt", number=0, owner_id=1, cost_s=debt), 0.0)
    queue.pick(0.0)
    queue.ended("debt", 0.0, debt)
    queue.put(Ticket(job_id="mine", number=1, owner_id=1, model="cold"), 0.0)
    now, number = 0.0, 1
    for turn in range(400):
        for owner, cost, model in crowd[turn % len(crowd) :][:2]:
            number += 1
            job = Ticket(
                job_id=str(number), number=number, owner_id=owner, cost_s=cost, model=model
            )
            queue.put(job, now)
        chosen = queue.pick(now, resident)
        if chosen and chosen.job_id == "mine":
            break
        if chosen:
            queue.ended(chosen.job_id, now)
        now += 1.0
    else:
        raise AssertionError("it never ran")
    assert now <= 100 + 6 + 1, "patience, and a turn of everybody else who is overdue"


@given(costs=st.lists(st.floats(min_value=0.5, max_value=20.0), min_size=30, max_size=30))
@settings(max_examples=60, deadline=None)
def test_members_who_always_have_jobs_get_equal_device_seconds(costs: list[float]) -> None:
    queue = FairQueue(quantum_s=4.0, patience_s=1e9)
    for owner in (1, 2, 3):
        for number, cost in enumerate(costs):
            scaled = cost * (1, 0.5, 2)[owner - 1]
            ticket = Ticket(
                job_id=f"{owner}-{number}", number=number, owner_id=owner, cost_s=scaled
            )
            queue.put(ticket, 0.0)
    used: Counter[int] = Counter()
    while all(any(t.owner_id == owner for t in queue.order()) for owner in (1, 2, 3)):
        chosen = queue.pick(0.0)
        assert chosen is not None
        used[chosen.owner_id] += chosen.cost_s  # type: ignore[assignment]
        queue.ended(chosen.job_id, 0.0)
    # A turn ends at most one job beyond the credit, and a round is one quantum.
    assert max(used.values()) - min(used.values()) <= 2 * (40.0 + 4.0)
