"""What the scheduler is told of the configuration."""

from pathlib import Path

import pytest

from ekiden import settings
from ekiden.config import load


@pytest.mark.parametrize(("sessions", "lanes"), [(1000, 4096), (10_000, 12_500)])
def test_there_are_lanes_for_all_sessions(tmp_path: Path, sessions: int, lanes: int) -> None:
    # Ten thousand sites of a few messages a minute each keep a session open, and its lane with it.
    path = tmp_path / "config.toml"
    path.write_text(
        f'[delivery]\nhostname = "mail.sender.example"\nmax_sessions = {sessions}\n', "utf-8"
    )
    path.chmod(0o600)
    found = settings.scheduling(load(path))
    assert found.lanes_max == lanes
    assert found.waiting_max >= lanes * found.lane_first
