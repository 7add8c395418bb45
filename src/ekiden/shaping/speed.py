"""The rate that a receiver allows a path, found by asking carefully, when it tells nobody. Pure.

A window of sessions finds a receiver's limit on sessions. A limit on messages per second or minute
it cannot find: one session alone may pass it. So a path that is throttled in the middle of a
session also gets a rate, which learns as the window does:

* **No rate until there is trouble.** A receiver that never throttles meets the window alone.
* **Down by half**, once for a run of refusals, from what the receiver has taken lately. When it
  has taken nothing since the last step, the rate is not to blame: the path pauses instead.
* **Up by a twentieth of the knee** (the largest rate that is thought to be well), no more often
  than an interval, and only while the rate is what binds: an unused rate proves nothing.
* **Beyond the knee** only after a while and a hundred messages, since each such question may cost a
  refusal. A question that fails doubles the while, up to a ceiling. One that goes well for half a
  minute is followed by one twice as large: a limit that has risen is found within minutes.
"""

from dataclasses import dataclass
from typing import Final

NEVER: Final = float("-inf")

FLOOR: Final = 1.0 / 60.0  # messages per second: the slowest rate that still learns
STEP: Final = 0.05  # of the knee, at one step up; half of it at a question after one that failed
STEP_MOST: Final = 0.4  # of the rate, at one question beyond the knee
DROP_MOST: Final = 64.0  # a rate falls at most so far below itself before it is halved
USED: Final = 0.8  # of what the rate allowed must have been used for it to bind
BURST: Final = 0.02  # seconds' worth that may start at once: timers are not exact
LATE: Final = 120.0  # seconds after which a receiver that counts by the minute may still object
SPAN: Final = 4.0  # seconds over which it is measured what is taken, and at least
SPAN_MESSAGES: Final = 20  # so many messages at a slow rate
GAP: Final = 5.0  # seconds without a message end a run
PROVEN: Final = 20.0  # seconds of a run that tell more than the pause before it
_ABOVE_MEAN: Final = 1.25  # of the mean since a step down: it has the climb in it
_GOODS: Final = 3  # transactions between two steps up


@dataclass(frozen=True, slots=True)
class SpeedOptions:
    """How a rate moves.

    Args:
        interval: The least seconds between two steps up.
        probe: Seconds after trouble before the knee is passed,
        probe_max: which become at most so many when that fails.
        probe_messages: Messages that must have gone well before the knee is passed.
        hold: Seconds for which a rate beyond the knee must go well.
    """

    interval: float = 2.0
    probe: float = 120.0
    probe_max: float = 240.0
    probe_messages: int = 100
    hold: float = 30.0


