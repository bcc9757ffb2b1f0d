"""What a pass takes of the main memory, and what it finds."""

import mmap
import os
import subprocess
import sys

import pytest
import torch

from engine.models import memory
from engine.models.memory import MainMemory, free_main_memory, memory_of

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="it is known on Linux alone")

LARGE = 64 * 2**20  # bytes


# In a process of its own: one that ran other tests has freed memory at hand, and takes no more.
PASS = f"""
import mmap
from engine.models.memory import MainMemory
gauge = MainMemory()
gauge.begin()
with mmap.mmap(-1, {LARGE}) as pages:
    pages[::4096] = bytes({LARGE} // 4096)
print(gauge.taken_bytes())
gauge.begin()
print(gauge.taken_bytes())
"""


def test_what_a_pass_takes_is_measured_though_it_has_given_it_back():
    ran = subprocess.run([sys.executable, "-c", PASS], capture_output=True, check=True, text=True)
    large, nothing = (int(line) for line in ran.stdout.split())
    assert 0.8 * LARGE < large < 3 * LARGE
    assert nothing < 0.5 * LARGE


def test_memory_of_the_cpu_is_the_main_memory():
    assert isinstance(memory_of(torch.device("cpu")), MainMemory)


def test_where_it_can_not_be_known_nothing_was_taken(monkeypatch, tmp_path):
    monkeypatch.setattr(memory, "Path", lambda place: tmp_path / place.strip("/"))
    gauge = MainMemory()
    gauge.begin()
    assert gauge.taken_bytes() == 0


def test_a_pass_may_take_a_part_of_what_is_free():
    assert 0 < MainMemory().room_bytes() < free_main_memory() * 0.9


def test_macos_has_half_of_all_memory_and_windows_a_usual_size(monkeypatch, tmp_path):
    monkeypatch.setattr(memory, "Path", lambda place: tmp_path / place.strip("/"))
    monkeypatch.setattr(os, "sysconf_names", {"SC_PHYS_PAGES": 85, "SC_PAGE_SIZE": 30})
    assert free_main_memory() == os.sysconf("SC_PHYS_PAGES") * mmap.PAGESIZE // 2
    monkeypatch.delattr(os, "sysconf_names")
    assert free_main_memory() == 8 * 2**30


@pytest.mark.parametrize(
    ("limit", "free"), [("max", 8_000 * 1024), ("5000000", 5_000_000 - 3_000_000 + 500_000)]
)
def test_a_container_has_what_its_limit_leaves_and_the_files_it_has_read_count_for_nothing(
    monkeypatch, tmp_path, limit, free
):
    files = {
        "proc/meminfo": "MemTotal: 9000 kB\nMemAvailable: 8000 kB\n",
        "sys/fs/cgroup/memory.max": limit + "\n",
        "sys/fs/cgroup/memory.current": "3000000\n",
        "sys/fs/cgroup/memory.stat": "anon 2000000\ninactive_file 500000\n",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(memory, "Path", lambda place: tmp_path / place.strip("/"))
    assert free_main_memory() == free
