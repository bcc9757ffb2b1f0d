"""Which models fit into memory together, and which go first. Pure: it counts, others load.

Every model is known by its name and its bytes; the one used longest ago is given up first.
"""

from collections import OrderedDict


class Ledger:
    """The bytes of the models in memory, least recently used first."""

    def __init__(self, budget_bytes: int, reserve_bytes: int = 0) -> None:
        """Count up to `budget_bytes`, of which `reserve_bytes` stay free for the work itself."""
        self._room = budget_bytes - reserve_bytes
        self._sizes: OrderedDict[str, int] = OrderedDict()

    @property
    def room_bytes(self) -> int:
        """What all models together may take."""
        return self._room

    @property
    def used_bytes(self) -> int:
        """What they take now."""
        return sum(self._sizes.values())

    def names(self) -> tuple[str, ...]:
        """The models, least recently used first."""
        return tuple(self._sizes)

    def enter(self, name: str, size_bytes: int) -> None:
        """Note a model's size, and that it is used now."""
        self._sizes[name] = size_bytes
        self._sizes.move_to_end(name)

    def strike(self, name: str) -> None:
        """Forget a model."""
        del self._sizes[name]

    def fits(self, size_bytes: int) -> bool:
        """Whether a model of that size fits if all others go."""
        return size_bytes <= self._room

    def victims(self, size_bytes: int, keep: str = "") -> tuple[str, ...]:
        """Who must go so that `size_bytes` more fit, `keep` never; all others if nothing helps."""
        missing = self.used_bytes + size_bytes - self._room
        gone: list[str] = []
        for name, size in self._sizes.items():
            if missing <= 0:
                break
            if name != keep:
                gone.append(name)
                missing -= size
        return tuple(gone)
