"""The engine's one clock: wall time that does not jump.

Deadlines run on the loop's monotonic clock. Everything stored or compared with stored times is UNIX
seconds from here: anchored to the wall clock once, then carried by the monotonic one, so that a
clock set back does not freeze the queue and one set forward does not expire it in the same second.
The anchor follows the wall clock in small steps; a large difference is followed as well, but slowly
enough that a mistake of the clock can be mended first.
"""

import time
from collections.abc import Callable
from typing import Final

_STEP: Final = 1.0  # seconds of correction per `follow`: smaller differences vanish at once
_LARGE: Final = 30.0  # seconds of difference worth telling a person


class Clock:
    """Wall time carried by the monotonic clock.

    Args:
        wall: Returns UNIX seconds.
        steady: Returns monotonic seconds.
    """

    def __init__(
        self,
        wall: Callable[[], float] = time.time,
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        self._wall = wall
        self._steady = steady
        self._offset = wall() - steady()

    def now(self) -> float:
        """Return UNIX seconds; never less than at the last call between two `follow`s."""
        return self._steady() + self._offset

    def follow(self) -> float:
        """Move at most one step towards the wall clock; return the difference there was.

        Call it every few seconds. An NTP correction is followed exactly; after a jump of an hour
        the engine needs an hour of calls to agree, and `large` says that it is worth a warning.
        """
        difference = self._wall() - self.now()
        self._offset += max(-_STEP, min(_STEP, difference))
        return difference

    @staticmethod
    def large(difference: float) -> bool:
        """Whether a difference is worth telling a person."""
        return abs(difference) > _LARGE
