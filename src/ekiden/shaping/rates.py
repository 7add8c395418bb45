"""Rate limits as counters over `now`. Pure, small, and strict over *any* span of time.

Two kinds, because the two ends of the scale want different behaviour:

* `Bucket`, for seconds and minutes, is smooth: places in a row (`track`) with a small burst, each
  counted for the time at which the message will reach the receiver. One that counts ten a second
  never sees eleven in a second, and does not see ten in its first hundredth either.
* `Allowance`, for hours and days, is a budget: it may be used at any speed that the other limits
  allow, and what is left of 500 a day is for tomorrow. Counts are kept in slots; a slot counts in
  full until all of it has left the span, so the limit holds for every span, at the price of coming
  back up to one slot late.

Proof for `Bucket`: with burst b and interval i, any half-open span T holds at most
b - 1 + ceil(T / i) starts. i = T / (N - b + 1 - margin), so that is at most N. The margin
(5 %) is there because not every message takes the same time to the receiver: without it two on the
border could fall into the same second over there. The first message of a session is counted for the
time at which the session is expected to be open, or twice where nobody knew.
"""

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Final, Protocol

from ekiden.shaping.caps import Rate
from ekiden.shaping.speed import Speed
from ekiden.shaping.track import Track

BURST_SHARE: Final = 0.05  # of the limit may start at once
MARGIN: Final = 0.05  # of the limit is left unused, for jitter on the way to the receiver
HOUR: Final = 3_600.0
DAY: Final = 86_400.0
SLOTS_OF_HOUR: Final = 60
SLOTS_OF_DAY: Final = 96


class Limit(Protocol):
    """What `Meter` needs of a limit that somebody else keeps."""

    @property
    def label(self) -> str:
        """The limit in words, after "limited to"."""

    def ready_at(self, now: float) -> float:
        """Return the earliest time that one more may start; at most `now` if it may start now."""

    def spend(self, now: float) -> None:
        """Count one start."""

    def refund(self, at: float) -> None:
        """Take back one start that was counted at `at` and did not happen."""


class Limiter(Limit, Protocol):
    """What it needs of a limit of its own."""

    def state(self) -> list[float]:
        """Return what must be kept to continue after a restart."""

    def restore(self, state: list[float]) -> None:
        """Continue from `state`."""


class Bucket:
    """At most `limit` in any span of `seconds`, evenly."""

    __slots__ = ("_interval", "_track", "label")

    def __init__(self, limit: int, seconds: float, label: str = "") -> None:
        burst = max(1, int(limit * BURST_SHARE))
        self.label = label
        self._interval = seconds / (limit - burst + 1 - limit * MARGIN)
        # UNIX seconds in a float are exact to a quarter of a microsecond; the margin is far wider.
        self._track = Track((burst - 1) * self._interval + 1e-6)

    def ready_at(self, now: float) -> float:
        """Return the earliest time that one more may start."""
        return self._track.next(now, self._interval)

    def opens_at(self, now: float, ahead: float, *, alone: bool) -> float:
        """Return the earliest time for what takes `ahead` seconds until it starts."""
        return self._track.free(now, ahead, self._interval, alone=alone) - ahead

    def spend(self, now: float) -> None:
        """Count one start."""
        self._track.step(now, self._interval)

    def book(self, at: float) -> None:
        """Count one start that is to come."""
        self._track.take(at)

    def refund(self, at: float) -> None:
        """Do nothing: a second's worth is not worth the risk of two starts too close."""

    def state(self) -> list[float]:
        """Return what must be kept: from when on nothing is in the way, if somebody has come."""
        at = self._track.clear(self._interval)
        return [at] if at > 0 else []

    def restore(self, state: list[float]) -> None:
        """Continue from `state`."""
        for at in state[:1]:
            self._track.advance(at)


