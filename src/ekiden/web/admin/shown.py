"""Values as the dashboard shows them. Pure: no clock, no I/O."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from ekiden.control.insight_requests import FailureView
from ekiden.control.requests import JobView
from ekiden.web.admin.meanings import JAPANESE

# The parts of a job's bar, in the order in which they are drawn.
PARTS: Final = (
    ("delivered", ("delivered",)),
    ("failed", ("bounced", "expired")),
    ("left", ("suppressed", "cancelled")),
    ("moving", ("sending",)),
)
_LEAST_DONE: Final = 20  # deliveries; before that the pace says nothing
_UNITS: Final = ((86_400, "days"), (3_600, "hours"), (60, "minutes"))
_BY_FATE: Final = frozenset({"suppressed", "cancelled", "expired", "held"})


@dataclass(frozen=True, slots=True)
class Shown:
    """A page to be made.

    Args:
        template: Its template.
        values: What it shows.
        status: Of the answer.
    """

    template: str
    values: Mapping[str, Any] = field(default_factory=dict)
    status: int = 200


@dataclass(frozen=True, slots=True)
class JobShown:
    """A job with what is computed of it.

    Args:
        facts: The job.
        done: Deliveries that are final.
        share: The same of all, in percent.
        left: Seconds that it still takes, by its forecast or else at the pace so far; None if that
            cannot be said.
        ends_at: When its forecast has all of it final, UNIX seconds; None without one.
        endless: Whether its forecast sees no end.
    """

    facts: JobView
    done: int
    share: float
    left: float | None
    ends_at: float | None = None
    endless: bool = False


def job_shown(job: JobView, now: float) -> JobShown:
    """Return a job with what is computed of it.

    Args:
        job: The job.
        now: UNIX seconds.
    """
    ends = ("delivered", "bounced", "expired", "suppressed", "cancelled")
    done = sum(job.counts.get(state, 0) for state in ends)
    share = 100.0 * done / job.total if job.total else 100.0
    if job.state != "open" or not job.forecast:
        return JobShown(job, done, share, _estimate(job, now))
    if job.ends_at is None:
        return JobShown(job, done, share, None, endless=True)
    if job.ends_at <= now:  # it was wrong, and the next one is not there yet
        return JobShown(job, done, share, _estimate(job, now))
    return JobShown(job, done, share, job.ends_at - now, job.ends_at)


def _estimate(job: JobView, now: float) -> float | None:
    """Return how long what waits takes, at the mean pace of what was tried so far."""
    tried = sum(job.counts.get(state, 0) for state in ("delivered", "bounced", "expired"))
    left = sum(job.counts.get(state, 0) for state in ("ready", "sending"))
    elapsed = now - max(job.created_at, job.send_at)
    if job.state != "open" or not left or tried < _LEAST_DONE or elapsed <= 0:
        return None
    return left * elapsed / tried


def segments(job: JobView) -> list[tuple[str, float, float]]:
    """Return the parts of a job's bar: name, where it begins and how wide it is, of 100."""
    found, at = [], 0.0
    for name, states in PARTS:
        number = sum(job.counts.get(state, 0) for state in states)
        if number and job.total:
            width = 100.0 * number / job.total
            found.append((name, round(at, 3), round(width, 3)))
            at += width
    return found


def meaning(failure: FailureView, language: str) -> str:
    """Return what a failure's class means, in a language; "" if it has none."""
    return JAPANESE.get(failure.klass, failure.meaning) if language == "ja" else failure.meaning


def remedy_key(failure: FailureView) -> str:
    """Return the name of the phrase that says what to do about a failure."""
    if failure.fate in _BY_FATE:
        return f"remedy_{failure.fate}"
    return f"remedy_{failure.action or 'other'}"


def count(number: float) -> str:
    """Return a number with its thousands apart."""
    return f"{number:,.0f}"


def percent(rate: float) -> str:
    """Return a rate in percent."""
    return f"{100 * rate:.2f} %"


def length_of(seconds: float | None, words: Mapping[str, str]) -> str:
    """Return a length of time as people say it; a dash if it is not known."""
    if seconds is None:
        return "–"
    for size, unit in _UNITS:
        if seconds >= 2 * size:
            return words[unit].format(n=round(seconds / size))
    return words["seconds"].format(n=max(1, round(seconds)))


def rate_of(rate: float | None, words: Mapping[str, str]) -> str:
    """Return messages per second as people say it; a dash if none was found."""
    if rate is None:
        return "–"
    if rate < 1.0:
        return words["per_minute"].format(rate=f"{rate * 60:.3g}")
    return words["per_second"].format(rate=f"{rate:.3g}")


def moment(at: float | None) -> str:
    """Return a time in UTC, to the minute; a dash for never (also as 0)."""
    return "–" if not at else f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M} UTC"
