"""Layers: what a source or a set says holds in place of the site's and the destination's caps."""

from collections import Counter
from typing import Any

import pytest

from ekiden.engine.schedule.facts import FOREVER, SchedulerOptions, SiteFacts, SourceFacts
from ekiden.engine.schedule.gates import Scope
from ekiden.engine.schedule.own import closed_because, meter_of, open_at
from ekiden.shaping.caps import NO_CAPS, Caps, Rate
from limited_world import LimitedWorld, Regime, world_of
from scheduler_world import job

SITE = Caps(sessions=4, messages=(Rate(10, 1.0),), messages_per_session=50)
FAST = (Rate(1000, 1.0),)


def world(
    site: Caps = SITE,
    *,
    destination: Caps = NO_CAPS,
    a: Caps = NO_CAPS,
    sets: dict[str, Caps] | None = None,
) -> LimitedWorld:
    """Two sources to one site, as fast as they may."""
    options = SchedulerOptions(
        sources=(SourceFacts("a", ("", "a"), path_caps=a), SourceFacts("b", ("b",))),
        sets=sets or {},
    )
    return world_of(
        {"mx.example": Regime()},
        options,
        lambda name: SiteFacts("mx.example", site_caps=site, destination_caps=destination),
    )


def run(made: LimitedWorld, seconds: float = 120.0, **jobs: Any) -> Counter[str]:
    """Queue a job for each pool, run, and return the sessions of each source."""
    for number, (pool, configuration_set) in enumerate(jobs.items(), 1):
        facts = job(number, pool=pool, configuration_set=configuration_set)
        made.add(facts, {f"{pool}.example": 1_000_000})
    made.run(seconds)
    return Counter(line.source for line in made.lines.values())


def per_second(made: LimitedWorld, seconds: float = 60.0) -> float:
    taken = made.regimes["mx.example"].taken
    before = len(taken)
    made.run(seconds)
    return (len(taken) - before) / seconds


@pytest.mark.parametrize(("own", "sessions"), [(None, 4), (2, 2), (9, 9)])
def test_sessions_of_a_source_are_more_or_less_than_the_sites(
    own: int | None, sessions: int
) -> None:
    made = world(Caps(sessions=4), destination=Caps(sessions=3 if own else None), a=Caps(own))
    assert run(made, a="")["a"] == sessions


@pytest.mark.parametrize(("own", "sessions"), [(2, 2), (9, 9)])
def test_sessions_of_a_set_pass_those_of_the_source(own: int, sessions: int) -> None:
    made = world(Caps(sessions=4), a=Caps(sessions=5), sets={"s": Caps(sessions=own)})
    assert run(made, a="s")["a"] == sessions


@pytest.mark.parametrize(("own", "rate"), [(5, 5.0), (30, 30.0)])
@pytest.mark.parametrize("layer", ["source", "set"])
def test_rates_are_more_or_less_than_the_sites(own: int, rate: float, layer: str) -> None:
    caps = Caps(messages=(Rate(own, 1.0),))
    site = Caps(sessions=8, messages=(Rate(10, 1.0),))
    if layer == "source":
        made = world(site, destination=Caps(messages=(Rate(9, 1.0),)), a=caps)
        run(made, a="")
    else:
        slow = Caps(messages=(Rate(7, 1.0),))
        made = world(site, destination=slow, a=slow, sets={"s": caps})
        run(made, a="s")
    assert per_second(made) == pytest.approx(rate, rel=0.12)


def test_what_keeps_a_session_from_opening_is_what_is_named() -> None:
    """Asked for the time at which its first message arrives, as it is when it opens."""
    scope = Scope("site", "mx.example", Caps(messages=(Rate(5, 1.0),)), 5)
    scope.sessions, scope.ahead, now = 1, 0.3, 1_000_000.0
    assert scope.messages is not None
    scope.messages.spend(now, ahead=0.3)  # another is on its way
    assert scope.messages.ready_at(now) <= now
    closed = scope.closed_because(now)
    assert closed == ("messages of site mx.example are limited to 5 per second", scope.open_at(now))
    scope.ahead = 0.4375  # the second place from then
    scope.messages.spend(now + 1.0)
    assert scope.messages.ready_at(now + 1.0) > now + 1.0
    assert scope.open_at(now + 1.0) == now + 1.0
    assert scope.closed_because(now + 1.0) is None, "its place has come when it is open"


def test_why_asks_a_sources_rate_for_the_time_of_arrival() -> None:
    made = world(a=Caps(sessions=9, messages=(Rate(5, 1.0),)))
    run(made, 5.0, a="")
    (work,) = made.scheduler._state.sites["mx.example"].works.values()
    path = work.site.paths["a"]
    meter, now = meter_of(work, path).messages, made.now + 10
    assert meter is not None
    meter.spend(now, ahead=path.ahead)
    assert meter.ready_at(now) <= now
    assert open_at(work, path, now) > now
    assert closed_because(work, path, now) == (
        "messages of path a to mx.example are limited to 5 per second",
        open_at(work, path, now),
    )


def test_the_keys_that_are_not_said_stay_the_sites() -> None:
    made = world(Caps(sessions=4, messages=(Rate(10, 1.0),)), a=Caps(sessions=9))
    run(made, a="")
    assert per_second(made) == pytest.approx(10, rel=0.12)
    made = world(Caps(sessions=4, messages=(Rate(10, 1.0),)), a=Caps(messages=FAST))
    assert run(made, a="")["a"] == 4


