"""One event: a delivery's fate, or a step towards it, as one JSON object.

`docs/events.md` documents every field for readers of the log; a test compares it with `FIELDS`.
Fields that would be empty are left out of the line, `id`, `time`, `type` and those of `ALWAYS` are
always there. All text is printable: the queue stores replies escaped (`ekiden.text`), and JSON
escapes the rest, so that no remote party can forge a line (CWE-117).
"""

import datetime as dt
import math
from enum import StrEnum
from functools import lru_cache
from typing import Final

import msgspec

from ekiden.queue.model import NOT_TRIED, JobFacts, State
from ekiden.queue.reactions import ReactionRecord
from ekiden.queue.reports import COMPLAINT, REPORTED, Notice
from ekiden.queue.shown import AcceptedRow, AttemptRecord
from ekiden.smtp.reply import Reply


class EventType(StrEnum):
    """What happened."""

    ACCEPTED = "accepted"  # the queue has it: the job was taken, and this row with it
    DELIVERED = "delivered"  # the receiver has it
    DEFERRED = "deferred"  # not now; tried again at `next_try`
    BOUNCED = "bounced"  # it never will be
    EXPIRED = "expired"  # its lifetime or deadline passed
    SUPPRESSED = "suppressed"  # its address is not mailed
    CANCELLED = "cancelled"  # a person cancelled it
    IN_DOUBT = "in_doubt"  # it may have arrived; tried again at `next_try`
    HELD = "held"  # it may have arrived, and a person decides
    RENDERING_FAILURE = "rendering_failure"  # its message cannot be made: its data is at fault
    REJECTED = "rejected"  # a row, or a whole file in the spool, was refused: it is not sent
    COMPLAINT = "complaint"  # the recipient reported it as spam
    OPEN = "open"  # its pixel was fetched, by a person or a machine: `agent`
    CLICK = "click"  # a link in it was followed, likewise
    UNSUBSCRIBE = "unsubscribe"  # somebody left: the list, the topic, the sender
    SUBSCRIPTION = "subscription"  # somebody chose what they get, or signed up
    ALERT = "alert"  # something for the operator, about no single delivery: `scope` and `detail`