class Allowance:
    """At most `limit` in any span of `seconds`, at any speed."""

    __slots__ = ("_counts", "_limit", "_seconds", "_slot", "_total", "label")

    def __init__(self, limit: int, seconds: float, slots: int, label: str = "") -> None:
        self.label = label
        self._limit = limit
        self._seconds = seconds
        self._slot = seconds / slots
        self._counts: deque[list[float]] = deque()  # [start of slot, count], oldest first
        self._total = 0

    def _leaves(self, start: float) -> float:
        return start + self._slot + self._seconds

    def _forget(self, now: float) -> None:
        counts = self._counts
        while counts and self._leaves(counts[0][0]) <= now:
            self._total -= int(counts.popleft()[1])

    def ready_at(self, now: float) -> float:
        """Return the earliest time that one more may start."""
        self._forget(now)
        return now if self._total < self._limit else self._leaves(self._counts[0][0])

    def left(self, now: float) -> int:
        """Return how many may still start now."""
        self._forget(now)
        return self._limit - self._total

    def spend(self, now: float) -> None:
        """Count one start."""
        start = now // self._slot * self._slot
        # A clock that steps back counts into the newest slot: later than true is the safe side.
        if self._counts and self._counts[-1][0] >= start:
            self._counts[-1][1] += 1
        else:
            self._counts.append([start, 1])
        self._total += 1

    def refund(self, at: float) -> None:
        """Take back one start counted at `at`; ignored when its slot has left the span."""
        start = at // self._slot * self._slot
        for slot in reversed(self._counts):
            if slot[0] == start and slot[1] > 0:
                slot[1] -= 1
                self._total -= 1
                self._drop_empty()
                return

    def _drop_empty(self) -> None:
        while self._counts and self._counts[0][1] == 0:
            self._counts.popleft()

    def state(self) -> list[float]:
        """Return what must be kept: start and count of each slot, flat."""
        return [number for slot in self._counts for number in slot]

    def restore(self, state: list[float]) -> None:
        """Continue from `state`."""
        self._counts = deque(
            [start, count] for start, count in zip(*[iter(state)] * 2, strict=True)
        )
        self._total = int(sum(count for _, count in self._counts))


class Rounds:
    """So many, and then nothing for a while: the pace that a relay or its people ask for."""

    __slots__ = ("_limit", "_seconds", "_sent", "_until", "label")

    def __init__(self, limit: int, seconds: float, label: str = "") -> None:
        self.label = label
        self._limit = limit
        self._seconds = seconds
        self._sent = 0  # in the present round
        self._until = float("-inf")  # the end of the rest

    def ready_at(self, now: float) -> float:  # noqa: ARG002  the protocol's; this one has no clock
        """Return the earliest time that one more may start."""
        return self._until

    def spend(self, now: float) -> None:
        """Count one start; the last of a round begins the rest."""
        self._sent += 1
        if self._sent >= self._limit:
            self._sent, self._until = 0, now + self._seconds

    def refund(self, at: float) -> None:  # noqa: ARG002  the protocol's
        """Take back one start of the present round."""
        self._sent = max(0, self._sent - 1)

    def state(self) -> list[float]:
        """Return what must be kept: how many were sent in the round, and the end of the rest."""
        return [float(self._sent), max(self._until, 0.0)] if self._sent or self._until > 0 else []

    def restore(self, state: list[float]) -> None:
        """Continue from `state`."""
        sent, self._until = state
        self._sent = min(int(sent), self._limit - 1)


