"""Hours in the scheduler: who begins when, what waits, and why."""

import random

import pytest

from ekiden.engine.schedule.facts import SchedulerOptions, SiteFacts
from ekiden.queue.model import Priority
from ekiden.shaping.caps import Caps, Rate
from ekiden.shaping.hours import Avoided, HoursOptions
from ekiden.shaping.window import Lesson
from scheduler_world import START, Receiver, World, job

# START is 13:46:40 UTC on a Monday.
HOUR = 3600.0
MINUTE = 60.0
OFF = {"smooth": 0.0, "jitter": 0.0}


def world(*avoided: Avoided, **given: object) -> World:
    found = World(
        SchedulerOptions(),
        lambda name: SiteFacts(f"mx.{name}", name.partition(".")[0]),
        lambda _: Receiver(send=1.0),
    )
    options = HoursOptions(avoided, **{**OFF, **given})  # type: ignore[arg-type]  # by the tests
    found.scheduler.set_hours(options, START)
    return found


def times(found: World, number: int) -> list[float]:
    return [at for at, _, job_id, _ in found.handed if job_id == number]


def test_bulk_waits_for_the_end_of_the_window_and_transactional_does_not() -> None:
    found = world(Avoided("*", bulk=("13:00-14:00",)))
    found.add(job(1), {"gmail.example": 20, "yahoo.example": 20})
    found.add(job(2, priority=Priority.TRANSACTIONAL), {"gmail.example": 5})
    found.run(5 * MINUTE)
    assert len(times(found, 2)) == 5
    assert times(found, 1) == []
    until = START + 800  # 14:00
    assert found.scheduler.why("gmail.example", found.now) == (
        "bulk mail avoids 13:00-14:00 (UTC)", until,
    )  # fmt: skip
    assert found.scheduler.why("never-met.example", found.now)[1] == until
    assert not found.scheduler.takes(Priority.BULK, found.now)
    assert found.scheduler.takes(Priority.TRANSACTIONAL, found.now)
    found.run(until=lambda world: not world.left)
    assert until <= times(found, 1)[0] < until + 10


def test_a_window_at_one_provider_holds_nobody_else() -> None:
    found = world(Avoided("docomo", bulk=("13:00-14:00",)))
    found.add(job(1), {"docomo.example": 5, "gmail.example": 5})
    found.run(5 * MINUTE)
    assert found.delivered == {"gmail.example": 5}
    found.run(until=lambda world: not world.left)
    assert found.delivered["docomo.example"] == 5


def test_an_open_session_is_given_no_more_when_the_window_begins() -> None:
    found = world(Avoided("*", bulk=("13:50-14:00",)))
    found.add(job(1), {"gmail.example": 10_000})
    found.steps_max = 100_000
    found.run(15 * MINUTE)
    begins, ends = START + 200, START + 800
    sent = times(found, 1)
    assert any(at < begins for at in sent)
    assert any(at >= ends for at in sent)
    assert not any(begins <= at < ends for at in sent), "what was in hand is all that goes out"


def test_transactional_mail_goes_on_over_an_open_session() -> None:
    found = world(Avoided("*", bulk=("13:50-14:00",)))
    found.add(job(1), {"gmail.example": 10_000})
    found.run(250)
    found.add(job(2, priority=Priority.TRANSACTIONAL), {"gmail.example": 5})
    found.run(60)
    assert len(times(found, 2)) == 5


def test_windows_for_transactional_mail_hold_it_alone() -> None:
    found = world(Avoided("*", transactional=("13:00-14:00",)))
    found.add(job(1), {"gmail.example": 5})
    found.add(job(2, priority=Priority.TRANSACTIONAL), {"gmail.example": 5})
    found.run(5 * MINUTE)
    assert len(times(found, 1)) == 5
    assert times(found, 2) == []


def test_beginnings_at_the_top_of_the_hour_are_spread() -> None:
    found = world(smooth=120.0)
    top = START + 800
    found.add(job(1, send_at=top), {f"gmail.d{n}.example": 3 for n in range(50)})
    found.run(until=lambda world: not world.left)
    first: dict[str, float] = {}
    for at, destination, _, _ in found.handed:
        first.setdefault(destination, at - top)
    assert max(first.values()) > 90
    assert sum(at < 12 for at in first.values()) < 15


