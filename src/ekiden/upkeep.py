"""What the daemon does beside sending: ending jobs, expiring, folding, remembering, looking after.

One loop, a second apart, on the event loop but never long on it: each step is a bounded piece of
work in the database. A job ends here: when nothing of it waits any more its report is written into
the spool, and only then is it marked done, so a crash between the two writes the report again.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

import structlog

from ekiden.engine.clock import Clock
from ekiden.errors import UnavailableError
from ekiden.queue.model import JobFacts
from ekiden.queue.queue import Queue

_log = structlog.get_logger()

INTERVAL: Final = 0.5  # seconds between rounds
_FOLD_EVERY: Final = 60.0  # seconds between foldings when the last one found nothing more
_CLOCK_EVERY: Final = 5.0


@dataclass(frozen=True, slots=True)
class UpkeepOptions:
    """What upkeep needs of the configuration.

    Args:
        keep: Seconds that the deliveries of finished jobs stay in the database.
    """

    keep: float


class Upkeep:
    """Runs the rounds.

    Args:
        queue: The queue.
        clock: The engine's clock; kept in step with the wall here.
        options: From the configuration.
        report: Writes a finished job's report.
        changed: Hears that a job ended.
        due: Hears that deliveries became due or were taken away.
        save: Saves what was learned of paths, from time to time.
    """

    def __init__(
        self,
        queue: Queue,
        clock: Clock,
        options: UpkeepOptions,
        *,
        report: Callable[[JobFacts], Awaitable[None]],
        changed: Callable[[JobFacts], None],
        due: Callable[[], None],
        save: Callable[[], Awaitable[None]],
    ) -> None:
        self._queue = queue
        self._clock = clock
        self._options = options
        self._report = report
        self._changed = changed
        self._due = due
        self._save = save
        self._fold_at = 0.0
        self._clock_at = 0.0
        self._trouble = False

    async def run(self) -> None:
        """Run until cancelled."""
        while True:
            try:
                await self.round()
                self._trouble = False
            except UnavailableError as error:
                if not self._trouble:
                    _log.error("upkeep waits for the disk", error=str(error))
                self._trouble = True
            await asyncio.sleep(INTERVAL)

    async def round(self) -> None:
        """Do everything that is due once."""
        now = self._clock.now()
        await self._queue.finish_cancels(now)
        if await self._queue.expire_due(now):
            self._due()
        for job in await self._queue.finished_jobs():
            await self._end(job)
        if now >= self._fold_at:
            folded = await self._queue.fold(now, self._options.keep)
            self._fold_at = now + (0.0 if folded else _FOLD_EVERY)
            await self._save()
        if now >= self._clock_at:
            self._clock_at = now + _CLOCK_EVERY
            difference = self._clock.follow()
            if Clock.large(difference):
                _log.warning("the system clock jumped; followed slowly", seconds=difference)

    async def _end(self, job: JobFacts) -> None:
        await self._report(job)
        done = await self._queue.mark_done(job.id, self._clock.now())
        self._changed(done)
        _log.info(
            "job done",
            job=job.name,
            uid=job.uid,
            **{str(state): count for state, count in done.counts.items() if count},
        )