class Meter:
    """All limits of one scope on one thing (messages, or connections).

    Args:
        limiters: The scope's own rates, by the span they are over.
        extra: Limits that somebody else makes and keeps (a warm-up ramp, a reaction); all hold.
    """

    __slots__ = ("_every", "_own", "budgeted", "moved", "smooth")

    def __init__(self, limiters: Mapping[str, Limiter], extra: Sequence[Limit] = ()) -> None:
        self._own = dict(limiters)
        self._every: tuple[Limit, ...] = (*self._own.values(), *extra)
        self.smooth = any(isinstance(limiter, Bucket | Speed) for limiter in self._every)
        self.budgeted = any(isinstance(one, Allowance | Rounds) for one in self._own.values())
        self.moved = False  # counted since somebody wrote `state` down and set this back

    @classmethod
    def of(cls, rates: Sequence[Rate], extra: Sequence[Limit] = ()) -> "Meter | None":
        """Return a meter for `rates` and what is added to them, or None when there is nothing."""
        limiters: dict[str, Limiter] = {}
        for rate in sorted(rates, key=lambda rate: -rate.limit):  # of two over one span the lower
            limiters[f"{rate.seconds:g}{' rest' if rate.rest else ''}"] = _limiter(rate)
        return cls(limiters, extra) if limiters or extra else None

    def ready_at(self, now: float) -> float:
        """Return the earliest time that every limit allows one more."""
        return max(limiter.ready_at(now) for limiter in self._every)

    def opens_at(self, now: float, ahead: float, *, alone: bool) -> float:
        """Return the earliest time for a session whose first message starts `ahead` seconds later.

        A receiver counts what reaches it, so a smooth rate, ours or one that was found, is asked
        for the time of arrival. An hour's budget is asked for now.

        Args:
            now: UNIX seconds.
            ahead: Seconds.
            alone: Whether there is no other session that starts anything meanwhile.
        """
        return max(_opens_at(limiter, now, ahead, alone) for limiter in self._every)

    def opening(self, now: float, ahead: float, *, alone: bool) -> tuple[float, str]:
        """Return what `opens_at` does, and the words of the limit that it is."""
        last = max(self._every, key=lambda limiter: _opens_at(limiter, now, ahead, alone))
        return _opens_at(last, now, ahead, alone), last.label

    def spend(self, now: float, ahead: float = 0.0) -> None:
        """Count one start against every limit.

        Args:
            now: UNIX seconds.
            ahead: Seconds until it starts: it is the first of a session that has to open.
        """
        self.moved = True
        for limiter in self._every:
            if ahead and isinstance(limiter, Bucket | Speed):
                limiter.book(now + ahead)
            else:
                limiter.spend(now)

    def unforeseen(self, now: float) -> None:
        """Count a start again that was booked for another time, where time is what counts."""
        for limiter in self._every:
            if isinstance(limiter, Bucket | Speed):
                limiter.spend(now)

    def refund(self, at: float) -> None:
        """Take back one start that was counted at `at`."""
        self.moved = True
        for limiter in self._every:
            limiter.refund(at)

    def binding(self, now: float) -> str:
        """Return the words of the limit that is used up the longest, "" when none is."""
        last = max(self._every, key=lambda limiter: limiter.ready_at(now))
        return last.label if last.ready_at(now) > now else ""

    def used_up(self, now: float) -> bool:
        """Whether one of the scope's own rates allows no more now."""
        return any(limiter.ready_at(now) > now for limiter in self._own.values())

    def state(self) -> dict[str, list[float]]:
        """Return what must be kept of the scope's own rates, by their span in seconds."""
        states = {span: limiter.state() for span, limiter in self._own.items()}
        return {span: state for span, state in states.items() if state}

    def restore(self, states: Mapping[str, list[float]]) -> None:
        """Continue from `states`.

        What was sent counts by its span, whatever the limit: who raises 500 a day to 600 has 100
        left. A span that was not counted before begins anew.
        """
        for span, limiter in self._own.items():
            if span in states:
                limiter.restore(states[span])


def _opens_at(limiter: Limit, now: float, ahead: float, alone: bool) -> float:  # noqa: FBT001  as in `opens_at`
    if isinstance(limiter, Bucket | Speed):
        return limiter.opens_at(now, ahead, alone=alone)
    return limiter.ready_at(now)


def _limiter(rate: Rate) -> Limiter:
    if rate.rest:
        return Rounds(rate.limit, rate.seconds, str(rate))
    if rate.seconds < HOUR:
        return Bucket(rate.limit, rate.seconds, str(rate))
    slots = SLOTS_OF_HOUR if rate.seconds < DAY else SLOTS_OF_DAY
    return Allowance(rate.limit, rate.seconds, slots, str(rate))