class Speed:
    """The rate of a path: a `rates.Limiter` once `rate` is set.

    Attributes:
        rate: Messages per second; None while nothing has been refused.
        knee: The largest rate that is thought to be well.
        rose_at: When the rate last rose.
    """

    __slots__ = (
        "_ask",
        "_count",
        "_evidence_at",
        "_good_at",
        "_goods",
        "_mean",
        "_options",
        "_raised_at",
        "_run",
        "_run_at",
        "_shut",
        "_span_at",
        "_spent",
        "_step",
        "_stepped_at",
        "_sure",
        "_tat",
        "knee",
        "label",
        "rate",
        "rose_at",
    )

    def __init__(self, options: SpeedOptions) -> None:
        self._options = options
        self.rate: float | None = None
        self.knee = 0.0
        self.label = ""
        self.rose_at = NEVER
        self._ask = options.probe  # seconds until the knee is passed
        self._step = STEP  # of the next question
        self._stepped_at = NEVER
        self._raised_at = NEVER  # when the knee was raised, by an answer that may come late,
        self._sure = 0.0  # and where it was before
        self._tat = NEVER  # the theoretical arrival time of the next start, as in `rates.Bucket`
        self._evidence_at = NEVER  # since when `_goods` and `_spent` are counted
        self._goods = 0
        self._spent = 0
        self._count = 0  # taken since the last step down
        self._shut = False  # since then it was asked for nothing at all, once or more
        self._good_at = NEVER  # the latest,
        self._run_at = NEVER  # and since when they came without a gap
        self._span_at = NEVER  # the present span of measuring: since when,
        self._run = 0  # how many,
        self._mean = 0.0  # and how many per second in the one before

    # --- Limiter ----------------------------------------------------------------------------------

    def ready_at(self, now: float) -> float:  # noqa: ARG002  the protocol's; it has no clock
        """Return the earliest time that one more may start."""
        return self._tat - BURST

    def spend(self, now: float) -> None:
        """Count one start."""
        if self.rate is not None:
            self._tat = max(self._tat, now) + 1.0 / self.rate
            self._spent += 1

    def refund(self, at: float) -> None:
        """Do nothing: as in `rates.Bucket`."""

    def state(self) -> list[float]:
        """Return what must be kept to continue after a restart; [] while there is no rate."""
        if self.rate is None:
            return []
        return [self.rate, self.knee, self._stepped_at, self._ask]

    def restore(self, state: list[float]) -> None:
        """Continue from `state`."""
        if len(state) != 4:
            return
        rate, self.knee, self._stepped_at, ask = state
        self._ask = min(max(ask, self._options.probe), self._options.probe_max)
        self._set(max(rate, FLOOR), self._stepped_at)

    # --- Learning ---------------------------------------------------------------------------------

    def binds(self, now: float) -> bool:
        """Whether the rate is what keeps the path from more at this moment."""
        return self.rate is not None and self._tat > now

    def good(self, now: float, *, since: float) -> bool:
        """Learn that a message was taken; return whether the rate rose.

        Args:
            now: UNIX seconds.
            since: When it was handed out; before the last step down it proves nothing.
        """
        if since <= self._stepped_at:
            return False
        self._measure(now)
        if self.rate is None:
            return False
        self._goods += 1
        elapsed = now - self._evidence_at
        if self._goods < _GOODS or elapsed < self._wait(self.rate):
            return False
        if self._spent < USED * self.rate * elapsed:
            self._restart(now)
            return False
        self._rise(self.rate, now)
        return True

    def trouble(self, now: float, *, since: float) -> bool:
        """Learn that it was too fast; return whether that changed the rate.

        Args:
            now: UNIX seconds.
            since: When what failed was handed out; before the last step down it is the same run.
        """
        if since <= self._stepped_at:
            return False
        if not self._count:
            self._shut = True
            return False
        rate = self.rate
        if rate is None:
            self.knee = taken = self.taken(now)
            self._set(max(FLOOR, taken / 2), now)
        else:
            top = rate
            if self._shut and now - self._run_at < PROVEN:
                # It takes much at once, then nothing for long: the mean of both is what it allows.
                mean = self._count / (now - self._stepped_at)
                top = min(rate, max(mean * _ABOVE_MEAN, rate / DROP_MOST))
            if rate > self.knee or now - self._raised_at < LATE:  # a question, answered
                self._ask = min(self._ask * 2, self._options.probe_max)
                self._step = STEP / 2
                self.knee = min(self.knee if rate > self.knee else self._sure, top)
            else:
                self._ask, self._step = self._options.probe, STEP
                self.knee = top / (1 + STEP)
            self._set(max(FLOOR, top / 2), now)
        self._stepped_at = now
        self._count, self._run, self._shut = 0, 0, False
        self._run_at = self._span_at = self._good_at = now
        self._mean = 0.0
        return True

    def limit(self, rate: float, now: float) -> None:
        """Go no faster than `rate` from now on, as if that had been learned."""
        if self.rate is None or rate < self.rate:
            self.knee = max(FLOOR, rate)
            self._set(self.knee, now)

    def taken(self, now: float) -> float:
        """Return the messages per second that were taken lately."""
        span = now - self._span_at
        if self._mean and span < self._span() / 2:
            return self._mean
        return self._run / max(span, 1.0)

    def _span(self) -> float:
        return SPAN if self.rate is None else max(SPAN, SPAN_MESSAGES / self.rate)

    def _measure(self, now: float) -> None:
        rate = self.rate
        if now - self._good_at > (GAP if rate is None else max(GAP, _GOODS / rate)):
            self._run_at = self._span_at = now
            self._run, self._mean = 0, 0.0
        elif now - self._span_at >= self._span():
            self._mean = self._run / (now - self._span_at)
            self._span_at, self._run = now, 0
        self._good_at = now
        self._run += 1
        self._count += 1

    def _wait(self, rate: float) -> float:
        options = self._options
        if rate < self.knee:
            return max(options.interval, _GOODS / rate)
        if rate == self.knee:
            return max(self._ask, options.probe_messages / rate)
        return max(options.hold, 5 * _GOODS / rate)

    def _rise(self, rate: float, now: float) -> None:
        if rate < self.knee:
            rate = min(self.knee, rate + self.knee * STEP)
        else:
            if rate > self.knee:
                if self._step >= STEP:  # not the first one that goes well
                    self._ask = self._options.probe
                self._step = min(self._step * 2, STEP_MOST)
                self._sure, self._raised_at, self.knee = self.knee, now, rate
            rate *= 1 + self._step
        self.rose_at = now
        self._set(rate, now)

    def _set(self, rate: float, now: float) -> None:
        self.rate = rate
        self.label = f"{rate:.3g} per second, found by asking"
        if rate < 1.0:
            self.label = f"{rate * 60:.3g} per minute, found by asking"
        self._restart(now)

    def _restart(self, now: float) -> None:
        self._evidence_at, self._goods, self._spent = now, 0, 0
