"""The exporter: order, marks, crashes between write and mark, a disk that is full for a while."""

import asyncio
import contextlib
import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from ekiden.errors import UnavailableError
from ekiden.events.exporter import ATTEMPTS, Exporter, ExporterOptions
from ekiden.events.log import EventLog, LogOptions
from ekiden.events.metrics import Metrics
from ekiden.events.model import Event, EventType, happened, stamp
from ekiden.queue.model import Attempt, JobFacts, JobState, Priority, State
from ekiden.queue.reactions import ReactionRecord
from ekiden.queue.reports import Notice
from ekiden.queue.shown import AcceptedRow, AttemptRecord

JOB = JobFacts(
    id=7,
    uid="uid-7",
    name="news",
    state=JobState.OPEN,
    priority=Priority.BULK,
    mail_from="a@b.test",
    from_domain="b.test",
    configuration_set="set",
    pool="",
    created_at=0.0,
    send_at=0.0,
    expires_at=9e9,
    deliver_by=None,
    pace=None,
    spool_name="",
)
TRY = Attempt(
    at=1_800_000_000.25,
    seconds=0.12345,
    source="a1",
    site="mx.x.test",
    host="mx1.x.test",
    stage="body",
    code=250,
    reply="2.0.0 Ok",
    klass="",
    rule="",
    outcome="accepted",
    tls="TLSv1.3",
    size=4096,
)


def record(
    seq: int,
    fate: State = State.DELIVERED,
    attempt: Attempt | None = TRY,
    due_at: float | None = None,
    *,
    in_doubt: bool = False,
) -> AttemptRecord:
    return AttemptRecord(
        seq=seq,
        delivery_id=seq,
        job_id=7,
        recipient=f"r{seq}@x.test",
        destination="x.test",
        row=seq,
        number=1,
        fate=fate,
        at=1_800_000_000.25,
        due_at=due_at,
        in_doubt=in_doubt,
        attempt=attempt,
    )


class Memory:
    """An outbox in memory that counts what it hands out."""

    def __init__(
        self, records: Iterable[AttemptRecord] = (), rows: Iterable[AcceptedRow] = ()
    ) -> None:
        self.records, self.rows = list(records), list(rows)
        self.marks: dict[str, int] = {}
        self.largest = 0

    async def attempts_after(self, seq: int, limit: int) -> list[AttemptRecord]:
        found = [one for one in self.records if one.seq > seq][:limit]
        self.largest = max(self.largest, len(found))
        return found

    async def notices_after(self, seq: int, limit: int) -> list[Notice]:
        return []

    async def reactions_after(self, seq: int, limit: int) -> list[ReactionRecord]:
        return []

    async def accepted_after(self, after: int, limit: int) -> list[AcceptedRow]:
        return [one for one in self.rows if one.id > after][:limit]

    async def job(self, key: int) -> JobFacts:
        assert key == 7
        return JOB

    async def mark(self, reader: str) -> int:
        return self.marks.get(reader, 0)

    async def set_mark(self, reader: str, seq: int) -> None:
        self.marks[reader] = seq


@pytest.fixture
def log(tmp_path: Path) -> Iterator[EventLog]:
    made = EventLog.open(LogOptions(directory=tmp_path / "e", clock=lambda: 1_800_000_000.0))
    yield made
    made.close()


def lines(log: EventLog) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.path.read_bytes().splitlines()]


async def test_accepted_first_then_fates_in_batches(log: EventLog) -> None:
    rows = [AcceptedRow(n, 7, f"r{n}@x.test", "x.test", n, 1_800_000_000.0) for n in range(1, 8)]
    outbox = Memory([record(n) for n in range(1, 24)], rows)
    heard: list[Event] = []
    exporter = Exporter(outbox, log, ExporterOptions(batch=5, listener=heard.append))
    await exporter.drain()
    found = [line["id"] for line in lines(log)]
    assert found == [f"q{n}" for n in range(1, 8)] + [f"a{n}" for n in range(1, 24)]
    assert outbox.marks == {
        ATTEMPTS: 23,
        "events.accepted": 7,
        "events.notices": 0,
        "events.reactions": 0,
    }
    assert outbox.largest == 5
    assert [event.id for event in heard] == found
    assert exporter.written == 30


