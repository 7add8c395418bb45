"""Insight: what went wrong with a job, and what the operator was told last. Read-only."""

from dataclasses import dataclass

from ekiden.queue.model import State
from ekiden.queue.part import Part, sql
from ekiden.queue.reports import Notice
from ekiden.queue.rows import STATES, seconds


@dataclass(frozen=True, slots=True)
class Failure:
    """Deliveries of a job that share a fate and a reason.

    Args:
        state: Where they are; `READY`: they were tried and will be again.
        klass: The bounce class; "" where there was none (cancelled before an attempt).
        rule: The rule that decided.
        number: How many.
        code: The code of one of the replies; 0 for none.
        reply: One of the replies, printable.
    """

    state: State
    klass: str
    rule: str
    number: int
    code: int
    reply: str


class Insight(Part):
    """Questions; nothing here writes."""

    async def failures(self, job_id: int, limit: int = 100) -> list[Failure]:
        """Why deliveries of a job have not arrived, the most frequent reason first.

        It looks at every delivery of the job: a third of a second for a million.
        """
        found = await self._db.read_json(sql("failures"), (job_id, limit))
        return [Failure(STATES[state], *rest) for state, *rest in found]

    async def newest_notices(self, limit: int) -> list[Notice]:
        """What the operator was told last, the newest first."""
        rows = await self._db.read(sql("newest_notices"), (limit,))
        return [Notice(id_, seconds(at), scope, job, text) for id_, at, scope, job, text in rows]

    async def job_of_spool(self, name: str) -> int | None:
        """The job that an entry of the spool became; None if it is none (yet)."""
        rows = await self._db.read(sql("job_of_spool"), (name,))
        found: int | None = rows[0][0]
        return found
