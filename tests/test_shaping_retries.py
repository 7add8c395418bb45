"""First tries and later ones: what is learned of each, and what a forecast makes of it."""

from pathlib import Path

import msgspec
import pytest

from ekiden.config import loads
from ekiden.engine.schedule.facts import Learned
from ekiden.forecast.estimate import estimate
from ekiden.forecast.model import Forecast, Load
from ekiden.shaping.retries import Deferrals, Retries
from test_forecast_estimate import BASE, NOW, facts, kept

QUICK = Learned([9, -1, 0.0, 2.0], opening=0.1, each=0.01)


def greylisting(tries: int = 200) -> Retries:
    """Every first try was put off for a minute, and no second one."""
    found = Retries()
    for _ in range(tries):
        found.note("other", 1, deferred=True, wait=60.0, seconds=0.1)
        found.note("other", 2, deferred=False, wait=0.0, seconds=0.2)
    return found


def foretold(found: Retries | None) -> Forecast:
    memory = kept(mx=QUICK)
    hours = [[0.0] * 24, [0.0] * 24]
    hours[0][3], hours[1][3] = 400.0, 200.0
    memory["hours"] = {"other": msgspec.json.encode(hours).decode()}
    if found is not None:
        states = found.states().items()
        memory["retries"] = {name: msgspec.json.encode(one).decode() for name, one in states}
    config = loads(BASE.replace("[hours]", 'retry = ["10m", "1h"]\n[hours]'), Path("c.toml"))
    load = Load(id=0, name="n", lanes={"a.example": 500})
    return estimate(config, facts({"a.example": "mx"}, memory), load)


def test_what_is_learned_survives_and_the_newer_weighs_more() -> None:
    found = greylisting(3_900)
    (name, one), *rest = found.states().items()
    assert (name, rest) == ("other", [])
    assert found.states() == {}, "it is kept once"
    again = Retries()
    again.recall({name: msgspec.json.decode(msgspec.json.encode(one), type=Deferrals)})
    for _ in range(4_000):
        again.note("other", 1, deferred=False, wait=-5.0, seconds=0.2)
    (late,) = again.states().values()
    assert one.first.share == 1.0
    assert one.first.wait == 60.0
    assert one.later.share == 0.0
    assert one.brief == pytest.approx(0.5), "a refused recipient takes half the time"
    assert Deferrals().brief == 1.0
    assert late.first.share < 0.4
    assert late.first.wait == 60.0


def test_a_greylisted_job_comes_back_once() -> None:
    found = foretold(greylisting())
    assert found.whole.end is not None
    assert found.whole.end - NOW == pytest.approx(65, abs=10)
    assert found.whole.half is not None
    assert found.whole.half - NOW >= 60, "nothing is there before it is tried again"


@pytest.mark.parametrize("few", [None, 20])
def test_without_enough_tries_the_share_of_all_stands_for_them(few: int | None) -> None:
    found = foretold(None if few is None else greylisting(few))
    assert found.whole.half is not None
    assert found.whole.half - NOW < 60
    assert found.whole.end is not None
    assert found.whole.end - NOW > 3600, "half of half comes back a third time"
