"""After how many messages a receiver ends a session, found by counting and asked again. Pure.

A receiver that has a limit on messages per session ends each at the same number; one that hangs up
for any other reason ends them at any. So:

* **Words are a limit at once**: "too many messages in this session" says what it is about.
* **The same number three times** is one without a word: in a row, or of all ends the furthest, with
  ends short of it in between. A session that carried more, or is open and has, says that it was
  none.
* **An end where one is expected** teaches nothing else: neither the window nor the rate is to
  blame. An end short of the limit is about something else, and leaves the limit where it is.
* **One session asks** for all, after a while: it goes on beyond the limit. Ended there again, it
  has cost one refusal. What it carries beyond is the new limit, and the next one asks at once; who
  carries twice the limit has none.
"""

from typing import Final

NEVER: Final = float("-inf")

ALIKE: Final = 3  # sessions in a row that are ended after the same number
WHILE: Final = 300.0  # seconds at least until it is asked again,
MESSAGES: Final = 600.0  # and so many messages


class Length:
    """The messages that a session may carry on a path.

    Attributes:
        limit: So many; None while no limit has shown.
        spoken: Whether the receiver has said so, in its own words; else it was counted.
    """

    __slots__ = ("_alike", "_ask_at", "_asking", "_end", "_furthest", "_met", "limit", "spoken")

    def __init__(self) -> None:
        self.limit: int | None = None
        self.spoken = False
        self._end = 0  # after how many the latest were ended,
        self._alike = 0  # and how many in a row
        self._furthest = 0  # the most that one has carried,
        self._met = 0  # and how many were ended just there
        self._ask_at = NEVER
        self._asking = False  # a session is out that asks

    def ask(self, now: float) -> bool:
        """Whether the session that begins now is the one that goes beyond the limit.

        It has to be told of by `ended`, whatever becomes of it.
        """
        if self.limit is None or self._asking or now < self._ask_at:
            return False
        self._asking = True
        return True

    def expects(self, carried: int) -> bool:
        """Whether an end after so many is the limit's, or would be if there is one."""
        if carried == self.limit or (self._alike > 0 and carried == self._end):
            return True
        return self._met > 0 and carried == self._furthest

    def cut(self, carried: int, now: float, *, rate: float | None, others: int = 0) -> bool:
        """Learn that the receiver ended a session of its own accord after so many messages.

        Args:
            carried: Messages before the one that was refused.
            now: UNIX seconds.
            rate: Messages per second that the path may send; None for no limit.
            others: The most that another session has carried, open at the same time.

        Returns:
            Whether that has shown a limit: sessions that are open are to keep to it.
        """
        self._alike = self._alike + 1 if carried == self._end and others <= carried else 1
        self._end = carried
        if others > self._furthest:
            self._furthest, self._met = others, 0
        if carried >= self._furthest:
            self._met = self._met + 1 if carried == self._furthest else 1
            self._furthest = carried
        if carried == self.limit:
            self._wait(now, rate)
            return False
        if self._alike < ALIKE and not (carried == self._furthest and self._met >= ALIKE):
            return False
        self.limit, self.spoken = carried, False
        self._wait(now, rate)
        return True

    def said(self, carried: int, now: float, *, rate: float | None) -> None:
        """Learn that the receiver takes no more on a session, in its own words, after so many.

        Args:
            carried: Messages before the one that was refused; at least one.
            now: UNIX seconds.
            rate: Messages per second that the path may send; None for no limit.
        """
        self.limit = self._end = carried
        self.spoken = True
        self._alike = ALIKE
        self._wait(now, rate)

    def ended(self, carried: int, now: float, *, asked: bool, cut: bool) -> None:
        """Learn that a session is over.

        Args:
            carried: Messages that it carried.
            now: UNIX seconds.
            asked: Whether it was the one that asked.
            cut: Whether the receiver ended it; then `cut` has been told.
        """
        if not cut and carried > self._end:
            self._alike = 0
        if not cut and carried > self._furthest:
            self._furthest, self._met = carried, 0
        if not asked:
            return
        self._asking = False
        limit = self.limit
        if limit is not None and carried > limit:
            self.limit = carried if carried < 2 * limit else None
            self.spoken = False
            self._ask_at = now

    def state(self) -> list[float]:
        """Return what must be kept to continue after a restart; [] while there is no limit."""
        if self.limit is None:
            return []
        return [self.limit, max(self._ask_at, 0.0), float(self.spoken)]

    def restore(self, state: list[float]) -> None:
        """Continue from `state`."""
        if len(state) in (2, 3) and state[0] >= 1:
            self.limit, self._ask_at = int(state[0]), state[1]
            self.spoken = bool(state[2:] and state[2])

    def _wait(self, now: float, rate: float | None) -> None:
        self._ask_at = now + max(WHILE, MESSAGES / rate if rate else 0.0)
