"""Answers what `forecast_requests` asks; a part of `service.Control`."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Final

from ekiden.control import forecast_requests as asked
from ekiden.queue.memory import Kind
from ekiden.queue.model import JobFacts, JobState, Priority
from ekiden.queue.queue import Queue

_PAGE: Final = 5000
_KEPT: Final = (
    *(Kind.PATH, Kind.ROAD, Kind.COUNT, Kind.RAMP, Kind.HOURS, Kind.REACTION),
    *(Kind.VOLUME, Kind.RETRIES),
)


class ForecastAnswers:
    """Answers about what waits.

    Args:
        queue: The queue.
        save: Lets a running engine write down what it has learned; None when none runs.
    """

    def __init__(self, queue: Queue, save: Callable[[], Awaitable[None]] | None = None) -> None:
        self._queue = queue
        self._save = save

    def questions(self) -> dict[type, Callable[[Any], Awaitable[Any]]]:
        """Return what answers each question."""
        return {asked.WaitingJobs: self._jobs, asked.SentByDay: self._volumes}

    def listings(self) -> dict[type, Callable[[Any], AsyncIterator[Any]]]:
        """Return what answers each listing."""
        return {asked.WaitingLanes: self._lanes, asked.KeptStates: self._memory}

    async def _volumes(self, _: asked.SentByDay) -> dict[str, str]:
        return await self._queue.remembered(Kind.VOLUME)

    async def _jobs(self, _: asked.WaitingJobs) -> list[asked.WaitingJob]:
        return [_waiting(job) for job in await self._queue.jobs() if _sends(job)]

    async def _lanes(self, _: asked.WaitingLanes) -> AsyncIterator[asked.WaitingLane]:
        after = 0
        while page := await self._queue.lanes_waiting(after, _PAGE):
            for lane, job, destination, ready in page:
                yield asked.WaitingLane(job, destination, ready)
                after = lane

    async def _memory(self, _: asked.KeptStates) -> AsyncIterator[asked.KeptState]:
        if self._save is not None:
            await self._save()
        for kind in _KEPT:
            for name, state in (await self._queue.remembered(kind)).items():
                yield asked.KeptState(kind, name, state)


def _sends(job: JobFacts) -> bool:
    return job.state is JobState.OPEN and job.pending > 0


def _waiting(job: JobFacts) -> asked.WaitingJob:
    return asked.WaitingJob(
        id=job.id,
        name=job.name,
        bulk=job.priority is Priority.BULK,
        pool=job.pool,
        send_at=job.send_at,
        expires_at=job.expires_at,
        deliver_by=job.deliver_by,
        pace=job.pace,
        patience=job.patience,
        configuration_set=job.configuration_set,
        head=job.head,
    )
