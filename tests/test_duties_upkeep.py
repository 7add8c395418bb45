"""Upkeep: what is old goes in bounded pieces, and the file's room with it."""

import sqlite3
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from ekiden.duties.upkeep import Upkeep, UpkeepOptions
from ekiden.engine.clock import Clock
from ekiden.queue.queue import Queue, QueueOptions
from ekiden.store.database import Database
from ekiden.store.room import KEPT_PAGES, KEPT_SHARE, excess
from queue_world import NOW, claim_all, new_job, rows, settlement

LATER = NOW + 100 * 86_400.0
KEEP = 30 * 86_400.0


class World:
    """An upkeep whose time stands still unless told, and what it asked of the others."""

    def __init__(self, db: Database, **options: Any) -> None:
        self.queue = Queue(db, QueueOptions(**options))
        self.time = LATER
        self.saved = 0
        self.given: list[int] = []
        self.room = 0
        self.upkeep = Upkeep(
            self.queue,
            Clock(lambda: self.time, lambda: self.time),
            UpkeepOptions(KEEP, 0.0),
            due=lambda: None,
            save=self._save,
            sweep=lambda _: 0,
            forget=self._nothing,
            give_back=self._give_back,
        )

    async def _save(self) -> None:
        self.saved += 1

    async def _nothing(self, _now: float) -> int:
        return 0

    async def _give_back(self) -> int:
        given = min(self.room, 256)
        self.room -= given
        self.given.append(given)
        return given

    async def rounds(self, number: int) -> None:
        for _ in range(number):
            await self.upkeep.round()
            self.time += 0.5


async def ended(queue: Queue, uid: str, *addresses: str) -> int:
    """A job of which everything was delivered at NOW."""
    job_id = (await queue.submit_job(new_job(uid), rows(*addresses), NOW)).id
    while claimed := await claim_all(queue):
        await queue.settle([settlement(one) for one in claimed], NOW)
    await queue.mark_done(job_id, NOW)
    return job_id


async def test_many_jobs_of_one_message_are_folded_in_few_rounds(tmp_path: Path) -> None:
    db = await Database.open(tmp_path / "q.db")
    world = World(db)
    try:
        for number in range(300):
            await ended(world.queue, f"job {number}", f"a{number}@x.test")
        # One every half second would be 172,800 a day, less than a shop's confirmations.
        await world.rounds(4)
        left = await db.read(
            "SELECT (SELECT count(*) FROM delivery), (SELECT count(*) FROM payload), "
            "(SELECT count(*) FROM attempt), (SELECT count(*) FROM lane), "
            "(SELECT count(*) FROM run), (SELECT count(*) FROM job_content), "
            "(SELECT count(*) FROM job WHERE folded_at IS NULL)"
        )
        assert left == [(0,) * 7]
        assert (await db.read("SELECT count(*), sum(delivered) FROM job")) == [(300, 300)]
    finally:
        await db.close()


async def test_a_piece_is_bounded_whatever_the_jobs_are(tmp_path: Path) -> None:
    db = await Database.open(tmp_path / "q.db")
    queue = Queue(db)
    try:
        await ended(queue, "large", *(f"a{n}@d{n}.test" for n in range(100)))
        for number in range(5):
            await ended(queue, f"small {number}", f"a{number}@x.test")
        count = "SELECT (SELECT count(*) FROM delivery) + (SELECT count(*) FROM lane)"
        before = (await db.read(count))[0][0]
        while await queue.fold(LATER, KEEP, chunk=40):
            after = (await db.read(count))[0][0]
            assert before - after <= 40
            before = after
        assert before == 0
    finally:
        await db.close()


async def test_what_was_learned_is_not_written_with_each_piece_that_is_folded(
    tmp_path: Path,
) -> None:
    db = await Database.open(tmp_path / "q.db")
    world = World(db, chunk=10)
    try:
        await ended(world.queue, "job", *(f"a{n}@x.test" for n in range(200)))
        await world.rounds(20)
        assert (await db.read("SELECT count(*) FROM delivery"))[0][0] == 0
        assert world.saved == 1
        await world.rounds(110)  # a minute after the first
        assert world.saved == 2
    finally:
        await db.close()


