"""How many sessions may begin at once: as many as the loop bears. Pure.

A session costs one or two milliseconds of the loop from its first packet to its first message, most
of them later, when the receiver has answered: a greeting, a handshake. Ten thousand begun as fast
as the scheduler orders them come back together, and replies of open sessions wait for all of it. So
the loop's own lateness says how many follow: half as many when it was late, and a little more each
time when it was not. A little, because a receiver may take a second for all of its answers: what
was begun in that second has not been felt yet.
"""

from typing import Final

LATE: Final = 0.005  # seconds: a quarter of the lag that is allowed, since what began comes back
FIRST: Final = 4  # at a time, some 5 ms apart: 800 a second
LEAST: Final = 3  # a busy loop opens sessions too: some hundreds a second
MOST: Final = 16
MORE: Final = 0.01  # two more at a time after each second


class Opening:
    """Paces the beginning of sessions."""

    def __init__(self) -> None:
        self._most = float(FIRST)

    @property
    def most(self) -> int:
        """So many may begin now."""
        return int(self._most)

    def woke(self, late: float) -> None:
        """Learn how much later than it wanted to somebody was woken by the loop, in seconds."""
        self._most = max(LEAST, self._most / 2) if late > LATE else min(MOST, self._most + MORE)
