"""Jobs: look at them, pause, resume, cancel, end.

| transition | from | to |
|---|---|---|
| `pause_job` | open | paused |
| `resume_job` | paused | open |
| `cancel_job` | open, paused | cancelled: so is what is ready or held; what is being sent ends |
| `mark_done` | open or paused, nothing pending | done, with `finished_at` |
| `mark_done` | cancelled, nothing pending | cancelled, with `finished_at` |

The state of the job is changed first and is what counts: its rows follow in pieces, and a crash in
between is finished by `finish_cancels` at the next start.
"""

from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any

from ekiden.errors import NotFoundError, RefusedError
from ekiden.queue.model import JobFacts, JobState, State
from ekiden.queue.moves import Moves
from ekiden.queue.part import Part, end_rows, select_jobs, sql
from ekiden.queue.rows import CODE, job_facts, ms
from ekiden.store.transaction import Tx, pack


class Jobs(Part):
    """Jobs as a whole."""

    async def job(self, key: int | str) -> JobFacts:
        """A job by its id, identity or name (the newest of that name).

        Raises:
            NotFoundError: There is none.
        """
        for which in ("jobs_by_id", "jobs_by_uid", "jobs_by_name"):
            if which == "jobs_by_id" and not str(key).isdecimal():
                continue
            found = await self._jobs(which, int(key) if which == "jobs_by_id" else str(key))
            if found:
                return found[0]
        raise NotFoundError(
            "there is no such job", where=str(key), remedy="list them with: ekiden jobs"
        )

    async def jobs(self, states: Iterable[JobState] = (), limit: int = 100) -> list[JobFacts]:
        """Jobs in these states (all when empty), the newest first."""
        wanted = [str(state) for state in (states or JobState)]
        return await self._jobs("jobs_by_state", pack(wanted), limit)

    async def heads(self, states: Iterable[JobState] = (), limit: int = 100) -> list[JobFacts]:
        """The same without siblings; a job is also found by the state of a sibling."""
        wanted = [str(state) for state in (states or JobState)]
        return await self._jobs("heads_by_state", pack(wanted), limit)

    async def content(self, job_id: int) -> bytes:
        """What `NewJob.content` was.

        Raises:
            NotFoundError: No such job, or it was folded away.
        """
        rows = await self._db.read(sql("content"), (job_id,))
        if not rows:
            raise NotFoundError("the job's content is gone", where=f"job {job_id}")
        content: bytes = rows[0][0]
        return content

    async def pause_job(self, job_id: int) -> JobFacts:
        """Nothing of the job is claimed any more; what is being sent ends."""
        return await self._set(job_id, {JobState.OPEN}, JobState.PAUSED)

    async def resume_job(self, job_id: int) -> JobFacts:
        """A paused job goes on; the feeder's cursor is rewound to its earliest delivery."""
        facts = await self._set(job_id, {JobState.PAUSED}, JobState.OPEN)
        rows = await self._db.write(lambda tx: tx.rows(sql("earliest_of_job"), (job_id,)))
        self._note_due(rows[0][0])
        return facts

    async def cancel_job(self, job_id: int, now: float) -> int:
        """Cancel what is not being sent; returns how many deliveries that were.

        Raises:
            RefusedError: The job has ended, or is still being received.
            NotFoundError: There is no such job.
        """
        states = {JobState.OPEN, JobState.PAUSED, JobState.CANCELLED}
        facts = await self._set(job_id, states, JobState.CANCELLED)
        if facts.finished_at is not None:
            raise RefusedError("the job has ended", where=f"job {job_id}")
        return await self._end_all(job_id, State.CANCELLED, now)

    async def finish_cancels(self, now: float) -> int:
        """At start: cancel the rest of jobs whose cancelling a crash cut short."""
        rows = await self._db.write(lambda tx: tx.rows(sql("unfinished_cancels")))
        return sum([await self._end_all(job_id, State.CANCELLED, now) for (job_id,) in rows])

    async def expire_due(self, now: float, chunk: int | None = None) -> int:
        """Expire what is ready in jobs past their `expires_at`; returns how many at most a chunk.

        Call again while it returns something.
        """
        limit = chunk or self._options.chunk

        def op(tx: Tx) -> int:
            for (job_id,) in tx.rows(sql("past_expiry"), (ms(now),)):
                rows = tx.json(sql("ready_of_job"), (job_id, limit))
                return end_rows(tx, job_id, rows, (State.READY, State.EXPIRED), ms(now))
            return 0

        return await self._db.write(op, rows=limit)

    async def expire_spent(self, now: float) -> int:
        """Expire what has been retried for long enough in jobs whose end was put off.

        Their lanes wait for limits of our own; a delivery of theirs that a receiver defers has the
        lifetime of any other, from its first attempt. Walks what is ready of such jobs on the
        reading connection: to be called every few minutes, and again while it returns something.
        """
        limit = self._options.chunk
        for (job_id,) in await self._db.read(sql("put_off_jobs"), (ms(now),)):
            spent = await self._db.read_json(sql("spent"), (job_id, ms(now), limit))
            if spent:
                write = partial(_expire_still_ready, job_id, spent, ms(now))
                return await self._db.write(write, rows=len(spent))
        return 0

    async def free_held(self, job_id: int, now: float) -> int:
        """Send again what was held because it may have arrived; a person decided so."""
        limit = self._options.chunk

        def op(tx: Tx) -> int:
            rows = tx.json(sql("held_of_job"), (job_id, limit))
            tx.execute(sql("free_rows"), (pack(rows), ms(now)))
            moves = Moves()
            for _, lane in rows:
                moves.note(lane, job_id, CODE[State.HELD], CODE[State.READY])
                moves.due(lane, ms(now))
            moves.apply(tx)
            return len(rows)

        freed = 0
        while piece := await self._db.write(op, rows=limit):
            self._note_due(ms(now))
            freed += piece
        return freed

    async def drop_held(self, job_id: int, now: float) -> int:
        """Give up what was held: it becomes cancelled."""
        return await self._end_pieces(job_id, "held_of_job", State.HELD, State.CANCELLED, now)

    async def finished_jobs(self, limit: int = 100) -> list[JobFacts]:
        """Jobs with nothing pending whose result is not written yet, the oldest first."""
        return await self._jobs("jobs_ended", limit)

    async def mark_done(self, job_id: int, now: float) -> JobFacts:
        """The result is written: the job and its siblings have ended. Again, it changes nothing.

        Raises:
            RefusedError: Something of it is pending.
        """

        def op(tx: Tx) -> JobFacts:
            changed = tx.execute(sql("finish_job"), (job_id, ms(now)))
            found = select_jobs(tx, "jobs_by_id", job_id)
            if not found or not (changed or found[0].finished_at):
                raise RefusedError("the job cannot end now", where=f"job {job_id}")
            return found[0]

        return await self._db.write(op)

    async def _jobs(self, which: str, *params: object) -> list[JobFacts]:
        found = await self._db.read_json(f"{sql('job_columns')}\n{sql(which)}", params)
        return [job_facts(row) for row in found]

    async def _set(self, job_id: int, before: set[JobState], after: JobState) -> JobFacts:
        expected = pack(sorted(before))

        def op(tx: Tx) -> JobFacts:
            changed = tx.execute(sql("set_job_state"), (job_id, expected, str(after)))
            found = select_jobs(tx, "jobs_by_id", job_id)
            if not found:
                raise NotFoundError("there is no such job", where=f"job {job_id}")
            if not changed:
                raise RefusedError(
                    f"the job is {found[0].state}, it cannot become {after}",
                    where=f"job {job_id}",
                )
            return found[0]

        return await self._db.write(op)

    async def _end_all(self, job_id: int, after: State, now: float) -> int:
        ended = await self._end_pieces(job_id, "ready_of_job", State.READY, after, now)
        return ended + await self._end_pieces(job_id, "held_of_job", State.HELD, after, now)

    async def _end_pieces(
        self, job_id: int, which: str, before: State, after: State, now: float
    ) -> int:
        limit = self._options.chunk

        def op(tx: Tx) -> int:
            rows = tx.json(sql(which), (job_id, limit))
            return end_rows(tx, job_id, rows, (before, after), ms(now))

        ended = 0
        while piece := await self._db.write(op, rows=limit):
            ended += piece
        return ended


def _expire_still_ready(job_id: int, rows: Sequence[Sequence[Any]], at: int, tx: Tx) -> int:
    ready = set(tx.json(sql("still_ready"), (pack([id_ for id_, _ in rows]),)))
    ending = [row for row in rows if row[0] in ready]
    return end_rows(tx, job_id, ending, (State.READY, State.EXPIRED), at)