class Event(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """One line of the event log. Times are RFC 3339 in UTC, sizes octets."""

    id: str  # names the event for ever: the same id is the same event
    time: str
    type: EventType
    job: str
    job_uid: str
    recipient: str
    destination: str
    delivery: int = 0
    row: int = 0
    attempt: int = 0
    site: str = ""
    host: str = ""
    source: str = ""
    stage: str = ""
    code: int = 0
    enhanced: str = ""
    reply: str = ""
    bounce_class: str = msgspec.field(name="class", default="")
    rule: str = ""
    tls: str = ""
    size: int = 0
    seconds: float = 0.0
    next_try: str = ""
    in_doubt: bool = False
    asynchronous: bool = False
    configuration_set: str = ""
    scope: str = ""
    detail: str = ""
    url: str = ""
    agent: str = ""
    user_agent: str = ""
    ip: str = ""
    times: int = 0
    list: str = ""
    topics: dict[str, str] = {}
    unsubscribed: bool = False
    topics_before: dict[str, str] = {}
    unsubscribed_before: bool = False
    how: str = ""


ALWAYS: Final = ("id", "time", "type", "job", "job_uid", "recipient", "destination")
FIELDS: Final = tuple(field.encode_name for field in msgspec.structs.fields(Event))

COMPOSE: Final = "compose"  # the stage of what could not be made into a message
_ASYNCHRONOUS: Final = frozenset({COMPLAINT, REPORTED})
SPOOL: Final = "spool:"  # begins the scope of a notice about a file that was refused

_TYPES: Final = {
    State.READY: EventType.DEFERRED,
    State.HELD: EventType.HELD,
    State.DELIVERED: EventType.DELIVERED,
    State.BOUNCED: EventType.BOUNCED,
    State.EXPIRED: EventType.EXPIRED,
    State.SUPPRESSED: EventType.SUPPRESSED,
    State.CANCELLED: EventType.CANCELLED,
}


def stamp(at: float) -> str:
    """Return UNIX seconds as RFC 3339 in UTC, to the millisecond: `2026-11-23T08:15:00.250Z`."""
    whole = math.floor(at)
    return f"{_second(whole)}.{int((at - whole) * 1000):03d}Z"


@lru_cache(maxsize=1024)
def _second(whole: int) -> str:
    return f"{dt.datetime.fromtimestamp(whole, dt.UTC):%Y-%m-%dT%H:%M:%S}"


def accepted(row: AcceptedRow, job: JobFacts) -> Event:
    """Return the event of a delivery that entered the queue."""
    return Event(
        id=f"q{row.id}",
        time=stamp(row.at),
        type=EventType.ACCEPTED,
        job=job.name,
        job_uid=job.identity,
        recipient=row.recipient,
        destination=row.destination,
        delivery=row.id,
        row=row.row,
        configuration_set=job.configuration_set,
    )


def alert(notice: Notice, job: JobFacts | None) -> Event:
    """Return the event of a notice to the operator.

    Args:
        notice: The notice.
        job: The job it is about, if any.
    """
    return Event(
        id=f"n{notice.seq}",
        time=stamp(notice.at),
        type=_notice_type(notice),
        job=job.name if job else "",
        job_uid=job.identity if job else "",
        recipient=notice.recipient,
        destination=notice.recipient.rpartition("@")[2].lower(),
        row=notice.row,
        configuration_set=job.configuration_set if job else "",
        scope="" if notice.kind else notice.scope,
        detail=notice.detail,
    )


def _notice_type(notice: Notice) -> EventType:
    if notice.kind:  # a row that was refused when its job came in
        return EventType(notice.kind)
    return EventType.REJECTED if notice.scope.startswith(SPOOL) else EventType.ALERT


def reaction(record: ReactionRecord, job: JobFacts | None) -> Event:
    """Return the event of something that was done with a mail.

    Args:
        record: What was done.
        job: The job whose mail it was, if any.
    """
    choice = record.choice
    stood = choice.get("before", {})
    return Event(
        id=f"r{record.seq}",
        time=stamp(record.at),
        type=EventType(record.kind),
        job=job.name if job else "",
        job_uid=job.identity if job else "",
        recipient=record.recipient,
        destination=record.recipient.rpartition("@")[2],
        delivery=record.delivery_id or 0,
        row=record.row,
        configuration_set=job.configuration_set if job else "",
        scope=str(choice.get("scope", "")),
        url=record.url,
        agent=record.agent,
        user_agent=record.user_agent,
        ip=record.ip,
        times=record.times,
        list=str(choice.get("list", "")),
        topics=dict(choice.get("topics", {})),
        unsubscribed=bool(choice.get("unsubscribed", False)),
        topics_before=dict(stood.get("topics", {})),
        unsubscribed_before=bool(stood.get("unsubscribed", False)),
        how=str(choice.get("source", "")),
    )


def happened(record: AttemptRecord, job: JobFacts) -> Event:
    """Return the event of one row of the queue's history.

    Raises:
        ValueError: The row's fate is SENDING, which is no fate.
    """
    kind = _TYPES.get(record.fate)
    if kind is None:
        raise ValueError(f"history row {record.seq}: {record.fate} is not a fate")
    if record.in_doubt and kind is EventType.DEFERRED:
        kind = EventType.IN_DOUBT
    attempt = record.attempt or NOT_TRIED
    outcome = attempt.outcome
    if outcome == COMPLAINT:
        kind = EventType.COMPLAINT
    elif attempt.stage == COMPOSE and kind is EventType.BOUNCED:
        kind = EventType.RENDERING_FAILURE
    return Event(
        id=f"a{record.seq}",
        time=stamp(record.at),
        type=kind,
        job=job.name,
        job_uid=job.identity,
        recipient=record.recipient,
        destination=record.destination,
        delivery=record.delivery_id,
        row=record.row,
        attempt=record.number,
        site=attempt.site,
        host=attempt.host,
        source=attempt.source,
        stage=attempt.stage,
        code=attempt.code,
        enhanced=Reply(attempt.code, attempt.reply).enhanced if attempt.code else "",
        reply=attempt.reply,
        bounce_class=attempt.klass or record.klass,
        rule=attempt.rule,
        tls=attempt.tls,
        size=attempt.size,
        seconds=round(attempt.seconds, 3),
        next_try="" if record.due_at is None else stamp(record.due_at),
        in_doubt=record.in_doubt,
        asynchronous=outcome in _ASYNCHRONOUS,
        configuration_set=job.configuration_set,
    )
