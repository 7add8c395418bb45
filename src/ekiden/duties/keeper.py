"""Keeps what the engine learns and counts across restarts.

```
start:  queue -> scheduler           every COUNTS_EVERY: counts that moved -> queue
                                     every minute, and at the end: what was learned -> queue
```

A kill loses the counts of the last `COUNTS_EVERY` at most: a cap of 500 a day may be passed by what
went out in those seconds, never by a second 500.
"""

import asyncio
from collections.abc import Callable
from typing import Any, Final, TypeVar

import msgspec
import structlog

from ekiden.engine.schedule.facts import Counts, Learned, RoadLearned
from ekiden.engine.scheduler import Scheduler
from ekiden.errors import UnavailableError
from ekiden.queue.memory import Kind
from ekiden.queue.queue import Queue
from ekiden.shaping.ramps import Ramps
from ekiden.shaping.retries import Deferrals, Retries
from ekiden.shaping.warmup import RampState

_log = structlog.get_logger()
_T = TypeVar("_T")

COUNTS_EVERY: Final = 3.0  # seconds


class Keeper:
    """Writes and reads it.

    Args:
        queue: Where it is kept.
        scheduler: Whose it is.
        ramps: The warm-ups.
        retries: What is learned of first and later tries.
        now: The engine's clock.
    """

    def __init__(
        self,
        queue: Queue,
        scheduler: Scheduler,
        ramps: Ramps,
        retries: Retries,
        now: Callable[[], float],
    ) -> None:
        self._queue = queue
        self._scheduler = scheduler
        self._now = now
        self._ramps = ramps
        self._retries = retries
        self._counts: dict[str, str] = {}  # not written yet
        self._moved: dict[str, str] = {}  # ramps likewise
        self._roads: frozenset[str] = frozenset()

    async def recall(self) -> None:
        """Let the scheduler continue from what was kept."""
        scheduler = self._scheduler
        scheduler.recall(await self._read(Kind.PATH, Learned))
        scheduler.roads.recall(await self._read(Kind.ROAD, RoadLearned))
        scheduler.counting.recall(await self._read(Kind.COUNT, Counts))
        self._ramps.recall(await self._read(Kind.RAMP, RampState))
        scheduler.roads.warm_up(self._ramps, self._now())
        scheduler.hours.recall(await self._read(Kind.HOURS, list[list[float]]))
        self._retries.recall(await self._read(Kind.RETRIES, Deferrals))

    async def run(self) -> None:
        """Write the counts that move, until cancelled."""
        trouble = False
        while True:
            await asyncio.sleep(COUNTS_EVERY)
            try:
                await self.save_counts()
                trouble = False
            except UnavailableError as error:
                if not trouble:
                    _log.error("counts of hours and days wait for the disk", error=str(error))
                trouble = True

    async def save(self) -> None:
        """Write everything."""
        scheduler, now = self._scheduler, self._now()
        await self._queue.remember(Kind.PATH, _encoded(scheduler.learned()), now)
        roads = scheduler.roads.learned()
        await self._queue.remember(Kind.ROAD, _encoded(roads), now)
        gone = self._roads - roads.keys()
        if gone:
            await self._queue.unremember(Kind.ROAD, sorted(gone))
        self._roads = frozenset(roads)
        hours = scheduler.hours
        learned, hours.moved = hours.states(sorted(hours.moved)), set()
        await self._queue.remember(Kind.HOURS, _encoded(learned), now)
        await self._queue.remember(Kind.RETRIES, _encoded(self._retries.states()), now)
        await self.save_counts()

    async def save_counts(self) -> None:
        """Write the counts and warm-ups that have moved."""
        self._counts.update(_encoded(self._scheduler.counting.moved()))
        if self._counts:
            await self._queue.remember(Kind.COUNT, self._counts, self._now())
            self._counts = {}
        self._moved.update(_encoded(self._ramps.moved()))
        if self._moved:
            await self._queue.remember(Kind.RAMP, self._moved, self._now())
            self._moved = {}

    async def _read(self, kind: Kind, shape: Any) -> dict[str, Any]:
        kept = await self._queue.remembered(kind)
        return {name: msgspec.json.decode(text, type=shape) for name, text in kept.items()}


def _encoded(states: dict[str, _T]) -> dict[str, str]:
    return {name: msgspec.json.encode(state).decode() for name, state in states.items()}
