"""Rows that choose a configuration set: the jobs they become, and the one answer to them."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from ekiden.config import Config
from ekiden.config.load import loads
from ekiden.errors import UnavailableError
from ekiden.queue.model import SIBLING, Claimed, JobFacts, JobState, NewDelivery, Priority, State
from ekiden.queue.queue import Queue
from ekiden.settings import check_job, completed
from ekiden.spool.house import House
from ekiden.spool.intake import Intake, IntakeOptions
from ekiden.spool.jobspec import JobSpec
from ekiden.spool.layout import Folder, Spool
from ekiden.spool.report import Reporter
from ekiden.spool.siblings import by_set
from ekiden.store.database import Database
from queue_world import claim_all, due, new_job, settlement
from queue_world import rows as rows_of
from spool_world import JOB, NOW, all_rows, answer, campaign, drop, tree

CONFIG = """
[delivery]
hostname = "mail.example.com"
[[source]]
name = "a"
address = "192.0.2.1"
[[source]]
name = "b"
address = "192.0.2.2"
[[pool]]
name = "fast"
sources = ["a"]
[[pool]]
name = "slow"
sources = ["b"]
[configuration_set.codes]
pool = "fast"
priority = "transactional"
lifetime = "15m"
[configuration_set.news]
pool = "slow"
suppression = []
[configuration_set.listed]
list = "nowhere"
"""


@pytest.fixture
async def db(tmp_path: Path) -> AsyncIterator[Database]:
    database = await Database.open(tmp_path / "queue.db")
    yield database
    await database.close()


@pytest.fixture
def queue(db: Database) -> Queue:
    return Queue(db)


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    opened = Spool.open(tmp_path / "spool")
    yield opened
    opened.close()


def config() -> Config:
    return loads(CONFIG, Path("config.toml"))


def intake(spool: Spool, queue: Any, **options: Any) -> Intake:
    chosen = config()

    async def complete(spec: JobSpec) -> JobSpec:
        return completed(chosen, spec)

    return Intake(
        spool,
        queue,
        IntakeOptions(
            **{
                "batch": 3,
                "window": 6,
                "retry": 0.01,
                "lifetimes": {"codes": 900.0},
                "features": frozenset({"list"}),
                **options,
            }
        ),
        House(check=lambda spec: check_job(chosen, spec), complete=complete),
        clock=lambda: NOW,
    )


async def members(queue: Queue, key: str = "news") -> dict[str, JobFacts]:
    """The job and its siblings, by their sets."""
    head = await queue.job(key)
    return {one.configuration_set: one for one in (head, *await queue.siblings(head.id))}


async def claim_both(queue: Queue) -> list[Claimed]:
    ids = [id_ for rank in Priority for id_ in await due(queue, priority=rank)]
    return (await queue.claim(ids, 7, NOW)).claimed


async def people(queue: Queue, job: JobFacts) -> list[str]:
    return sorted(row.recipient.partition("@")[0] for row in await all_rows(queue, job.id))


async def test_rows_go_where_their_column_says(spool: Spool, queue: Queue) -> None:
    rows = "address,configuration_set,name\na@x.example,,A\nb@x.example,codes,B\n"
    rows += "c@y.example, news ,C\nd@y.example,codes,D\n"
    drop(spool, "news", campaign(rows))
    await intake(spool, queue).take_all()
    found = await members(queue)
    assert {name: await people(queue, job) for name, job in found.items()} == {
        "": ["a"],
        "codes": ["b", "d"],
        "news": ["c"],
    }
    head, codes, news = found[""], found["codes"], found["news"]
    assert [(job.name, job.identity) for job in found.values()] == [("news", head.uid)] * 3
    assert [job.state for job in found.values()] == [JobState.OPEN] * 3
    assert [job.spool_name for job in found.values()] == ["news", "", ""]
    assert (head.head, head.siblings, codes.head, news.head) == (0, 2, head.id, head.id)
    # What a set says, each row has.
    assert (codes.pool, codes.priority) == ("fast", Priority.TRANSACTIONAL)
    assert (news.pool, news.priority, head.pool) == ("slow", Priority.BULK, "")
    assert codes.expires_at == NOW + 900
    assert head.expires_at == news.expires_at == NOW + 3 * 86_400
    assert "set:codes" in codes.suppression_scopes
    # The content is stored once; the column is no merge data.
    assert await queue.content(codes.id) == await queue.content(head.id)
    (claimed, *_) = await claim_all(queue)
    assert set(msgspec.json.decode(claimed.merge)) == {"name"}


@pytest.mark.parametrize("shape", ["jsonl", "inline"])
async def test_objects_choose_too(shape: str, spool: Spool, queue: Queue) -> None:
    rows: list[Any] = [
        {"address": "a@x.example", "name": "A", "configuration_set": "codes"},
        {"address": "b@x.example", "name": "B", "configuration_set": None},
        {"address": "c@x.example", "name": "C"},
        {"address": "d@x.example", "name": "D", "configuration_set": 7},
        {"address": "e@x.example", "name": "E", "configuration_set": ""},
    ]
    if shape == "jsonl":
        lines = b"\n".join(msgspec.json.encode(row) for row in rows)
        job = JOB.replace("people.csv", "people.jsonl")
        drop(spool, "news", {**campaign("", job), "people.jsonl": lines})
    else:
        told = {"from": "a@x.example", "subject": "s", "text": "{{ name }}", "recipients": rows}
        drop(spool, "news.json", msgspec.json.encode(told))
    await intake(spool, queue).take_all()
    found = await members(queue)
    assert {name: await people(queue, job) for name, job in found.items()} == {
        "": ["b", "c", "e"],
        "codes": ["a"],
    }
    (refused,) = answer(spool, "news.report.jsonl")
    assert (refused["row"], refused["recipient"]) == (4, "d@x.example")
    assert "`configuration_set` is a number" in refused["reason"]


async def test_the_row_goes_before_the_job_and_the_job_before_the_set(
    spool: Spool, queue: Queue
) -> None:
    rows = "address,tier,name\na@x.example,,A\nb@x.example,codes,B\nc@x.example,news,C\n"
    job = JOB + 'configuration_set = "news"\nset_column = "tier"\npool = "slow"\n'
    drop(spool, "news", campaign(rows, job))
    await intake(spool, queue).take_all()
    found = await members(queue)
    assert {name: await people(queue, job) for name, job in found.items()} == {
        "news": ["a", "c"],  # who names the job's own set is of the job itself
        "codes": ["b"],
    }
    assert (found["codes"].pool, found["codes"].priority) == ("slow", Priority.TRANSACTIONAL)


async def test_a_wrong_set_refuses_its_rows_by_number(spool: Spool, queue: Queue) -> None:
    rows = "address,configuration_set,name\na@x.example,,A\nb@x.example,cods,B\n"
    rows += "c@x.example,listed,C\nd@x.example,codes,D\n"
    rows += "".join(f"m{n}@x.example,wrong{n},M\n" for n in range(20))
    drop(spool, "news", campaign(rows))
    await intake(spool, queue).take_all()
    found = await members(queue)
    assert {name: await people(queue, job) for name, job in found.items()} == {
        "": ["a"],
        "codes": ["d"],
    }
    assert found[""].refused == 22
    told = {row["row"]: row for row in answer(spool, "news.report.jsonl")}
    assert sorted(told) == [3, 4, *range(6, 26)]
    assert told[3]["reason"] == "there is no configuration_set 'cods'"
    assert told[4]["reason"] == "there is no contact list 'nowhere'"
    assert told[25]["recipient"] == "m19@x.example"


async def test_nobody_left_refuses_the_job(spool: Spool, queue: Queue) -> None:
    drop(spool, "news", campaign("address,configuration_set,name\na@x.example,cods,A\n"))
    await intake(spool, queue).take_all()
    assert await queue.jobs() == []
    assert "there is no configuration_set 'cods'" in answer(spool, "news.error.txt", Folder.FAILED)


async def test_a_column_that_is_named_must_be_there(spool: Spool, queue: Queue) -> None:
    drop(
        spool, "news", campaign("address,teir,name\na@x.example,,A\n", JOB + 'set_column = "tier"')
    )
    await intake(spool, queue).take_all()
    error = answer(spool, "news.error.txt", Folder.FAILED)
    assert "No column `tier`" in error
    assert "`teir`" in error


async def test_an_address_is_mailed_once_whatever_its_rows_choose(
    spool: Spool, queue: Queue
) -> None:
    chosen = ("", "codes", "news")
    rows = "address,configuration_set,name\n"
    rows += "".join(f"p{n % 10}@d{n % 2}.example,{chosen[n % 3]},N\n" for n in range(60))
    drop(spool, "news", campaign(rows))
    await intake(spool, queue).take_all()
    found = await members(queue)
    # The first row of an address counts.
    assert {name: sorted(await people(queue, job)) for name, job in found.items()} == {
        "": ["p0", "p3", "p6", "p9"],
        "codes": ["p1", "p4", "p7"],
        "news": ["p2", "p5", "p8"],
    }
    assert sum(job.duplicates for job in found.values()) == 50


def test_a_batch_is_parted_in_its_order() -> None:
    rows = [NewDelivery(f"{c}@x.example", "x.example", b"{}", n) for n, c in enumerate("abcAd", 2)]
    assert by_set(rows, {}) == [("", rows)]
    parted = dict(by_set(rows, {3: "s", 5: "s", 6: "t"}))
    assert {name: [row.row for row in part] for name, part in parted.items()} == {
        "": [2, 4, 5],  # A is a, who is in the first row
        "s": [3],
        "t": [6],
    }


async def test_one_report_and_one_result(spool: Spool, queue: Queue) -> None:
    rows = "address,configuration_set,name\na@x.example,,A\nb@x.example,codes,B\nnobody,,\n"
    rows += "b@x.example,news,B\nc@x.example,codes,C\n"
    drop(spool, "news", campaign(rows))
    await intake(spool, queue).take_all()
    ended: list[JobFacts] = []
    reporter = Reporter(spool, queue, clock=lambda: NOW, done=ended.append)
    claimed = {one.recipient[0]: one for one in await claim_both(queue)}
    await queue.settle([settlement(claimed["a"])], NOW)
    assert await reporter.report_ended() == 0  # a sibling has something left
    bounced = settlement(claimed["c"], State.BOUNCED)
    await queue.settle([settlement(claimed["b"]), bounced], NOW)
    assert await reporter.report_ended() == 1
    assert await reporter.report_ended() == 0
    result = answer(spool, "news.result.json")
    counts = {key: number for key, number in result["counts"].items() if number}
    assert counts == {
        "rows": 5,
        "accepted": 3,
        "refused": 1,
        "duplicates": 1,
        "delivered": 2,
        "bounced": 1,
    }
    own = {key: number for key, number in result["sets"]["codes"].items() if number}
    assert own == {"accepted": 2, "delivered": 1, "bounced": 1}
    assert [
        (row["row"], row["fate"], row.get("configuration_set"))
        for row in answer(spool, "news.report.jsonl")
    ] == [
        (4, "refused", None),
        (2, "delivered", None),
        (3, "delivered", "codes"),
        (6, "bounced", "codes"),
    ]
    assert {(job.configuration_set, job.state) for job in ended} == {
        ("", JobState.DONE),
        ("codes", JobState.DONE),
    }


class Fails:
    """The queue, until a call of one of its methods."""

    def __init__(self, queue: Queue, method: str, after: int) -> None:
        self._queue = queue
        self._method = method
        self._left = after

    def __getattr__(self, name: str) -> Any:
        if name == self._method:
            self._left -= 1
            if self._left < 0:
                raise UnavailableError("the disk is full")
        return getattr(self._queue, name)


@pytest.mark.parametrize(
    ("method", "after"),
    [("add_job", 1), ("add_job", 2), ("add_deliveries", 2), ("add_deliveries", 5), ("open_job", 0)],
)
async def test_a_crash_undoes_all_of_them_and_a_replay_makes_them_again(
    method: str, after: int, spool: Spool, queue: Queue, db: Database
) -> None:
    chosen = ("", "codes", "news")
    rows = "address,configuration_set,name\n"
    rows += "".join(f"p{n}@d{n % 2}.example,{chosen[n % 3]},N\n" for n in range(30))
    drop(spool, "news", campaign(rows))
    with pytest.raises(UnavailableError):
        await intake(spool, Fails(queue, method, after)).take_all()
    assert tree(spool) == {"cur": ["news"]}
    again = Queue(db)  # what the first one knew of rows is gone with its process
    assert not await again.finished_jobs()
    assert await claim_both(again) == []
    await intake(spool, again).take_all()
    found = await members(again)
    assert {name: job.total for name, job in found.items()} == dict.fromkeys(chosen, 10)
    assert len(await claim_both(again)) == 30
    drop(spool, "twice", campaign(rows))  # the same job again is one job, with its siblings
    await intake(spool, again).take_all()
    assert len(await again.jobs()) == 3
    assert answer(spool, "twice.result.json")["fate"] == "duplicate"


async def test_a_crash_of_the_process_leaves_nothing_of_a_sibling(
    queue: Queue, db: Database
) -> None:
    job = new_job("u")
    head = await queue.add_job(job)
    other = await queue.add_job(new_job(f"u{SIBLING}s", head=head, content=b""))
    assert await queue.add_deliveries(other, rows_of("a@x.example")) == 1
    # The same address in the head is a duplicate, wherever it was first.
    assert await queue.add_deliveries(head, rows_of("A@x.example")) == 0
    again = Queue(db)
    await again.abandon_receiving()
    assert await again.jobs() == []
    assert await again.add_job(job)
