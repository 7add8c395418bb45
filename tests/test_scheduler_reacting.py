"""Reactions at the scheduler: what they hold back, and that their end gives it back."""

from typing import Any

import pytest

from ekiden.engine.schedule.facts import SchedulerOptions, SiteFacts, SourceFacts
from ekiden.engine.scheduler import Scheduler
from ekiden.shaping.caps import Caps, Rate
from ekiden.shaping.reactions import Reaction
from limited_world import LimitedWorld, Regime, world_of
from scheduler_world import START, job

FOR = 600.0


def reaction(**given: Any) -> Reaction:
    values = {
        "id": 1,
        "rule": "r",
        "scope": "path",
        "act": "suspend",
        "to": "",
        "source": "a",
        "site": "mx.example",
        "provider": "",
        "job": 0,
        "since": START + 60,
        "until": START + 60 + FOR,
        "reply": "451 slow down",
    }
    return Reaction(**{**values, **given})


def world(*sources: str) -> LimitedWorld:
    facts = tuple(SourceFacts(name) for name in sources or ("a",))
    made = world_of(
        {"mx.example": Regime()},
        SchedulerOptions(sources=facts),
        lambda name: SiteFacts(name, "big", site_caps=Caps(sessions=4)),
    )
    made.add(job(1), {"mx.example": 100_000})
    made.run(60.0)
    return made


def taken(made: LimitedWorld, seconds: float) -> float:
    made.run(5.0)  # what is on the wire
    before = len(made.regimes["mx.example"].taken)
    made.run(seconds)
    return (len(made.regimes["mx.example"].taken) - before) / seconds


@pytest.mark.parametrize(
    "where",
    [
        {"scope": "path"},
        {"scope": "road", "site": "", "provider": "big"},
        {"scope": "source", "site": ""},
        {"scope": "provider", "source": "", "site": "", "provider": "big"},
    ],
    ids=lambda where: where["scope"],
)
def test_a_suspension_holds_until_it_is_lifted(where: dict[str, str]) -> None:
    made = world()
    one = reaction(**where)
    assert made.scheduler.reacting.apply(one, made.now)
    assert taken(made, 60.0) == 0.0
    assert "451 slow down" in made.scheduler.why("mx.example", made.now)[0]
    made.scheduler.reacting.lift(one, made.now)
    for lane in made.lanes:
        made.schedule_offer(lane, made.now)
    assert taken(made, 60.0) > 30


def test_a_suspension_ends_by_itself() -> None:
    made = world()
    made.scheduler.reacting.apply(reaction(), made.now)
    assert taken(made, FOR - 10) == 0.0
    assert taken(made, 60.0) > 10


def test_slow_to_a_rate_and_to_a_share() -> None:
    made = world()
    one = reaction(act="slow", to="60/m")
    made.scheduler.reacting.apply(one, made.now)
    assert taken(made, 100.0) == pytest.approx(1.0, rel=0.1)
    made.scheduler.reacting.lift(one, made.now)
    full = taken(made, 100.0)
    made.scheduler.reacting.apply(reaction(id=2, act="slow", to="0.5"), made.now)
    assert taken(made, 100.0) == pytest.approx(full / 2, rel=0.15)


def test_sessions_are_capped_and_come_back() -> None:
    made = world()
    one = reaction(act="sessions", to="1")
    made.scheduler.reacting.apply(one, made.now)
    made.run(10.0)
    assert made.sessions["mx.example"] == 1
    made.scheduler.reacting.lift(one, made.now)
    made.run(60.0)
    assert made.sessions["mx.example"] == 4


def test_a_switch_needs_another_source() -> None:
    assert not world("a").scheduler.reacting.apply(reaction(act="switch"), START + 60)
    made = world("a", "b")
    assert made.scheduler.reacting.apply(reaction(act="switch"), made.now)
    assert taken(made, 60.0) > 10, "the other one takes over"
    assert {line.source for line in made.lines.values()} == {"b"}


def test_a_path_that_comes_back_into_memory_is_still_slowed() -> None:
    made = world_of({"mx.example": Regime()}, SchedulerOptions(sources=(SourceFacts("a"),)))
    made.scheduler.reacting.apply(reaction(act="sessions", to="1"), made.now)
    made.add(job(1), {"mx.example": 10_000})
    made.run(30.0)
    assert made.sessions["mx.example"] == 1


def test_what_a_relay_does_not_take_today_waits_for_tomorrow_untried() -> None:
    made = world_of(
        {"relay.example": Regime()},
        SchedulerOptions(sources=(SourceFacts("a"),)),
        lambda name: SiteFacts(
            name, site_caps=Caps(messages=(Rate(500, 86_400.0), Rate(50, 600.0, rest=True)))
        ),
    )
    made.add(job(1), {"relay.example": 800})
    relay = made.regimes["relay.example"]
    made.run(300.0)
    assert len(relay.taken) == 50, "so many, then a rest"
    made.run(86_400.0 - 600.0)
    assert len(relay.taken) == 500
    assert made.transactions["refused"] == 0
    made.run(86_400.0)
    assert len(relay.taken) == 800


@pytest.mark.parametrize(
    "where",
    [{"scope": "path"}, {"scope": "road", "site": "", "provider": "big"}],
    ids=lambda where: where["scope"],
)
def test_one_that_was_cancelled_between_two_runs_does_not_come_back(where: dict[str, str]) -> None:
    before = world()
    before.scheduler.reacting.apply(reaction(**where), before.now)
    after = Scheduler(SchedulerOptions(sources=(SourceFacts("a"),)))
    after.recall(before.scheduler.learned())
    after.roads.recall(before.scheduler.roads.learned())
    after.reacting.begin_anew()
    assert all(one.until == 0.0 for one in after.learned().values())
    assert all(one.until == 0.0 for one in after.roads.learned().values())
