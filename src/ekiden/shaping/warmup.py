"""Warm-up: what a cold source may send to one provider today, judged by what came back. Pure.

**A stage is a day's cap, and a day is passed by evidence.** Days are those of a time zone, and only
days on which mail was sent count. When the next day begins, the last one is judged: it is *passed*
when it was filled enough and the shares of deferrals, bounces, complaints and blocks stayed under
their thresholds; otherwise the ramp *holds* at its cap or steps *back* by one, and says why. So a
day is never followed by a larger one because time went by, only because it went well.

**The day is spread.** What is left of the allowance is divided over what is left of the sending
hours; a day's allowance never goes out in less than a quarter of them, so a job that comes late
does not make up for the morning. Its day is not full then, and the ramp holds.

**Silence.** After so many days without mail (30; SendGrid calls an address cold then) it begins
again, also when it had long been warm.

**The clock.** Days follow the calendar through its changes. A clock that steps back goes on in the
day that was begun, with what was sent counted; one that steps forward ends that day. Neither lets a
day's cap be passed.

`Ramp` is a limit of `shaping.rates` on a road; `evidence.judge` is the decision and knows no state.
A ramp is `RampState`, plain values, and can be copied and restored whole.
"""

from dataclasses import dataclass, field, replace
from datetime import UTC, date, tzinfo
from typing import Final

from ekiden.localtime import WHOLE_DAY, Day, Span, day
from ekiden.shaping.evidence import DayRecord, Evidence, Thresholds, Verdict, judge
from ekiden.shaping.plans import Plan
from ekiden.shaping.window import NEVER

DAYS_KEPT: Final = 14  # days with mail that a ramp remembers
LEAST_PART: Final = 0.25  # of the sending hours, that a day's allowance takes at the least
CLOCK_DAYS: Final = 2  # a clock that was further ahead than that was wrong, and counts no days


@dataclass(frozen=True, slots=True)
class RampState:
    """All that a ramp knows, as plain values.

    Args:
        plan: Its plan's name.
        stage: Which day of the plan, from 0.
        number: The day that is being counted (`date.toordinal()`), 0 before the first mail.
        sent: What was handed out in it.
        evidence: What came back in it.
        last: The last day with mail, 0 for none.
        began: The first day of this ramp with mail, 0 for none.
        verdict: What the last judged day came to.
        reason: Why, in words.
        held: A person holds it: no day is passed.
        done: There is no cap any more.
        next_at: Not before this time (UNIX seconds): the day is spread.
        seen: Of the bounces and complaints that ever came later, those that were counted.
        days: The last days with mail, oldest first.
    """

    plan: str
    stage: int = 0
    number: int = 0
    sent: int = 0
    evidence: Evidence = field(default_factory=Evidence)
    last: int = 0
    began: int = 0
    verdict: Verdict = Verdict.NEW
    reason: str = ""
    held: bool = False
    done: bool = False
    next_at: float = 0.0
    seen: tuple[int, int] = (0, 0)
    days: tuple[DayRecord, ...] = ()


@dataclass(frozen=True, slots=True)
class RampOptions:
    """How days are counted and judged.

    Args:
        zone: Whose days.
        hours: Its sending hours, a span within one day.
        silence: So many days without mail make a source cold.
        thresholds: When a day is passed.
    """

    zone: tzinfo = UTC
    hours: Span = WHOLE_DAY
    silence: int = 30
    thresholds: Thresholds = field(default_factory=Thresholds)


@dataclass(frozen=True, slots=True)
class Turn:
    """A day's end at one ramp, for the log and the operator."""

    source: str
    provider: str
    at: float
    verdict: Verdict
    before: int  # the cap of the day that ended
    after: int  # of the one that begins; 0: none any more
    reason: str


