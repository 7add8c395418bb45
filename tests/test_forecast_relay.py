"""Plans through a relay: its quota is in the configuration, and needs no look-up."""

from pathlib import Path

import pytest

from ekiden.config import loads
from ekiden.forecast.estimate import estimate
from ekiden.forecast.model import Load
from test_forecast_estimate import BASE, NOW, facts


def test_the_quota_of_a_relay_counts_without_any_look_up() -> None:
    """500 a day: 1,200 take two days and a little, and 42 % are there after one."""
    config = loads(
        BASE + '[[route]]\npattern = "*"\nhost = "relay.example"\nrates = ["500/d"]\n'
        "group = true\n",
        Path("c.toml"),
    )
    lanes = {f"d{n}.example": 100 for n in range(12)}
    load = Load(id=0, name="n", lanes=lanes, deliver_by=NOW + 86_400)
    found = estimate(config, facts({}), load)
    assert found.assumed == 0
    assert found.whole.end is not None
    assert found.whole.end - NOW == pytest.approx(2 * 86_400, rel=0.05)
    assert found.whole.in_time == pytest.approx(500 / 1200, abs=0.01)
    assert found.whole.binds == "messages of site via relay.example:25 are limited to 500 per day"
    assert found.late
