"""Steady volume: how far a job departs from what its sources usually send in a day. Pure.

Receivers know an address by its habits. One that sends 2,000 a day and then 100,000 looks like one
that was taken over, and is deferred or filtered whatever the content (Gmail: "Avoid sudden volume
spikes", support.google.com/mail/answer/81126). So a jump is pointed out before it starts; nothing
is held back for it.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

DAY: Final = 86_400
DAYS: Final = 30  # over which the mean is
_KNOWN: Final = 7  # days that a source must have been known for: before, it is warm-up's matter
_SMALL: Final = 1_000  # messages of one source in a day that nobody minds
_JUMP: Final = 3.0  # times the mean


@dataclass(frozen=True, slots=True)
class Jump:
    """A job that departs far from the usual.

    Args:
        source: Whose mean it departs from.
        messages: Of the job, its share of this source.
        mean: Messages a day over the last 30 days.
        days: On how many days they would be no jump.
    """

    source: str
    messages: int
    mean: float
    days: int

    def __str__(self) -> str:
        times = self.messages / max(self.mean, 1.0)
        return (
            f"{self.messages:,} messages from {self.source} in one job are {times:.1f} times its "
            f"mean of {self.mean:,.0f} a day over {DAYS} days: to receivers this looks like an "
            f"address that was taken over, and they defer or filter it; spread over {self.days} "
            "days it is no jump"
        )


def day_of(at: float) -> int:
    """Return the number of the day (UTC) of a time in UNIX seconds."""
    return int(at // DAY)


def mean(counts: Mapping[int, int], today: int) -> float | None:
    """Return the messages a day before today; None for a source that is not known long enough.

    Args:
        counts: Messages by day.
        today: The day that is not over; it does not count.
    """
    past = {day: count for day, count in counts.items() if today - DAYS <= day < today}
    if not past or today - min(past) < _KNOWN:
        return None
    return sum(past.values()) / (today - min(past))


def jump(source: str, messages: int, counts: Mapping[int, int], today: int) -> Jump | None:
    """Return how far a job departs from what a source usually sends, None if it does not.

    Args:
        source: Its name.
        messages: That it would send of the job.
        counts: What it sent by day.
        today: The present day.
    """
    usual = mean(counts, today)
    if usual is None or messages < _SMALL or messages <= _JUMP * usual:
        return None
    days = -(-messages // max(1, int(_JUMP * usual)))
    return Jump(source, messages, usual, days)


def jumps(
    parts: Sequence[tuple[int, Sequence[str]]],
    counts: Mapping[str, Mapping[int, int]],
    today: int,
) -> list[Jump]:
    """Return how far a job departs from what each of its sources usually sends.

    Args:
        parts: Its messages, and the sources of their pool, which share them evenly; a job whose
            rows chose configuration sets has a part for each.
        counts: What each source sent by day.
        today: The present day.
    """
    shares: Counter[str] = Counter()
    for messages, sources in parts:
        for name in sources:
            shares[name] += messages // len(sources)
    found = [jump(name, share, counts.get(name, {}), today) for name, share in shares.items()]
    return [one for one in found if one is not None]
