"""What the daemon does beside sending: expiring, folding, sweeping, remembering, keeping time.

One loop, half a second apart, on the event loop but never long on it: each step is a bounded piece
of work in the database or a thread. Jobs are ended by `spool.report`, when their answer is written.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

import structlog

from ekiden.engine.clock import Clock
from ekiden.errors import UnavailableError
from ekiden.queue.queue import Queue

_log = structlog.get_logger()

INTERVAL: Final = 0.5  # seconds between rounds
_FOLD_EVERY: Final = 60.0  # seconds between foldings when the last one found nothing more
_SPENT_EVERY: Final = 300.0  # seconds between looks at jobs whose end was put off
_CLOCK_EVERY: Final = 5.0
_SWEEP_EVERY: Final = 3600.0


@dataclass(frozen=True, slots=True)
class UpkeepOptions:
    """What upkeep needs of the configuration.

    Args:
        keep: Seconds that the deliveries of finished jobs stay in the database.
        keep_answers: Seconds that answers stay in the spool; 0 for ever.
    """

    keep: float
    keep_answers: float


class Upkeep:
    """Runs the rounds.

    Args:
        queue: The queue.
        clock: The engine's clock; kept in step with the wall here.
        options: From the configuration.
        due: Hears that deliveries were taken away.
        save: Saves what was learned of paths, from time to time.
        sweep: Removes old answers from the spool; takes the time before which they are old.
        forget: Deletes one piece of the records of consent that were kept long enough; takes the
            time, says how many.
    """

    def __init__(
        self,
        queue: Queue,
        clock: Clock,
        options: UpkeepOptions,
        *,
        due: Callable[[], None],
        save: Callable[[], Awaitable[None]],
        sweep: Callable[[float], int],
        forget: Callable[[float], Awaitable[int]],
    ) -> None:
        self._queue = queue
        self._clock = clock
        self._options = options
        self._due = due
        self._save = save
        self._sweep = sweep
        self._forget = forget
        self._spent_at = 0.0
        self._sweep_at = 0.0
        self._forget_at = 0.0
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
        if now >= self._spent_at:
            spent = await self._queue.expire_spent(now)
            self._spent_at = now + (0.0 if spent else _SPENT_EVERY)
        if now >= self._fold_at:
            folded = await self._queue.fold(now, self._options.keep)
            self._fold_at = now + (0.0 if folded else _FOLD_EVERY)
            await self._save()
            await self._queue.forget_reports(now)
            await self._queue.forget_reactions(now - self._options.keep)
        if now >= self._forget_at:
            forgotten = await self._forget(now)
            self._forget_at = now + (0.0 if forgotten else _SWEEP_EVERY)
        if now >= self._sweep_at and self._options.keep_answers:
            self._sweep_at = now + _SWEEP_EVERY
            await asyncio.to_thread(self._sweep, now - self._options.keep_answers)
        if now >= self._clock_at:
            self._clock_at = now + _CLOCK_EVERY
            difference = self._clock.follow()
            if Clock.large(difference):
                _log.warning("the system clock jumped; followed slowly", seconds=difference)
