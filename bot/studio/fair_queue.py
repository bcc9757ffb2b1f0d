"""Whose job is next: weighted deficit round-robin over members, by device seconds; pure.

Members take turns. At each round a member is credited `quantum_s` device seconds times their
weight, and is served as long as their credit is positive; a job that cost more than the credit
leaves a debt that later rounds pay off. So a member with a hundred jobs and one with a single job
get the same share of the device (Shreedhar and Varghese 1995, in the surplus form, which needs no
exact costs in advance). https://dl.acm.org/doi/10.1145/217382.217453

Two things bend the turns, both within bounds: work for a model that is already in memory may pass
by `look_ahead` jobs, and a member who was not served for `patience_s` is next whatever their debt.

Relaxed jobs stand in lines of their own. They run when no other job may, cost their owner nothing
of the share that is due to them, and are next after `relaxed_patience_s` at the latest.

A job that must run alone, once it is next, stays next until nothing else runs: nobody is served
meanwhile, or there would be no end of others.
"""

import math
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import TypeAlias


@dataclass(frozen=True, kw_only=True, slots=True)
class Ticket:
    """A waiting job, as far as its turn is concerned. Moments are seconds of one clock."""

    job_id: str
    number: int  # order of acceptance
    owner_id: int
    guild_id: int | None = None
    model: str = ""
    cost_s: float = 1.0  # device seconds it is believed to take
    waits_since: float = 0.0
    not_before: float = 0.0
    running_cap: int | None = None  # jobs of this owner at once
    guild_running_cap: int | None = None
    weight: float = 1.0  # share of the device, relative to other members
    is_solo: bool = False  # must run alone: workers died of it
    is_relaxed: bool = False  # runs when no other job may
    is_patient: bool = False  # its steps wait for those of all others

    @property
    def line(self) -> "_LineKey":
        """In which line it waits."""
        return self.is_relaxed, self.owner_id


_LineKey: TypeAlias = tuple[bool, int]  # of relaxed jobs, and whose


@dataclass(slots=True)
class _Line:
    """One member's waiting jobs, oldest first, and their credit in device seconds."""

    tickets: dict[str, Ticket] = field(default_factory=dict)
    credit_s: float = 0.0
    served_at: float = -math.inf

    @property
    def weight(self) -> float:
        return next(iter(self.tickets.values())).weight


@dataclass(frozen=True, slots=True)
class _Account:
    """The debt of a member with no job waiting; half of it is forgotten every `memory_s`."""

    credit_s: float
    at: float


