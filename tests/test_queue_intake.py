"""Rows come in: exact bytes, exact dedupe, nothing visible before the job is opened."""

from collections.abc import AsyncIterator
from itertools import product
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ekiden.errors import NotFoundError, RefusedError
from ekiden.lists.suppression import Reason, Suppression, Suppressions
from ekiden.queue import intake, sending
from ekiden.queue.model import JobFacts, JobState, NewDelivery, Pace, Priority, State
from ekiden.queue.queue import Queue
from ekiden.store.database import Database
from ekiden.store.transaction import Tx
from queue_world import NOW, check_books, claim_all, due, new_job, opened, rows


@pytest.fixture
async def db(tmp_path: Path) -> AsyncIterator[Database]:
    database = await Database.open(tmp_path / "queue.db")
    yield database
    await check_books(database)
    await database.close()


@pytest.fixture
def queue(db: Database) -> Queue:
    return Queue(db)


async def test_a_job_comes_back_as_it_was_given(queue: Queue) -> None:
    job = new_job(
        "J",
        configuration_set="news",
        pool="p",
        spool_name="J.json",
        priority=Priority.TRANSACTIONAL,
        send_at=NOW + 1.5,
        deliver_by=NOW + 60,
        pace=Pace(10, 2.5),
        suppression_scopes=("all", "topic:x"),
    )
    job_id = await queue.add_job(job)
    assert await queue.add_deliveries(job_id, rows("a@x.example", "b@y.example")) == 2
    facts = await queue.open_job(job_id, NOW + 1, refused=3)
    assert await queue.find_job("J") == facts
    for name in ("uid", "mail_from", "pace", "send_at", "deliver_by", "priority", "pool"):
        assert getattr(facts, name) == getattr(job, name)
    assert (facts.total, facts.refused, facts.pending) == (2, 3, 2)
    assert facts.suppression_scopes == ("all", "topic:x")
    assert await queue.content(job_id) == job.content


async def test_nothing_is_visible_before_the_job_is_opened(queue: Queue) -> None:
    job_id = await queue.add_job(new_job())
    await queue.add_deliveries(job_id, rows("a@x.example"))
    assert await due(queue) == []
    assert (await queue.claim([1], 7, NOW)).withheld == [1]
    assert await queue.accepted_after(0, 10) == []
    await queue.open_job(job_id, NOW, refused=0)
    assert queue.take_rewind() == NOW
    assert queue.take_rewind() is None
    assert await due(queue) == [1]
    assert [row.recipient for row in await queue.accepted_after(0, 10)] == ["a@x.example"]


async def test_accepted_rows_wait_for_the_job_received_before_them(queue: Queue) -> None:
    slow = await queue.add_job(new_job("slow"))
    await queue.add_deliveries(slow, rows("s1@x.example"))
    await opened(queue, "q@x.example", uid="quick")
    await queue.add_deliveries(slow, rows("s2@x.example"))
    assert await queue.accepted_after(0, 10) == []
    await queue.open_job(slow, NOW, refused=0)
    accepted = await queue.accepted_after(0, 10)
    assert [row.recipient for row in accepted] == ["s1@x.example", "q@x.example", "s2@x.example"]
    assert await queue.accepted_after(accepted[0].id, 1) == accepted[1:2]


async def test_duplicates_differ_by_case_only(queue: Queue) -> None:
    job_id = await queue.add_job(new_job())
    first = rows("Taro@x.example", "taro@y.example", "TARO@x.example", "straße@x.example")
    assert await queue.add_deliveries(job_id, first) == 3
    assert await queue.add_deliveries(job_id, rows("STRASSE@x.example", "taro@x.example")) == 0
    triple = rows("new@x.example", "NEW@x.example", "neu@x.example", "new@x.example")
    assert await queue.add_deliveries(job_id, triple) == 2
    facts = await queue.open_job(job_id, NOW, refused=0)
    assert (facts.total, facts.duplicates) == (5, 5)
    found = await queue.job_rows(job_id, 0, 100)
    assert {(row.recipient, row.row) for row in found} >= {("Taro@x.example", 1)}


async def test_addresses_with_the_same_hash_are_both_kept(
    queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intake, "hash", lambda _: 5, raising=False)
    job_id = await queue.add_job(new_job())
    many = [f"u{n}@x.example" for n in range(20)]
    assert await queue.add_deliveries(job_id, rows(*many[:9], many[0])) == 9
    assert await queue.add_deliveries(job_id, rows(*many, many[15])) == 11
    await queue.open_job(job_id, NOW, refused=0)
    found = await queue.job_rows(job_id, 0, 100)
    assert sorted(row.recipient for row in found) == sorted(many)


async def test_the_same_identity_is_one_job(queue: Queue) -> None:
    first = await queue.add_job(new_job("same"))
    with pytest.raises(RefusedError, match="already here"):
        await queue.add_job(new_job("same"))
    await queue.open_job(first, NOW, refused=0)
    with pytest.raises(RefusedError, match="already here"):
        await queue.add_job(new_job("same"))
    with pytest.raises(RefusedError, match="already here"):
        await queue.submit_job(new_job("same"), rows("a@x.example"), NOW)


async def test_half_a_job_is_undone_at_start(db: Database, queue: Queue) -> None:
    await opened(queue, "kept@x.example", uid="kept")
    job_id = await queue.add_job(new_job("half"))
    await queue.add_deliveries(job_id, rows("a@x.example", "b@y.example"))
    await queue.add_deliveries(job_id, rows("c@x.example"))
    again = Queue(db)
    with pytest.raises(NotFoundError):
        await again.add_deliveries(job_id, rows("d@x.example"))
    assert await again.abandon_receiving() == ["half"]
    assert await again.find_job("half") is None
    counts = [await db.read(f"SELECT count(*) FROM {t}") for t in ("delivery", "payload", "lane")]
    assert counts == [[(1,)]] * 3
    assert await again.add_job(new_job("half")) > job_id


