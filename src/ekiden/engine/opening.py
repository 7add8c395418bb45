"""How many sessions may begin at once: as many as the loop bears. Pure.

A session costs one or two milliseconds of the loop from its first packet to its first message, most
of them later, when the receiver has answered: a greeting, a handshake. Ten thousand begun as fast
as the scheduler orders them come back together, and replies of open sessions wait for all of it. So
the loop's own lateness says how many follow: half as many when it was late, and a little more each
time when it was not. A little, because a receiver may take a second for all of its answers: what
was begun in that second has not been felt yet.

A loop may be late of other work, too. Where hardly a session is on its way, openings are not the
cause, and holding them back would only starve a job of many small destinations: `BUSY` begin then.
Of 6,000 messages to 2,000 destinations on the same machine a second takes 0.98 times as many as
without any pace (0.77 with `LEAST`), the loop's p99 lag is 15 to 20 ms (23 to 27).
"""

from typing import Final

LATE: Final = 0.005  # seconds: a quarter of the lag that is allowed, since what began comes back
FIRST: Final = 4  # at a time, some 5 ms apart: 800 a second
LEAST: Final = 3  # a busy loop opens sessions too: some hundreds a second
BUSY: Final = 5  # the same while no more than `FEW` are on their way
FEW: Final = 64
MOST: Final = 16
MORE: Final = 0.01  # two more at a time after each second


class Opening:
    """Paces the beginning of sessions."""

    def __init__(self) -> None:
        self._most = float(FIRST)
        self._on_their_way: set[int] = set()

    @property
    def most(self) -> int:
        """So many may begin now."""
        return max(int(self._most), BUSY if len(self._on_their_way) <= FEW else LEAST)

    def begun(self, session_id: int) -> None:
        """A session begins."""
        self._on_their_way.add(session_id)

    def over(self, session_id: int) -> None:
        """It stands, or never will."""
        self._on_their_way.discard(session_id)

    def woke(self, late: float) -> None:
        """Learn how much later than it wanted to somebody was woken by the loop, in seconds."""
        self._most = max(LEAST, self._most / 2) if late > LATE else min(MOST, self._most + MORE)