class FairQueue:
    """Waiting and running jobs; knows whose turn it is. Not thread-safe, never blocks."""

    def __init__(
        self,
        *,
        quantum_s: float = 4.0,
        patience_s: float = 300.0,
        relaxed_patience_s: float = 1800.0,
        look_ahead: int = 4,
        memory_s: float = 600.0,
    ) -> None:
        self._quantum_s = quantum_s
        self._patience_s = patience_s
        self._relaxed_patience_s = relaxed_patience_s
        self._look_ahead = look_ahead
        self._memory_s = memory_s
        self._lines: dict[_LineKey, _Line] = {}  # in the order of turns, current member first
        self._accounts: dict[_LineKey, _Account] = {}
        self._line_of: dict[str, _LineKey] = {}  # of waiting jobs
        self._running: dict[str, Ticket] = {}
        self._reserved: Ticket | None = None  # waits for all others to end, to run alone
        self._passed: Counter[str] = Counter()
        self._order: tuple[Ticket, ...] | None = None  # None: has changed since it was made

    def __len__(self) -> int:
        """How many jobs wait."""
        return len(self._line_of)

    def __contains__(self, job_id: object) -> bool:
        """The job waits."""
        return job_id in self._line_of

    @property
    def running(self) -> tuple[Ticket, ...]:
        """Jobs picked and not ended."""
        return tuple(self._running.values())

    def put(self, ticket: Ticket, now: float) -> None:
        """Let a job wait; one that waits or runs already is left as it is."""
        if ticket.job_id in self._line_of or ticket.job_id in self._running:
            return
        line = self._lines.get(ticket.line)
        if line is None:
            line = self._lines[ticket.line] = _Line(credit_s=self._remembered(ticket, now))
            line.served_at = now
        newest = next(reversed(line.tickets.values()), ticket)
        line.tickets[ticket.job_id] = ticket
        if newest.number > ticket.number:
            line.tickets = dict(sorted(line.tickets.items(), key=lambda item: item[1].number))
        self._line_of[ticket.job_id] = ticket.line
        self._order = None

    def remove(self, job_id: str, now: float) -> bool:
        """Let a job wait no more; False where it did not."""
        key = self._line_of.pop(job_id, None)
        if key is None:
            return False
        del self._lines[key].tickets[job_id]
        del self._passed[job_id]
        if self._reserved and self._reserved.job_id == job_id:
            self._reserved = None
        self._leave_if_empty(key, now)
        self._order = None
        return True

    def pick(self, now: float, resident: Collection[str] = ()) -> Ticket | None:
        """Take the job that is next; None where none may run now. `resident` models are cheaper."""
        busy = [ticket for ticket in self._running.values() if not ticket.is_patient]
        if any(ticket.is_solo for ticket in busy):
            return None
        chosen = self._reserved or self._overdue(now) or self._in_turn(now, resident)
        if chosen is None:
            return None
        if chosen.is_solo and busy:
            self._reserved, self._order = chosen, None
            return None
        self._reserved = None
        self._serve(chosen, now)
        return chosen

    def ended(self, job_id: str, now: float, device_s: float | None = None) -> None:
        """Let a picked job count as running no more; charge what it really took, if known."""
        ticket = self._running.pop(job_id, None)
        if ticket is None:
            return
        extra = 0.0 if device_s is None else device_s - ticket.cost_s
        line = self._lines.get(ticket.line)
        if line is not None:
            line.credit_s -= extra
        elif extra:
            credit = self._remembered(ticket, now) - extra
            self._accounts[ticket.line] = _Account(min(credit, 0.0), now)
        self._order = None

    def order(self) -> tuple[Ticket, ...]:
        """The waiting jobs in the order in which they are expected to be picked."""
        if self._order is None:
            turns = self._turns(self._lines)
            self._order = tuple(sorted(turns, key=lambda ticket: ticket != self._reserved))
        return self._order

    def position(self, job_id: str) -> int | None:
        """A job's place in the order, 1 = next; None where it does not wait."""
        if job_id not in self._line_of:
            return None
        return next(i for i, ticket in enumerate(self.order(), 1) if ticket.job_id == job_id)

    def next_moment(self, now: float) -> float | None:
        """When the first job that must not run yet may run; None where there is none."""
        moments = [
            ticket.not_before
            for line in self._lines.values()
            for ticket in line.tickets.values()
            if ticket.not_before > now
        ]
        return min(moments, default=None)

    def _remembered(self, ticket: Ticket, now: float) -> float:
        account = self._accounts.pop(ticket.line, None)
        if account is None:
            return 0.0
        return account.credit_s * math.pow(0.5, max(0.0, now - account.at) / self._memory_s)

    def _may_run(self, ticket: Ticket, now: float) -> bool:
        if ticket.not_before > now:
            return False
        running = self._running.values()
        mine = sum(other.owner_id == ticket.owner_id for other in running)
        if ticket.running_cap is not None and mine >= ticket.running_cap:
            return False
        if ticket.guild_id is None or ticket.guild_running_cap is None:
            return True
        return sum(o.guild_id == ticket.guild_id for o in running) < ticket.guild_running_cap

    def _overdue(self, now: float) -> Ticket | None:
        """The next job of the line that was not served for longest, if for too long."""
        waiting = sorted(self._lines.items(), key=lambda item: item[1].served_at)
        for (is_relaxed, _), line in waiting:
            patience_s = self._relaxed_patience_s if is_relaxed else self._patience_s
            if now - line.served_at <= patience_s:
                continue
            for ticket in line.tickets.values():
                if self._may_run(ticket, now):
                    return ticket
        return None

    def _in_turn(self, now: float, resident: Collection[str]) -> Ticket | None:
        """The job whose turn begins now, or one that may pass by."""
        turns = list(islice(self._runnable(now), 1 + self._look_ahead))
        if not turns:
            return None
        chosen = self._cheapest(turns, resident)
        if chosen is turns[0]:
            self._start_turn(chosen)
        else:
            self._passed[turns[0].job_id] += 1
        return chosen

    def _cheapest(self, turns: list[Ticket], resident: Collection[str]) -> Ticket:
        """The first, or one soon after it whose model is in memory already."""
        first = turns[0]
        if first.model in resident or self._passed[first.job_id] >= self._look_ahead:
            return first
        hurried = (ticket for ticket in turns if ticket.is_relaxed is first.is_relaxed)
        return next((ticket for ticket in hurried if ticket.model in resident), first)

    def _runnable(self, now: float) -> Iterator[Ticket]:
        lines = {}
        for key, line in self._lines.items():
            may_run = (t for t in line.tickets.values() if self._may_run(t, now))
            tickets = {t.job_id: t for t in islice(may_run, 1 + self._look_ahead)}
            if tickets:
                lines[key] = _Line(tickets, line.credit_s)
        return self._turns(lines)

    def _turns(self, lines: dict[_LineKey, _Line]) -> Iterator[Ticket]:
        """The coming turns in some lines; relaxed jobs come last."""
        for is_relaxed in (False, True):
            yield from _Turns(_of_kind(lines, is_relaxed=is_relaxed), self._quantum_s).all()

    def _start_turn(self, ticket: Ticket) -> None:
        """Credit everybody as many rounds as the owner of `ticket` needs to be served."""
        needy = self._lines[ticket.line]
        if needy.credit_s > 0:
            return
        rounds = _rounds_until_positive(needy.credit_s, needy.weight, self._quantum_s)
        for line in _of_kind(self._lines, is_relaxed=ticket.is_relaxed).values():
            share = self._quantum_s * line.weight
            # Who could not run meanwhile, being at a cap, saves up one share and no more.
            line.credit_s = max(line.credit_s, min(line.credit_s + rounds * share, share))

    def _serve(self, ticket: Ticket, now: float) -> None:
        """Move a job from waiting to running, and the turns with it."""
        line = self._lines[ticket.line]
        line.credit_s -= ticket.cost_s
        line.served_at = now
        if line.credit_s <= 0:  # the turn is over: to the end of the line of members
            self._lines[ticket.line] = self._lines.pop(ticket.line)
        self._running[ticket.job_id] = ticket
        del self._line_of[ticket.job_id]
        del line.tickets[ticket.job_id]
        del self._passed[ticket.job_id]
        self._leave_if_empty(ticket.line, now)
        self._order = None

    def _leave_if_empty(self, key: _LineKey, now: float) -> None:
        line = self._lines[key]
        if line.tickets:
            return
        del self._lines[key]
        if line.credit_s < 0:  # a debt is remembered, a credit is not
            self._accounts[key] = _Account(line.credit_s, now)
            self._forget_old(now)

    def _forget_old(self, now: float) -> None:
        forgotten = now - 10 * self._memory_s
        self._accounts = {k: a for k, a in self._accounts.items() if a.at > forgotten}


