"""What the daemon does beside sending: expiring, folding, sweeping, remembering, keeping time.

One loop, half a second apart, on the event loop but never long on it: each step is a bounded piece
of work in the database or a thread. What comes in pieces has its turn in every round for as long as
it finds something, and rests when it does not. Jobs are ended by `spool.report`, when their answer
is written.
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
_FOLD_EVERY: Final = 60.0  # seconds between looks for what is old when the last one found nothing
_SPENT_EVERY: Final = 300.0  # seconds between looks at jobs whose end was put off
_SAVE_EVERY: Final = 60.0
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


class _Pieces:
    """Work that is done a piece at a time.

    Args:
        work: Does a piece; takes the time, says how much that was.
        every: Seconds until it is tried again when there was nothing.
    """

    def __init__(self, work: Callable[[float], Awaitable[int]], every: float) -> None:
        self._work = work
        self._every = every
        self._at = 0.0

    async def once(self, now: float) -> int:
        """Do a piece if it is time; return how much that was."""
        if now < self._at:
            return 0
        done = await self._work(now)
        self._at = now + (0.0 if done else self._every)
        return done


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
        give_back: Gives one step's worth of the database's free room back to the disk; says how
            much it was.
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
        give_back: Callable[[], Awaitable[int]],
    ) -> None:
        self._queue = queue
        self._clock = clock
        self._options = options
        self._due = due
        self._save = save
        self._sweep = sweep
        self._fold = _Pieces(lambda now: queue.fold(now, options.keep), _FOLD_EVERY)
        self._others = (
            _Pieces(queue.expire_spent, _SPENT_EVERY),
            _Pieces(queue.forget_reports, _FOLD_EVERY),
            _Pieces(lambda now: queue.forget_reactions(now - options.keep), _FOLD_EVERY),
            _Pieces(forget, _SWEEP_EVERY),
        )
        self._room = _Pieces(lambda _: give_back(), _FOLD_EVERY)
        self._save_at = 0.0
        self._sweep_at = 0.0
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
        for pieces in self._others:
            await pieces.once(now)
        # Pages that would be moved to give back room may be freed by the next piece of folding.
        if not await self._fold.once(now):
            await self._room.once(now)
        if now >= self._save_at:
            self._save_at = now + _SAVE_EVERY
            await self._save()
        if now >= self._sweep_at and self._options.keep_answers:
            self._sweep_at = now + _SWEEP_EVERY
            await asyncio.to_thread(self._sweep, now - self._options.keep_answers)
        if now >= self._clock_at:
            self._clock_at = now + _CLOCK_EVERY
            difference = self._clock.follow()
            if Clock.large(difference):
                _log.warning("the system clock jumped; followed slowly", seconds=difference)
