"""How long a receiver takes nothing at all from a path, and how seldom it is asked then. Pure.

Who counts by the second or the minute is full for so long at most. One that is shut for longer
counts by the hour or the day, and each question put to it meanwhile is one more refusal: with a
quota of two hundred an hour, a dozen of them are six in a hundred. So questions have to be paid for
by what is taken in an hour, and one that was shut for long the last time is given as long at once.
"""

from typing import Final

from ekiden.shaping.taken import HOUR

NEVER: Final = float("-inf")

LONG: Final = 120.0  # seconds: who is shut for longer does not count by the minute
PRICE: Final = 150.0  # messages that are taken for each question of one who is shut for so long
SELDOM: Final = HOUR / 2  # seconds between two questions at most


class Shut:
    """Whether a path is shut, or was, since the rate last fell.

    Attributes:
        met: Whether it was asked for nothing at all, once or more.
        lasted: The seconds that the latest such time lasted; 0 while it does.
    """

    __slots__ = ("_before", "_since", "lasted", "met")

    def __init__(self) -> None:
        self.met = False
        self.lasted = 0.0
        self._since = NEVER
        self._before = 0.0  # as `lasted`, whatever the rate did since

    def begin(self, now: float) -> None:
        """Learn that nothing was taken, and it asks for less again."""
        if not self.met:
            self.met, self._since = True, now

    def end(self, now: float) -> None:
        """Learn that it takes something again, if it did not."""
        if self.met:
            self.lasted = self._before = now - self._since

    def forget(self) -> None:
        """Begin anew: the rate has fallen."""
        self.met, self.lasted = False, 0.0

    def patience(self, now: float, hour: float) -> float:
        """Return the seconds at least until it should be asked again.

        Args:
            now: UNIX seconds.
            hour: Messages per second that were taken in the last hour.
        """
        since = now - self._since if self.met else 0.0
        if max(since, self._before) < LONG:
            return 0.0
        price = PRICE / hour if hour > PRICE / SELDOM else SELDOM
        return min(price, max(3 * since, self._before))
