"""The counters of lanes and jobs, moved in the same transaction as the rows they count.

Every transition of a batch is noted here and applied as two statements, one for lanes and one for
jobs: exact like triggers, at a cost per batch and not per row. CHECK constraints (no counter below
zero, their sum is the job's total) stop a transition that was noted wrongly.
"""

from ekiden.queue.rows import STATES
from ekiden.store.database import Database
from ekiden.store.transaction import Tx, pack


class Moves:
    """What changed in one transaction."""

    __slots__ = ("_due", "_jobs", "_lanes")

    def __init__(self) -> None:
        self._lanes: dict[int, list[int]] = {}
        self._jobs: dict[int, list[int]] = {}
        self._due: dict[int, int] = {}

    def note(self, lane_id: int, job_id: int, before: int, after: int, number: int = 1) -> None:
        """`number` deliveries of a lane went from one state code to another."""
        for table, key in ((self._lanes, lane_id), (self._jobs, job_id)):
            counts = table.get(key)
            if counts is None:
                counts = table[key] = [0] * len(STATES)
            counts[before] -= number
            counts[after] += number

    def due(self, lane_id: int, due_at: int) -> None:
        """A delivery of the lane waits again, until `due_at` (stored milliseconds)."""
        known = self._due.get(lane_id)
        self._due[lane_id] = due_at if known is None else min(known, due_at)

    @property
    def earliest(self) -> int | None:
        """The first due time that was noted."""
        return min(self._due.values(), default=None)

    def apply(self, tx: Tx) -> None:
        """Write the sums."""
        if self._lanes:
            lanes = [[lane, self._due.get(lane), *n] for lane, n in self._lanes.items()]
            tx.execute(Database.sql("queue", "move_lanes"), (pack(lanes),))
        if self._jobs:
            jobs = [[job, *counts] for job, counts in self._jobs.items()]
            tx.execute(Database.sql("queue", "move_jobs"), (pack(jobs),))
