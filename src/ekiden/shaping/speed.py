"""The rate that a receiver allows a path, found by asking carefully, when it tells nobody. Pure.

A window of sessions finds a receiver's limit on sessions. A limit on messages per second or minute
it cannot find: one session alone may pass it. So a path that is throttled in the middle of a
session also gets a rate, which learns as the window does:

* **No rate until there is trouble.** A receiver that never throttles meets the window alone.
* **Down by half** at the first run of refusals, from what the receiver has taken lately, and
  whenever one run follows another. Then one message asks whether it is still full. When it has
  taken nothing since the last step, the rate is not to blame: the path pauses instead, and the mean
  of taking and pausing is what it allows.
* **Down by a tenth** when all has been well for a while: then a refusal only says that a question
  has failed, or that the knee is a little too high. Half the speed would be too dear an answer.
  Refused again at once, it stays silent for twice as long each time: who counts by the minute of
  the clock is full until its end.
* **Up by a twentieth of the knee** (the largest rate that is thought to be well), no more often
  than an interval, and only while the rate is what binds: an unused rate proves nothing.
* **Beyond the knee** only after a while, for each such question may cost refusals: a hundred
  messages and more for each that the last one cost, so that all of them stay under a hundredth.
  One that goes well for half a minute, and for a message or two more than the knee, is followed by
  one twice as large; one that fails by one half as large, soon if it ended a climb: a limit that
  has risen is found within minutes (`knee`).
* **Places, not gaps**: in a row where it is slow (`track`), else so many in any second (`sliding`).
  The first message of a session has the one at which it will arrive.
* **Shut for minutes** (`shut`), it counts by the hour: then it is asked as seldom as what is taken
  in an hour pays for.
"""

from dataclasses import dataclass
from typing import Final

from ekiden.shaping.knee import FLOOR, STEP, Knee
from ekiden.shaping.shut import LONG, Shut
from ekiden.shaping.sliding import Sliding
from ekiden.shaping.taken import HOUR, MINUTE, Taken
from ekiden.shaping.track import Track

NEVER: Final = float("-inf")

