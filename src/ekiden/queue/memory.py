"""What the engine has learned and counted, kept across restarts.

A window found by asking carefully would have to be found again after every restart, by pushing
receivers that have said where their limit is; a day's allowance would begin anew. What is kept is
JSON by kind and name; its owner knows its shape. What is not written for long is forgotten: the
receiver has forgotten it too.
"""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any, Final

import msgspec

from ekiden.queue.model import Foretold
from ekiden.queue.part import Part, sql
from ekiden.queue.rows import ms
from ekiden.store.transaction import Tx, pack

_DAY: Final = 86_400.0


class Kind(StrEnum):
    """What is kept."""

    PATH = "path"  # what was learned of a path
    ROAD = "road"  # what is known of a source at a provider
    COUNT = "count"  # what a scope counted of its hours and days
    RAMP = "ramp"  # a source's warm-up at a provider
    HOURS = "hours"  # deferrals of a provider by hour of the day
    RETRIES = "retries"  # deferrals of a provider's first tries and later ones
    FORECAST = "forecast"  # what was said of a job with a deadline when it came in
    CAME_BACK = "came_back"  # bounces and complaints that came later, of a source at a provider
    VOLUME = "volume"  # what a source sent by day
    JUMP = "jump"  # how far a job departs from what its sources usually send, in words
    REACTION = "reaction"  # what is done for a while about what a receiver said


FORGOTTEN: Final = {  # seconds after the last writing; what is not named stays
    Kind.PATH: 30 * _DAY,
    Kind.ROAD: 30 * _DAY,
    Kind.HOURS: 90 * _DAY,
    Kind.RETRIES: 90 * _DAY,
    Kind.VOLUME: 60 * _DAY,
    Kind.FORECAST: 90 * _DAY,
    Kind.JUMP: 90 * _DAY,
    Kind.COUNT: 2 * _DAY,  # no rate is over more than a day
}


class Memory(Part):
    """Reads and writes what the engine keeps."""

    async def remember(self, kind: Kind, states: Mapping[str, str], now: float) -> None:
        """Keep states; names that are not given keep what they have.

        Args:
            kind: What they are.
            states: JSON by name.
            now: UNIX seconds.
        """
        await self._db.write(lambda tx: keep(tx, kind, states, now), rows=len(states))

    async def unremember(self, kind: Kind, names: Sequence[str]) -> None:
        """Drop what was kept under some names."""
        values = (kind, pack(list(names)))
        await self._db.write(lambda tx: tx.execute(sql("drop_memory"), values))

    async def remembered(self, kind: Kind) -> dict[str, str]:
        """Return what was kept of a kind, as JSON by name."""
        rows = await self._db.read(sql("memory"), (kind,))
        return {str(name): str(state) for name, state in rows}

    async def found_limits(self, most: int) -> dict[str, str]:
        """Return what was learned of paths that have found a rate or a length, the latest first."""
        rows = await self._db.read(sql("found_limits"), (Kind.PATH, most))
        return {str(name): str(state) for name, state in rows}

    async def verdict(self, job_id: int) -> dict[str, Any] | None:
        """Return what was foreseen of a job with a deadline when it came in; None if nothing."""
        rows = await self._db.read(sql("memory_of"), (Kind.FORECAST, str(job_id)))
        return None if not rows else msgspec.json.decode(rows[0][0], type=dict[str, Any])

    async def jumps(self, job_id: int) -> list[str]:
        """Return how far a job departs from what its sources usually send; [] if it does not."""
        rows = await self._db.read(sql("memory_of"), (Kind.JUMP, str(job_id)))
        return [] if not rows else msgspec.json.decode(rows[0][0], type=list[str])

    async def came_back(self) -> dict[str, tuple[int, int]]:
        """Return the bounces and complaints that ever came later, by road."""
        rows = await self.remembered(Kind.CAME_BACK)
        return {road: _pair(counts) for road, counts in rows.items()}


def keep(tx: Tx, kind: Kind, states: Mapping[str, str], now: float) -> None:
    """Keep states inside a transaction, as `Memory.remember` does."""
    tx.execute(sql("remember"), (kind, pack(list(states.items())), ms(now)))
    limit = FORGOTTEN.get(kind)
    if limit is not None:
        tx.execute(sql("forget_memory"), (kind, ms(now - limit)))


def keep_foretold(tx: Tx, job_id: int, told: Foretold, now: float) -> None:
    """Keep what was said of a job, inside the transaction that opens it."""
    if told.forecast:
        keep(tx, Kind.FORECAST, {str(job_id): told.forecast}, now)
    if told.volume:
        volume = msgspec.json.encode(told.volume).decode()
        keep(tx, Kind.JUMP, {str(job_id): volume}, now)


def count_road(tx: Tx, road: str, bounced: int, complained: int, now: int) -> None:
    """Count what came back later from a road, inside a transaction; `now` in milliseconds."""
    tx.execute(sql("count_road"), (Kind.CAME_BACK, road, bounced, complained, now))


def _pair(text: str) -> tuple[int, int]:
    return msgspec.json.decode(text, type=tuple[int, int])
