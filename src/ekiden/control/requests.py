"""What can be asked of a queue, and what is answered: one frozen type per question and answer.

The same questions are answered by a running daemon (through its socket) and by a command that has
opened the database itself; so a command never needs to know which of the two it talks to. A
`Question` has one answer, a `Listing` has a stream of them. The class knows its answer's type and
its name on the wire.

Times are UNIX seconds; `None` means "never" or "not set". All text that came from outside is
printable ASCII or escaped before it gets here.
"""

from typing import Any, ClassVar, Generic, TypeVar, get_args

import msgspec

T = TypeVar("T")


class _Request(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What questions and listings share: a name, and the type of the answer."""

    method: ClassVar[str] = ""

    @classmethod
    def answer_type(cls) -> Any:
        """Return the type of the answer, or of each answer of a listing."""
        return get_args(cls.__orig_bases__[0])[0]  # type: ignore[attr-defined]  # set by Generic


class Question(_Request, Generic[T], frozen=True):
    """A request with one answer."""


class Listing(_Request, Generic[T], frozen=True):
    """A request with a stream of answers."""


# --- Answers ------------------------------------------------------------------------------------


class EngineView(msgspec.Struct, frozen=True, kw_only=True):
    """What only the running daemon knows."""

    pid: int
    version: str
    started_at: float
    sessions: int
    max_sessions: int
    destinations: int  # known to the scheduler now
    trouble: str = ""  # why nothing is claimed, such as a full disk; "" when all is well
    event_troubles: dict[str, str] = {}  # destinations of events that take nothing, and why


class LagView(msgspec.Struct, frozen=True, kw_only=True):
    """How far behind a destination of events is."""

    name: str
    behind: int  # rows of the history before it, those it does not want included
    since: float | None  # when the oldest of them was written


class StatusView(msgspec.Struct, frozen=True, kw_only=True):
    """The whole queue in a few figures."""

    engine: EngineView | None
    jobs: dict[str, int]
    deliveries: dict[str, int]  # of jobs that have not ended
    suspensions: int
    event_destinations: tuple[LagView, ...] = ()


class SetView(msgspec.Struct, frozen=True, kw_only=True):
    """The rows of a job that chose a configuration set: a sibling of the job."""

    id: int
    configuration_set: str
    state: str
    priority: str
    pool: str
    expires_at: float
    total: int
    counts: dict[str, int]


class JobView(msgspec.Struct, frozen=True, kw_only=True):
    """A job and how far it is; numbers are those of all its rows, whatever set they chose."""

    id: int
    uid: str
    name: str
    state: str
    priority: str
    mail_from: str
    from_domain: str
    configuration_set: str
    pool: str
    created_at: float
    send_at: float
    expires_at: float
    deliver_by: float | None
    spool_name: str
    finished_at: float | None
    total: int
    refused: int
    duplicates: int
    counts: dict[str, int]
    template: str = ""  # name and version, such as "welcome@3"
    forecast: str = ""  # when it will be done, in words; "" while nothing is known
    ends_at: float | None = None  # when all of it is expected to be final
    verdict: str = ""  # what was said of its deadline when it came in; "" for one without
    volume: tuple[str, ...] = ()  # how far it departs from what its sources usually send
    sets: tuple[SetView, ...] = ()  # of rows that chose a set of their own


class BacklogView(msgspec.Struct, frozen=True, kw_only=True):
    """What waits for one destination, and why."""

    destination: str
    ready: int
    deferred: int
    sending: int
    held: int
    oldest: float | None
    next_due: float | None
    why: str


class AttemptView(msgspec.Struct, frozen=True, kw_only=True):
    """One try of a delivery, or a fate that came without one (then `outcome` is "")."""

    number: int
    at: float
    fate: str  # the state it led to; "deferred" when it will be tried again
    due_at: float | None
    in_doubt: bool
    seconds: float
    outcome: str
    stage: str
    code: int
    reply: str
    klass: str
    rule: str
    source: str
    site: str
    host: str
    tls: str


class DeliveryView(msgspec.Struct, frozen=True, kw_only=True):
    """One message to one recipient, with every try."""

    id: int
    job: str  # its identity
    job_name: str
    recipient: str
    destination: str
    row: int  # in the recipients file, from 1; 0 when there is none
    state: str
    due_at: float | None
    finished_at: float | None
    attempts: tuple[AttemptView, ...]


class SuspensionView(msgspec.Struct, frozen=True, kw_only=True):
    """Destinations to which nothing is sent for now."""

    pattern: str
    since: float
    until: float | None
    reason: str


class SuppressionView(msgspec.Struct, frozen=True, kw_only=True):
    """A reason not to mail an address."""

    address: str
    reason: str
    scope: str = "all"
    job: int | None = None
    at: float | None = None  # None in a request means now
    note: str = ""


class ImportView(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a batch of addresses."""

    added: int
    known: int
    refused: tuple[str, ...]  # why, one sentence for each that is no address


class TakenView(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a mail that came back."""

    outcome: str
    delivery: int = 0
    recipient: str = ""
    klass: str = ""
    suppressed: str = ""  # the reason, if this mail did it


class InboundView(msgspec.Struct, frozen=True, kw_only=True):
    """How often returned mail came to an outcome."""

    outcome: str
    number: int
    last_at: float


class ReputationView(msgspec.Struct, frozen=True, kw_only=True):
    """The rates of a scope, and how it stands."""

    scope: str
    standing: str
    sent: float
    bounce_rate: float
    complaint_rate: float
    reason: str
    since: float


# --- Requests -----------------------------------------------------------------------------------


class Status(Question[StatusView], frozen=True):
    """The figures of `ekiden status`."""

    method: ClassVar[str] = "status"


class Jobs(Question[list[JobView]], frozen=True):
    """The newest jobs, in all or some states."""

    method: ClassVar[str] = "jobs"
    states: tuple[str, ...] = ()
    limit: int = 100


class ShowJob(Question[JobView], frozen=True):
    """One job, by its number, identity or name."""

    method: ClassVar[str] = "job.show"
    job: str


class PauseJob(Question[JobView], frozen=True):
    """Start no delivery of a job until it is resumed."""

    method: ClassVar[str] = "job.pause"
    job: str


class ResumeJob(Question[JobView], frozen=True):
    """Go on with a paused job."""

    method: ClassVar[str] = "job.resume"
    job: str


class CancelJob(Question[JobView], frozen=True):
    """Cancel everything of a job that has not been sent."""

    method: ClassVar[str] = "job.cancel"
    job: str


class ReleaseJob(Question[JobView], frozen=True):
    """Send the held deliveries of a job again, or cancel them."""

    method: ClassVar[str] = "job.release"
    job: str
    drop: bool = False


class Backlog(Question[list[BacklogView]], frozen=True):
    """What waits, by destination, the longest queues first."""

    method: ClassVar[str] = "queue"
    pattern: str = "*"
    limit: int = 100


class Deliveries(Question[list[DeliveryView]], frozen=True):
    """All deliveries to one recipient."""

    method: ClassVar[str] = "delivery"
    recipient: str


class Suspend(Question[SuspensionView], frozen=True):
    """Send nothing to some destinations, until a time or until told otherwise."""

    method: ClassVar[str] = "suspend"
    pattern: str
    until: float | None = None
    reason: str = ""


class Unsuspend(Question[bool], frozen=True):
    """Lift a suspension; answers whether there was one."""

    method: ClassVar[str] = "unsuspend"
    pattern: str


class Suspensions(Question[list[SuspensionView]], frozen=True):
    """Every suspension in force."""

    method: ClassVar[str] = "suspensions"


class ListSuppressions(Listing[SuppressionView], frozen=True):
    """Suppressed addresses in alphabetical order."""

    method: ClassVar[str] = "suppressions.list"
    pattern: str = "*"  # a glob over addresses
    reason: str = ""
    limit: int | None = None


class AddSuppressions(Question[ImportView], frozen=True):
    """Suppress addresses, a batch at a time; those that are none are named and left out."""

    method: ClassVar[str] = "suppressions.add"
    entries: tuple[SuppressionView, ...]


class RemoveSuppression(Question[int], frozen=True):
    """Mail an address again; answers how many reasons were removed."""

    method: ClassVar[str] = "suppressions.remove"
    address: str
    scope: str = ""
    reason: str = ""


class TakeMail(Question[TakenView], frozen=True):
    """Take a mail that came back."""

    method: ClassVar[str] = "inbound.take"
    raw: bytes  # its first limits.INBOUND_KEPT_BYTES
    rcpt: str = ""


class InboundCounts(Question[list[InboundView]], frozen=True):
    """What became of returned mail so far."""

    method: ClassVar[str] = "inbound.status"


class Reputations(Question[list[ReputationView]], frozen=True):
    """How scopes stand, the worst first."""

    method: ClassVar[str] = "reputation"
    limit: int = 100


class ResumeScope(Question[list[JobView]], frozen=True):
    """Let a stopped scope send again; answers with the jobs that go on."""

    method: ClassVar[str] = "reputation.resume"
    scope: str


class SkipEvents(Question[bool], frozen=True):
    """Let a destination of events give up what it has not read; answers whether it is known."""

    method: ClassVar[str] = "events.skip"
    name: str


BASIC_REQUESTS: dict[str, type[_Request]] = {
    kind.method: kind
    for kind in (
        Status,
        Jobs,
        ShowJob,
        PauseJob,
        ResumeJob,
        CancelJob,
        ReleaseJob,
        Backlog,
        Deliveries,
        Suspend,
        Unsuspend,
        Suspensions,
        ListSuppressions,
        AddSuppressions,
        RemoveSuppression,
        TakeMail,
        InboundCounts,
        Reputations,
        ResumeScope,
        SkipEvents,
    )
}
