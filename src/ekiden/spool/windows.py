"""A job's recipients, a window of them at a time, in batches that the queue inserts quickly."""

import time
from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import chain
from typing import Final

from ekiden import limits
from ekiden.queue.model import NewDelivery
from ekiden.queue.sheaf import sheaf_of
from ekiden.spool.answers import RefusalLog
from ekiden.spool.jobspec import JobError
from ekiden.spool.newjob import IntakeOptions
from ekiden.spool.recipients import Batch
from ekiden.spool.siblings import Piece, by_set

_PARTS: Final = 8  # of a window


class Rows:
    """A job's recipients, a window of them at a time; refused rows are written on the way.

    A window comes in batches of some of the destinations each, so that inserting one touches few
    pages of the queue. Rows in the order of the file touch those of every destination in every
    batch: with 5,000 of them 16 instead of 11 us of insertion per row (bench/intake.py).
    """

    def __init__(self, batches: Iterator[Batch], log: RefusalLog, options: IntakeOptions) -> None:
        self._batches = batches
        self._log = log
        self._window = options.window
        self._size = options.batch
        self._count = 0
        self.lanes: Counter[str] = Counter()  # so far, by destination
        self.ended = False

    def pull(self) -> list[Piece]:
        """Return the next rows in batches; an empty list is the end. Runs on a thread."""
        parts: list[list[NewDelivery]] = [[] for _ in range(_PARTS)]
        chosen: dict[int, str] = {}
        before = self._count
        while not self.ended and self._count - before < self._window:
            batch = next(self._batches, None)
            if batch is None:
                self.ended = True
                break
            self._log.add(batch.refused)
            chosen.update(batch.chosen)
            for row in batch.rows:
                parts[hash(row.destination) % _PARTS].append(row)
            self._count += len(batch.rows)
            if self._count > limits.RECIPIENTS:
                raise JobError.one(
                    f"A job takes at most {limits.RECIPIENTS:,} recipients.",
                    remedy="split it into several jobs",
                )
            _breathe()
        if self._count - before <= self._size:
            rows = sorted(chain.from_iterable(parts), key=_row)
            return self._tied(rows, chosen) if rows else []
        return [
            piece
            for part in parts
            for start in range(0, len(part), self._size)
            for piece in self._tied(part[start : start + self._size], chosen)
        ]

    def _tied(self, rows: list[NewDelivery], chosen: Mapping[int, str]) -> list[Piece]:
        pieces = [(name, sheaf_of(part)) for name, part in by_set(rows, chosen)]
        for _, sheaf in pieces:
            self.lanes.update(sheaf.lanes)
        _breathe()
        return pieces


def _breathe() -> None:
    """Let the event loop have the interpreter lock between two pieces of work."""
    time.sleep(0)


def _row(row: NewDelivery) -> int:
    return row.row
