"""What holds mail back by somebody's word: suspensions by people, scopes stopped by their rates.

The queue remembers both; the scheduler, the sources and the jobs must follow. Here is the one place
that makes them follow:

* a suspension names destinations, sites or providers; the scheduler is told of each when it is made
  or lifted, and what had been put aside meanwhile is offered again;
* a stopped scope is a source (taken away from the scheduler), a provider (suspended) or something
  that jobs belong to (they are paused in the queue).
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from ekiden.engine.dispatcher import Dispatcher
from ekiden.engine.schedule.facts import SourceFacts
from ekiden.engine.scheduler import Scheduler
from ekiden.errors import UnavailableError
from ekiden.queue.queue import Queue

_SUSPENSIONS_EVERY: Final = 20.0
_REFUSED_EVERY: Final = 5.0


class Holds:
    """Makes the engine follow what people and rates have stopped.

    Args:
        queue: Remembers suspensions, and pauses jobs.
        scheduler: Is told.
        dispatcher: Is asked to look again.
        now: The time, UNIX seconds.
        sources: Returns the configured sources.
        stopped: The stopped scopes, each with its reason; `Standings` keeps it.
    """

    def __init__(
        self,
        queue: Queue,
        scheduler: Scheduler,
        dispatcher: Dispatcher,
        *,
        now: Callable[[], float],
        sources: Callable[[], Sequence[SourceFacts]],
        stopped: Mapping[str, str],
    ) -> None:
        self._queue = queue
        self._scheduler = scheduler
        self._dispatcher = dispatcher
        self._now = now
        self._sources = sources
        self._stopped = stopped
        self._followed: set[str] = set()  # the patterns that the scheduler was told
        self._suspensions_due = asyncio.Event()
        self._all_due = asyncio.Event()

    async def recall(self) -> None:
        """Suspend again what was suspended when the last run ended."""
        for one in await self._queue.suspensions():
            self._suspend(one.pattern, one.until, one.reason)
            self._followed.add(one.pattern)

    async def run(self) -> None:
        """Follow until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._watch_suspensions(), name="suspensions")
            group.create_task(self._look_again(), name="look again")

    def suspensions_changed(self) -> None:
        """Hear that a suspension was made or lifted."""
        self._suspensions_due.set()

    async def stop(self, scope: str, reason: str) -> None:
        """Let nothing more leave that belongs to a scope."""
        kind, _, name = scope.partition(":")
        if kind == "source":
            self.set_sources()
        elif kind == "provider":
            self._scheduler.suspend(name, float("inf"), f"stopped: {reason}", self._now())
        else:
            for job in await self._queue.stop_jobs(scope):
                self._dispatcher.job_changed(job)
        self._dispatcher.poke()

    def release(self, scope: str) -> None:
        """Let go of a scope; its jobs are resumed by the person who resumed it."""
        kind, _, name = scope.partition(":")
        if kind == "source":
            self.set_sources()
        elif kind == "provider":
            self._scheduler.unsuspend(name, self._now())
        self.look_at_all()

    def set_sources(self) -> None:
        """Give the scheduler the sources that are not stopped."""
        left = [one for one in self._sources() if f"source:{one.name}" not in self._stopped]
        self._scheduler.set_sources(left, self._now())

    def look_at_all(self) -> None:
        """Meet everything again that was put aside until a time: what held it may be over."""
        self._all_due.set()

    def _suspend(self, pattern: str, until: float | None, reason: str) -> None:
        end = float("inf") if until is None else until
        self._scheduler.suspend(pattern, end, reason, self._now())

    async def _watch_suspensions(self) -> None:
        """Keep the scheduler's suspensions those of the queue, and lift those that have run out."""
        while True:
            self._suspensions_due.clear()
            every = _SUSPENSIONS_EVERY
            try:
                await self._follow()
            except UnavailableError:
                every = _REFUSED_EVERY
            self._dispatcher.look()
            self._dispatcher.poke()
            try:
                async with asyncio.timeout(every):
                    await self._suspensions_due.wait()
            except TimeoutError:
                continue

    async def _follow(self) -> None:
        await self._queue.lift_lapsed(self._now())
        current = {one.pattern: one for one in await self._queue.suspensions()}
        for pattern in self._followed - current.keys():
            self._scheduler.unsuspend(pattern, self._now())
            # Until then the scheduler put lanes aside again that the queue had given back.
            await self._dispatcher.parked()
            await self._queue.look_again(pattern)
        for pattern in current.keys() - self._followed:
            one = current[pattern]
            self._suspend(pattern, one.until, one.reason)
        self._followed = set(current)

    async def _look_again(self) -> None:
        while True:
            await self._all_due.wait()
            self._all_due.clear()
            self._scheduler.unpark()
            await self._dispatcher.parked()
            try:
                await self._queue.look_again("*")
            except UnavailableError:
                self._all_due.set()
                await asyncio.sleep(_REFUSED_EVERY)
            self._dispatcher.look()
            self._dispatcher.poke()
