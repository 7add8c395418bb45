"""Who reacted lately goes first: the order of a lane, by a column or by the list."""

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ekiden.lists.contacts import Contacts
from ekiden.lists.model import NewContact, Reaction
from ekiden.queue.model import NewDelivery, NewJob, Priority, WindowRequest
from ekiden.queue.queue import Queue
from ekiden.store.database import Database

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC).timestamp()
DAY = 86_400.0


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    found = await Database.open(tmp_path / "q.db")
    yield found
    await found.close()


def job(**given: object) -> NewJob:
    facts: dict[str, object] = {
        "uid": "j", "name": "j", "mail_from": "b@example.com", "from_domain": "example.com",
        "content": b"{}", "created_at": NOW, "expires_at": NOW + 9 * DAY, "engaged_first": True,
    }  # fmt: skip
    return NewJob(**{**facts, **given})  # type: ignore[arg-type]  # checked by the struct


async def order(queue: Queue, names: list[str]) -> list[str]:
    """The lane as the scheduler reads it."""
    lanes = await queue.lanes_due(NOW + 1, (float("-inf"), 0), 10, Priority.BULK)
    windows = await queue.windows([WindowRequest(lanes[0].id, limit=1000)], NOW + 1)
    return [names[waiting.id - 1] for waiting in windows[lanes[0].id]]


@pytest.mark.parametrize("small", [True, False])
async def test_a_column_orders_a_lane(database: Database, *, small: bool) -> None:
    said = {
        "unknown": None, "blank": "", "long ago": "2024-05-01", "days 91": "91",
        "date 61": "2025-12-31", "days 31": "31", "slashes": "2026/02/20", "days 30": "30",
        "digits": "20260301", "number": 3, "moment": "2026-03-01T08:00:00+09:00",
        "nonsense": "yesterday", "tomorrow": "2026-03-05", "half": "45.5",
    }  # fmt: skip
    names = list(said)
    rows = [
        NewDelivery(
            f"r{number}@a.example", "a.example", json.dumps({"last open": value}).encode(), number
        )
        for number, value in enumerate(said.values(), start=1)
    ]
    queue = Queue(database)
    new = job(engaged_column="last open")
    if small:
        await queue.submit_job(new, rows, NOW)
    else:
        number = await queue.add_job(new)
        await queue.add_deliveries(number, rows[:7])
        await queue.add_deliveries(number, rows[7:])
        await queue.open_job(number, NOW, refused=0)
    assert await order(queue, names) == [
        "slashes", "days 30", "digits", "number", "moment", "tomorrow",  # within 30 days
        "days 31", "half",  # 60
        "date 61",  # 90
        "unknown", "blank", "long ago", "days 91", "nonsense",
    ]  # fmt: skip


async def test_the_list_orders_where_there_is_no_column(database: Database) -> None:
    contacts = Contacts(database)
    await contacts.add_list("news", at=NOW - 300 * DAY)
    names = ["never", "d100", "d10", "d70", "d40", "stranger"]
    await contacts.import_contacts(
        "news",
        [NewContact(f"{name}@a.example") for name in names if name != "stranger"],
        at=NOW - 200 * DAY,
    )
    for name in names:
        if name.startswith("d"):
            when = NOW - int(name[1:]) * DAY
            await contacts.note_engagement(
                f"{name}@a.example", Reaction.CLICK, when, human=True, contact_list="news"
            )
    queue = Queue(database)
    rows = [NewDelivery(f"{name}@a.example", "a.example") for name in names]
    await queue.submit_job(job(contact_list="news"), rows, NOW)
    assert await order(queue, names) == ["d10", "d40", "d70", "never", "d100", "stranger"]


async def test_without_either_the_order_is_that_of_the_file(database: Database) -> None:
    queue = Queue(database)
    names = ["a", "b", "c"]
    rows = [NewDelivery(f"{name}@a.example", "a.example") for name in names]
    await queue.submit_job(job(), rows, NOW)
    assert await order(queue, names) == names
