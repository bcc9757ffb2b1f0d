"""When the device changes over to another model or adaptation. Pure: times are given.

Loading a model takes seconds, merging a LoRA some tenths. If requests of two models took turns
step by step on a device with room for one, it would do nothing but load. So what a change cost is
remembered, and before it is made again the device stays as it is for a multiple of that time, as
long as there is work for it. A first change is made at once, and so is one that costs nothing.

Steps of a training that nobody waits for run when there is nothing else.
"""

from collections.abc import Collection, Sequence

from engine.calls import (
    Call,
    Decode,
    Denoise,
    Encode,
    EncodeText,
    FoolGradient,
    JudgeGradient,
    NetworkRef,
)

STAY = 4.0  # times the cost of a change: at most a fifth of the time goes into changing
_MOST_NETWORKS = 1000  # whose costs are remembered
_ADAPTED = (EncodeText, Denoise, Encode, Decode)  # calls that need the adaptation in place
_PATIENT = (JudgeGradient, FoolGradient)


class Turns:
    """Remembers which adaptation is in place on each model, and what changes cost."""

    def __init__(self) -> None:
        self._changed_at = 0.0  # seconds of the caller's clock
        self._in_place: dict[str, NetworkRef] = {}  # by model
        self._load_s: dict[str, float] = {}
        self._adapt_s: dict[NetworkRef, float] = {}

    def whose_turn(self, calls: Sequence[Call], resident: Collection[str], now: float) -> list[int]:
        """Return the positions of the calls that may run now; all, or those without a change.

        `calls` has the longest waiting first, `resident` the models in memory.
        """
        urgent = [place for place, call in enumerate(calls) if not isinstance(call, _PATIENT)]
        places = urgent or list(range(len(calls)))
        costs = [self._cost_s(calls[place], resident) for place in places]
        is_due = not costs or now - self._changed_at >= STAY * costs[0]
        if is_due or all(costs):
            return places
        return [place for place, cost in zip(places, costs, strict=True) if not cost]

    def ran(self, call: Call, seconds: float, loading_s: float, now: float) -> None:
        """Learn from a pass that took so long, the loading of a model not included."""
        network = _network_of(call)
        if network is None:
            return
        if loading_s:
            self._load_s[network.model] = loading_s
            self._changed_at = now
        if isinstance(call, _ADAPTED):
            before = self._in_place.get(network.model)
            self._in_place[network.model] = network
            if before != network and before is not None and not loading_s:
                self._changed(network, seconds, now)

    def _changed(self, network: NetworkRef, seconds: float, now: float) -> None:
        """The pass itself is in the time too; the quickest one is nearest to the change alone."""
        if len(self._adapt_s) >= _MOST_NETWORKS:
            self._adapt_s.clear()
        self._adapt_s[network] = min(seconds, self._adapt_s.get(network, seconds))
        self._changed_at = now

    def _cost_s(self, call: Call, resident: Collection[str]) -> float:
        network = _network_of(call)
        if network is None:
            return 0.0
        if network.model not in resident:
            return self._load_s.get(network.model, 0.0)
        is_changed = self._in_place.get(network.model, network) != network
        return self._adapt_s.get(network, 0.0) if is_changed and isinstance(call, _ADAPTED) else 0.0


def _network_of(call: Call) -> NetworkRef | None:
    return getattr(call, "network", None)
