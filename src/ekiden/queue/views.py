"""Views: what people and reports ask of the queue. All of them read on the reading connection."""

from binascii import crc32
from typing import Any

from ekiden.queue.model import JobState, State, identity
from ekiden.queue.part import Part, sql
from ekiden.queue.rows import (
    STATES,
    address_key,
    attempt_record,
    ms,
    optional_seconds,
)
from ekiden.queue.shown import Backlog, DeliveryHistory, JobRow, Overview


class Views(Part):
    """Questions; nothing here writes."""

    async def overview(self) -> Overview:
        """Jobs by state, and the deliveries of unfinished jobs by state.

        Counts every job there ever was: for people. Who asks all the time asks `deliveries`.
        """
        jobs = await self._db.read(sql("job_counts"))
        return Overview(
            jobs={JobState(state): number for state, number in jobs},
            deliveries=await self.deliveries(),
        )

    async def deliveries(self) -> dict[State, int]:
        """The deliveries of unfinished jobs by state."""
        counts = (await self._db.read(sql("delivery_counts")))[0]
        return dict(zip(STATES, counts, strict=True))

    async def backlog(self, now: float, pattern: str = "*", limit: int = 100) -> list[Backlog]:
        """What waits per destination, over all open and paused jobs, the largest first.

        Args:
            now: UNIX seconds.
            pattern: A destination or a glob such as `*.example`.
            limit: At most so many destinations.
        """
        found = await self._db.read_json(
            sql("backlog"), {"now": ms(now), "pattern": pattern.lower(), "limit": limit}
        )
        return [_backlog(row) for row in found]

    async def job_rows(self, job_id: int, after_id: int, limit: int) -> list[JobRow]:
        """A job's deliveries in the order of their ids, for reports.

        Args:
            job_id: The job.
            after_id: The last id seen; 0 at first.
            limit: At most so many; an empty list is the end.
        """
        rows: list[JobRow] = []
        while len(rows) < limit:
            runs = await self._db.read(sql("runs_after"), (job_id, after_id))
            if not runs:
                break
            for first, last in runs:
                wanted = limit - len(rows)
                found = await self._db.read_json(
                    sql("report_rows"), (max(first, after_id + 1), last, wanted)
                )
                rows += [_job_row(row) for row in found]
                if len(rows) == limit:
                    return rows
                after_id = last
        return rows

    async def deliveries_for(self, recipient: str, destination: str = "") -> list[DeliveryHistory]:
        """Every delivery to an address that is still in the queue, with all its attempts.

        Args:
            recipient: The address; case does not matter.
            destination: Its domain as A-labels; its own lower-cased domain when empty.
        """
        domain = destination or recipient.rpartition("@")[2].lower()
        key = address_key(recipient, domain)
        runs = await self._db.read(sql("runs_with"), (crc32(key.encode()).to_bytes(4, "big"),))
        histories = []
        for first, last in runs:
            for row in await self._db.read_json(sql("of_address"), (first, last, key)):
                *delivery, uid, name, last_attempt = row
                chain = f"{sql('attempt_columns')}\n{sql('attempts_chain')}"
                found = await self._db.read_json(chain, (last_attempt,))
                attempts = [attempt_record(item) for item in found]
                histories.append(DeliveryHistory(identity(uid), name, _job_row(delivery), attempts))
        return histories


def _backlog(row: list[Any]) -> Backlog:
    destination, ready, sending, held, oldest, deferred, next_due, suspended, *more = row
    paused, begins, aside = more
    return Backlog(
        destination=destination,
        ready=ready,
        deferred=deferred,
        sending=sending,
        held=held,
        oldest=optional_seconds(oldest),
        next_due=optional_seconds(next_due),
        suspended=suspended,
        paused=paused or "",
        begins=optional_seconds(begins),
        aside=optional_seconds(aside),
    )


def _job_row(row: list[Any]) -> JobRow:
    id_, recipient, destination, line, state, attempts, doubts, due_at, finished_at, *reply = row
    code, text, klass = reply
    return JobRow(
        id=id_,
        recipient=recipient,
        destination=destination,
        row=line,
        state=STATES[state],
        attempts=attempts,
        doubts=doubts,
        due_at=optional_seconds(due_at),
        finished_at=optional_seconds(finished_at),
        code=code or 0,
        reply=text or "",
        klass=klass or "",
    )
