"""The database: groups, failures, locks, versions."""

import asyncio
import os
import re
import sqlite3
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from ekiden.errors import ConfigError, RefusedError, UnavailableError
from ekiden.store import statements
from ekiden.store.database import Database, DatabaseOptions
from ekiden.store.failures import DamagedError
from ekiden.store.transaction import Tx

ADD = "INSERT INTO mark (reader, seq) VALUES (?1, ?2)"
ALL = "SELECT reader FROM mark ORDER BY reader"


@pytest.fixture
async def db(tmp_path: Path) -> AsyncIterator[Database]:
    database = await Database.open(tmp_path / "queue.db")
    yield database
    await database.close()


def add(tx: Tx, name: str) -> int:
    return tx.execute(ADD, (name, 1))


async def names(db: Database) -> list[str]:
    return [name for (name,) in await db.read(ALL)]


async def test_a_write_is_seen_by_readers_when_it_returns(db: Database) -> None:
    assert await db.write(lambda tx: tx.execute(ADD, ("a", 1))) == 1
    assert await names(db) == ["a"]


@pytest.mark.parametrize("number", [0, 1, 32, 33, 100])
async def test_many_rows_are_inserted_in_order(db: Database, number: int) -> None:
    rows = [[f"k{place}", None if place % 7 == 3 else f"it's {place}"] for place in range(number)]

    def op(tx: Tx) -> list[tuple[Any, ...]]:
        tx.execute("CREATE TABLE many (id INTEGER PRIMARY KEY, a TEXT, b TEXT)")
        tx.each("INSERT INTO many (a, b) VALUES (?, ?)", rows)
        return tx.rows("SELECT a, b FROM many ORDER BY id")

    assert await db.write(op) == [tuple(row) for row in rows]


async def test_operations_that_wait_together_share_one_transaction(db: Database) -> None:
    def op(tx: Tx) -> int:
        tx.execute(ADD, (f"n{len(tx.rows(ALL))}", 1))
        return int(tx.rows("SELECT count(*) FROM mark")[0][0])

    seen = await asyncio.gather(*(db.write(op) for _ in range(20)))
    assert sorted(seen) == list(range(1, 21))


async def test_a_group_ends_at_its_row_limit(tmp_path: Path) -> None:
    db = await Database.open(tmp_path / "q.db", options=DatabaseOptions(group_rows=2))

    def committed_when_added(tx: Tx, name: str) -> int:
        add(tx, name)
        outside = sqlite3.connect(db.path)
        try:
            return int(outside.execute("SELECT count(*) FROM mark").fetchone()[0])
        finally:
            outside.close()

    writes = (db.write(partial(committed_when_added, name=name)) for name in "abcde")
    assert await asyncio.gather(*writes) == [0, 0, 2, 2, 4]
    await db.close()


async def test_only_a_group_that_had_company_lets_the_next_one_gather(tmp_path: Path) -> None:
    rests: list[float] = []

    async def sleep(seconds: float, _real: Any = asyncio.sleep) -> None:
        rests.append(seconds)
        await _real(0)

    options = DatabaseOptions(group_seconds=30.0)
    db = await Database.open(tmp_path / "q.db", options=options)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ekiden.store.database.asyncio.sleep", sleep)
        for name in "abc":  # each waits for the one before: nobody else is there
            await db.write(partial(add, name=name))
        assert not rests
        await asyncio.gather(*(db.write(partial(add, name=name)) for name in "defg"))
        await db.write(partial(add, name="h"))
    assert len(rests) == 1
    assert 0 < rests[0] <= options.group_seconds
    await db.close()


async def test_an_operation_that_fails_undoes_itself_alone(db: Database) -> None:
    def bad(tx: Tx) -> None:
        tx.execute(ADD, ("bad", 1))
        raise RefusedError("no")

    found = await asyncio.gather(
        db.write(bad),
        db.write(lambda tx: tx.execute(ADD, ("good", 1))),
        db.write(bad),
        db.write(lambda tx: tx.execute(ADD, ("better", 1))),
        return_exceptions=True,
    )
    assert [type(item) for item in found] == [RefusedError, int, RefusedError, int]
    assert await names(db) == ["better", "good"]


async def test_a_broken_constraint_stays_the_callers_error(db: Database) -> None:
    with pytest.raises(sqlite3.IntegrityError):
        await db.write(lambda tx: tx.execute(ADD, (None, 1)))
    await db.write(lambda tx: tx.execute(ADD, ("after", 1)))
    assert await names(db) == ["after"]


async def test_a_cancelled_waiter_does_not_stop_the_others(db: Database) -> None:
    first = asyncio.create_task(db.write(lambda tx: tx.execute(ADD, ("a", 1))))
    await asyncio.sleep(0)
    first.cancel()
    await db.write(lambda tx: tx.execute(ADD, ("b", 1)))
    assert "b" in await names(db)