EASE: Final = 0.9  # of the knee, after a refusal that says no more than that it is there
SAME: Final = 1.5  # seconds for which a receiver that counts by the second is still full
AGAIN: Final = 10.0  # seconds after which another refusal says no more than that
EXACT: Final = 4.0  # messages per second: slower ones have exact places, whoever misses some
IN_USE: Final = 0.7  # of a rate: who takes so much, gaps between sessions included, uses it
BELOW: Final = 0.97  # of what was taken when sessions were too much: the rate may have been
RESPITE: Final = 3.0  # seconds at most for which nothing starts after a refusal
COST_MOST: Final = 10.0  # refusals: what one question is thought to cost at most
EXCESS: Final = 1.5  # messages more than at the knee: who counts by the minute has noticed then
COST_HALVED: Final = 600.0  # seconds at most that half the price of a dear question is waited for
DROP_MOST: Final = 64.0  # a rate falls at most so far below itself before it is halved
USED: Final = 0.8  # of what the rate allowed must have been used for it to bind,
WAITED: Final = 0.6  # or so many have waited for their places: sessions, and gaps between them
_PUNCTUAL: Final = (
    0.25  # of an interval: who starts so soon after its place began has waited for it
)
EARLY: Final = 0.001  # of a second for each message per second: what a late timer costs,
EARLY_MOST: Final = 0.02  # seconds at most that one may start before its place
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
        probe: Seconds after trouble before the knee is passed, at least,
        probe_max: and at most, unless half the price of the question takes longer.
        probe_messages: Messages that must go well for each refusal that the last question cost.
        hold: Seconds for which a rate beyond the knee must go well.
    """

    interval: float = 2.0
    probe: float = 60.0
    probe_max: float = 300.0
    probe_messages: int = 120
    hold: float = 30.0


class Speed:
    """The rate of a path: a `rates.Limiter` once `rate` is set.

    Attributes:
        rate: Messages per second; None while nothing has been refused.
        rose_at: When the rate last rose.
    """

    __slots__ = (
        "_cost",
        "_count",
        "_earned",
        "_eased",
        "_evidence_at",
        "_good_at",
        "_goods",
        "_hour",
        "_knee",
        "_mean",
        "_minute",
        "_options",
        "_respite",
        "_run",
        "_run_at",
        "_shut",
        "_span_at",
        "_spent",
        "_starts",
        "_stepped_at",
        "_track",
        "_waited",
        "label",
        "rate",
        "rose_at",
    )

    def __init__(self, options: SpeedOptions) -> None:
        self._options = options
        self.rate: float | None = None
        self.label = ""
        self.rose_at = NEVER
        self._cost = 1.0  # refusals in the latest run
        self._earned = 0.0  # messages that went well on a climb, beyond what it had cost
        self._eased = False  # the latest step down was a small one
        self._knee = Knee()
        self._stepped_at = NEVER
        self._respite = 0.0  # seconds for which nothing started after the latest refusal
        self._track: Track | Sliding = Track()
        self._evidence_at = NEVER  # since when `_goods` and `_spent` are counted
        self._goods = 0
        self._spent = 0
        self._starts = 0  # of these, the ones that were counted when they started,
        self._waited = 0  # and who started as soon as there was a place
        self._count = 0  # taken since the last step down
        self._shut = Shut()
        self._good_at = NEVER  # the latest,
        self._run_at = NEVER  # and since when they came without a gap
        self._span_at = NEVER  # the present span of measuring: since when,
        self._run = 0  # how many,
        self._mean = 0.0  # and how many per second in the one before
        self._minute = Taken(MINUTE, 12)
        self._hour = Taken(HOUR, 60)

    @property
    def knee(self) -> float:
        """The largest rate that is thought to be well."""
        return self._knee.at

    # --- Limiter ----------------------------------------------------------------------------------

    def ready_at(self, now: float) -> float:
        """Return the earliest time that one more may start."""
        if self.rate is None:
            return NEVER
        return self._track.next(now, self._interval(self.rate)) - min(EARLY * self.rate, EARLY_MOST)

    def opens_at(self, now: float, ahead: float, *, alone: bool = False) -> float:
        """Return the earliest time for what takes `ahead` seconds until it starts.

        Args:
            now: UNIX seconds.
            ahead: Seconds.
            alone: Whether nobody else starts anything meanwhile.
        """
        if self.rate is None:
            return now
        return self._track.free(now, ahead, self._interval(self.rate), alone=alone) - ahead

    def spend(self, now: float) -> None:
        """Count one start."""
        if self.rate is not None:
            interval = self._interval(self.rate)
            self._starts += 1
            late = now - self._track.next(now, interval)
            self._waited += -EARLY_MOST <= late < interval * _PUNCTUAL
            self._track.step(now, interval)
            self._spent += 1

    def book(self, at: float) -> None:
        """Count one start that is to come."""
        if self.rate is not None:
            self._track.take(at)
            self._spent += 1

    def _interval(self, rate: float) -> float:
        """Return the seconds between two places; after a halving one asks for all first."""
        return 1.0 / rate if self._count or self._eased else max(1.0 / rate, SAME)

    def refund(self, at: float) -> None:
        """Do nothing: as in `rates.Bucket`."""

    def state(self) -> list[float]:
        """Return what must be kept to continue after a restart; [] while there is no rate."""
        if self.rate is None:
            return []
        return [self.rate, self.knee, self._stepped_at, self._cost]

    def restore(self, state: list[float]) -> None:
        """Continue from `state`."""
        if len(state) != 4:
            return
        rate, self._knee.at, self._stepped_at, cost = state
        self._cost = min(max(cost, 1.0), COST_MOST)
        self._set(max(rate, FLOOR), self._stepped_at)

    # --- Learning ---------------------------------------------------------------------------------

    def binds(self, now: float) -> bool:
        """Whether the rate is what keeps the path from more at this moment."""
        return self.rate is not None and self._track.at > now

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
        used = self._spent >= USED * self.rate * elapsed
        if not used and self._waited < WAITED * max(self._starts, _GOODS):
            self._restart(now)
            return False
        self._rise(self.rate, now)
        return True

    def in_run(self, now: float, *, since: float) -> bool:
        """Learn of a refusal; return whether a small step down has answered it already.

        Args:
            now: UNIX seconds.
            since: When what was refused was handed out.
        """
        if self.rate is None or since > self._stepped_at + SAME * self._eased:
            return False
        self._cost = min(self._cost + 1.0, COST_MOST)
        if since > self._stepped_at:
            # Still full: who counts by the minute may be so until its end.
            self._respite = min(self._respite * 2, RESPITE)
            self._track.advance(now + self._respite)
        return self._eased

    def calm(self, now: float) -> bool:
        """Whether there is a rate, and all has gone well for a while.

        Then a refusal says no more than that a question has failed, or that the knee is a little
        too high: `ease` is the answer, or `limit`, and half the speed would be too much of one.
        """
        return (
            self.rate is not None
            and self._count > 0
            and not (self._shut.met and now - self._run_at < PROVEN)
            and now - self._stepped_at >= AGAIN
        )

    def ease(self, now: float) -> None:
        """Step down a little, from a rate that has been well for a while."""
        if self.rate is not None:
            self._find_knee(self.rate, self._top(self.rate, now), now)
            self._step_down(self.knee * EASE, now, eased=True)

    def trouble(self, now: float, *, since: float) -> bool:
        """Learn that it was too fast; return whether that changed the rate.

        Args:
            now: UNIX seconds.
            since: When what failed was handed out; before the last step down it is the same run.
        """
        if since <= self._stepped_at:
            return False
        if not self._count:
            self._shut.begin(now)
            self._cost = min(self._cost + 1.0, COST_MOST)
            return False
        rate = self.rate
        if rate is None:
            self._knee.at = top = max(FLOOR, self.taken(now))
        else:
            top = self._top(rate, now)
            if not (self._eased and now - self._stepped_at < AGAIN):
                self._find_knee(rate, top, now)  # else what filled its count is known already
        self._step_down(top / 2, now, eased=False)
        return True

    def patience(self, now: float) -> float:
        """Return the seconds at least for which one that is shut should not be asked again."""
        asked = self.rate is not None and self._count == 0
        return self._shut.patience(now, self._hour.least(now)) if asked else 0.0

    def _top(self, rate: float, now: float) -> float:
        """Return the most that a refusal at a rate leaves possible."""
        if not self._shut.met:
            return rate
        # It takes much at once, then nothing for long: the mean of both is what it allows. Over
        # less than its minute that may be the pause alone: what a minute had room for it has. Who
        # is shut for longer than one counts by the hour.
        elapsed = now - self._stepped_at
        mean = self._count / elapsed * _ABOVE_MEAN
        if elapsed < MINUTE:
            mean = max(mean, self._minute.least(now))
        elif self._shut.lasted > MINUTE:
            mean = max(mean, self._hour.least(now))
        return min(rate, mean if self._shut.lasted > LONG else max(mean, rate / DROP_MOST))

    def _find_knee(self, rate: float, top: float, now: float) -> None:
        self._knee.find(rate, top, now, minute=self._minute.mean(now))

    def _step_down(self, rate: float, now: float, *, eased: bool) -> None:
        run = self._cost if now - self._stepped_at < GAP + 2 * AGAIN else 0.0
        rate = max(FLOOR, rate)
        climbed = self._knee.raised_at > self._stepped_at
        paid = self._cost * self._options.probe_messages
        self._earned = max(0.0, self._count - paid) if climbed else 0.0
        self._respite = min(RESPITE, max(2.0 / rate, 0.0 if eased else SAME))
        self._track.advance(now + self._respite)
        self._set(rate, now)
        self._stepped_at = now
        self._eased, self._cost = eased, min(run + 1.0, COST_MOST)
        self._count, self._run = 0, 0
        self._shut.forget()
        self._run_at = self._span_at = self._good_at = now
        self._mean = 0.0

    def limit_to_taken(self, now: float) -> None:
        """Go no faster than lately, for something else than the rate was too much."""
        if self.rate is not None:
            taken, proven = self.taken(now), min(self.knee, self.rate / (1 + STEP))
            found = proven if taken >= IN_USE * proven else taken * BELOW
            at = min(found, self._top(self.rate, now))
            rate, knee = self.rate, self.knee
            self.limit(at, now)
            self._knee.doubt(rate, knee)  # or it was the rate after all

    def limit(self, rate: float, now: float) -> None:
        """Go no faster than `rate` from now on, as if that had been learned."""
        if self.rate is None or rate < self.rate:
            self._knee.put(rate)
            self._step_down(self.knee, now, eased=True)

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
        self._minute.count(now)
        self._hour.count(now)
        if not self._count:
            self._shut.end(now)
        self._run += 1
        self._count += 1

    def _wait(self, rate: float) -> float:
        options = self._options
        if rate < self.knee:
            return max(options.interval, _GOODS / rate)
        if rate == self.knee:
            paid = (self._cost * options.probe_messages - self._earned) / rate
            least = options.probe if paid > 0 else options.hold
            # Minutes are worth more than the full price, but not more than half of it.
            half = min(paid, max(2 * COST_HALVED, options.probe_messages / rate)) / 2
            return min(max(paid, least), max(half, options.probe_max))
        return max(options.hold, 5 * _GOODS / rate, EXCESS / (rate - self.knee))

    def _rise(self, rate: float, now: float) -> None:
        if rate < self.knee:
            rate = min(self.knee, rate + self.knee * STEP)
        else:
            if rate > self.knee:
                self._cost = 1.0
                self._knee.rise(rate, now)
            soon = now - self._stepped_at < self._options.probe_max
            rate = self._knee.question(rate, soon=soon)
        self.rose_at = now
        self._set(rate, now)

    def _set(self, rate: float, now: float) -> None:
        self.rate = rate
        if (rate > EXACT) != isinstance(self._track, Sliding):
            clear = self._track.clear(1.0 / rate)
            self._track = Sliding() if rate > EXACT else Track()
            self._track.advance(clear)
        self.label = f"{rate:.3g} per second, found by asking"
        if rate < 1.0:
            self.label = f"{rate * 60:.3g} per minute, found by asking"
        self._restart(now)

    def _restart(self, now: float) -> None:
        self._evidence_at, self._goods, self._spent = now, 0, 0
        self._starts, self._waited = 0, 0
