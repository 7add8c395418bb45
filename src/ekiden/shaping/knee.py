"""The knee of a rate: the most that is thought to be well, and the questions beyond it. Pure.

A question that goes well raises the knee and is followed by one twice as large; one that fails
halves the next. A refusal soon after the knee was raised takes that back: who counts by the minute
answers late. One long after it says that the knee itself is a little too high.
"""

from typing import Final

NEVER: Final = float("-inf")

FLOOR: Final = 1.0 / 60.0  # messages per second: the slowest rate that still learns
STEP: Final = 0.05  # of the knee, at one step up; half of it at a question after one that failed
STEP_MOST: Final = 0.4  # of the rate, at one question beyond the knee
LATE: Final = 120.0  # seconds after which a receiver that counts by the minute may still object


class Knee:
    """Where it is, and what is asked beyond it.

    Attributes:
        at: Messages per second; 0 while nothing is known.
        raised_at: When it was raised, by an answer that may come late.
    """

    __slots__ = ("_failed", "_step", "_sure", "at", "raised_at")

    def __init__(self) -> None:
        self.at = 0.0
        self.raised_at = NEVER
        self._sure = 0.0  # where it was before it was raised
        self._step = STEP  # of the next question
        self._failed = 0.0  # the rate of the latest one that failed

    def put(self, at: float) -> None:
        """Put it where the path is known to be well."""
        self.at = max(FLOOR, at)
        self._step = STEP

    def find(self, rate: float, top: float, now: float, *, minute: float) -> None:
        """Learn that a rate was refused.

        Args:
            rate: What was asked for.
            top: The most that the refusal leaves possible.
            now: UNIX seconds.
            minute: What was taken per second in the last minute.
        """
        asked, self._step = rate / self.at - 1, STEP
        if rate > self.at:  # a question, answered
            if now - self.raised_at >= LATE:
                # Who counts by the minute objects to all of it, not to the latest alone.
                top = min(top, minute * (1 + STEP))
            self.at = min(self.at, top)
            self._step = max(asked, STEP) / 2  # what it allows lies between the two
            self._failed = rate
        elif now - self.raised_at < LATE:
            self.at = min(self._sure, top)
        else:
            self.at = top / (1 + STEP)
        self.at = max(FLOOR, self.at)  # nothing went out for a minute: that proves no limit

    def doubt(self, rate: float, before: float) -> None:
        """Learn that something was too much while `rate` held, which may have been the rate.

        Args:
            rate: The rate.
            before: Where the knee was then.
        """
        asked, self._failed = rate / before - 1, rate
        self._step = max(asked, STEP) / 2 if asked > 0 else STEP

    def rise(self, rate: float, now: float) -> None:
        """Raise it to a rate beyond it that has gone well."""
        self._step = min(self._step * 2, STEP_MOST)
        self._sure, self.raised_at, self.at = self.at, now, rate

    def question(self, rate: float, *, soon: bool) -> float:
        """Return the rate to ask for next.

        Args:
            rate: The present one.
            soon: Whether the last refusal is not long ago: then not beyond what was too much.
        """
        asked = rate * (1 + self._step)
        if soon and rate < self._failed < asked:
            return max((rate + self._failed) / 2, rate * (1 + STEP / 2))
        return asked
