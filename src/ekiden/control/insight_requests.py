"""What can be asked about how things go: providers, failures of a job, reactions, alerts."""

from typing import ClassVar

import msgspec

from ekiden.control.requests import Question


class ProviderView(msgspec.Struct, frozen=True, kw_only=True):
    """How mail to one provider goes; the counts are since the daemon started."""

    provider: str  # "other" for all that are not known by name
    sites: int  # in the scheduler's memory now
    waiting: int  # likewise
    sessions: int
    delivered: int
    deferred: int
    bounced: int
    why: str  # why no further session may begin; "" when one may


class FailureView(msgspec.Struct, frozen=True, kw_only=True):
    """Deliveries of a job that share a fate and a reason, and what to do about it."""

    fate: str  # "deferred" when they will be tried again
    klass: str = msgspec.field(name="class")
    rule: str
    number: int
    code: int
    reply: str  # one of them
    meaning: str
    action: str
    remedy: str


class JobReactionView(msgspec.Struct, frozen=True, kw_only=True):
    """How often something was done with a job's mails."""

    kind: str
    url: str
    human: bool
    times: int
    deliveries: int


class AlertView(msgspec.Struct, frozen=True, kw_only=True):
    """What the operator was told."""

    at: float
    scope: str
    job: int | None
    detail: str


class Providers(Question[list[ProviderView]], frozen=True):
    """Every provider with mail or sessions now, the longest queue first; empty without a daemon."""

    method: ClassVar[str] = "providers"


class Failures(Question[list[FailureView]], frozen=True):
    """Why deliveries of a job have not arrived, the most frequent reason first."""

    method: ClassVar[str] = "job.failures"
    job: str


class JobReactions(Question[list[JobReactionView]], frozen=True):
    """Opens, clicks and leavers of a job, by link, people and machines apart."""

    method: ClassVar[str] = "job.reactions"
    job: str


class Alerts(Question[list[AlertView]], frozen=True):
    """What the operator was told last, the newest first."""

    method: ClassVar[str] = "alerts"
    limit: int = 20


INSIGHT_REQUESTS = {kind.method: kind for kind in (Providers, Failures, JobReactions, Alerts)}
