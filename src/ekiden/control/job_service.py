"""Jobs: what there is, how far it is, and what a person does about it.

A job whose rows chose configuration sets is shown as one, with a line for each set: what is done to
the job is done to its siblings (spool/siblings.py). A sibling can be asked for by its number.
"""

from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, Protocol

import msgspec

from ekiden.control import requests
from ekiden.control.views import job_view
from ekiden.errors import RefusedError
from ekiden.queue.model import JobFacts, JobState
from ekiden.queue.queue import Queue

ROWS_MOST: Final = 10_000  # of one answer; it is one line on the wire


class LiveJobs(Protocol):
    """What the running engine tells of jobs, and what it is told."""

    def forecast(self, job_id: int) -> tuple[str, float | None]:
        """Return when a job will be done: in words, and the time; "" and None if not known."""
        ...

    def job_changed(self, job: JobFacts) -> None:
        """Hear that a job was paused, resumed or cancelled, or that held mail was released."""
        ...

    def scope_resumed(self, scope: str) -> None:
        """Hear that what had been stopped may send again."""
        ...


class JobAnswers:
    """Answers about jobs.

    Args:
        queue: The queue.
        live: The running engine; None when there is none.
        clock: UNIX seconds.
    """

    def __init__(self, queue: Queue, live: LiveJobs | None, clock: Callable[[], float]) -> None:
        self._queue = queue
        self._live = live
        self._clock = clock

    def questions(self) -> dict[type, Callable[[Any], Awaitable[Any]]]:
        """Return what answers each question."""
        return {
            requests.Jobs: self._jobs,
            requests.ShowJob: self._show,
            requests.PauseJob: self._pause,
            requests.ResumeJob: self._resume,
            requests.CancelJob: self._cancel,
            requests.ReleaseJob: self._release,
        }

    def changed(self, job: JobFacts) -> requests.JobView:
        """Tell the engine of a job that was changed; returns it as commands see it."""
        if self._live:
            self._live.job_changed(job)
        return job_view(job)

    async def _jobs(self, request: requests.Jobs) -> list[requests.JobView]:
        try:
            states = [JobState(state) for state in request.states]
        except ValueError:
            names = ", ".join(JobState)
            raise RefusedError("there is no such state of a job", remedy=f"use {names}") from None
        found = await self._queue.heads(states, min(request.limit, ROWS_MOST))
        siblings: dict[int, list[JobFacts]] = defaultdict(list)
        if heads := [job.id for job in found if job.siblings]:
            for one in await self._queue.siblings(*heads):
                siblings[one.head].append(one)
        return [self._view(job, siblings[job.id]) for job in found]

    async def _show(self, request: requests.ShowJob) -> requests.JobView:
        job, *siblings = await self._members(request.job)
        return await self._whole(job, siblings)

    async def _pause(self, request: requests.PauseJob) -> requests.JobView:
        members = await self._members(request.job)
        return await self._each(members, JobState.OPEN, self._queue.pause_job)

    async def _resume(self, request: requests.ResumeJob) -> requests.JobView:
        members = await self._members(request.job)
        return await self._each(members, JobState.PAUSED, self._resumed)

    async def _resumed(self, job_id: int) -> JobFacts:
        # Resuming a job that its own bounces stopped is the person's decision about these, too.
        scope = f"job:{job_id}"
        resumed = await self._queue.resume_scope(scope, self._clock())
        if resumed is not None and self._live:
            self._live.scope_resumed(scope)
        return resumed[0] if resumed else await self._queue.resume_job(job_id)

    async def _cancel(self, request: requests.CancelJob) -> requests.JobView:
        members = await self._members(request.job)
        for job in members:
            await self._queue.cancel_job(job.id, self._clock())
        return await self._told(members[0].id)

    async def _release(self, request: requests.ReleaseJob) -> requests.JobView:
        members = await self._members(request.job)
        act = self._queue.drop_held if request.drop else self._queue.free_held
        if not sum([await act(job.id, self._clock()) for job in members]):
            raise RefusedError("nothing of this job is held", where=f"job {members[0].id}")
        return await self._told(members[0].id)

    async def _members(self, key: int | str) -> list[JobFacts]:
        """Return a job, then its siblings."""
        job = await self._queue.job(key)
        return [job, *(await self._queue.siblings(job.id) if job.siblings else ())]

    async def _each(
        self,
        members: Sequence[JobFacts],
        before: JobState,
        act: Callable[[int], Awaitable[JobFacts]],
    ) -> requests.JobView:
        """Do something to those of a job's members that are in a state.

        None of them is: it is done to the job, which says why it cannot be.
        """
        first = members[0]
        for job in [one for one in members if one.state is before] or [first]:
            await act(job.id)
        return await self._told(first.id)

    async def _told(self, job_id: int) -> requests.JobView:
        """Tell the engine of a job that was changed, and of its siblings."""
        job, *siblings = await self._members(job_id)
        for one in (job, *siblings):
            if self._live:
                self._live.job_changed(one)
        return await self._whole(job, siblings)

    async def _whole(self, job: JobFacts, siblings: Sequence[JobFacts]) -> requests.JobView:
        """Return a job with what was said of it when it came in."""
        found = await self._queue.verdict(job.id)
        return msgspec.structs.replace(
            self._view(job, siblings),
            verdict="" if found is None else found["words"],
            volume=tuple(await self._queue.jumps(job.id)),
        )

    def _view(self, job: JobFacts, siblings: Sequence[JobFacts]) -> requests.JobView:
        if not self._live:
            return job_view(job, siblings=siblings)
        ahead = [self._live.forecast(one.id) for one in (job, *siblings)]
        # The end of a job is that of the last of its siblings; one without an end has none.
        last = max((one for one in ahead if one[0]), key=_end, default=("", None))
        return job_view(job, last, siblings)


def _end(forecast: tuple[str, float | None]) -> float:
    return float("inf") if forecast[1] is None else forecast[1]
