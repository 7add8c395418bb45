"""How much was taken lately: counts over a span that slides, a slot at a time. Pure."""

from collections import deque
from typing import Final

NEVER: Final = float("-inf")

MINUTE: Final = 60.0
HOUR: Final = 3_600.0


class Taken:
    """How many messages were taken in the last so many seconds.

    Args:
        span: Seconds.
        slots: Into how many parts they are counted.
    """

    __slots__ = ("_began", "_counts", "_latest", "_slot", "_span")

    def __init__(self, span: float, slots: int) -> None:
        self._span = span
        self._slot = span / slots
        self._counts = deque([0] * slots, slots)  # the present one last
        self._latest = 0
        self._began = NEVER

    def count(self, now: float) -> None:
        """Count one that is taken."""
        self._move(now)
        self._counts[-1] += 1

    def mean(self, now: float) -> float:
        """Return how many there were per second, since the first of them if that is less."""
        self._move(now)
        span = min(now - self._began, self._span - self._slot + now % self._slot)
        return sum(self._counts) / max(span, self._slot)

    def least(self, now: float) -> float:
        """Return how many per second the whole span comes to, whatever part they came in."""
        self._move(now)
        return sum(self._counts) / self._span

    def _move(self, now: float) -> None:
        latest = int(now // self._slot)
        if self._began == NEVER or latest - self._latest >= len(self._counts):
            self._counts.extend([0] * len(self._counts))
            self._began = now
        else:
            self._counts.extend([0] * (latest - self._latest))
        self._latest = max(latest, self._latest)