class _Turns:
    """Plays the coming turns on a copy of the lines."""

    def __init__(self, lines: dict[_LineKey, _Line], quantum_s: float) -> None:
        self._quantum_s = quantum_s
        self._credit = {key: line.credit_s for key, line in lines.items()}
        self._weight = {key: line.weight for key, line in lines.items()}
        self._left = {key: iter(tuple(line.tickets.values())) for key, line in lines.items()}

    def all(self) -> Iterator[Ticket]:
        """Every waiting job, in the order of turns."""
        while self._left:
            self._start_round()
            for key in list(self._left):
                yield from self._turn(key)

    def _turn(self, key: _LineKey) -> Iterator[Ticket]:
        while self._credit[key] > 0:
            ticket = next(self._left[key], None)
            if ticket is None:
                del self._left[key]
                return
            self._credit[key] -= ticket.cost_s
            yield ticket

    def _start_round(self) -> None:
        """Credit as many rounds as it takes until somebody can be served."""
        if any(self._credit[key] > 0 for key in self._left):
            return
        rounds = min(
            _rounds_until_positive(self._credit[key], self._weight[key], self._quantum_s)
            for key in self._left
        )
        for key in self._left:
            self._credit[key] += rounds * self._quantum_s * self._weight[key]


def _of_kind(lines: dict[_LineKey, _Line], *, is_relaxed: bool) -> dict[_LineKey, _Line]:
    return {key: line for key, line in lines.items() if key[0] is is_relaxed}


def _rounds_until_positive(credit_s: float, weight: float, quantum_s: float) -> int:
    return max(0, math.floor(-credit_s / (quantum_s * weight)) + 1)
