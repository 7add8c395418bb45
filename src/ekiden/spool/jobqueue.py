"""What intake needs of the queue: `ekiden.queue.queue.Queue` has it, and tests a stand-in."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from ekiden.queue.model import Foretold, JobFacts, NewJob, RefusedRow
from ekiden.queue.sheaf import Sheaf


class JobQueue(Protocol):
    """What intake needs of `ekiden.queue.queue.Queue`."""

    async def find_job(self, uid: str) -> JobFacts | None:
        """The job with this identity, or None."""

    async def add_job(self, job: NewJob) -> int:
        """Begin to receive a job."""

    async def sift(self, job: NewJob, rows: Sheaf) -> dict[str, str]:
        """Who of a batch is suppressed, and why, by address."""

    async def add_deliveries(self, job_id: int, rows: Sheaf, suppressed: Mapping[str, str]) -> int:
        """Add a batch to it, of which some will not be mailed."""

    async def open_job(
        self,
        job_id: int,
        now: float,
        *,
        refused: int,
        told: Sequence[RefusedRow] = (),
        foretold: Foretold = ...,
    ) -> JobFacts:
        """Accept it and its siblings: the commit point."""

    async def siblings(self, *jobs: int) -> list[JobFacts]:
        """The siblings of jobs."""

    async def submit_job(
        self,
        job: NewJob,
        rows: Sheaf,
        now: float,
        suppressed: Mapping[str, str],
        told: Sequence[RefusedRow] = (),
        *,
        foretold: Foretold = ...,
    ) -> JobFacts:
        """Add and open a small job in one transaction."""

    async def abandon_job(self, job_id: int) -> None:
        """Undo a job that was not opened."""

    async def abandon_receiving(self) -> list[str]:
        """At start: undo what a crash left half received."""