async def test_room_is_given_back_step_by_step_once_nothing_is_left_to_fold(
    tmp_path: Path,
) -> None:
    db = await Database.open(tmp_path / "q.db")
    world = World(db, chunk=50)
    world.room = 600
    try:
        await ended(world.queue, "job", *(f"a{n}@x.test" for n in range(100)))
        await world.rounds(2)
        assert world.given == []  # pages that are moved now may be freed by the next piece
        await world.rounds(20)
        assert world.given == [256, 256, 88, 0]  # and then not before a minute has passed
    finally:
        await db.close()


async def test_old_notices_go_in_pieces_and_young_ones_stay(tmp_path: Path) -> None:
    db = await Database.open(tmp_path / "q.db")
    queue = Queue(db, QueueOptions(chunk=10))
    try:
        for at, number in ((NOW, 25), (LATER, 3)):
            await db.write(
                lambda tx, at=at, number=number: [  # type: ignore[misc]  # bound now
                    tx.execute(Database.sql("queue", "add_notice"), (int(at * 1000), "x", None, ""))
                    for _ in range(number)
                ]
            )
        assert [await queue.forget_reports(LATER) for _ in range(4)] == [10, 10, 5, 0]
        assert await db.read("SELECT count(*) FROM notice") == [(3,)]
    finally:
        await db.close()


async def grown(path: Path, mib: int) -> Database:
    """A database with so many MiB of free pages."""
    db = await Database.open(path)
    await db.write(lambda tx: tx.execute("CREATE TABLE room (a INTEGER PRIMARY KEY, b BLOB)"))
    await db.write(
        lambda tx: tx.execute(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1) "
            "INSERT INTO room SELECT i, zeroblob(1048576) FROM n",
            (mib,),
        )
    )
    await db.write(lambda tx: tx.execute("INSERT INTO room VALUES (1000000, 'kept')"))
    await db.write(lambda tx: tx.execute("DELETE FROM room WHERE a < 1000000"))
    return db


async def test_the_file_shrinks_to_what_is_kept_for_the_next_job(tmp_path: Path) -> None:
    path = tmp_path / "q.db"
    db = await grown(path, 80)
    try:
        before = path.stat().st_size
        steps = []
        while given := await db.give_back():
            steps.append(given)
        [(pages, free)] = await db.read("SELECT * FROM pragma_page_count, pragma_freelist_count")
        assert free == KEPT_PAGES
        assert max(steps) == 256
        assert await db.read("SELECT b FROM room") == [("kept",)]
        assert await db.read("PRAGMA integrity_check") == [("ok",)]
    finally:
        await db.close()
    assert before > path.stat().st_size == pages * 4096


async def test_a_database_without_a_map_of_its_pages_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "q.db"
    await (await Database.open(path)).close()
    old = sqlite3.connect(path)
    old.execute("PRAGMA auto_vacuum=NONE")  # as an earlier version made it
    old.execute("VACUUM")
    old.close()
    db = await grown(path, 80)
    try:
        [(free,)] = await db.read("PRAGMA freelist_count")
        assert free > KEPT_PAGES
        assert await db.give_back() == 0
    finally:
        await db.close()
    assert await db.give_back() == 0  # closed: nothing to do, and no error at a daemon's end


@given(st.integers(0, 10_000_000), st.floats(0.0, 1.0))
def test_what_is_given_back_leaves_a_quarter_and_64_mib(pages: int, share: float) -> None:
    free = int(pages * share)
    given_back = excess(pages, free)
    assert 0 <= given_back <= free
    left, size = free - given_back, pages - given_back
    if given_back:
        assert left >= KEPT_PAGES
        assert left * KEPT_SHARE >= size - KEPT_SHARE
        assert excess(size, left) <= 1
    else:
        assert left <= KEPT_PAGES or left * KEPT_SHARE <= size + KEPT_SHARE
