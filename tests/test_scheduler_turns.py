"""Turns among jobs whose mail waits for a destination that the sessions hold already."""

from collections import Counter

from ekiden.engine.schedule.facts import SchedulerOptions, SiteFacts
from ekiden.queue.model import Priority
from ekiden.shaping.caps import Caps, Rate
from scheduler_world import Receiver, World, job


def world() -> World:
    """A site that would take more sessions than its one destination may have, at ten a second."""
    return World(
        SchedulerOptions(),
        lambda name: SiteFacts(
            "mx",
            site_caps=Caps(sessions=9, messages=(Rate(10, 1.0),)),
            destination_caps=Caps(sessions=3),
        ),
        lambda _: Receiver(dial=0.2, send=0.1),
    )


def handed(found: World, numbers: int) -> Counter[int]:
    """Return how much of each job was handed out among the first so many messages."""
    return Counter(number for _, _, number, _ in found.handed[:numbers])


def test_jobs_take_turns_at_a_destination_whose_sessions_are_all_open() -> None:
    found = world()
    for number in (1, 2, 3):
        found.add(job(number), {"a.example": 300})
    found.run(60.0)
    counts = handed(found, 300)
    assert set(counts) == {1, 2, 3}
    assert min(counts.values()) >= 90, counts


def test_transactional_mail_goes_before_bulk_there() -> None:
    found = world()
    for number in (1, 2):
        found.add(job(number), {"a.example": 300})
    found.run(15.0)
    before = len(found.handed)
    found.add(job(3, priority=Priority.TRANSACTIONAL), {"a.example": 20})
    found.run(until=lambda world: sum(1 for one in world.handed if one[2] == 3) == 20)
    assert len(found.handed) - before <= 40
