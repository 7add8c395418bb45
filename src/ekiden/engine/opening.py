"""How many sessions may begin at once: as many as the loop bears. Pure.

A session costs two or three milliseconds of the loop from its first packet to its first message,
most of them in turns that come later. Ten thousand begun as fast as the scheduler orders them make
each turn longer than the one before, and replies of open sessions wait for all of it. So the loop's
own lateness says how many follow: half as many when it was late, one more when it was not.
"""

from typing import Final

LATE: Final = 0.005  # seconds: a quarter of the lag that is allowed, since what began comes back
LEAST: Final = 4  # a busy loop opens sessions too: some hundreds a second
MOST: Final = 64


class Opening:
    """Paces the beginning of sessions.

    Attributes:
        most: So many may begin now.
    """

    def __init__(self) -> None:
        self.most = MOST

    def woke(self, late: float) -> None:
        """Learn how much later than it wanted to somebody was woken by the loop, in seconds."""
        self.most = max(LEAST, self.most // 2) if late > LATE else min(MOST, self.most + 1)
