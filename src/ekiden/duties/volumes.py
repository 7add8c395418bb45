"""What each source sends in a day, kept for a month; a job that departs from it is pointed out.

It is told when the job comes in (the log, an alert event) and stands in its result and in `ekiden
job show`; before, `ekiden submit` and `ekiden plan` say the same (`forecast.steady`).

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
from ekiden.queue.model import JobFacts, Settlement
from ekiden.queue.queue import Queue
from ekiden.shaping.volume import DAYS, Jump, day_of, jumps

_log = structlog.get_logger()
EVERY: Final = 30.0  # seconds between writings


class Volumes:
    """Counts and compares.

    Args:
        queue: Where counts are kept and alerts go.
        sources: The configured sources.
        now: The engine's clock.
        told: Hears that there is an alert for the event log.
    """

    def __init__(
        self,
        queue: Queue,
        sources: Callable[[], Sequence[SourceFacts]],
        *,
        now: Callable[[], float],
        told: Callable[[], None],
    ) -> None:
        self._queue = queue
        self._sources = sources
        self._now = now
        self._told = told
        self._counts: dict[str, Counter[int]] = {}
        self._moved: set[str] = set()
        self._notices: list[tuple[int, str]] = []
        self._found: dict[str, str] = {}  # by job, for its result; not written yet
        self._wake = asyncio.Event()

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

    def opened(self, job: JobFacts) -> list[Jump]:
        """Point out a job that departs far from what its sources usually send."""
        mine = [one.name for one in self._sources() if job.pool in one.pools]
        found = jumps(job.total, mine, self._counts, day_of(self._now()))
        for one in found:
            _log.warning("a jump in volume", job=job.name, detail=str(one))
            self._notices.append((job.id, f"volume: {one}"))
        if found:
            self._found[str(job.id)] = msgspec.json.encode([str(one) for one in found]).decode()
            self._wake.set()
        return found

    async def run(self) -> None:
        """Write what moved and what is to be told, until cancelled."""
        while True:
            self._wake.clear()
            try:
                await self.save()
            except UnavailableError as error:
                _log.error("counts of volume wait for the disk", error=str(error))
            try:
                async with asyncio.timeout(EVERY):
                    await self._wake.wait()
            except TimeoutError:
                continue

    async def save(self) -> None:
        """Write them now."""
        if self._found:
            found = dict(self._found)
            await self._queue.remember(Kind.JUMP, found, self._now())
            for job_id in found:
                del self._found[job_id]
        while self._notices:
            job, detail = self._notices[0]
            await self._queue.notice(f"job:{job}", detail, self._now(), job)
            del self._notices[0]
            self._told()
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
