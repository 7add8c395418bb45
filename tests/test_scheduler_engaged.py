"""Engaged recipients go first on a cold source, over all sites of one provider's ramp."""

from collections import Counter

import pytest

from ekiden.engine.schedule.facts import SchedulerOptions, SiteFacts, SourceFacts
from ekiden.shaping.plans import Plan
from ekiden.shaping.ramps import Assigned, Ramps, WarmupOptions
from scheduler_world import START, World, job

DAY = 86_400.0
SITES = 40


def world(allowance: int, classes: int = 4) -> World:
    """Forty sites of one provider, ten recipients each; the class of site n is n % classes."""
    made = World(
        SchedulerOptions(sources=(SourceFacts("new"),)), lambda name: SiteFacts(name, "big")
    )
    plan = Plan("p", (allowance, allowance + 1, allowance + 2), origin="ours: a test")
    ramps = Ramps(WarmupOptions((Assigned("*", "*", "p"),), {"p": plan, "cautious": plan}))
    made.scheduler.roads.warm_up(ramps, START)
    made.add(job(1, created_at=START), {f"s{n}.example": 10 for n in range(SITES)})
    for lane, rows in made.rows.items():
        for number in rows:
            rows[number] = START + (lane - 1) % classes / 1000
    return made


def classes_of(made: World, first: int) -> Counter[int]:
    """How many of the first so many messages went to each class."""
    names = [name for _, name, _, _ in made.handed[:first]]
    return Counter(int(name[1:].partition(".")[0]) % 4 for name in names)


@pytest.mark.parametrize("allowance", [50, 100, 300])
def test_the_most_engaged_of_all_sites_go_first(allowance: int) -> None:
    made = world(allowance)
    made.run(2 * DAY)
    first = classes_of(made, min(allowance, 100))
    assert first[0] == sum(first.values())


def test_the_others_follow_in_their_order_and_nobody_is_left() -> None:
    made = world(300)
    made.run(4 * DAY)
    assert len(made.done) == 400
    order = [classes_of(made, number) for number in (100, 200, 300)]
    assert order == [{0: 100}, {0: 100, 1: 100}, {0: 100, 1: 100, 2: 100}]


def test_without_classes_sites_stay_in_turn() -> None:
    made = world(100, classes=1)
    made.run(DAY)
    spread = Counter(name for _, name, _, _ in made.handed)
    assert len(spread) == SITES
    assert max(spread.values()) - min(spread.values()) <= 3
