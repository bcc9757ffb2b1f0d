"""Ten kills at random instants; `python -m tests.chaos --kills 100` does more of them."""

from pathlib import Path

import pytest

from tests.chaos.killing import Chaos


@pytest.mark.slow
@pytest.mark.timeout(900)  # about 40 s where nothing else runs
async def test_every_accepted_job_ends_exactly_once_through_ten_kills(tmp_path: Path) -> None:
    chaos = Chaos(tmp_path, f"sqlite:///{tmp_path}/atelier.db", kills=10, seed=5)
    report = await chaos.run()
    assert report.faults == []
    assert sum(report.kills.values()) == 10
    assert report.accepted, "jobs came while it was killed"
    assert report.reruns, "kills hit jobs that were running"
