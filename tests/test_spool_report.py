"""When a job ends: the report and the result, whole, even when a crash comes in between."""

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from ekiden.bounce.classes import CLASSES
from ekiden.queue.model import JobState, State
from ekiden.queue.queue import Queue
from ekiden.spool import report as report_module
from ekiden.spool.advice import advise
from ekiden.spool.intake import Intake
from ekiden.spool.layout import Spool
from ekiden.spool.report import Reporter
from ekiden.store.database import Database
from queue_world import attempt, claim_all, settlement
from spool_world import NOW, answer, campaign, drop, the_job, tree


@pytest.fixture
async def queue(tmp_path: Path) -> AsyncIterator[Queue]:
    database = await Database.open(tmp_path / "queue.db")
    yield Queue(database)
    await database.close()


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    opened = Spool.open(tmp_path / "spool")
    yield opened
    opened.close()


async def sent(spool: Spool, queue: Queue, people: str) -> None:
    """Take a campaign and settle it: bounce@ bounces, full@ expires, the others are delivered."""
    drop(spool, "news", campaign(people))
    await Intake(spool, queue, clock=lambda: NOW).take_all()
    settlements = []
    for n, claimed in enumerate(await claim_all(queue)):
        local = claimed.recipient.partition("@")[0]
        at = NOW + n
        if local.startswith("bounce"):
            tried = replace(attempt("5.1.1 No such user", 550, at), klass="bad_mailbox")
            settlements.append(settlement(claimed, State.BOUNCED, attempt=tried))
        elif local.startswith("full"):
            tried = replace(attempt("4.2.2 over quota", 452, at), klass="mailbox_full")
            settlements.append(settlement(claimed, State.EXPIRED, attempt=tried))
        else:
            settlements.append(settlement(claimed, attempt=attempt(at=at)))
    await queue.settle(settlements, NOW + 100)


PEOPLE = (
    "address,name\na@x.example,A\nnobody,B\nbounce1@x.example,C\nbounce2@x.example,D\n"
    "a@x.example,A\nfull@y.example,E\nb@y.example,F\n"
)


async def test_report_and_result_are_complete(spool: Spool, queue: Queue) -> None:
    await sent(spool, queue, PEOPLE)
    job = await the_job(queue)
    ended = NOW + 200
    assert await Reporter(spool, queue, clock=lambda: ended).report_ended() == 1
    lines = answer(spool, "news.report.jsonl")
    assert lines[0] == {
        "row": 3,
        "recipient": "nobody",
        "fate": "refused",
        "reason": "there is no @",
    }
    by_row = {line["row"]: line for line in lines}
    assert {row: line["fate"] for row, line in by_row.items()} == {
        2: "delivered",
        3: "refused",
        4: "bounced",
        5: "bounced",
        7: "expired",
        8: "delivered",
    }
    bounced = by_row[4]
    assert (bounced["code"], bounced["class"], bounced["attempts"]) == (550, "bad_mailbox", 1)
    assert "No such user" in bounced["reply"]
    assert bounced["finished_at"].startswith("2027-01-15T08:")

    result = answer(spool, "news.result.json")
    assert result["counts"] == {
        "rows": 7,
        "accepted": 5,
        "refused": 1,
        "duplicates": 1,
        "delivered": 2,
        "bounced": 2,
        "expired": 1,
        "suppressed": 0,
        "cancelled": 0,
    }
    assert (result["name"], result["fate"], result["uid"]) == ("news", "done", job.uid)
    assert result["times"]["taken"] == "2027-01-15T08:00:00.000Z"
    assert result["times"]["ended"] == "2027-01-15T08:03:20.000Z"
    assert (result["rates"]["delivered"], result["rates"]["bounced"]) == (0.4, 0.4)
    worst = result["failures"][0]
    assert (worst["fate"], worst["class"], worst["count"]) == ("bounced", "bad_mailbox", 2)
    assert worst["example"]["code"] == 550
    assert "remove it from your list" in worst["advice"]
    assert {one["fate"] for one in result["failures"]} == {"bounced", "expired", "refused"}
    done = await the_job(queue)
    assert (done.state, done.finished_at) == (JobState.DONE, ended)
    assert tree(spool)["done"] == ["news", "news.report.jsonl", "news.result.json"]
    assert await Reporter(spool, queue).report_ended() == 0


