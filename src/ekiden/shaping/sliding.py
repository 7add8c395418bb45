"""Places by count: so many in any second or so, for a rate that was found by asking. Pure.

Places exactly an interval apart (`track`) are lost where no session is there to use them. While
sessions wait for the rate nobody notices. But where they carry just what it allows, each that opens
or comes late for its place leaves a gap, and up to a seventh of the rate stays unused. A receiver
counts, and so does this: as many as exact places would come to in a second, in any span of so many
intervals, and no two closer than most of one. So what was missed is caught up within the second,
gently, and a receiver that counts over any second sees no more than from exact places. One a
second or less is exact: then one place is all there is to count.

As with exact places, the first message of a session is counted for the time at which it will arrive
(`take`), which may lie ahead: no span around it holds one too many either.
"""

from bisect import bisect_right, insort
from math import ceil
from typing import Final

NEVER: Final = float("-inf")
CLOSEST: Final = 0.8  # of an interval: how close two may come while one catches up
SECOND: Final = 1.0
_EXACT: Final = 1e-9  # seconds: of floats that are UNIX times


class Sliding:
    """The starts of the last second or so, and those to come that are booked."""

    __slots__ = ("_at", "_known", "_since", "_starts")

    def __init__(self) -> None:
        self._at = NEVER
        self._known = 0.0  # the interval for which that holds until something is counted, or 0
        self._since = NEVER  # nothing may start before
        self._starts: list[float] = []  # in order

    @property
    def at(self) -> float:
        """The place that is next after the latest start, as it was last seen."""
        return self._at

    def next(self, now: float, interval: float) -> float:
        """Return when the next may start after the latest before `now`; it may have passed."""
        starts = self._starts
        if interval == self._known and starts[-1] <= now:
            return self._at
        past = bisect_right(starts, now)
        if past > 2 * _many(interval) + 2:
            del starts[: past - _many(interval) - 1]
            past = bisect_right(starts, now)
        self._at = self._free(starts[past - 1] if past else NEVER, interval)
        alone = past == len(starts)  # nothing is booked ahead
        self._known = interval if alone and past else 0.0
        return self._at if alone or self._at > now else self._free(now, interval)

    def step(self, now: float, interval: float) -> None:
        """Count one that starts now, as if at its place where that is a little later."""
        self.take(max(now, self.next(now, interval)))
        self.next(now, interval)

    def take(self, at: float) -> None:
        """Count one that will start at a time to come."""
        insort(self._starts, at)
        self._known = 0.0

    def free(self, now: float, ahead: float, interval: float, *, alone: bool = False) -> float:
        """Return the first time with room for one more, `ahead` seconds from now or later.

        Args:
            now: UNIX seconds.
            ahead: Seconds.
            interval: Between two places, in seconds.
            alone: Without meaning here: no row of places has to be kept.
        """
        del alone
        self.next(now, interval)
        return self._free(now + ahead, interval)

    def clear(self, interval: float) -> float:
        """Return from when on no start that was counted is in the way of any other."""
        return self._starts[-1] + _many(interval) * interval if self._starts else self._since

    def advance(self, at: float) -> None:
        """Let nothing start before `at`."""
        self._since = max(self._since, at)
        self._at = max(self._at, at)
        self._known = 0.0

    def _free(self, at: float, interval: float) -> float:
        """Return the first time from `at` on that has room, whatever is booked behind it."""
        starts, many = self._starts, _many(interval)
        span, close = many * interval, (interval if many == 1 else interval * CLOSEST)
        at = max(at, self._since)
        while True:
            place = bisect_right(starts, at)
            room = at
            if place and starts[place - 1] + close > room:
                room = starts[place - 1] + close
            if place >= many and starts[place - many] + span > room:
                room = starts[place - many] + span
            if place < len(starts):
                room = self._behind(place, room, span, close, many)
            if room <= at + _EXACT:
                return at
            at = room

    def _behind(self, place: int, room: float, span: float, close: float, many: int) -> float:
        """Return what those leave of a time at a place that are booked for later."""
        starts = self._starts
        if starts[place] < room + close - _EXACT:
            room = max(room, starts[place] + close)
        # A span that begins before it and ends with one of them is full.
        for first in range(max(0, place - many + 1), min(place, len(starts) - many + 1)):
            if starts[first + many - 1] - starts[first] < span - _EXACT:
                room = max(room, starts[first] + span)
        return room


def _many(interval: float) -> int:
    """Return how many exact places there are in any second at most."""
    return max(1, ceil(SECOND / interval - 1e-6))
