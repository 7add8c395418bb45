"""History: the outbox that the event log reads, and folding away what is old.

`attempt` rows have rising numbers without a hole that could fill later: one writer, one transaction
after the other. A reader keeps its place with `set_mark`; `fold` never deletes what a reader that
has a mark has not passed.
"""

from collections.abc import Sequence
from typing import Final

from ekiden.queue.part import Part, sql
from ekiden.queue.rows import attempt_record, ms, seconds
from ekiden.queue.shown import AcceptedRow, AttemptRecord
from ekiden.store.transaction import Tx

_JOB_ROWS: Final = 20  # what the end of a job costs, in rows of a delivery


class History(Part):
    """What happened, in order."""

    async def attempts_after(self, seq: int, limit: int) -> list[AttemptRecord]:
        """What happened after number `seq`, the oldest first, all jobs together."""
        statement = f"{sql('attempt_columns')}\n{sql('attempts_after')}"
        return [attempt_record(row) for row in await self._db.read_json(statement, (seq, limit))]

    async def accepted_after(self, delivery_id: int, limit: int) -> list[AcceptedRow]:
        """Deliveries that opened jobs brought in, in the order of their ids.

        It stops before the first delivery of a job that is still being received, so that a reader
        who only keeps the last id misses none.
        """
        found = await self._db.read_json(sql("accepted_after"), (delivery_id, limit))
        return [
            AcceptedRow(
                id=id_,
                job_id=job_id,
                recipient=recipient,
                destination=destination,
                row=line,
                at=seconds(at),
            )
            for id_, job_id, recipient, destination, line, at in found
        ]

    async def mark(self, reader: str) -> int:
        """The place a reader of the outbox has kept; 0 at first."""
        rows = await self._db.read(sql("mark"), (reader,))
        return int(rows[0][0]) if rows else 0

    async def set_mark(self, reader: str, seq: int) -> None:
        """Keep a reader's place: everything up to `seq` may be folded as far as it goes."""
        await self._db.write(lambda tx: tx.execute(sql("set_mark"), (reader, seq)))

    async def fold(self, now: float, keep_seconds: float, chunk: int | None = None) -> int:
        """Delete a piece of the deliveries and history of jobs that ended long ago.

        The job, its counts and its identity stay: the same job again is still the same job. A job
        of one message costs more than a row, since it has lanes and content of its own; it is
        counted as `_JOB_ROWS` rows.

        Args:
            now: UNIX seconds.
            keep_seconds: Jobs that ended less than this long ago are kept whole.
            chunk: Rows at most.

        Returns:
            How much was deleted; call again, with a pause, while it is more than 0.
        """
        limit = chunk or self._options.chunk
        before = ms(now - keep_seconds)
        return await self._db.write(lambda tx: _fold(tx, before, limit, ms(now)), rows=limit)


def _fold(tx: Tx, before: int, limit: int, now: int) -> int:
    """Fold pieces until they are `limit` rows together; returns how many."""
    done = 0
    while done < limit:
        found = tx.one(sql("foldable"), (before,))
        if found is None:
            break
        job_id: int = found[0]
        piece = tx.one(sql("piece_of_run"), (job_id, limit - done))
        if piece is not None:
            rows = _fold_rows(tx, piece)
        else:
            rows = _fold_lanes(tx, job_id, limit - done, now)
        if not rows:
            break  # a reader of the outbox has not come so far
        done += rows
    return done


def _fold_lanes(tx: Tx, job_id: int, limit: int, now: int) -> int:
    lanes = tx.execute(sql("drop_lanes"), (job_id, limit))
    if lanes < limit:
        tx.execute(sql("drop_content"), (job_id,))
        tx.execute(sql("mark_folded"), (job_id, now))
    return lanes + _JOB_ROWS


def _fold_rows(tx: Tx, piece: Sequence[int]) -> int:
    run_id, first, last, end = piece
    if tx.rows(sql("unread_attempt"), (first, last))[0][0]:
        return 0
    tx.execute(sql("drop_attempts"), (first, last))
    tx.execute(sql("drop_payloads"), (first, last))
    tx.execute(sql("drop_seen"), (first, last))
    deleted = tx.execute(sql("drop_deliveries"), (first, last))
    if last == end:
        tx.execute(sql("drop_run"), (run_id,))
    else:
        tx.execute(sql("shorten_run"), (run_id, last + 1))
    return max(deleted, 1)
