"""The timeline: every lane that becomes due is met, whatever put it back."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from ekiden.queue.model import Priority, State, WindowRequest
from ekiden.queue.queue import Queue
from ekiden.store.database import Database
from queue_world import (
    NOW,
    START,
    attempt,
    check_books,
    claim_all,
    new_job,
    opened,
    rows,
    settlement,
)

BULK = Priority.BULK


@pytest.fixture
async def db(tmp_path: Path) -> AsyncIterator[Database]:
    database = await Database.open(tmp_path / "queue.db")
    yield database
    await database.close()


@pytest.fixture
def queue(db: Database) -> Queue:
    return Queue(db)


class Feeder:
    """The cursor as the engine moves it."""

    def __init__(self, queue: Queue) -> None:
        self.queue = queue
        self.after = START

    async def met(self, now: float, limit: int = 2) -> list[str]:
        back = self.queue.take_rewind()
        if back is not None:
            self.after = min(self.after, (back, 0))
        names = []
        while lanes := await self.queue.lanes_due(now, self.after, limit, Priority.BULK):
            names += [lane.destination for lane in lanes]
            self.after = (lanes[-1].due_at, lanes[-1].id)
        return names


async def test_the_cursor_meets_each_lane_once(queue: Queue) -> None:
    await opened(queue, *(f"a@x{n}.example" for n in range(5)))
    feeder = Feeder(queue)
    assert await feeder.met(NOW) == [f"x{n}.example" for n in range(5)]
    assert await feeder.met(NOW + 1) == []


async def test_a_job_waits_for_its_time(queue: Queue) -> None:
    await opened(queue, "a@x.example", send_at=NOW + 10)
    feeder = Feeder(queue)
    assert await feeder.met(NOW) == []
    assert await feeder.met(NOW + 10) == ["x.example"]


async def test_what_was_opened_late_is_met(queue: Queue) -> None:
    await opened(queue, "a@x.example", uid="1")
    feeder = Feeder(queue)
    await feeder.met(NOW + 100)
    await opened(queue, "a@y.example", uid="2", created_at=NOW + 50)
    assert await feeder.met(NOW + 100) == ["y.example"]


async def test_retry_release_and_resume_rewind_the_cursor(queue: Queue) -> None:
    job_id = await opened(queue, "a@x.example", "b@y.example")
    feeder = Feeder(queue)
    await feeder.met(NOW)
    one, two = await claim_all(queue)
    assert await feeder.met(NOW + 60) == []
    await queue.settle([settlement(one, State.READY, due_at=NOW + 30)], NOW)
    assert await feeder.met(NOW + 60) == ["x.example"]
    await queue.release([two], NOW)
    assert await feeder.met(NOW + 60) == ["y.example", "x.example"]
    await queue.pause_job(job_id)
    assert await Feeder(queue).met(NOW + 60) == []
    assert await feeder.met(NOW + 90) == []
    await queue.resume_job(job_id)
    assert await feeder.met(NOW + 90) == ["y.example", "x.example"]


async def test_suspended_destinations_are_left_out_until_lifted(queue: Queue) -> None:
    await opened(queue, "a@x.example", "b@mail.y.example", "c@y.example")
    feeder = Feeder(queue)
    await queue.suspend("*.Y.example", NOW + 60, "asked to", NOW)
    await queue.suspend("x.example", None, "", NOW)
    (first, second) = sorted(await queue.suspensions(), key=lambda item: item.pattern)
    assert (first.pattern, first.until, first.reason) == ("*.y.example", NOW + 60, "asked to")
    assert second.until is None
    assert await feeder.met(NOW + 1) == ["y.example"]
    assert await queue.lift_lapsed(NOW + 59) == []
    assert await queue.lift_lapsed(NOW + 60) == ["*.y.example"]
    assert "mail.y.example" in await feeder.met(NOW + 61)
    assert await queue.unsuspend("X.example")
    assert not await queue.unsuspend("x.example")
    assert "x.example" in await feeder.met(NOW + 61)


async def test_windows_follow_a_cursor(queue: Queue) -> None:
    await opened(queue, *(f"u{n}@x.example" for n in range(7)), "a@y.example")
    big, small = await queue.lanes_due(NOW, START, 9, Priority.BULK)
    asked = [WindowRequest(big.id, limit=3), WindowRequest(small.id, limit=2), WindowRequest(99)]
    windows = await queue.windows(asked, NOW)
    assert [len(windows[key]) for key in (big.id, small.id, 99)] == [3, 1, 0]
    seen = windows[big.id]
    while True:
        last = seen[-1]
        more = await queue.windows([WindowRequest(big.id, last.due_at, last.id, 3)], NOW)
        if not more[big.id]:
            break
        seen += more[big.id]
    assert [item.id for item in seen] == list(range(1, 8))
    assert await queue.windows([], NOW) == {}


async def test_who_was_greylisted_keeps_to_its_source(queue: Queue) -> None:
    """Read from the last attempt, so it holds after a restart; another answer ends it."""
    await opened(queue, "a@x.example", "b@x.example", "c@x.example")
    one, two, _ = await claim_all(queue)
    grey = replace(attempt(code=450), source="a1", klass="greylisted")
    await queue.settle(
        [
            settlement(one, State.READY, due_at=NOW, attempt=grey),
            settlement(two, State.READY, due_at=NOW, attempt=replace(grey, klass="temporary")),
        ],
        NOW,
    )
    asked = [WindowRequest(one.lane_id)]
    found = (await queue.windows(asked, NOW))[one.lane_id]
    assert [(item.id, item.source) for item in found] == [(one.id, "a1"), (two.id, "")]


async def test_next_due_and_park(queue: Queue, db: Database) -> None:
    await opened(queue, "a@x.example", "b@x.example", "c@y.example")
    one, two, three = await claim_all(queue)
    await queue.settle([settlement(one, State.READY, due_at=NOW + 30.123)], NOW)
    await queue.settle([settlement(two, State.READY, due_at=NOW + 90)], NOW)
    x, y = one.lane_id, three.lane_id
    assert await queue.next_due([x, y]) == {x: NOW + 30.123, y: None}
    queue.take_rewind()
    await queue.park({x: NOW + 500})
    assert await queue.lanes_due(NOW + 499, START, 9, Priority.BULK) == []
    assert queue.take_rewind() is None
    await queue.park({x: None, y: None})
    assert queue.take_rewind() == NOW + 30.123
    (lane,) = await queue.lanes_due(NOW + 31, START, 9, Priority.BULK)
    assert lane.due_at == NOW + 30.123
    await check_books(db)


async def test_priorities_have_their_own_timeline(queue: Queue) -> None:
    await opened(queue, "a@x.example", uid="t", priority=Priority.TRANSACTIONAL)
    await opened(queue, "a@x.example", uid="b")
    lanes = [await queue.lanes_due(NOW, START, 9, priority) for priority in Priority]
    assert [[lane.job_id for lane in found] for found in lanes] == [[1], [2]]


async def test_many_destinations_are_rows_not_memory(queue: Queue) -> None:
    addresses = [f"a@d{n}.example" for n in range(3000)]
    job_id = await queue.add_job(new_job())
    await queue.add_deliveries(job_id, rows(*addresses))
    await queue.open_job(job_id, NOW, refused=0)
    assert len(await Feeder(queue).met(NOW, 500)) == 3000


async def test_what_was_put_aside_is_met_at_once_when_the_reason_is_lifted(queue: Queue) -> None:
    await opened(queue, "a@x.example", "b@y.example", "c@z.example")
    feeder = Feeder(queue)
    await feeder.met(NOW)
    lanes = {lane.destination: lane.id for lane in await queue.lanes_due(NOW, START, 9, BULK)}
    await queue.suspend("x.example", None, "asked to", NOW)
    await queue.park(dict.fromkeys(lanes.values(), NOW + 300))  # as the scheduler does
    assert await feeder.met(NOW + 1) == []
    assert await queue.unsuspend("x.example")
    assert await feeder.met(NOW + 1) == ["x.example"]
    await queue.look_again("*")
    assert await feeder.met(NOW + 1) == ["x.example", "y.example", "z.example"]


async def test_looking_again_leaves_retries_at_their_time(queue: Queue) -> None:
    await opened(queue, "a@x.example")
    feeder = Feeder(queue)
    (one,) = await claim_all(queue)
    await queue.settle([settlement(one, State.READY, due_at=NOW + 30)], NOW)
    await queue.park({one.lane_id: NOW + 300})
    await queue.look_again("*")
    assert await feeder.met(NOW + 29) == []
    assert await feeder.met(NOW + 31) == ["x.example"]
