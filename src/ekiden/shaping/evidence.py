"""What came back from one road in a day, and what that day comes to. Pure.

The judgement behind a warm-up (`warmup`): a day is passed, held or answered with a step back by its
shares of deferrals, bounces, complaints and blocks; it knows no state and no calendar.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

COMPLAINT_DAYS: Final = 7  # complaints come late: their share is over so many days with mail
MANY: Final = 2  # one deferral, bounce or complaint is an accident, whatever its share


class Verdict(StrEnum):
    """What the last day with mail came to."""

    NEW = "new"  # no day has ended yet
    PASSED = "passed"  # the next day has the next cap
    HOLDS = "holds"  # the next day has the same cap
    BACK = "back"  # the next day has the cap before
    AGAIN = "again"  # begun anew, after silence or by hand
    WARM = "warm"  # the last stage is passed, or a person says so: no cap any more


@dataclass(frozen=True, slots=True)
class Evidence:
    """What came back from one road in one day.

    Args:
        tried: Attempts that ended.
        deferred: Those of them that were put off.
        bounced: Mailboxes that do not exist, told at once or in a mail that came later.
        complained: Complaints that came in.
        blocked: Replies that refused the source for its reputation.
    """

    tried: int = 0
    deferred: int = 0
    bounced: int = 0
    complained: int = 0
    blocked: int = 0

    def __add__(self, more: "Evidence") -> "Evidence":
        return Evidence(
            self.tried + more.tried,
            self.deferred + more.deferred,
            self.bounced + more.bounced,
            self.complained + more.complained,
            self.blocked + more.blocked,
        )


@dataclass(frozen=True, slots=True)
class Thresholds:
    """When a day is passed; shares from 0 to 1. From the first on it holds, from the second back.

    Args:
        filled: The share of the allowance that must have been sent.
        deferrals: Of attempts.
        bounces: Of attempts.
        complaints: Of attempts, over the last days with mail.
        blocks: Of attempts; a first threshold of 0 holds at a single one.
    """

    filled: float = 0.8
    deferrals: tuple[float, float] = (0.10, 0.30)
    bounces: tuple[float, float] = (0.02, 0.05)
    complaints: tuple[float, float] = (0.001, 0.003)
    blocks: tuple[float, float] = (0.0, 0.01)


@dataclass(frozen=True, slots=True)
class DayRecord:
    """One day with mail, as it was judged."""

    number: int  # `date.toordinal()`
    stage: int
    cap: int
    sent: int
    evidence: Evidence
    verdict: Verdict
    reason: str


def judge(
    cap: int, sent: int, today: Evidence, before: Sequence[DayRecord], limits: Thresholds
) -> tuple[Verdict, str]:
    """Return what a day came to, and why in words.

    Args:
        cap: Its allowance.
        sent: What was handed out.
        today: What came back.
        before: The days with mail before it.
        limits: The thresholds.
    """
    recent = today
    for one in before[-(COMPLAINT_DAYS - 1) :]:
        recent += one.evidence
    checks = (
        ("blocked", today.blocked, today.tried, limits.blocks),
        ("complained about", recent.complained, recent.tried, limits.complaints),
        ("bounced", today.bounced, today.tried, limits.bounces),
        ("deferred", today.deferred, today.tried, limits.deferrals),
    )
    for verdict, place, doing in ((Verdict.BACK, 1, "steps back"), (Verdict.HOLDS, 0, "holds")):
        for what, number, tried, bounds in checks:
            share = min(1.0, number / tried) if tried else float(number > 0)
            bound = bounds[place]
            if what == "complained about" and verdict is Verdict.BACK and not today.complained:
                continue  # it stepped back for these when they came
            if number >= (MANY if bound else 1) and share >= bound:
                limit = f"from {_percent(bound)} on" if bound else "from the first on"
                return (
                    verdict,
                    f"{number:,} of {tried:,} {what} ({_percent(share)}; {limit} it {doing})",
                )
    if sent < limits.filled * cap:
        return Verdict.HOLDS, f"{sent:,} of {cap:,} were sent; {limits.filled:.0%} make a full day"
    return Verdict.PASSED, f"{sent:,} of {cap:,} were sent, and few came back"


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"
