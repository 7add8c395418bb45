"""Claims, leases, results, suppressions, recovery."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from ekiden.lists.suppression import Reason, Suppression, Suppressions
from ekiden.queue.model import Priority, State
from ekiden.queue.queue import Queue, QueueOptions
from ekiden.store.database import Database
from queue_world import (
    NOW,
    START,
    attempt,
    check_books,
    claim_all,
    due,
    ids,
    new_job,
    opened,
    rows,
    settlement,
)

DAY = 86_400.0


@pytest.fixture
async def db(tmp_path: Path) -> AsyncIterator[Database]:
    database = await Database.open(tmp_path / "queue.db")
    yield database
    await check_books(database)
    await database.close()


@pytest.fixture
def queue(db: Database) -> Queue:
    return Queue(db)


async def test_a_delivery_is_claimed_once(queue: Queue) -> None:
    await opened(queue, "a@x.example", "b@x.example")
    first = await queue.claim([1, 1, 99], 5, NOW)
    assert [(item.id, item.attempts, item.lease) for item in first.claimed] == [(1, 1, 5)]
    second = await queue.claim([1, 2], 6, NOW)
    assert ids(second.claimed) == [2]


async def test_delivered_ends_it(queue: Queue) -> None:
    job_id = await opened(queue, "a@x.example")
    (item,) = await claim_all(queue)
    result = await queue.settle([settlement(item)], NOW + 1)
    assert (result.stale, result.earliest) == ([], None)
    (row,) = await queue.job_rows(job_id, 0, 10)
    assert (row.state, row.code, row.finished_at) == (State.DELIVERED, 250, NOW + 1)
    assert [job.id for job in await queue.finished_jobs()] == [job_id]


async def test_a_wrong_lease_or_state_writes_nothing(queue: Queue) -> None:
    await opened(queue, "a@x.example", "b@x.example")
    one, two = await claim_all(queue)
    await queue.settle([settlement(one)], NOW)
    forged = settlement(replace(two, lease=8), State.BOUNCED)
    result = await queue.settle([settlement(one, State.BOUNCED), forged], NOW)
    assert sorted(result.stale) == [one.id, two.id]
    assert await queue.release([one], NOW) == [one.id]
    assert len(await queue.attempts_after(0, 10)) == 1
    overview = await queue.overview()
    assert overview.deliveries[State.DELIVERED] == 1
    assert overview.deliveries[State.SENDING] == 1


async def test_the_first_settlement_of_a_delivery_counts(queue: Queue) -> None:
    await opened(queue, "a@x.example")
    (item,) = await claim_all(queue)
    await queue.settle([settlement(item), settlement(item, State.BOUNCED)], NOW)
    assert [record.fate for record in await queue.attempts_after(0, 9)] == [State.DELIVERED]


async def test_a_retry_is_due_at_its_time_and_sets_its_lane(queue: Queue) -> None:
    await opened(queue, "a@x.example")
    (item,) = await claim_all(queue)
    result = await queue.settle([settlement(item, State.READY, due_at=NOW + 60)], NOW)
    assert result.earliest == NOW + 60
    assert await due(queue, NOW + 59.9) == []
    assert await due(queue, NOW + 60) == [item.id]
    (lane,) = await queue.lanes_due(NOW + 60, (NOW, 0), 9, Priority.BULK)
    assert (lane.due_at, lane.ready) == (NOW + 60, 1)
    (again,) = await claim_all(queue, NOW + 60)
    assert again.attempts == 2


async def test_a_retry_lowers_the_time_of_a_lane_that_is_later(queue: Queue) -> None:
    await opened(queue, "a@x.example", "b@x.example")
    one, two = await claim_all(queue)
    await queue.settle([settlement(one, State.READY, due_at=NOW + 600)], NOW)
    await queue.settle([settlement(two, State.READY, due_at=NOW + 60)], NOW)
    (lane,) = await queue.lanes_due(NOW + 600, START, 9, Priority.BULK)
    assert lane.due_at == NOW + 60


async def test_an_undone_attempt_does_not_count_but_is_remembered(queue: Queue) -> None:
    await opened(queue, "a@x.example")
    (item,) = await claim_all(queue)
    await queue.settle([settlement(item, State.READY, due_at=NOW, undo_attempt=True)], NOW)
    (again,) = await claim_all(queue)
    assert again.attempts == 1
    assert len(await queue.attempts_after(0, 9)) == 1


async def test_released_is_as_if_never_claimed(queue: Queue) -> None:
    await opened(queue, "a@x.example")
    queue.take_rewind()
    (item,) = await claim_all(queue)
    assert await queue.release([item], NOW) == []
    assert queue.take_rewind() == NOW
    (again,) = await claim_all(queue)
    assert (again.id, again.attempts) == (item.id, 1)
    assert await queue.attempts_after(0, 9) == []


async def test_a_hard_bounce_suppresses_for_every_job(queue: Queue, db: Database) -> None:
    await opened(queue, "Gone@x.example", uid="one")
    (item,) = await claim_all(queue)
    gone = settlement(
        item, State.BOUNCED, suppress="hard_bounce", attempt=attempt("5.1.1 unknown", 550)
    )
    result = await queue.settle([gone], NOW)
    assert result.suppressed == ["gone@x.example"]
    found = await Suppressions(db).contains("GONE@X.example")
    assert found is not None
    assert (found.reason, found.note) == (Reason.HARD_BOUNCE, "5.1.1 unknown")
    second = await opened(queue, "gone@x.example", "here@x.example", uid="two")
    result_ = await queue.claim(await due(queue), 9, NOW)
    assert [item.recipient for item in result_.claimed] == ["here@x.example"]
    (id_,) = result_.suppressed
    (row,) = [row for row in await queue.job_rows(second, 0, 9) if row.id == id_]
    assert (row.state, row.attempts) == (State.SUPPRESSED, 0)
    assert (await queue.attempts_after(1, 9))[0].attempt is None


@pytest.mark.parametrize(
    ("reason", "priority", "passes"),
    [
        (Reason.UNSUBSCRIBE, Priority.TRANSACTIONAL, True),
        (Reason.UNENGAGED, Priority.TRANSACTIONAL, True),
        (Reason.UNSUBSCRIBE, Priority.BULK, False),
        (Reason.HARD_BOUNCE, Priority.TRANSACTIONAL, False),
        (Reason.COMPLAINT, Priority.TRANSACTIONAL, False),
    ],
)
async def test_what_passes_a_suppression(
    queue: Queue, db: Database, reason: Reason, priority: Priority, passes: bool
) -> None:
    await Suppressions(db).add(Suppression("a@x.example", reason, NOW))
    await opened(queue, "A@x.example", priority=priority)
    result = await queue.claim(await due(queue, priority=priority), 9, NOW)
    assert bool(result.claimed) is passes
    assert bool(result.suppressed) is not passes


async def test_a_scope_holds_for_the_jobs_that_name_it(queue: Queue, db: Database) -> None:
    await Suppressions(db).add(Suppression("a@x.example", Reason.MANUAL, NOW, scope="topic:t"))
    await opened(queue, "a@x.example", uid="plain")
    await opened(queue, "a@x.example", uid="topic", suppression_scopes=("all", "topic:t"))
    result = await queue.claim(await due(queue), 9, NOW)
    assert (ids(result.claimed), result.suppressed) == ([1], [2])


async def test_soft_bounces_suppress_when_many_over_long(db: Database) -> None:
    queue = Queue(db, QueueOptions(soft_bounces=3, soft_bounce_days=7))
    await opened(queue, "a@x.example", expires_at=NOW + 100 * DAY)
    suppressed = []
    for day in (0, 0, 1, 6, 7):
        now = NOW + day * DAY
        (item,) = await claim_all(queue, now)
        soft = settlement(item, State.READY, due_at=now, soft=True)
        suppressed.append((await queue.settle([soft], now)).suppressed)
    assert suppressed == [[], [], [], [], ["a@x.example"]]
    assert await Suppressions(db).soft_bounces("a@x.example") is None


async def test_a_delivery_clears_soft_bounces(db: Database) -> None:
    queue = Queue(db, QueueOptions(soft_bounces=2, soft_bounce_days=1))
    await opened(queue, "a@x.example", uid="1")
    (item,) = await claim_all(queue)
    await queue.settle([settlement(item, State.READY, due_at=NOW, soft=True)], NOW)
    counted = await Suppressions(db).soft_bounces("A@x.example")
    assert counted is not None
    assert counted.count == 1
    (item,) = await claim_all(queue)
    await queue.settle([settlement(item)], NOW)
    assert await Suppressions(db).soft_bounces("a@x.example") is None


@pytest.mark.parametrize(("policy", "times"), [("resend", 3), ("hold", 0)])
async def test_what_was_in_flight_is_in_doubt(
    queue: Queue, db: Database, policy: str, times: int
) -> None:
    job_id = await opened(queue, "a@x.example", "b@x.example")
    states = []
    for _ in range(times + 1):
        await queue.claim([1], 7, NOW)
        (found,) = await Queue(db).recover(NOW + 5, policy)  # type: ignore[arg-type]
        states.append(found.state)
        assert found.recipient == "a@x.example"
    assert states == [State.READY] * times + [State.HELD]
    facts = await queue.job(job_id)
    assert (facts.counts[State.HELD], facts.counts[State.READY]) == (1, 1)
    records = await queue.attempts_after(0, 9)
    assert len(records) == times + 1
    assert all(record.in_doubt for record in records)
    assert await queue.free_held(job_id, NOW) == 1
    assert len(await claim_all(queue, NOW + 5)) == 2


async def test_what_was_not_past_the_dot_is_put_back_untouched(queue: Queue, db: Database) -> None:
    job_id = await opened(queue, *(f"u{n}@x.example" for n in range(7)))
    await queue.claim([1, 2, 3, 4, 5], 7, NOW)
    again = Queue(db, QueueOptions(chunk=2))
    # 2 was past the dot; so was 4, but under a lease that is over.
    assert await again.put_back({(2, 7), (4, 6)}, NOW) == 4
    assert [one.id for one in await again.recover(NOW)] == [2]
    facts = await again.job(job_id)
    assert (facts.counts[State.READY], facts.counts[State.SENDING]) == (7, 0)
    (record,) = await again.attempts_after(0, 9)
    assert (record.delivery_id, record.in_doubt) == (2, True)
    claimed = (await again.claim([1, 2], 8, NOW)).claimed
    assert [(one.attempts, one.doubts) for one in claimed] == [(1, 0), (2, 1)]


async def test_what_is_put_back_of_a_cancelled_job_is_cancelled(queue: Queue) -> None:
    job_id = await opened(queue, "a@x.example")
    await queue.claim([1], 2**62 + 1, NOW)
    await queue.cancel_job(job_id, NOW)
    assert await queue.put_back(frozenset(), NOW) == 1
    assert (await queue.job(job_id)).counts[State.CANCELLED] == 1


async def test_held_can_be_given_up(queue: Queue) -> None:
    job_id = await opened(queue, "a@x.example")
    (item,) = await claim_all(queue)
    await queue.settle([settlement(item, State.HELD, in_doubt=True)], NOW)
    assert await queue.finished_jobs() == []
    assert await queue.drop_held(job_id, NOW) == 1
    assert [job.id for job in await queue.finished_jobs()] == [job_id]


async def test_a_paused_job_is_withheld(queue: Queue) -> None:
    job_id = await opened(queue, "a@x.example")
    found = await due(queue)
    await queue.pause_job(job_id)
    result = await queue.claim(found, 9, NOW)
    assert (result.claimed, result.withheld) == ([], found)


async def test_a_large_claim_and_settle(queue: Queue) -> None:
    await queue.submit_job(new_job(), rows(*(f"u{n}@x.example" for n in range(1500))), NOW)
    (lane,) = await queue.lanes_due(NOW, START, 9, Priority.BULK)
    claimed = (await queue.claim(range(1, 1501), 3, NOW)).claimed
    await queue.settle([settlement(item) for item in claimed], NOW)
    assert lane.ready == 1500
    assert (await queue.overview()).deliveries[State.DELIVERED] == 1500
