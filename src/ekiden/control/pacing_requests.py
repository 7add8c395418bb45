"""What can be asked about pacing: warm-ups, hours."""

from typing import Any, ClassVar

import msgspec

from ekiden.control.requests import Question


class DayView(msgspec.Struct, frozen=True):
    """A day with mail of a warm-up, as it was judged. `day` is an ISO date; `stage` from 1."""

    day: str
    stage: int
    allowance: int
    sent: int
    tried: int
    deferred: int
    bounced: int
    complained: int
    blocked: int
    verdict: str
    reason: str


class WarmupView(msgspec.Struct, frozen=True):
    """One source's warm-up at one provider. Days are ISO dates, "" for none; `stage` from 1.

    `allowance` is today's cap, 0 when there is none any more; `sent` what was handed out today;
    `ends` the day on which the plan ends if it goes on as it did.
    """

    source: str
    provider: str
    plan: str
    stage: int
    stages: int
    allowance: int
    sent: int
    verdict: str
    reason: str
    held: bool
    done: bool
    last: str
    ends: str
    days: tuple[DayView, ...] = ()


class Warmups(Question[list[WarmupView]], frozen=True):
    """Every source's warm-up at every provider."""

    method: ClassVar[str] = "warmup"


class StartWarmup(Question[list[WarmupView]], frozen=True):
    """Begin a warm-up, begin it again, or let a held one go on."""

    method: ClassVar[str] = "warmup.start"
    source: str
    provider: str = ""  # "" for all
    plan: str = ""


class HoldWarmup(Question[list[WarmupView]], frozen=True):
    """Stay at today's cap until it is started again."""

    method: ClassVar[str] = "warmup.hold"
    source: str
    provider: str = ""


class SkipWarmup(Question[list[WarmupView]], frozen=True):
    """Go on at another day of the plan, or end the warm-up."""

    method: ClassVar[str] = "warmup.skip"
    source: str
    provider: str = ""
    stage: int | None = None  # from 1; None: it is warm


class HourShare(msgspec.Struct, frozen=True):
    """What was learned of an hour of the day; `deferred` is a share, null for too few attempts."""

    hour: int
    tried: int
    deferred: float | None


class HoursView(msgspec.Struct, frozen=True):
    """One provider's hours. `bulk` and `transactional` are the windows in words, "" for none.

    `bulk_from` and `transactional_from` say when mail may begin, null: now.
    """

    provider: str
    bulk: str
    transactional: str
    bulk_from: float | None
    transactional_from: float | None
    hours: tuple[HourShare, ...]


class ShowHours(Question[list[HoursView]], frozen=True):
    """When mail does not begin at each provider, and the deferrals by hour of the day."""

    method: ClassVar[str] = "hours"


class LearnedView(msgspec.Struct, frozen=True):
    """What sending from a source to a site has taught: null where nothing is known.

    `sessions` at once, `rate` in messages per second, `messages_per_session` after which the
    receiver ends a session; `length_said` whether it has said so, else its ends were counted.
    """

    source: str
    site: str
    sessions: int
    rate: float | None
    messages_per_session: int | None
    length_said: bool = False


class ShowLearned(Question[list[LearnedView]], frozen=True):
    """What was learned by sending to a site, by source; of every site when none is named.

    As it was written down last: a daemon does that every minute. With `found` only where a rate or
    a length of sessions was found, the latest first, two hundred at most.
    """

    method: ClassVar[str] = "learned"

    site: str = ""
    found: bool = False


PACING_REQUESTS: dict[str, type[Any]] = {
    kind.method: kind
    for kind in (Warmups, StartWarmup, HoldWarmup, SkipWarmup, ShowHours, ShowLearned)
}
"""By method, for the wire."""