class Ramp:
    """One source's warm-up at one provider: a limit, and what judges it.

    Args:
        source: The source's name.
        provider: The provider's name.
        plan: The plan.
        options: How days are counted and judged.
        state: To continue from.
    """

    def __init__(
        self,
        source: str,
        provider: str,
        plan: Plan,
        options: RampOptions,
        state: RampState | None = None,
    ) -> None:
        self.source = source
        self.provider = provider
        self.turns: list[Turn] = []
        self.moved = False  # changed since somebody wrote `state` down and set this back
        self._plan = plan
        self._options = options
        self._day: Day | None = None
        self._take(state or RampState(plan.name))

    # --- state ------------------------------------------------------------------------------------

    def _take(self, state: RampState) -> None:
        self._base = replace(state, stage=min(state.stage, len(self._plan.days) - 1))
        self.sent = state.sent
        self.evidence = state.evidence
        self._next_at = state.next_at
        self._last_at = NEVER

    @property
    def state(self) -> RampState:
        """All it knows; a ramp made with it goes on where this one stands."""
        return replace(
            self._base, sent=self.sent, evidence=self.evidence, next_at=max(self._next_at, 0.0)
        )

    @property
    def cap(self) -> int:
        """Today's allowance."""
        return self._plan.days[self._base.stage]

    @property
    def stages(self) -> int:
        """How many days the plan has."""
        return len(self._plan.days)

    @property
    def cold(self) -> bool:
        """Whether it still limits."""
        return not self._base.done

    def reconfigure(self, plan: Plan, options: RampOptions) -> None:
        """Take over a changed plan or other days; another plan goes on at the same cap."""
        cap, state = self.cap, self.state
        self._options, self._day = options, None
        if plan != self._plan:
            stage = plan.stage_of(cap) if state.stage else 0
            self._plan = plan
            self._take(replace(state, plan=plan.name, stage=stage))
            self.moved = True

    # --- the limit --------------------------------------------------------------------------------

    @property
    def label(self) -> str:
        """The limit in words."""
        base = self._base
        held = ", held by hand" if base.held else ""
        return (
            f"{self.cap:,} today, spread over its hours "
            f"(warm-up, stage {base.stage + 1} of {self.stages}{held})"
        )

    @property
    def interval(self) -> float:
        """Seconds between two messages, about, while it limits; 0 when it does not."""
        today = self._day
        if self._base.done or today is None:
            return 0.0
        return max((today.closes - today.opens) / self.cap, 0.0)

    def ready_at(self, now: float) -> float:
        """Return the earliest time that one more may start."""
        if self._day is None or not self._day.begins <= now < self._day.ends:
            self.turn(now)
        today = self._day
        if self._base.done or today is None:
            return now
        if self.sent >= self.cap or now >= today.closes:
            return self._tomorrow(today)
        at = max(self._next_at, today.opens)
        return at if at < today.closes else self._tomorrow(today)

    def left(self, now: float) -> int:
        """Return how many may still start today; 0 when it does not limit."""
        self.turn(now)
        today = self._day
        if self._base.done or today is None or now >= today.closes:
            return 0
        return max(0, self.cap - self.sent)

    def closes(self, now: float) -> float:
        """Return when today's sending hours end."""
        self.turn(now)
        return now if self._day is None else self._day.closes

    def spend(self, now: float) -> None:
        """Count one start."""
        self.turn(now)
        base, today = self._base, self._day
        assert today is not None  # noqa: S101  `turn` sets it
        self.sent += 1
        self.moved = True
        if base.number != base.last or not base.began:
            self._base = replace(base, last=base.number, began=base.began or base.number)
        if base.done:
            return
        left = self.cap - self.sent
        least = LEAST_PART * (today.closes - today.opens) / self.cap
        step = max((today.closes - now) / (left + 1), least) if left >= 0 else 0.0
        self._last_at = now
        self._next_at = max(now, today.opens) + step

    def refund(self, at: float) -> None:
        """Take back one start that did not happen."""
        if self.sent > 0 and self._day is not None and at >= self._day.begins:
            self.sent -= 1
            self.moved = True
            if at == self._last_at:
                self._next_at = at

    def _tomorrow(self, today: Day) -> float:
        following = day(today.ends, self._options.zone, self._options.hours)
        return following.opens

    # --- days -------------------------------------------------------------------------------------

    def note(self, evidence: Evidence) -> None:
        """Learn what came back."""
        self.evidence += evidence
        self.moved = True

    def came_back(self, bounced: int, complained: int) -> None:
        """Learn how many bounces and complaints have ever come later."""
        before = self._base.seen
        if (bounced, complained) == before:
            return
        more = (max(0, bounced - before[0]), max(0, complained - before[1]))
        self._base = replace(self._base, seen=(bounced, complained))
        self.note(Evidence(bounced=more[0], complained=more[1]))

    def turn(self, now: float) -> None:
        """Let the calendar go on: judge the day that has ended, begin the one that it is."""
        if self._day is not None and self._day.begins <= now < self._day.ends:
            return
        self._day = day(now, self._options.zone, self._options.hours)
        base, today = self._base, self._day.number
        if base.number > today + CLOCK_DAYS:
            # It had been far ahead. The day that it is goes on with what was counted in that one.
            self._base = replace(base, number=today, last=min(base.last, today))
            self._next_at = 0.0
            return
        if today <= base.number:
            return  # the clock stepped back: the day goes on, and counts what was sent
        if self.sent:
            self._end_day(now)
        base = self._base
        if base.last and today - base.last >= self._options.silence and (base.stage or base.done):
            silent = today - base.last
            self._begin_again(now, f"no mail for {silent} days: the provider has forgotten it")
        self._base = replace(self._base, number=today)
        self._next_at = 0.0
        self.moved = True

    def _end_day(self, now: float) -> None:
        base, cap = self._base, self.cap
        if base.done:
            verdict, reason = Verdict.WARM, base.reason
        else:
            limits = self._options.thresholds
            verdict, reason = judge(cap, self.sent, self.evidence, base.days, limits)
        if base.held and verdict is Verdict.PASSED:
            verdict, reason = Verdict.HOLDS, "held by hand"
        stage, done = base.stage, base.done
        if verdict is Verdict.PASSED and stage + 1 == self.stages:
            verdict, done = Verdict.WARM, True
            reason = f"the last day of the plan ({cap:,}) is passed"
        elif verdict is Verdict.PASSED:
            stage += 1
        elif verdict is Verdict.BACK:
            stage = max(0, stage - 1)
        record = DayRecord(base.number, base.stage, cap, self.sent, self.evidence, verdict, reason)
        self._base = replace(
            base,
            stage=stage,
            done=done,
            verdict=verdict,
            reason=reason,
            days=(*base.days, record)[-DAYS_KEPT:],
        )
        self.sent, self.evidence = 0, Evidence()
        if not base.done:
            after = 0 if done else self.cap
            self.turns.append(Turn(self.source, self.provider, now, verdict, cap, after, reason))

    # --- people -----------------------------------------------------------------------------------

    def _begin_again(self, now: float, reason: str) -> None:
        before = 0 if self._base.done else self.cap
        self._base = replace(
            self._base, stage=0, done=False, began=0, verdict=Verdict.AGAIN, reason=reason
        )
        self.turns.append(
            Turn(self.source, self.provider, now, Verdict.AGAIN, before, self.cap, reason)
        )

    def start(self, now: float, plan: Plan | None = None) -> None:
        """Begin at the plan's first day because a person says so; what today sent stays counted."""
        self.turn(now)
        if plan is not None:
            self._plan = plan
            self._base = replace(self._base, plan=plan.name, stage=0)
        self._base = replace(self._base, held=False, days=())
        self._begin_again(now, "begun by hand")
        self._next_at = 0.0
        self.moved = True

    def hold(self, now: float, *, held: bool) -> None:
        """Pass no day until a person lets it go on; or let it go on."""
        self.turn(now)
        self._base = replace(self._base, held=held)
        self.moved = True

    def skip(self, now: float, stage: int | None = None) -> None:
        """Go on at a later (or earlier) day of the plan, or end the warm-up.

        Args:
            now: UNIX seconds.
            stage: From 0; None when the source is warm.
        """
        self.turn(now)
        before = 0 if self._base.done else self.cap
        if stage is None:
            change, verdict, reason = replace(self._base, done=True), Verdict.WARM, "warm by hand"
        else:
            last = min(max(stage, 0), self.stages - 1)
            change = replace(self._base, done=False, stage=last)
            verdict, reason = Verdict.AGAIN, f"set to day {last + 1} of the plan by hand"
        self._base = replace(change, verdict=verdict, reason=reason)
        self._next_at = 0.0
        after = 0 if stage is None else self.cap
        self.turns.append(Turn(self.source, self.provider, now, verdict, before, after, reason))
        self.moved = True

    def view(self, now: float) -> "RampView":
        """Return it for people."""
        self.turn(now)
        base = self._base
        return RampView(
            source=self.source,
            provider=self.provider,
            plan=base.plan,
            stage=base.stage + 1,
            stages=self.stages,
            allowance=0 if base.done else self.cap,
            sent=self.sent,
            evidence=self.evidence,
            verdict=base.verdict,
            reason=base.reason,
            held=base.held,
            done=base.done,
            last=_iso(base.last),
            ends=self._expected_end(),
            days=base.days,
        )

    def _expected_end(self) -> str:
        """Return the first day without a cap, if days go on being passed as fast as so far."""
        base = self._base
        if base.done or base.held or not base.number:
            return ""
        so_far = base.number - base.began if base.began else 0
        pace = max(1.0, so_far / max(base.stage, 1))  # calendar days for a day of the plan
        return _iso(base.number + round((self.stages - base.stage) * pace))


@dataclass(frozen=True, slots=True)
class RampView:
    """A ramp for people. Days are ISO dates, "" for none; `stage` is counted from 1.

    Args:
        allowance: Today's cap, 0 when there is none.
        sent: What was handed out today.
        ends: The first day without a cap if it goes on as it did; "" when that cannot be said.
        days: The last days with mail.
    """

    source: str
    provider: str
    plan: str
    stage: int
    stages: int
    allowance: int
    sent: int
    evidence: Evidence
    verdict: Verdict
    reason: str
    held: bool
    done: bool
    last: str
    ends: str
    days: tuple[DayRecord, ...] = ()


def _iso(number: int) -> str:
    return date.fromordinal(number).isoformat() if 0 < number < date.max.toordinal() else ""
