"""What each source sends in a day, kept for a month; a job that departs from it is pointed out.

It is told when the job comes in (an alert event; `forecast.foresight` has it kept with the job, for
its result, `ekiden job show`, the API and the dashboard); before, `ekiden submit` and `ekiden plan`
say the same (`forecast.steady`).

Counted are messages that were handed to a receiver, whatever it answered: that is what it sees.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Final

import msgspec
import structlog

from ekiden.engine.schedule.facts import SourceFacts
from ekiden.errors import UnavailableError
from ekiden.queue.memory import Kind
from ekiden.queue.model import Settlement
from ekiden.queue.queue import Queue
from ekiden.shaping.volume import DAYS, day_of, jumps

_log = structlog.get_logger()
EVERY: Final = 30.0  # seconds between writings


class Volumes:
    """Counts and compares.

    Args:
        queue: Where counts are kept.
        sources: The configured sources.
        now: The engine's clock.
    """

    def __init__(
        self,
        queue: Queue,
        sources: Callable[[], Sequence[SourceFacts]],
        *,
        now: Callable[[], float],
    ) -> None:
        self._queue = queue
        self._sources = sources
        self._now = now
        self._counts: dict[str, Counter[int]] = {}
        self._moved: set[str] = set()

    async def recall(self) -> None:
        """Continue from what was kept."""
        for source, text in (await self._queue.remembered(Kind.VOLUME)).items():
            self._counts[source] = Counter(msgspec.json.decode(text, type=dict[int, int]))

    def note(self, settlements: Sequence[Settlement]) -> None:
        """Count what was handed over."""
        today = day_of(self._now())
        for one in settlements:
            if one.attempt is not None and one.attempt.source and one.attempt.size:
                self._counts.setdefault(one.attempt.source, Counter())[today] += 1
                self._moved.add(one.attempt.source)

    def unusual(self, parts: Sequence[tuple[int, str]]) -> list[str]:
        """Return how far a job departs from what its sources usually send, in words.

        Args:
            parts: Its messages, and the pool that they leave from; of each set that rows chose.
        """
        sources = self._sources()
        shared = [
            (messages, [one.name for one in sources if pool in one.pools])
            for messages, pool in parts
        ]
        return [str(one) for one in jumps(shared, self._counts, day_of(self._now()))]

    async def run(self) -> None:
        """Write what moved, until cancelled."""
        while True:
            try:
                await self.save()
            except UnavailableError as error:
                _log.error("counts of volume wait for the disk", error=str(error))
            await asyncio.sleep(EVERY)

    async def save(self) -> None:
        """Write it now."""
        moved = {source: self._counts[source] for source in self._moved}
        if not moved:
            return
        oldest = day_of(self._now()) - DAYS
        states = {}
        for source, counts in moved.items():
            kept = {day: count for day, count in counts.items() if day >= oldest}
            states[source] = msgspec.json.encode(kept).decode()
        await self._queue.remember(Kind.VOLUME, states, self._now())
        self._moved -= moved.keys()