async def test_every_page_is_in_the_report(
    spool: Spool, queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(report_module, "_PAGE", 7)
    people = "address,name\n" + "".join(f"p{n}@d{n % 5}.example,N\n" for n in range(50))
    await sent(spool, queue, people)
    await Reporter(spool, queue).report_ended()
    rows = [line["row"] for line in answer(spool, "news.report.jsonl")]
    assert sorted(rows) == list(range(2, 52))


async def test_a_cancelled_job_is_reported_too(spool: Spool, queue: Queue) -> None:
    drop(spool, "news", campaign(PEOPLE))
    await Intake(spool, queue, clock=lambda: NOW).take_all()
    await queue.cancel_job((await the_job(queue)).id, NOW + 1)
    await Reporter(spool, queue).report_ended()
    result = answer(spool, "news.result.json")
    assert (result["fate"], result["counts"]["cancelled"]) == ("cancelled", 5)
    assert result["rates"]["per_second"] is None


async def test_a_job_that_is_being_sent_is_not_reported(spool: Spool, queue: Queue) -> None:
    drop(spool, "news", campaign(PEOPLE))
    await Intake(spool, queue, clock=lambda: NOW).take_all()
    assert await Reporter(spool, queue).report_ended() == 0
    assert "news.result.json" not in tree(spool)["done"]


class CrashError(BaseException):
    """The process dies here."""


@pytest.mark.parametrize("after", [False, True])
async def test_a_crash_while_reporting_is_made_good(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: bool
) -> None:
    real_rename, real_write = os.rename, os.write
    step = 0
    whole = None
    while True:
        step += 1
        spool = Spool.open(tmp_path / str(step) / "spool")
        database = await Database.open(tmp_path / str(step) / "queue.db")
        queue = Queue(database)
        await sent(spool, queue, PEOPLE)
        counter = [0]

        def doomed(real: Any, counter: list[int] = counter, step: int = step) -> Any:
            def call(*args: Any, **kwargs: Any) -> Any:
                counter[0] += 1
                if counter[0] == step and not after:
                    raise CrashError
                done = real(*args, **kwargs)
                if counter[0] == step:
                    raise CrashError
                return done

            return call

        with monkeypatch.context() as patch:
            patch.setattr(os, "rename", doomed(real_rename))
            patch.setattr(os, "write", doomed(real_write))
            with suppress(CrashError):
                await Reporter(spool, queue, clock=lambda: NOW + 200).report_ended()
        await Reporter(spool, queue, clock=lambda: NOW + 200).report_ended()
        found = answer(spool, "news.report.jsonl"), answer(spool, "news.result.json")
        whole = whole or found
        assert found == whole
        assert (await the_job(queue)).state is JobState.DONE
        await database.close()
        spool.close()
        if counter[0] < step:
            break
    assert step > 3


async def test_a_full_disk_is_said_and_passes(
    spool: Spool, queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    await sent(spool, queue, PEOPLE)
    done = asyncio.Event()
    reporter = Reporter(spool, queue, poll=0.01, retry=0.01, done=lambda _: done.set())
    real = os.fsync

    def full(descriptor: int) -> None:
        del descriptor
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    running = asyncio.create_task(reporter.run())
    for _ in range(400):
        if reporter.trouble:
            break
        await asyncio.sleep(0.01)
    assert "No space left" in reporter.trouble
    monkeypatch.setattr(os, "fsync", real)
    await asyncio.wait_for(done.wait(), 20)
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running
    assert len(answer(spool, "news.report.jsonl")) == 6


def test_there_is_advice_for_every_class_and_fate() -> None:
    fates = ["refused", *(state.value for state in State if state.final)]
    said = {advise(fate, klass) for fate in fates for klass in ("", "unheard_of", *CLASSES)}
    assert all(len(each) > 20 and each.endswith(".") for each in said)
    assert "remove it" in advise("bounced", "bad_mailbox")
    assert "not the recipient" in advise("bounced", "blocklisted_ip")
    assert "suppressed before" in advise("suppressed", "bad_mailbox")
    assert "time was up" in advise("expired", "")
    assert "smaller" in advise("bounced", "unsupported"), "a message over the receiver's size"
