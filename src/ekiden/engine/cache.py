"""Answers kept while they live, never more than a bound, each asked for once at a time."""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

Value = TypeVar("Value")


class Cache(Generic[Value]):
    """Values by name, each with its time of death; the least recently used goes first.

    Args:
        most: The most entries that are kept.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._entries: OrderedDict[str, tuple[Value, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, name: str, now: float) -> tuple[Value, float] | None:
        """Return the value and when it expires; None when there is none, or it has."""
        entry = self._entries.get(name)
        if entry is None:
            return None
        if entry[1] <= now:
            del self._entries[name]
            return None
        self._entries.move_to_end(name)
        return entry

    def put(self, name: str, value: Value, expires: float) -> None:
        """Keep `value` until `expires`."""
        self._entries[name] = (value, expires)
        self._entries.move_to_end(name)
        if len(self._entries) > self._most:
            self._entries.popitem(last=False)

    def clear(self) -> None:
        """Forget everything."""
        self._entries.clear()


class Asked(Generic[Value]):
    """A cache in front of a question: what is not kept is asked for, once for all who wait.

    Args:
        find: Asks; returns the value and its time to live in seconds.
        clock: Monotonic seconds.
        most: The most entries that are kept.
    """

    def __init__(
        self,
        find: Callable[[str], Awaitable[tuple[Value, float]]],
        clock: Callable[[], float],
        most: int,
    ) -> None:
        self._find = find
        self._clock = clock
        self._cache: Cache[Value] = Cache(most)
        self._flights: dict[str, asyncio.Task[tuple[Value, float]]] = {}

    async def get(self, name: str) -> tuple[Value, float]:
        """Return the value for `name`, and when it expires.

        An asker that is cancelled leaves the question to the others.
        """
        kept = self._cache.get(name, self._clock())
        if kept is not None:
            return kept
        flight = self._flights.get(name)
        if flight is None:
            flight = asyncio.create_task(self._fly(name), name=f"ask {name}")
            self._flights[name] = flight
            flight.add_done_callback(lambda _: self._flights.pop(name, None))
        return await asyncio.shield(flight)

    def clear(self) -> None:
        """Forget every answer; questions under way are not stopped."""
        self._cache.clear()

    async def _fly(self, name: str) -> tuple[Value, float]:
        value, seconds = await self._find(name)
        expires = self._clock() + seconds
        self._cache.put(name, value, expires)
        return value, expires