async def test_disk_full_fails_the_write_and_heals(tmp_path: Path) -> None:
    path = tmp_path / "q.db"
    db = await Database.open(path, options=DatabaseOptions(max_pages=300))
    blob = "x" * 100_000

    async def fill() -> None:
        for number in range(40):
            name = f"{number}{blob}"
            await db.write(partial(add, name=name))

    with pytest.raises(UnavailableError, match="full") as caught:
        await fill()
    assert caught.value.where == str(path)
    assert caught.value.remedy
    before = await names(db)
    await db.write(lambda tx: tx.execute("DELETE FROM mark"))
    await db.write(lambda tx: tx.execute(ADD, ("again", 1)))
    assert before
    assert await names(db) == ["again"]
    assert await db.read("PRAGMA integrity_check") == [("ok",)]
    await db.close()


async def test_disk_full_fails_everyone_in_the_group(tmp_path: Path) -> None:
    db = await Database.open(tmp_path / "q.db", options=DatabaseOptions(max_pages=300))
    found = await asyncio.gather(
        db.write(lambda tx: tx.execute(ADD, ("small", 1))),
        db.write(lambda tx: tx.execute(ADD, ("x" * 3_000_000, 1))),
        return_exceptions=True,
    )
    assert [type(item) for item in found] == [UnavailableError, UnavailableError]
    assert await names(db) == []
    await db.close()


async def test_close_commits_what_waits(tmp_path: Path) -> None:
    db = await Database.open(tmp_path / "q.db")
    waiting = asyncio.create_task(db.write(lambda tx: tx.execute(ADD, ("late", 1))))
    await asyncio.sleep(0)
    await db.close()
    assert await waiting == 1
    with pytest.raises(UnavailableError, match="closed"):
        await db.write(lambda tx: tx.execute(ADD, ("never", 1)))
    db = await Database.open(tmp_path / "q.db")
    assert await names(db) == ["late"]
    await db.close()


async def test_a_second_process_is_refused_by_pid(db: Database) -> None:
    with pytest.raises(UnavailableError, match=f"pid {os.getpid()}"):
        await Database.open(db.path)


async def test_the_lock_is_free_after_close_and_after_a_failed_open(tmp_path: Path) -> None:
    path = tmp_path / "q.db"
    path.write_bytes(b"this is no database " * 500)
    with pytest.raises(DamagedError):
        await Database.open(path)
    path.unlink()
    for _ in range(2):
        await (await Database.open(path)).close()


async def test_a_newer_schema_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "q.db"
    await (await Database.open(path)).close()
    with sqlite3.connect(path) as raw:
        raw.execute("PRAGMA user_version=9999")
    raw.close()
    with pytest.raises(ConfigError, match="9999"):
        await Database.open(path)


async def test_another_programs_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "q.db"
    with sqlite3.connect(path) as raw:
        raw.execute("CREATE TABLE theirs (x)")
    raw.close()
    with pytest.raises(ConfigError, match="another program"):
        await Database.open(path)


async def test_offline_does_not_make_a_database(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match="no queue"):
        await Database.open(tmp_path / "q.db", offline=True)
    assert not (tmp_path / "q.db").exists()


async def test_the_reader_cannot_write(db: Database) -> None:
    with pytest.raises(UnavailableError, match="not writable"):
        await db.read(ADD, ("a", 1))


async def test_it_is_durable_by_its_settings(db: Database) -> None:
    found = await db.write(
        lambda tx: [tx.rows(f"PRAGMA {name}")[0][0] for name in ("journal_mode", "synchronous")]
    )
    assert found == ["wal", 2]


def test_every_statement_of_every_room_is_valid_sql() -> None:
    connection = sqlite3.connect(":memory:")
    for _, script in statements.migrations():
        connection.executescript(script)
    columns = {
        name.removesuffix("_columns"): text
        for room in ("queue", "lists")
        for name, text in statements.statements(room).items()
        if name.endswith("_columns")
    }
    checked = 0
    for room, kind in (("queue", "job"), ("lists", "contact")):
        for name, found in statements.statements(room).items():
            text = found
            if text.startswith("("):  # a source that completes a list of columns
                text = f"{columns['attempt' if 'attempt' in name else kind]} {text}"
            elif text.endswith("FROM"):
                continue
            named = re.findall(r"[(\s]:(\w+)", text)
            numbered = [int(number) for number in re.findall(r"\?(\d+)", text)]
            in_turn = len(re.findall(r"\?(?!\d)", text))  # those of `Tx.each`
            number = max(numbered, default=0) + in_turn
            values = dict.fromkeys(named) if named else (None,) * number
            connection.execute(f"EXPLAIN {text}", values)
            checked += 1
    assert checked > 60
    connection.close()


def test_a_statement_name_is_used_once_and_migrations_have_no_gap() -> None:
    assert statements.statements("queue") is statements.statements("queue")
    assert next(version for version, _ in statements.migrations()) == 1
