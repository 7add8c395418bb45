"""Places in a row, an interval apart: the clock of the rate that a path has found. Pure.

It is the virtual-scheduling bucket of `rates.Bucket` with a burst of one: a float says when the
next place is. What is added to it are places that are taken *ahead*. The first message of a session
reaches its receiver only after the session has opened; counted when it is handed out, it would
arrive among the messages of later places, and a receiver that allows ten in any second would see
eleven. So it takes the place at which it will arrive, and whoever comes before passes it over.
"""

from bisect import insort
from math import ceil
from typing import Final

NEVER: Final = float("-inf")
_SLIP: Final = 0.05  # seconds that two may be closer than an interval, half of it at most:
_HALF: Final = 0.5  # else a row that moves would lose a place at each session that opens
_LATE: Final = 0.1  # of an interval: who comes so late for a place still has it


class Track:
    """The next place, and those beyond it that are taken."""

    __slots__ = ("_at", "_taken")

    def __init__(self) -> None:
        self._at = NEVER  # the theoretical arrival time of the next start
        self._taken: list[float] = []  # in order

    @property
    def at(self) -> float:
        """The next place as it was last seen, to be kept across restarts."""
        return self._at

    def next(self, now: float, interval: float) -> float:
        """Return the next place, which may have passed: then one may start now."""
        taken = self._taken
        near = _near(interval)
        while taken and taken[0] < max(self._at, now) + near:
            self._at = max(self._at, taken.pop(0) + interval)
        return self._at

    def step(self, now: float, interval: float) -> None:
        """Take the next place, or `now` where that is later."""
        self._at = max(self.next(now, interval), now) + interval

    def take(self, at: float) -> None:
        """Take the place at a time to come."""
        insort(self._taken, at)

    def free(self, now: float, ahead: float, interval: float, *, alone: bool = False) -> float:
        """Return the first place that is free, `ahead` seconds from now or later.

        Args:
            now: UNIX seconds.
            ahead: Seconds.
            interval: Between two places, in seconds.
            alone: Whether nobody else is there to use the places before it: then the row moves.
        """
        row = self.next(now, interval)
        early = now + ahead - interval * _LATE - row
        if early > 0 and row > now and not (alone and not self._taken):
            row += interval * ceil(early / interval)
        place = max(row, now + ahead)
        near = _near(interval)
        for one in self._taken:  # in order
            if abs(one - place) < near:
                place = one + interval
        return place

    def advance(self, at: float) -> None:
        """Have no place before `at`."""
        self._at = max(self._at, at)


def _near(interval: float) -> float:
    """Return how close two may come, in seconds."""
    return max(interval * _HALF, interval - _SLIP)