@pytest.mark.parametrize(
    ("row", "kind"),
    [
        (record(3), "delivered"),
        (record(3, State.READY, due_at=1_800_000_060.0), "deferred"),
        (record(3, State.READY, due_at=1_800_000_060.0, in_doubt=True), "in_doubt"),
        (record(3, State.HELD, in_doubt=True), "held"),
        (record(3, State.BOUNCED), "bounced"),
        (record(3, State.EXPIRED), "expired"),
        (record(3, State.SUPPRESSED, attempt=None), "suppressed"),
        (record(3, State.CANCELLED, attempt=None), "cancelled"),
    ],
)
def test_every_fate_has_its_event(row: AttemptRecord, kind: str) -> None:
    made = happened(row, JOB)
    assert made.type == kind
    assert made.next_try == ("2027-01-15T08:01:00.000Z" if row.due_at else "")
    assert made.configuration_set == "set"


def test_the_enhanced_code_must_fit_the_reply() -> None:
    good = happened(record(1, State.BOUNCED, replace(TRY, code=550, reply="5.1.1 No")), JOB)
    bad = happened(record(1, State.BOUNCED, replace(TRY, code=550, reply="4.1.1 No")), JOB)
    assert (good.enhanced, bad.enhanced) == ("5.1.1", "")


def test_sending_is_no_fate() -> None:
    with pytest.raises(ValueError, match="not a fate"):
        happened(record(1, State.SENDING), JOB)


def test_stamps_are_utc_with_milliseconds() -> None:
    assert stamp(1_800_000_000.25) == "2027-01-15T08:00:00.250Z"
    assert stamp(0.999) == "1970-01-01T00:00:00.999Z"


async def test_only_chosen_types_are_written_and_the_mark_moves_anyway(log: EventLog) -> None:
    outbox = Memory([record(1), record(2, State.BOUNCED)])
    await Exporter(outbox, log, ExporterOptions(types={EventType.BOUNCED})).drain()
    assert [line["id"] for line in lines(log)] == ["a2"]
    assert outbox.marks[ATTEMPTS] == 2


async def test_a_crash_after_the_write_repeats_nothing(log: EventLog) -> None:
    outbox = Memory([record(n) for n in range(1, 11)])
    await Exporter(outbox, log, ExporterOptions()).drain()
    outbox.marks[ATTEMPTS] = 0  # the crash came before the mark was stored
    outbox.records.append(record(11))
    await Exporter(outbox, log, ExporterOptions()).drain()
    assert [line["id"] for line in lines(log)] == [f"a{n}" for n in range(1, 12)]


async def test_a_new_queue_is_not_taken_for_the_old_one(log: EventLog) -> None:
    await Exporter(Memory([record(n) for n in range(1, 11)]), log, ExporterOptions()).drain()
    fresh = Memory([replace(record(n), recipient=f"other{n}@x.test") for n in range(1, 11)])
    await Exporter(fresh, log, ExporterOptions()).drain()
    assert len(lines(log)) == 20


async def test_a_full_disk_delays_events_and_loses_none(
    log: EventLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    outbox = Memory([record(n) for n in range(1, 4)])
    real, failures = log.append, [2]

    def failing(events: Sequence[Event]) -> int:
        if failures[0]:
            failures[0] -= 1
            raise UnavailableError("The event log cannot be written: full")
        return real(events)

    monkeypatch.setattr(log, "append", failing)
    metrics = Metrics()
    reached = {count: asyncio.Event() for count in range(1, 6)}

    def heard(event: Event) -> None:
        metrics.happened(event)
        reached[int(event.id[1:])].set()

    exporter = Exporter(outbox, log, ExporterOptions(retry=0.001, poll=0.001, listener=heard))
    task = asyncio.create_task(exporter.run())
    try:
        async with asyncio.timeout(5):
            await reached[3].wait()
            outbox.records.append(record(4))
            exporter.wake()
            await reached[4].wait()
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
    outbox.records.append(record(5))
    await exporter.drain()  # the end of a run: what came after it was cancelled
    exporter.close()
    assert [line["id"] for line in lines(log)] == ["a1", "a2", "a3", "a4", "a5"]
    assert exporter.trouble == ""
    assert b'ekiden_events_total{bounce_class="",provider="other",type="delivered"} 5.0' in (
        metrics.text()
    )


def test_metrics_stand_alone() -> None:
    one, two = Metrics(), Metrics()
    one.queue_depth({"ready": 5})
    one.sessions_open({"gmail": 2})
    one.sessions_open({"docomo": 1})
    one.loop_lag(0.002)
    one.signed(0.001)
    one.log_failing(failing=True)
    assert b'ekiden_queue{state="ready"} 5.0' in one.text()
    assert b'provider="gmail"' not in one.text()
    assert b"ekiden_event_log_failing 1.0" in one.text()
    assert b"ekiden_event_log_failing 0.0" in two.text()
