"""What the parts of the queue share."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ekiden.queue.model import JobFacts, State
from ekiden.queue.moves import Moves
from ekiden.queue.rows import CODE, job_facts, seconds
from ekiden.store.database import Database
from ekiden.store.transaction import Tx, pack


@dataclass(frozen=True, slots=True)
class QueueOptions:
    """The queue's own numbers.

    Args:
        soft_bounces: So many soft bounces suppress an address,
        soft_bounce_days: if the first and the last are at least this many days apart.
        doubts: A delivery that may have arrived is sent again at most so many times, then held.
        chunk: Rows per transaction where work is cut into pieces.
    """

    soft_bounces: int = 5
    soft_bounce_days: float = 7.0
    doubts: int = 3
    chunk: int = 2000


def sql(name: str) -> str:
    """A statement of this room."""
    return Database.sql("queue", name)


class Part:
    """The database, the options, and the rewinding of the feeder's cursor.

    Every write that makes something due notes the earliest time here. The feeder asks
    `take_rewind()` before it looks at the timeline and moves its cursor back to it: what became due
    behind the cursor is then never missed, however long the commit took.
    """

    def __init__(self, db: Database, options: QueueOptions | None = None) -> None:
        self._db = db
        self._options = options or QueueOptions()
        self._rewind: int | None = None

    def take_rewind(self) -> float | None:
        """The earliest time that became due since the last call (UNIX seconds), or None."""
        found, self._rewind = self._rewind, None
        return None if found is None else seconds(found)

    def _note_due(self, due_at: int | None) -> float | None:
        if due_at is None:
            return None
        self._rewind = due_at if self._rewind is None else min(self._rewind, due_at)
        return seconds(due_at)


def select_jobs(tx: Tx, which: str, *params: object) -> list[JobFacts]:
    """The jobs that the statement `which` picks, inside a transaction."""
    found = tx.json(f"{sql('job_columns')}\n{sql(which)}", params)
    return [job_facts(row) for row in found]


def end_rows(
    tx: Tx, job_id: int, rows: Sequence[Sequence[Any]], change: tuple[State, State], at: int
) -> int:
    """Make rows final without a try, with their history and counts.

    Args:
        tx: The transaction.
        job_id: Their job.
        rows: `[delivery id, lane id]` of each, or `[delivery id, lane id, why]`.
        change: The state all of them are in, READY or HELD, and the final state they get.
        at: Stored milliseconds.

    Returns:
        How many.
    """
    if not rows:
        return 0
    before, after = change
    first = tx.rows(sql("last_seq"))[0][0] + 1
    batch = pack(
        [
            [id_, lane, first + place, *(why or ("",))]
            for place, (id_, lane, *why) in enumerate(rows)
        ]
    )
    tx.execute(sql("fates"), (batch, CODE[after], at))
    tx.execute(sql("end_rows"), (batch, CODE[after], at))
    moves = Moves()
    for _, lane, *_ in rows:
        moves.note(lane, job_id, CODE[before], CODE[after])
    moves.apply(tx)
    return len(rows)
