"""When a job ends: NAME.report.jsonl and NAME.result.json beside it in `done/`.

**Theory.** A job has ended when nothing of it is pending. Its report is then written whole to a
temporary name, from the queue, page by page; the rows that intake refused are copied from the
report as it stood. It is synced and renamed, then the result is, and only then is the job marked
done in the queue. A crash in between leaves the job unmarked, and the next start writes both again
with the same content: a reader who sees NAME.result.json has a whole report.

**Contract.** Memory is one page. Files are written on threads. `UnavailableError` and `OSError`
leave the job for the next round; `trouble` says so.
"""

import asyncio
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, Protocol

import msgspec
import structlog

from ekiden.errors import UnavailableError
from ekiden.queue.model import JobFacts, State
from ekiden.queue.shown import JobRow
from ekiden.spool.advice import advise
from ekiden.spool.answers import REFUSED, REPORT, RESULT, write_json
from ekiden.spool.jobspec import shown
from ekiden.spool.layout import Folder, Spool
from ekiden.spool.loading import stem

LOG: Final = structlog.get_logger("ekiden.spool")

_PAGE: Final = 1000
_FAILURES: Final = 20  # kinds of failure in a result
_KINDS: Final = 500  # kinds that are told apart while counting
_READ: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC


class EndedJobs(Protocol):
    """What reports need of `ekiden.queue.queue.Queue`."""

    async def finished_jobs(self) -> list[JobFacts]:
        """Jobs with nothing pending, of their siblings either, that are not marked done."""

    async def siblings(self, *jobs: int) -> list[JobFacts]:
        """The siblings of jobs."""

    async def job_rows(self, job_id: int, after_id: int, limit: int) -> list[JobRow]:
        """A page of a job's deliveries."""

    async def verdict(self, job_id: int) -> dict[str, Any] | None:
        """What was foreseen of a job with a deadline when it came in."""

    async def jumps(self, job_id: int) -> list[str]:
        """How far a job departs from what its sources usually send."""

    async def mark_done(self, job_id: int, now: float) -> JobFacts:
        """The result is written."""


@dataclass(slots=True)
class _Failure:
    """One kind of failure, counted."""

    fate: str
    klass: str
    count: int = 0
    recipient: str = ""
    code: int = 0
    reply: str = ""


@dataclass(slots=True)
class _Tally:
    """What is counted while the report is written."""

    failures: dict[tuple[str, str], _Failure] = field(default_factory=dict)
    in_doubt: int = 0
    attempts: int = 0
    first: float | None = None
    last: float | None = None

    def add(self, row: JobRow) -> None:
        """Count one delivery."""
        self.attempts += row.attempts
        self.in_doubt += row.doubts > 0
        if row.finished_at is not None and row.state is State.DELIVERED:
            self.first = min(self.first or row.finished_at, row.finished_at)
            self.last = max(self.last or row.finished_at, row.finished_at)
        if row.state is not State.DELIVERED:
            failure = self.fail(row.state.value, row.klass)
            if row.reply and not failure.reply:
                failure.recipient, failure.code = row.recipient, row.code
                failure.reply = row.reply
            failure.recipient = failure.recipient or row.recipient

    def fail(self, fate: str, klass: str) -> _Failure:
        """Count one failure and return its kind."""
        key = (fate, klass if len(self.failures) < _KINDS else "")
        failure = self.failures.setdefault(key, _Failure(*key))
        failure.count += 1
        return failure


