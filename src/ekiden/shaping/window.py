"""How many sessions a path may have: found by asking carefully, never by pushing. Pure.

The window is additive-increase, multiplicative-decrease, with three rules that keep it calm:

* **Evidence.** It grows by one when it was full and a whole window of transactions went well, and
  no more often than an interval.
* **Hysteresis.** A receiver that has had enough says so on all sessions at once. Only trouble from
  what was handed out *after* the last step counts, so one run of failures is one step down.
* **The knee.** It remembers the size that was too much, grows back to one below it at its usual
  speed, and tries beyond only after a longer while. Each step down also doubles the interval, up to
  a ceiling, and each step up shortens it again: recovery is gradual.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

NEVER: Final = float("-inf")


class Lesson(StrEnum):
    """What an outcome teaches the path (source, site)."""

    GOOD = "good"  # the receiver took it, or refused the recipient alone
    DEFERRED = "deferred"  # a 4xx for this recipient; the path itself is well
    SLOW = "slow"  # it asks for less
    ENOUGH = "enough"  # it takes no more on this session, and says nothing against the next
    BLOCKED = "blocked"  # it refuses this source, or our domain's authentication
    BROKEN = "broken"  # no conversation: refused, reset, timed out, nonsense
    NONE = "none"  # our own side; nothing to learn


@dataclass(frozen=True, slots=True)
class WindowOptions:
    """How a window moves.

    Args:
        start: Sessions allowed to a path of which nothing is known.
        interval: The least seconds between two steps up.
        interval_max: What the interval grows to when trouble comes back.
        probe: Seconds after trouble before the size that caused it is tried again,
        probe_max: which become so many when that failed the last time.
    """

    start: int = 2
    interval: float = 2.0
    interval_max: float = 60.0
    probe: float = 120.0
    probe_max: float = 240.0


class Window:
    """The sessions a path may have now: `size`, from 1 up to a cap."""

    __slots__ = (
        "_ask",
        "_asked_at",
        "_good",
        "_interval",
        "_moved_at",
        "_options",
        "grew_at",
        "knee",
        "size",
        "stepped_at",
    )

    def __init__(self, options: WindowOptions) -> None:
        self._options = options
        self.size = options.start
        self.knee: int | None = None  # the largest size that is thought to be well
        self.stepped_at = NEVER  # the last step down
        self.grew_at = NEVER  # the last step up
        self._moved_at = NEVER  # the last step either way
        self._ask = options.probe  # seconds until the knee is passed
        self._asked_at = NEVER  # when it was passed
        self._interval = options.interval
        self._good = 0

    def good(self, now: float, *, busy: int, cap: int) -> bool:
        """Learn that a transaction went well; return whether the window grew.

        Args:
            now: UNIX seconds.
            busy: Sessions the path has now; a window that is not full proves nothing.
            cap: The most it may grow to.
        """
        self._good += 1
        if self._good < self.size or busy < self.size or self.size >= cap:
            return False
        if now - self._moved_at < self._interval:
            return False
        if self.knee is not None and self.size >= self.knee:
            if now - self.stepped_at < self._ask:
                return False
            self.knee, self._asked_at = None, now
        self.size += 1
        self._good = 0
        self._moved_at = self.grew_at = now
        self._interval = max(self._options.interval, self._interval / 2)
        return True

    def trouble(self, now: float, *, since: float, sized: bool = True) -> bool:
        """Learn that it was too much; return whether that was news.

        Args:
            now: UNIX seconds.
            since: When what failed was handed out; before the last step down it is the same run.
            sized: Whether the size can be to blame: not when a rate has risen since it grew.
        """
        if since <= self.stepped_at:
            return False
        failed = now - self._asked_at < self._options.probe
        self._ask = self._options.probe_max if failed else self._options.probe
        self.knee = max(1, self.size - 1) if sized else max(self.knee or 1, self.size)
        if sized and failed and self._moved_at == self._asked_at:  # a question, answered
            self.size = self.knee
        else:
            self.size = max(1, self.size // 2)
            self._interval = min(self._interval * 2, self._options.interval_max)
        self.stepped_at = self._moved_at = now
        self._good = 0
        return True

    def state(self) -> list[float]:
        """Return what must be kept to continue after a restart."""
        knee = -1 if self.knee is None else self.knee
        return [self.size, knee, max(self.stepped_at, 0.0), self._interval]

    def restore(self, state: list[float]) -> None:
        """Continue from `state`."""
        size, knee, stepped_at, interval = state
        self.size = max(1, int(size))
        self.knee = int(knee) if knee > 0 else None
        self.stepped_at = self._moved_at = stepped_at
        self._interval = min(max(interval, self._options.interval), self._options.interval_max)


@dataclass(frozen=True, slots=True)
class Backoff:
    """How long to leave a path alone: base, twice that, four times, up to a ceiling.

    Args:
        base: Seconds after the first failure.
        ceiling: The most seconds, before jitter.
        jitter: The share that is random: 0.2 means 80 % to 120 %.
    """

    base: float
    ceiling: float
    jitter: float = 0.2

    def wait(self, failures: int, jitter: float) -> float:
        """Return the seconds to wait after the `failures`-th failure in a row.

        Args:
            failures: From 1.
            jitter: A number from 0 to 1, drawn by the caller; 0.5 gives the middle.
        """
        # Beyond 2**40 the ceiling has long been reached; the float must not overflow.
        span = min(self.base * 2.0 ** min(failures - 1, 40), self.ceiling)
        return span * (1.0 + self.jitter * (2.0 * jitter - 1.0))