async def test_an_abandoned_job_can_be_sent_again(queue: Queue) -> None:
    job_id = await queue.add_job(new_job())
    await queue.add_deliveries(job_id, rows("a@x.example"))
    await queue.abandon_job(job_id)
    with pytest.raises(NotFoundError):
        await queue.add_deliveries(job_id, rows("a@x.example"))
    with pytest.raises(RefusedError):
        await queue.open_job(job_id, NOW, refused=0)
    again = await opened(queue, "a@x.example")
    assert (await queue.job(again)).counts[State.READY] == 1


async def test_a_small_job_goes_in_at_once(queue: Queue) -> None:
    facts = await queue.submit_job(new_job(), rows("a@x.example", "A@x.example"), NOW)
    assert (facts.state, facts.total, facts.duplicates) == (JobState.OPEN, 1, 1)
    assert len(await claim_all(queue)) == 1


async def test_an_empty_batch_and_an_empty_job(queue: Queue) -> None:
    job_id = await queue.add_job(new_job())
    assert await queue.add_deliveries(job_id, []) == 0
    facts = await queue.open_job(job_id, NOW, refused=0)
    assert await queue.finished_jobs() == [facts]


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(values=st.lists(st.text(), min_size=1, max_size=8), case=st.integers(0, 1 << 60))
async def test_merge_data_survives_byte_for_byte(
    queue: Queue, values: list[str], case: int
) -> None:
    """Any text: NUL, quotes, escapes, astral characters; in any cut of the batch."""
    merges = [value.encode("utf-8", "replace") for value in values]
    given_ = [
        NewDelivery(f"u{n}\u00e9'\"\\@x{n % 3}.example", f"x{n % 3}.example", merge, n)
        for n, merge in enumerate(merges, 1)
    ]
    await queue.submit_job(new_job(f"{case}-{len(await queue.jobs(limit=10**6))}"), given_, NOW)
    claimed = await claim_all(queue)
    got = {(item.recipient, item.destination, item.merge, item.row) for item in claimed}
    assert got == {(row.recipient, row.destination, row.merge, row.row) for row in given_}


@pytest.mark.parametrize("priority", list(Priority))
@pytest.mark.parametrize("passed", [(), ("manual", "unengaged")])
async def test_intake_and_claim_suppress_the_same(
    queue: Queue, db: Database, priority: Priority, passed: tuple[str, ...]
) -> None:
    """Every reason in every scope, alone and together: both looks say the same reason."""
    suppressions = Suppressions(db)
    scopes = ("all", "topic:x", "topic:other", "sender:sender.example", "set:default")
    addresses = []
    for number, (scope, reason) in enumerate(product(scopes, Reason)):
        address = f"a{number}@x.example"
        addresses.append(address)
        await suppressions.add(Suppression(address, reason, NOW + number, scope))
        await suppressions.add(Suppression("both@x.example", reason, NOW - number, scope))
    addresses += ["both@x.example", "free@x.example"]
    job = {
        "priority": priority,
        "passed_reasons": passed,
        "suppression_scopes": ("all", "topic:x", "sender:sender.example", "set:default"),
    }
    sifted = await queue.sift(new_job("early", **job), rows(*addresses))
    assert "free@x.example" not in sifted
    assert not {f"a{number}@x.example" for number in range(14, 21)} & set(sifted)
    await queue.submit_job(new_job("early", **job), rows(*addresses), NOW, sifted)
    early = {row.recipient: row.klass for row in await queue.job_rows(1, 0, 100)}
    await opened(queue, *addresses, uid="late", **job)
    await queue.claim(await due(queue, priority=priority), 7, NOW)
    late = {row.recipient: row.klass for row in await queue.job_rows(2, 0, 100)}
    assert early == late
    assert {address for address, why in early.items() if why} == set(sifted)


async def test_what_is_claimed_between_opening_and_ending_is_not_ended_twice(
    queue: Queue, db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A courier may come first: the claim says suppressed, and the books still balance."""
    await Suppressions(db).add(Suppression("a@x.example", Reason.MANUAL, NOW))
    job = new_job()
    job_id = await queue.add_job(job)
    batch = rows("a@x.example", "b@x.example")
    await queue.add_deliveries(job_id, batch, await queue.sift(job, batch))
    end = intake._end_sifted

    def later(job_id: int, sifted: list[tuple[int, int, str]], now: float, tx: Tx) -> JobFacts:
        sending._claim(tx, [1, 2], 7, now)
        return end(job_id, sifted, now, tx)

    monkeypatch.setattr(intake, "_end_sifted", later)
    facts = await queue.open_job(job_id, NOW, refused=0)
    assert (facts.counts[State.SUPPRESSED], facts.counts[State.SENDING]) == (1, 1)


async def test_an_abandoned_job_leaves_nothing_sifted(queue: Queue, db: Database) -> None:
    await Suppressions(db).add(Suppression("a@x.example", Reason.MANUAL, NOW))
    job = new_job()
    job_id = await queue.add_job(job)
    batch = rows("a@x.example")
    await queue.add_deliveries(job_id, batch, await queue.sift(job, batch))
    await queue.abandon_job(job_id)
    await opened(queue, "b@x.example")
    (facts,) = await queue.jobs()
    assert facts.counts[State.SUPPRESSED] == 0
