"""Keeps what the engine learns and counts across restarts.

```
start:  queue -> scheduler           every COUNTS_EVERY: counts that moved -> queue
                                     every minute, and at the end: what was learned -> queue
```

A kill loses the counts of the last `COUNTS_EVERY` at most: a cap of 500 a day may be passed by what
went out in those seconds, never by a second 500.
"""

import asyncio
from collections.abc import Callable, Iterable
from typing import Any, Final

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
from ekiden.slices import sliced

_log = structlog.get_logger()

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
        await self._queue.remember(Kind.PATH, await _encoded(scheduler.lessons()), now)
        roads = scheduler.roads.learned()
        await self._queue.remember(Kind.ROAD, await _encoded(roads.items()), now)
        gone = self._roads - roads.keys()
        if gone:
            await self._queue.unremember(Kind.ROAD, sorted(gone))
        self._roads = frozenset(roads)
        hours = scheduler.hours
        learned, hours.moved = hours.states(sorted(hours.moved)), set()
        await self._queue.remember(Kind.HOURS, await _encoded(learned.items()), now)
        retries = await _encoded(self._retries.states().items())
        await self._queue.remember(Kind.RETRIES, retries, now)
        await self.save_counts()

    async def save_counts(self) -> None:
        """Write the counts and warm-ups that have moved."""
        async for one in sliced(self._scheduler.counting.walk()):
            if one is not None:
                name, counts = one
                self._counts[name] = _json(counts)
        for name, state in self._ramps.moved().items():
            self._moved[name] = _json(state)
        await self._write(Kind.COUNT, self._counts)
        await self._write(Kind.RAMP, self._moved)

    async def _write(self, kind: Kind, waiting: dict[str, str]) -> None:
        """Write what waits; what the database refuses goes on waiting, unless it has moved on."""
        if not waiting:
            return
        taken = dict(waiting)
        waiting.clear()
        try:
            await self._queue.remember(kind, taken, self._now())
        except BaseException:
            for name, state in taken.items():
                waiting.setdefault(name, state)
            raise

    async def _read(self, kind: Kind, shape: Any) -> dict[str, Any]:
        kept = await self._queue.remembered(kind)
        return {name: msgspec.json.decode(text, type=shape) for name, text in kept.items()}


async def _encoded(states: Iterable[tuple[str, object]]) -> dict[str, str]:
    return {name: _json(state) async for name, state in sliced(states)}


def _json(state: object) -> str:
    return msgspec.json.encode(state).decode()
