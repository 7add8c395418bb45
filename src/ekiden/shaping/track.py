"""Places in a row, an interval apart: the clock of a rate of our own, or a slow one found. Pure.

It is a virtual-scheduling bucket (GCRA, as in ITU-T I.371 annex A): a float says when the next
place is, and with a burst a place may be used so many seconds early. What is added to it are places
that are taken *ahead*. The first message of a session reaches its receiver only after the session
has opened; counted when it is handed out, it would arrive among the messages of later places, and a
receiver that allows ten in any second would see eleven. So it takes the place at which it will
arrive, and whoever comes before passes it over.
"""

from bisect import insort
from math import ceil
from typing import Final

NEVER: Final = float("-inf")
_SLIP: Final = 0.05  # seconds that two may be closer than an interval, half of it at most:
_HALF: Final = 0.5  # else a row that moves would lose a place at each session that opens
_LATE: Final = 0.3  # of an interval: who comes so late for a place still has it


class Track:
    """The next place, and those beyond it that are taken.

    Args:
        burst: Seconds before its time that a place may be used.
    """

    __slots__ = ("_at", "_burst", "_taken")

    def __init__(self, burst: float = 0.0) -> None:
        self._at = NEVER  # the theoretical arrival time of the next start
        self._burst = burst
        self._taken: list[float] = []  # in order

    @property
    def at(self) -> float:
        """The next place as it was last seen, to be kept across restarts; no burst is in it."""
        return self._at

    def next(self, now: float, interval: float) -> float:
        """Return when one may start by the next place; it may have passed: then now."""
        taken = self._taken
        near = _near(interval)
        while taken and taken[0] < max(self._at - self._burst, now) + near:
            self._at = max(self._at, taken.pop(0)) + interval
        return self._at - self._burst

    def step(self, now: float, interval: float) -> None:
        """Take the next place, or `now` where that is later."""
        self.next(now, interval)
        self._at = max(self._at, now) + interval

    def take(self, at: float) -> None:
        """Take the place at a time to come."""
        insort(self._taken, at)

    def free(self, now: float, ahead: float, interval: float, *, alone: bool = False) -> float:
        """Return the first place that is free, `ahead` seconds from now or later.

        What is to come is gone through as it will: places that are taken move those behind them.

        Args:
            now: UNIX seconds.
            ahead: Seconds.
            interval: Between two places, in seconds.
            alone: Whether nobody else is there to use the places before it: then the row moves.
        """
        at, wanted = self.next(now, interval), now + ahead
        row = at > now and not alone  # while nobody waits for a place, any time is one
        early, near = wanted - interval * _LATE, _near(interval)
        for one in self._taken:
            if one >= _place(at, early, interval, row=row) + near:
                break
            at = max(_place(at, one - near, interval, row=row), one - self._burst) + interval
        return max(_place(at, early, interval, row=row), wanted)

    def clear(self, interval: float) -> float:
        """Return from when on no start that was counted is in the way of any other."""
        return max([self._at, *(one + interval for one in self._taken[-1:])])

    def advance(self, at: float) -> None:
        """Have no place before `at`."""
        self._at = max(self._at, at)


def _near(interval: float) -> float:
    """Return how close two may come, in seconds."""
    return max(interval * _HALF, interval - _SLIP)


def _place(at: float, since: float, interval: float, *, row: bool) -> float:
    """Return the first place that is not before `since`, `at` being one."""
    if at >= since:
        return at
    return at + interval * ceil((since - at) / interval) if row else since
