"""Waiting for limits of our own is no failure: a quota holds the rest for tomorrow.

The sliding day of a rate begins with its first message; quarter of an hour is its grain.
"""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from ekiden.engine.schedule.facts import SchedulerOptions, SiteFacts, SourceFacts
from ekiden.queue.model import JobFacts, Pace, State
from ekiden.queue.queue import Queue
from ekiden.shaping.caps import Caps, Rate
from ekiden.shaping.plans import Plan
from ekiden.shaping.ramps import OTHER, Assigned, Ramps, WarmupOptions
from ekiden.store.database import Database
from queue_world import NOW, new_job, opened, rows
from quota_world import DAY, QuotaWorld

QUOTA = Caps(messages=(Rate(500, DAY),))


@pytest.fixture
async def queue(tmp_path: Path) -> AsyncIterator[Queue]:
    database = await Database.open(tmp_path / "queue.db")
    yield Queue(database)
    await database.close()


def relay(name: str) -> SiteFacts:
    """Everything goes through one relay."""
    return SiteFacts("relay", site_caps=QUOTA)


async def world(queue: Queue, number: int, site_facts: Any = relay, **job: Any) -> QuotaWorld:
    """A job with a day's lifetime, which ends by its own rules if `patience` is None."""
    given = {"expires_at": NOW + DAY, "patience": DAY} | job
    people = [f"n{n}@d{n % 7}.example" for n in range(number)]
    await opened(queue, *people, **given)
    return QuotaWorld(queue, SchedulerOptions(sources=(SourceFacts("a"),)), site_facts)


async def the_job(queue: Queue) -> JobFacts:
    return await queue.job(1)


async def test_a_quota_of_500_a_day_takes_1200_on_three_days(queue: Queue) -> None:
    made = await world(queue, 1200)
    await made.run(3 * DAY)
    assert made.delivered == {0: 500, 1: 500, 2: 200}
    assert (await the_job(queue)).counts[State.EXPIRED] == 0


async def test_a_restart_and_a_day_without_the_daemon_lose_nothing(queue: Queue) -> None:
    made = await world(queue, 1200)
    await made.run(DAY * 0.9)
    made.restart()
    await made.run(DAY * 0.3)
    made.restart()
    made.now += 0.8 * DAY
    await made.run(DAY * 3)
    assert sum(made.delivered.values()) == 1200
    assert max(made.delivered.values()) == 500


@pytest.mark.parametrize(
    "firm",
    [{"deliver_by": NOW + DAY, "patience": None}, {"patience": None}],
    ids=["deliver_by", "the set's lifetime"],
)
async def test_a_firm_end_stays(queue: Queue, firm: dict[str, Any]) -> None:
    made = await world(queue, 1200, **firm)
    await made.run(3 * DAY)
    assert made.delivered == {0: 500}
    assert (await the_job(queue)).counts[State.EXPIRED] == 700


async def test_what_a_receiver_defers_has_its_lifetime_and_no_more(queue: Queue) -> None:
    """Beside a quota that takes four days; each is retried for a day from its first attempt."""
    made = await world(queue, 1900)
    made.defers = lambda destination, _now: destination == "d0.example"
    await made.run(1.2 * DAY)
    assert (await the_job(queue)).counts[State.EXPIRED] > 0
    await made.run(6 * DAY)
    counts = (await the_job(queue)).counts
    assert counts[State.EXPIRED] == 272, "a seventh, which was never taken"
    assert counts[State.DELIVERED] == 1900 - 272


async def test_a_site_without_a_quota_does_not_outlive_its_lifetime(queue: Queue) -> None:
    def two_sites(name: str) -> SiteFacts:
        return SiteFacts("dead") if name == "d0.example" else SiteFacts("relay", site_caps=QUOTA)

    made = await world(queue, 1200, two_sites)
    made.defers = lambda destination, _now: destination == "d0.example"
    await made.run(DAY + 3600)
    counts = (await the_job(queue)).counts
    assert counts[State.EXPIRED] == 172
    assert counts[State.READY] > 0
    await made.run(3 * DAY)
    assert (await the_job(queue)).counts[State.DELIVERED] == 1200 - 172


async def test_the_quota_of_a_destination_holds_for_tomorrow_too(queue: Queue) -> None:
    caps = Caps(messages=(Rate(50, DAY),))
    made = await world(queue, 700, lambda name: SiteFacts(name, destination_caps=caps))
    await made.run(1.5 * DAY)
    assert made.delivered == {0: 350, 1: 350}


async def test_a_warm_up_holds_the_rest_for_its_next_day(queue: Queue) -> None:
    made = await world(queue, 1200)
    made.site_facts = lambda name: SiteFacts("relay")
    plan = Plan("ten", tuple(range(300, 310)), origin="ours: a test")
    ramps = Ramps(WarmupOptions((Assigned("a", OTHER, "ten"),), {"ten": plan, "cautious": plan}))
    made.scheduler.roads.warm_up(ramps, made.now)
    await made.run(6 * DAY)
    assert sum(made.delivered.values()) == 1200
    assert len(made.delivered) == 4
    assert (await the_job(queue)).counts[State.EXPIRED] == 0


async def test_a_pace_of_the_sender_does_not_age_mail(queue: Queue) -> None:
    job_id = await queue.add_job(
        new_job(expires_at=NOW + DAY, patience=DAY, pace=Pace(100, 6 * 3600.0))
    )
    await queue.add_deliveries(job_id, rows(*(f"n{n}@d.example" for n in range(1200))))
    job = await queue.open_job(job_id, NOW, refused=0)
    assert job.expires_at == NOW + DAY + 12 * 6 * 3600.0
    made = QuotaWorld(queue, SchedulerOptions(sources=(SourceFacts("a"),)), SiteFacts)
    await made.run(4 * DAY)
    assert sum(made.delivered.values()) == 1200