def test_scheduled_starts_have_a_moment_of_their_own() -> None:
    found = world(jitter=60.0)
    at = START + 100
    for number in range(1, 6):
        found.add(job(number, send_at=at), {f"gmail.d{number}.example": 1})
    found.run(until=lambda world: not world.left)
    starts = [times(found, number)[0] - at for number in range(1, 6)]
    assert all(0 <= start < 65 for start in starts)
    assert max(starts) - min(starts) > 10


def test_a_job_with_a_deadline_waits_for_the_better_hour() -> None:
    found = world()
    for number in range(100):
        found.scheduler.hours.note("gmail", START, deferred=number < 30)
        found.scheduler.hours.note("gmail", START + 3 * HOUR, deferred=False)
    found.add(job(1, deliver_by=START + 24 * HOUR), {"gmail.example": 5, "yahoo.example": 5})
    found.add(job(2), {"gmail.example": 5})
    found.add(job(3, deliver_by=START + 2 * HOUR), {"gmail.example": 5})
    found.run(10 * MINUTE)
    assert len(times(found, 1)) == 5, "yahoo's"
    assert len(times(found, 2)) == 5, "it has no deadline"
    assert len(times(found, 3)) == 5, "it has no time"
    reason, until = found.scheduler.why("gmail.example", found.now)
    assert "a better one comes in time" in reason
    found.run(until=lambda world: not world.left)
    assert len(times(found, 1)) == 10
    assert until <= times(found, 1)[-1] < until + 60


def test_lifting_a_window_lets_mail_go_at_once() -> None:
    found = world(Avoided("*", bulk=("13:00-23:00",)))
    found.add(job(1), {"gmail.example": 5})
    found.run(10)
    found.scheduler.set_hours(HoursOptions(smooth=0.0), found.now)
    found.schedule_offer(1, found.now)  # as `Queue.look_again` does
    found.run(30)
    assert not found.left


def stormy(found: World, *, bad: int, share: float = 0.3) -> None:
    """Let a provider have an hour of the day that was bad, and others that were good."""
    for hour in range(24):
        at = START - START % 86_400 + hour * HOUR
        for number in range(100):
            deferred = hour == bad and number < 100 * share
            found.scheduler.hours.note("gmail", at, deferred=deferred)


def strict(count: int, deadline: float, *, bad: int, prefer: bool, limit: str = "1/s") -> World:
    """A job to a receiver that defers three of ten in one hour of the day, on the wire too."""
    dice = random.Random(3)

    def outcome(world: World, _line: object) -> Lesson:
        hour = int(world.now % 86_400 // HOUR)
        return Lesson.DEFERRED if hour == bad and dice.random() < 0.3 else Lesson.GOOD

    found = World(
        SchedulerOptions(),
        lambda name: SiteFacts(
            f"mx.{name}", "gmail", site_caps=Caps(messages=(Rate.parse(limit),), sessions=4)
        ),
        lambda _: Receiver(send=1.0, lesson=outcome),
        steps_max=3_000_000,
    )
    found.check = False
    found.scheduler.set_hours(HoursOptions(prefer=prefer, smooth=0.0, jitter=0.0), START)
    stormy(found, bad=bad)
    found.add(job(1, deliver_by=START + deadline), {"gmail.example": count})
    found.run(until=lambda world: not world.left)
    return found


def test_the_better_hour_is_used_and_saves_deferrals() -> None:
    """600 messages with a day's time: all of them go in an hour that defers none."""
    found = strict(600, 24 * HOUR, bad=13, prefer=True)
    assert len(found.handed) == 600, "nothing was tried twice"
    assert found.now < START + 2 * HOUR
    restless = strict(600, 24 * HOUR, bad=13, prefer=False)
    assert len(restless.handed) > 700, "without it, three of ten come back"


@pytest.mark.parametrize("spare", [1.1, 1.3, 1.6, 2.5])
def test_waiting_for_a_better_hour_makes_no_deadline_missed(spare: float) -> None:
    """4,000 at one a second take 67 minutes: a deadline with little more leaves no time to wait."""
    takes = 4_000.0
    for bad in (13, 14):
        found = strict(4_000, spare * takes, bad=bad, prefer=True)
        plain = strict(4_000, spare * takes, bad=bad, prefer=False)
        late = sum(at > START + spare * takes for at, *_ in found.handed)
        assert late <= sum(at > START + spare * takes for at, *_ in plain.handed), (spare, bad)
