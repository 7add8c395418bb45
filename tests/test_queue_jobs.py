"""Jobs as a whole, the views, the history and folding."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ekiden.errors import NotFoundError, RefusedError
from ekiden.queue.model import JobState, State
from ekiden.queue.queue import Queue, QueueOptions
from ekiden.store.database import Database
from queue_world import NOW, attempt, check_books, claim_all, opened, settlement


@pytest.fixture
async def db(tmp_path: Path) -> AsyncIterator[Database]:
    database = await Database.open(tmp_path / "queue.db")
    yield database
    await check_books(database)
    await database.close()


@pytest.fixture
def queue(db: Database) -> Queue:
    return Queue(db, QueueOptions(chunk=2))


MANY = tuple(f"u{n}@x{n % 3}.example" for n in range(7))


async def test_a_job_is_found_by_id_identity_and_name(queue: Queue) -> None:
    first = await opened(queue, "a@x.example", uid="one", name="letter")
    second = await opened(queue, "a@x.example", uid="two", name="letter")
    keys: list[int | str] = [first, str(first), "one", "letter"]
    assert [(await queue.job(key)).id for key in keys] == [first, first, first, second]
    with pytest.raises(NotFoundError):
        await queue.job("none")
    assert [job.id for job in await queue.jobs({JobState.OPEN})] == [second, first]
    assert await queue.jobs({JobState.PAUSED}) == []


async def test_wrong_changes_are_refused(queue: Queue) -> None:
    job_id = await opened(queue, "a@x.example")
    for change in (queue.resume_job(job_id), queue.mark_done(job_id, NOW)):
        with pytest.raises(RefusedError):
            await change
    with pytest.raises(NotFoundError):
        await queue.pause_job(99)
    await queue.pause_job(job_id)
    with pytest.raises(RefusedError, match="paused"):
        await queue.pause_job(job_id)


async def test_cancel_ends_what_waits_and_lets_the_rest_end(queue: Queue) -> None:
    job_id = await opened(queue, *MANY)
    one, two, three = (await queue.claim([1, 2, 3], 7, NOW)).claimed
    assert await queue.cancel_job(job_id, NOW) == 4
    assert await queue.finished_jobs() == []
    await queue.settle([settlement(one), settlement(two, State.READY, due_at=NOW + 9)], NOW)
    await queue.release([three], NOW)
    (facts,) = await queue.finished_jobs()
    assert (facts.counts[State.DELIVERED], facts.counts[State.CANCELLED]) == (1, 6)
    ended = await queue.mark_done(job_id, NOW + 1)
    assert (ended.state, ended.finished_at) == (JobState.CANCELLED, NOW + 1)
    with pytest.raises(RefusedError, match="ended"):
        await queue.cancel_job(job_id, NOW)


async def test_a_cancel_cut_short_is_finished_at_start(queue: Queue, db: Database) -> None:
    job_id = await opened(queue, *MANY)
    await db.write(lambda tx: tx.execute("UPDATE job SET state = 'cancelled'"))
    assert await queue.finish_cancels(NOW) == 7
    assert (await queue.job(job_id)).counts[State.CANCELLED] == 7


async def test_jobs_past_their_time_expire_in_pieces(queue: Queue) -> None:
    job_id = await opened(queue, *MANY, expires_at=NOW + 10)
    assert await queue.expire_due(NOW + 9) == 0
    sizes = []
    while ended := await queue.expire_due(NOW + 10):
        sizes.append(ended)
    assert sizes == [2, 2, 2, 1]
    records = await queue.attempts_after(0, 99)
    assert [record.fate for record in records] == [State.EXPIRED] * 7
    assert {record.attempt for record in records} == {None}
    done = await queue.mark_done(job_id, NOW + 11)
    assert done.state is JobState.DONE


async def test_backlog_counts_per_destination(queue: Queue) -> None:
    await opened(queue, *MANY, uid="1")
    await opened(queue, "z@x0.example", uid="2")
    one, two = (await queue.claim([1, 2], 7, NOW)).claimed
    await queue.settle([settlement(one, State.READY, due_at=NOW + 60)], NOW)
    await queue.suspend("x1.*", None, "", NOW)
    found = {item.destination: item for item in await queue.backlog(NOW + 1)}
    x0 = found["x0.example"]
    assert (x0.ready, x0.deferred, x0.sending, x0.oldest) == (3, 1, 1, NOW)
    assert found["x1.example"].suspended is not None
    assert [item.destination for item in await queue.backlog(NOW, "X1.*")] == ["x1.example"]
    assert len(await queue.backlog(NOW, limit=2)) == 2
    assert two.destination == "x0.example"


async def test_a_recipients_history_is_whole_and_in_order(queue: Queue) -> None:
    await opened(queue, "Taro@x.example", "other@x.example", uid="1")
    await opened(queue, "taro@x.example", uid="2")
    for number in range(3):
        (item,) = (await queue.claim([1], 7, NOW)).claimed
        retry = settlement(
            item, State.READY, due_at=NOW + number, attempt=attempt(f"try {number}", 450)
        )
        await queue.settle([retry], NOW)
    first, second = await queue.deliveries_for("TARO@X.example")
    assert (first.job_uid, first.delivery.recipient) == ("1", "Taro@x.example")
    replies = [record.attempt.reply for record in first.attempts if record.attempt]
    assert replies == ["try 0", "try 1", "try 2"]
    assert [record.number for record in first.attempts] == [1, 2, 3]
    assert (second.job_uid, second.attempts) == ("2", [])
    assert await queue.deliveries_for("nobody@x.example") == []


async def test_a_report_pages_through_a_job(queue: Queue) -> None:
    job_id = await opened(queue, *MANY, uid="1")
    await opened(queue, *MANY, uid="2")
    seen: list[str] = []
    after = 0
    while page := await queue.job_rows(job_id, after, 3):
        seen += [row.recipient for row in page]
        after = page[-1].id
    assert sorted(seen) == sorted(MANY)


async def test_fold_keeps_counts_and_respects_readers(queue: Queue, db: Database) -> None:
    job_id = await opened(queue, *MANY, uid="old")
    kept = await opened(queue, "k@x.example", uid="kept")
    old = [item for item in await claim_all(queue) if item.job_id == job_id]
    await queue.settle([settlement(item) for item in old], NOW)
    await queue.mark_done(job_id, NOW)
    await queue.set_mark("events", 3)
    assert await queue.fold(NOW + 9, 10) == 0
    while await queue.fold(NOW + 11, 10):
        pass
    assert len(await queue.attempts_after(3, 99)) == 4
    last = (await queue.attempts_after(0, 99))[-1].seq
    await queue.set_mark("events", last)
    assert await queue.mark("events") == last
    assert await queue.mark("nobody") == 0
    while await queue.fold(NOW + 11, 10):
        pass
    facts = await queue.job("old")
    assert (facts.total, facts.counts[State.DELIVERED]) == (7, 7)
    for table, left in (("delivery", 1), ("payload", 1), ("attempt", 0), ("lane", 1), ("run", 1)):
        assert await db.read(f"SELECT count(*) FROM {table}") == [(left,)]
    with pytest.raises(NotFoundError):
        await queue.content(job_id)
    assert await queue.content(kept)
    await db.write(lambda tx: tx.execute("UPDATE job SET total = 0, delivered = 0 WHERE id = 1"))


async def test_the_list_of_jobs_does_not_look_at_every_job_there_ever_was(
    db: Database,
) -> None:
    sql = f"{Database.sql('queue', 'job_columns')}\n{Database.sql('queue', 'heads_by_state')}"
    plan = [row[3] for row in await db.read(f"EXPLAIN QUERY PLAN {sql}", ('["done"]', 100))]
    searched = [step for step in plan if "job_state" in step]
    assert searched == ["SEARCH job USING INDEX job_state (state=?)"]  # the newest of each state
    assert any("job_head" in step for step in plan), plan