def test_the_others_keep_the_sites_cap_for_themselves() -> None:
    made = world(Caps(sessions=4), a=Caps(sessions=9))
    assert run(made, a="", b="") == {"a": 9, "b": 4}


def test_a_provider_and_what_was_found_hold_all_the_same() -> None:
    made = world_of(
        {"mx.example": Regime(sessions=6)},
        SchedulerOptions(sources=(SourceFacts("a", path_caps=Caps(sessions=20)),)),
        lambda _: SiteFacts("mx.example", "big", site_caps=SITE, provider_caps=Caps(sessions=3)),
    )
    made.add(job(1), {"a.example": 100_000})
    made.run(120.0)
    assert len(made.lines) == 3
    made = world_of(
        {"mx.example": Regime(sessions=6)},
        SchedulerOptions(sources=(SourceFacts("a", path_caps=Caps(sessions=20)),)),
        lambda _: SiteFacts("mx.example", site_caps=Caps(sessions=2)),
    )
    made.add(job(1), {"a.example": 100_000})
    made.run(120.0)
    assert 4 <= made.regimes["mx.example"].now_open <= 6, "the receiver's own limit is found"


def test_messages_on_a_connection() -> None:
    made = world(Caps(sessions=1, messages_per_session=5), a=Caps(messages_per_session=40))
    run(made, 300.0, a="")
    longest = Counter(made.regimes["mx.example"].taken)
    assert longest
    path = made.scheduler._state.sites["mx.example"].paths["a"]
    session = next(iter(made.scheduler._state.sessions.values()))
    assert (session.most, path.own and path.own.caps.messages_per_session) == (40, 40)


def test_a_reload_changes_them_and_takes_them_away() -> None:
    made = world(Caps(sessions=4), a=Caps(sessions=9), sets={"s": Caps(sessions=1)})
    assert run(made, a="", b="s") == {"a": 9, "b": 1}
    plain = (SourceFacts("a", ("", "a")), SourceFacts("b", ("b",)))
    made.scheduler.set_sources(plain, made.now)
    made.scheduler.set_sets({"s": Caps(sessions=2)}, made.now)
    made.run(60.0)
    open_now = Counter(line.source for line in made.lines.values())
    assert (open_now["a"], open_now["b"]) == (4, 2)
    made.scheduler.set_sets({}, made.now)
    made.run(60.0)
    assert len(made.lines) == 4


def test_why_names_whose_cap_it_is() -> None:
    made = world(Caps(sessions=4), a=Caps(messages=(Rate(3, 3600.0),)))
    run(made, a="")
    assert (
        "messages of path a to mx.example are limited to 3 per hour"
        in (made.scheduler.why("a.example", made.now)[0])
    )
    made = world(Caps(sessions=4), sets={"s": Caps(messages=(Rate(3, 3600.0),))})
    run(made, a="s")
    assert (
        "messages of set s to mx.example are limited to 3 per hour"
        in (made.scheduler.why("a.example", made.now)[0])
    )


def test_a_sets_day_goes_on_over_a_restart() -> None:
    sets = {"s": Caps(messages=(Rate(3, 86_400.0),))}
    made = world(sets=sets)
    run(made, a="s")
    assert len(made.regimes["mx.example"].taken) == 3
    again = world(sets=sets)
    again.scheduler.counting.recall(made.scheduler.counting.all())
    run(again, a="s")
    assert not again.regimes["mx.example"].taken


def test_a_site_in_use_changes_its_provider() -> None:
    """A reload may name a provider for it, or none: its caps hold at once, and none hold after."""
    made = world(Caps(sessions=4))
    run(made, 30.0, a="")
    assert per_second(made) > 5
    known = SiteFacts("mx.example", "partner", provider_caps=Caps(1, messages=(Rate(1, 1.0),)))
    assert made.scheduler.roads.provider_of("mx.example") == "other"
    made.scheduler.belongs("mx.example", "partner", made.now)
    made.scheduler.resolved("a.example", known, made.now)
    made.run(5.0)
    assert per_second(made) == pytest.approx(1.0, abs=0.1)
    assert made.scheduler.roads.provider_of("mx.example") == "partner"
    made.scheduler.suspend("partner", FOREVER, "they asked", made.now)
    made.run(5.0)
    assert per_second(made) == 0
    made.scheduler.belongs("mx.example", "", made.now)
    made.scheduler.resolved("a.example", SiteFacts("mx.example", site_caps=Caps(4)), made.now)
    made.run(5.0)
    assert per_second(made) > 5, "what waited at the provider's gate was let through"


def test_another_destinations_provider_does_not_touch_the_caps_of_this_one() -> None:
    """Two domains behind one MX set, one of them a provider's by its name."""
    made = world_of(
        {"mx.example": Regime()},
        SchedulerOptions(),
        lambda name: SiteFacts(
            "mx.example",
            *(("p", Caps(1), NO_CAPS, Caps(2)) if name == "a.example" else ("", Caps(1))),
        ),
    )
    made.add(job(1), {"a.example": 100_000, "b.example": 100_000})
    made.run(60.0)
    provider = made.scheduler._state.providers["p"]
    assert provider.caps == Caps(2)
