"""Shared by the tests of the queue: a small job, a claim, a settlement, and the books checked."""

from collections.abc import Sequence
from typing import Any

from ekiden.queue.model import (
    Attempt,
    Claimed,
    NewDelivery,
    NewJob,
    Priority,
    Settlement,
    State,
    WindowRequest,
)
from ekiden.queue.queue import Queue
from ekiden.store.database import Database

NOW = 1_800_000_000.0
START = (float("-inf"), 0)


def new_job(uid: str = "job", **changes: Any) -> NewJob:
    values: dict[str, Any] = {
        "uid": uid,
        "name": f"name of {uid}",
        "mail_from": "news@sender.example",
        "from_domain": "sender.example",
        "content": b"\x00content\xff",
        "created_at": NOW,
        "expires_at": NOW + 259_200,
    }
    return NewJob(**(values | changes))


def rows(*addresses: str) -> list[NewDelivery]:
    return [
        NewDelivery(address, address.rpartition("@")[2], b'{"n": %d}' % number, number)
        for number, address in enumerate(addresses, 1)
    ]


async def opened(queue: Queue, *addresses: str, uid: str = "job", **changes: Any) -> int:
    job_id = await queue.add_job(new_job(uid, **changes))
    await queue.add_deliveries(job_id, rows(*addresses))
    await queue.open_job(job_id, NOW, refused=0)
    return job_id


async def due(queue: Queue, now: float = NOW, priority: Priority = Priority.BULK) -> list[int]:
    """Ids of everything that the feeder would load now."""
    lanes = await queue.lanes_due(now, START, 1000, priority)
    windows = await queue.windows([WindowRequest(lane.id) for lane in lanes], now)
    return [item.id for lane in lanes for item in windows[lane.id]]


async def claim_all(queue: Queue, now: float = NOW, lease: int = 7) -> list[Claimed]:
    return (await queue.claim(await due(queue, now), lease, now)).claimed


def attempt(reply: str = "2.0.0 ok", code: int = 250, at: float = NOW) -> Attempt:
    return Attempt(
        at=at,
        seconds=0.25,
        source="192.0.2.1",
        site="example",
        host="mx.example",
        stage="body",
        code=code,
        reply=reply,
        klass="",
        rule="",
        outcome="accepted" if code < 400 else "rejected",
    )


def settlement(claimed: Claimed, state: State = State.DELIVERED, **changes: Any) -> Settlement:
    code = 250 if state is State.DELIVERED else 450
    values: dict[str, Any] = {"attempt": attempt(code=code)}
    return Settlement(claimed, state, **(values | changes))


async def check_books(db: Database) -> None:
    """Counters equal what they count, and the lanes' times hide no delivery."""
    states = list(State)
    sums = ", ".join(f"coalesce(sum(d.state = {code}), 0)" for code in range(len(states)))
    for table, key in (("lane", "d.lane_id = t.id"), ("job", "l.job_id = t.id")):
        found = await db.read(
            f"SELECT t.id, {', '.join(f't.{state}' for state in states)}, {sums} FROM {table} t "
            f"LEFT JOIN (delivery d JOIN lane l ON l.id = d.lane_id) ON {key} GROUP BY t.id"
        )
        for row in found:
            counters, counted = row[1 : len(states) + 1], row[len(states) + 1 :]
            assert counters == counted, (table, row)
    late = await db.read(
        "SELECT l.id FROM lane l WHERE l.due_at > (SELECT min(d.due_at) FROM delivery d "
        "WHERE d.lane_id = l.id AND d.state = 0)"
    )
    assert late == []
    assert await db.read("PRAGMA integrity_check") == [("ok",)]


def ids(claimed: Sequence[Claimed]) -> list[int]:
    return [item.id for item in claimed]