class Reporter:
    """Writes the answers of jobs that have ended, until it is cancelled.

    Args:
        spool: The open spool.
        queue: The queue.
        poll: Seconds between two looks for jobs that have ended.
        retry: Seconds to wait when the disk or the queue refused.
        done: Is told of every job that was marked done.
        clock: UNIX seconds.
    """

    def __init__(
        self,
        spool: Spool,
        queue: EndedJobs,
        *,
        poll: float = 1.0,
        retry: float = 5.0,
        done: Callable[[JobFacts], None] | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._spool = spool
        self._queue = queue
        self._poll = poll
        self._retry = retry
        self._done = done
        self._clock = clock
        self.trouble = ""

    async def run(self) -> None:
        """Report jobs as they end."""
        while True:
            try:
                await self.report_ended()
            except (UnavailableError, OSError) as error:
                if not self.trouble:
                    LOG.error("report_stopped", error=str(error))  # noqa: TRY400 - the disk's fault
                self.trouble = str(error)
                await asyncio.sleep(self._retry)
            else:
                self.trouble = ""
                await asyncio.sleep(self._poll)

    async def report_ended(self) -> int:
        """Report every job that has ended by now; return how many.

        Raises:
            UnavailableError: The queue cannot be asked now.
            OSError: The disk refuses.
        """
        jobs = await self._queue.finished_jobs()
        for job in jobs:
            await self.report(job)
        return len(jobs)

    async def report(self, job: JobFacts) -> None:
        """Write a job's report and result, and mark it done, with its siblings."""
        siblings = await self._queue.siblings(job.id) if job.siblings else []
        if job.spool_name:
            await self._write(job, siblings)
        facts = await self._queue.mark_done(job.id, self._clock())
        ended = [facts, *(await self._queue.siblings(job.id) if siblings else ())]
        for one in ended:
            if self._done is not None:
                self._done(one)
        LOG.info("job_done", job=job.id, uid=job.uid, name=shown(job.name))

    async def _write(self, job: JobFacts, siblings: Sequence[JobFacts]) -> None:
        name = stem(job.spool_name) + REPORT
        temporary = f".{name}.new"
        tally = _Tally()
        descriptor = await asyncio.to_thread(self._begin, temporary, name, tally)
        try:
            for one in (job, *siblings):
                chosen = one.configuration_set if one.head else ""
                after = 0
                while rows := await self._queue.job_rows(one.id, after, _PAGE):
                    await asyncio.to_thread(_append, descriptor, rows, tally, chosen)
                    after = rows[-1].id
            await asyncio.to_thread(os.fsync, descriptor)
        finally:
            os.close(descriptor)
        foreseen = _forecast(job, await self._queue.verdict(job.id))
        told = {"forecast": foreseen, "volume": await self._queue.jumps(job.id)}
        result = _result(job, siblings, tally, self._clock(), told)
        await asyncio.to_thread(self._finish, temporary, name, job, result)

    def _begin(self, temporary: str, name: str, tally: _Tally) -> int:
        """Create the new report with the old one's refused rows in it."""
        self._spool.remove(Folder.DONE, temporary)
        descriptor = self._spool.create(Folder.DONE, temporary)
        try:
            for line in self._refused(name, tally):
                _write_all(descriptor, line)
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor

    def _refused(self, name: str, tally: _Tally) -> Iterator[bytes]:
        """The refused rows of the report as intake left it, in pieces of whole lines."""
        try:
            old = os.open(name, _READ, dir_fd=self._spool.folders[Folder.DONE])
        except FileNotFoundError:
            return
        with os.fdopen(old, "rb") as file:
            while lines := file.readlines(1024 * 1024):
                kept = []
                for line in lines:
                    row = msgspec.json.decode(line)
                    if row.get("fate") == REFUSED:
                        kept.append(line)
                        failure = tally.fail(REFUSED, "")
                        failure.recipient = failure.recipient or row["recipient"]
                        failure.reply = failure.reply or f"row {row['row']}: {row['reason']}"
                yield b"".join(kept)

    def _finish(self, temporary: str, name: str, job: JobFacts, result: dict[str, Any]) -> None:
        self._spool.rename(Folder.DONE, temporary, name)
        write_json(self._spool, stem(job.spool_name) + RESULT, result)


def _append(descriptor: int, rows: Iterable[JobRow], tally: _Tally, chosen: str) -> None:
    """Write rows of the report; `chosen`: the set that they chose, "" for the job's."""
    own = {"configuration_set": chosen} if chosen else {}
    lines = []
    for row in rows:
        tally.add(row)
        lines.append(msgspec.json.encode(_line(row) | own) + b"\n")
    _write_all(descriptor, b"".join(lines))


def _line(row: JobRow) -> dict[str, Any]:
    return {
        "row": row.row,
        "recipient": row.recipient,
        "fate": row.state.value,
        "code": row.code,
        "reply": row.reply,
        "class": row.klass,
        "attempts": row.attempts,
        "doubts": row.doubts,
        "finished_at": _time(row.finished_at),
    }


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def _result(
    job: JobFacts,
    siblings: Sequence[JobFacts],
    tally: _Tally,
    now: float,
    told: dict[str, Any],
) -> dict[str, Any]:
    members = (job, *siblings)
    fates = _fates(members)
    total = sum(one.total for one in members)
    duplicates = sum(one.duplicates for one in members)
    rows = total + job.refused + duplicates
    delivered = fates[State.DELIVERED.value]
    spent = (tally.last - tally.first) if tally.first and tally.last else 0.0
    worst = sorted(tally.failures.values(), key=lambda one: -one.count)[:_FAILURES]
    return {
        "name": stem(job.spool_name),
        "title": job.name,
        "id": job.id,
        "uid": job.uid,
        "fate": "cancelled" if job.state.value == "cancelled" else "done",
        "counts": {
            "rows": rows,
            "accepted": total,
            REFUSED: job.refused,
            "duplicates": duplicates,
            **fates,
        },
        "sets": {
            one.configuration_set: {"accepted": one.total, **_fates([one])} for one in siblings
        },
        "in_doubt": tally.in_doubt,
        "attempts": tally.attempts,
        "times": {
            "taken": _time(job.created_at),
            "send_at": _time(job.send_at or None),
            "first_delivered": _time(tally.first),
            "last_delivered": _time(tally.last),
            "ended": _time(now),
        },
        "rates": {
            "delivered": round(delivered / total, 6) if total else 0.0,
            "bounced": round(fates[State.BOUNCED.value] / total, 6) if total else 0.0,
            "per_second": round(delivered / spent, 3) if spent > 0 else None,
        },
        **told,  # when it came in
        "failures": [_failure(one, rows) for one in worst],
        "report": stem(job.spool_name) + REPORT,
    }


def _fates(jobs: Iterable[JobFacts]) -> dict[str, int]:
    """How many deliveries of some jobs came to each end."""
    counts = [job.counts for job in jobs]
    return {state.value: sum(one.get(state, 0) for one in counts) for state in State if state.final}


def _forecast(job: JobFacts, verdict: dict[str, Any] | None) -> dict[str, Any] | None:
    """What was said of a deadline before the job began; null for a job without one."""
    if verdict is None:
        return None
    return {
        "deliver_by": _time(job.deliver_by),
        "said": verdict["words"],
        "in_time": verdict["whole"]["in_time"],
        "end": _time(verdict["whole"]["end"]),
        "latest_start": _time(verdict["latest_start"]),
    }


def _failure(failure: _Failure, rows: int) -> dict[str, Any]:
    return {
        "fate": failure.fate,
        "class": failure.klass,
        "count": failure.count,
        "share": round(failure.count / rows, 6) if rows else 0.0,
        "example": {
            "recipient": failure.recipient,
            "code": failure.code,
            "reply": failure.reply,
        },
        "advice": advise(failure.fate, failure.klass),
    }


def _time(seconds: float | None) -> str | None:
    """RFC 3339 in UTC; null where there is no such time."""
    if seconds is None:
        return None
    written = datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
    return written.replace("+00:00", "Z")
