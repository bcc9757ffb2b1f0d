"""How much memory a device has for passes, and how much a pass took.

On a GPU a pass that finds too little fails and is repeated with fewer rows. In main memory there is
no second chance, the kernel kills whoever takes the last of it: so more rows are tried only where
what fewer took says that there is room.
"""

import os
from pathlib import Path

import torch

_RISKED = 0.5  # of the free main memory; others want some too
_USUALLY_FREE = 0.5  # of all memory, where the system does not tell what is free: macOS
_UNTOLD = 8 * 2**30  # bytes that count as free where it tells nothing: Windows


class CudaMemory:
    """The memory of one CUDA device."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._before = 0

    def begin(self) -> None:
        """Note what is in use before a pass."""
        torch.cuda.reset_peak_memory_stats(self._device)
        self._before = torch.cuda.memory_allocated(self._device)

    def taken_bytes(self) -> int:
        """What the pass took at its height, on top of that."""
        return torch.cuda.max_memory_allocated(self._device) - self._before

    def room_bytes(self) -> int:
        """What a pass can take now."""
        free, _ = torch.cuda.mem_get_info(self._device)
        kept_back = torch.cuda.memory_reserved(self._device)  # by torch, from earlier passes
        return free + kept_back - torch.cuda.memory_allocated(self._device)


class MainMemory:
    """The memory of this machine, or of this container; nothing is known of it but on Linux."""

    def __init__(self) -> None:
        self._before = 0

    def begin(self) -> None:
        """Note what is in use before a pass."""
        try:
            Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # resets VmHWM
        except OSError:
            self._before = 0
        else:
            self._before = _own_memory("VmRSS")

    def taken_bytes(self) -> int:
        """What the pass took at its height, on top of that; 0 where it can't be known."""
        return max(0, _own_memory("VmHWM") - self._before) if self._before else 0

    def room_bytes(self) -> int:
        """What a pass may take now."""
        return int(free_main_memory() * _RISKED)


def memory_of(device: torch.device) -> CudaMemory | MainMemory:
    """Where passes on `device` have their numbers."""
    return CudaMemory(device) if device.type == "cuda" else MainMemory()


def free_main_memory() -> int:
    """Bytes that could be had without swapping, in this container if it is one."""
    free = _told_by_system()
    try:
        free = _kilobytes(Path("/proc/meminfo"), "MemAvailable")
        group = Path("/sys/fs/cgroup")
        limit = (group / "memory.max").read_text(encoding="ascii").strip()
        used = int((group / "memory.current").read_text(encoding="ascii"))
        statistics = (group / "memory.stat").read_text(encoding="ascii").split()
    except (OSError, ValueError, StopIteration):
        return free
    # Files that were read count as used, but make room for whoever wants it.
    cached = int(statistics[statistics.index("inactive_file") + 1])
    return free if limit == "max" else min(free, int(limit) - used + cached)


def _told_by_system() -> int:
    """What is free as far as the system's own library knows."""
    known = getattr(os, "sysconf_names", {})
    for name, share in (("SC_AVPHYS_PAGES", 1.0), ("SC_PHYS_PAGES", _USUALLY_FREE)):
        if name in known:
            return int(share * os.sysconf(name) * os.sysconf("SC_PAGE_SIZE"))
    return _UNTOLD


def _own_memory(name: str) -> int:
    try:
        return _kilobytes(Path("/proc/self/status"), name)
    except (OSError, ValueError, StopIteration):
        return 0


def _kilobytes(file: Path, name: str) -> int:
    """The bytes of one line of a file such as `VmRSS:  12 kB`."""
    lines = file.read_text(encoding="ascii").splitlines()
    return int(next(line for line in lines if line.startswith(f"{name}:")).split()[1]) * 1024
