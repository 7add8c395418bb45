"""The queue's words as types: states, and the rows that cross its border.

```
            intake                claim                  settle
  (spool) ---------> ready <----------------> sending ----------> delivered
                      |  ^      RetryAt          |                bounced
      cancel, expire, |  |                       |                expired
      suppress        |  | release               v                held (in doubt, by policy)
                      v  +-------------------- held
   cancelled, expired, suppressed
```

*deferred* is not a state: it is `ready` with a `due_at` in the future and at least one attempt.
`docs/flow.md` draws the same diagram with the method that makes each transition.

What is made for every delivery is a `Struct`: built in C, and not walked by the garbage collector.
"""

from dataclasses import dataclass, field, replace
from enum import IntEnum, StrEnum
from typing import Final

import msgspec

# A job whose rows choose configuration sets of their own has a sibling for each of these sets; its
# uid is the job's, this, and the name of the set. An identity that people give holds no control
# characters (`spool.values.text`).
SIBLING: Final = "\x1f"


class State(StrEnum):
    """Where a delivery is. The last five are final; `held` waits for a person."""

    READY = "ready"
    SENDING = "sending"
    HELD = "held"
    DELIVERED = "delivered"
    BOUNCED = "bounced"
    EXPIRED = "expired"
    SUPPRESSED = "suppressed"
    CANCELLED = "cancelled"

    @property
    def final(self) -> bool:
        """Whether nothing more will happen to the delivery."""
        return self in FINAL


FINAL = frozenset(
    {State.DELIVERED, State.BOUNCED, State.EXPIRED, State.SUPPRESSED, State.CANCELLED}
)


class JobState(StrEnum):
    """Where a job is."""

    RECEIVING = "receiving"  # rows still arrive; invisible to the scheduler, undone by a crash
    OPEN = "open"
    PAUSED = "paused"
    DONE = "done"  # every delivery is final (or held and released); the result is written
    CANCELLED = "cancelled"


class Priority(IntEnum):
    """Which mail passes which; lower passes first, and never starves the other."""

    TRANSACTIONAL = 0
    BULK = 1


def identity(uid: str) -> str:
    """Return the identity of what was submitted, of the uid of a job or a sibling."""
    return uid.partition(SIBLING)[0]


@dataclass(frozen=True, slots=True)
class Pace:
    """Send at most `messages`, then wait `seconds` (最大送信回数, 待ち時間)."""

    messages: int
    seconds: float


@dataclass(frozen=True, slots=True)
class NewJob:
    """A job as intake hands it to the queue. Times are UNIX seconds.

    Args:
        uid: The job's identity: the same uid twice is one job.
        name: What people call it.
        mail_from: The envelope sender (RFC 5321 reverse-path), without angle brackets.
        from_domain: The domain of the From header: picks the DKIM keys.
        content: `message.content.encode(Content)`; stored once.
        spool_name: The name of its file or directory in the spool, "" when it came another way.
        configuration_set: The named settings it picked, "" for the default.
        pool: The source pool, "" for the default.
        priority: Transactional passes bulk.
        send_at: Not before this time.
        expires_at: After this time a delivery expires instead of being retried (lifetime or
            deliver_by, whichever is earlier).
        deliver_by: The sender's own deadline, if there is one.
        pace: At most N, then wait T.
        refused: Rows that intake refused; counted, never queued.
        suppression_scopes: Which suppressions apply: "all", "topic:X", "sender:X", "set:X".
        contact_list: Who left this list is not mailed, whoever is new is added; "" for none.
        topic: The topic within the list; "" for none.
        passed_reasons: Reasons of suppression that do not hold for it.
        engaged_first: Recipients that reacted lately go first in their lanes.
        engaged_column: The merge column that says when; "" to go by the list.
        template: The stored template and version it was made of, as "welcome@3"; "" for none.
        patience: For how many seconds a delivery is retried once limits of our own have let it go:
            waiting for them puts its end off. None when the end is firm.
        head: The job it is a sibling of (`SIBLING`), which is being received; 0 for none. It has no
            content of its own.
    """

    uid: str
    name: str
    mail_from: str
    from_domain: str
    content: bytes
    created_at: float
    expires_at: float
    spool_name: str = ""
    configuration_set: str = ""
    pool: str = ""
    priority: Priority = Priority.BULK
    send_at: float = 0.0
    deliver_by: float | None = None
    pace: Pace | None = None
    refused: int = 0
    suppression_scopes: tuple[str, ...] = ("all",)
    contact_list: str = ""
    topic: str = ""
    passed_reasons: tuple[str, ...] = ()
    engaged_first: bool = False
    engaged_column: str = ""
    template: str = ""
    patience: float | None = None
    head: int = 0


class NewDelivery(msgspec.Struct, frozen=True, gc=False):
    """One recipient of a job, checked.

    A job makes a million of them, and the collector never looks at one: at tuples it looked each
    time that 50,000 more had come, for up to 60 ms.

    Args:
        recipient: The address as it goes into RCPT TO.
        destination: Its domain: lower case, A-labels.
        merge: The merge data as a JSON object (UTF-8 bytes).
        row: Its row in the recipients file, from 1; 0 when there is none.
    """

    recipient: str
    destination: str
    merge: bytes = b"{}"
    row: int = 0


@dataclass(frozen=True, slots=True)
class RefusedRow:
    """A row that intake refused, for whoever reads events.

    Args:
        row: Its number.
        recipient: Whom it names, printable; "" when that is unknown.
        reason: Why.
        lacks: Its message cannot be made: a merge field has no value.
    """

    row: int
    recipient: str
    reason: str
    lacks: bool = False


@dataclass(frozen=True, slots=True)
class Foretold:
    """What was said of a job before it was opened, kept with it from then on.

    Args:
        forecast: What is to be expected of a job with a deadline, as JSON; "" for nothing.
        volume: How far it departs from what its sources usually send, in words.
        alerts: What the operator is told when it is opened.
    """

    forecast: str = ""
    volume: tuple[str, ...] = ()
    alerts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class JobFacts:
    """What the scheduler and the sessions need to know of a job.

    `expires_at` is the end of the last of its lanes: waiting for limits of our own puts ends off,
    where `patience` is not None (`NewJob`). `head` is the job that a sibling came with, 0 for any
    other; `siblings` is how many a job has.
    """

    id: int
    uid: str
    name: str
    state: JobState
    priority: Priority
    mail_from: str
    from_domain: str
    configuration_set: str
    pool: str
    created_at: float
    send_at: float
    expires_at: float
    deliver_by: float | None
    pace: Pace | None
    spool_name: str
    counts: dict[State, int] = field(default_factory=dict)
    total: int = 0
    refused: int = 0
    duplicates: int = 0
    suppression_scopes: tuple[str, ...] = ("all",)
    opened_at: float | None = None
    finished_at: float | None = None
    contact_list: str = ""
    topic: str = ""
    template: str = ""
    patience: float | None = None
    head: int = 0
    siblings: int = 0

    def put_off(self, until: float) -> "JobFacts":
        """Return what it is when mail of it waits until then for limits of our own."""
        if self.patience is None or until + self.patience <= self.expires_at:
            return self
        return replace(self, expires_at=until + self.patience)

    @property
    def identity(self) -> str:
        """The identity of what was submitted: a sibling has that of the job it came with."""
        return identity(self.uid)

    @property
    def pending(self) -> int:
        """Deliveries that are not final yet."""
        return sum(self.counts.get(state, 0) for state in (State.READY, State.SENDING, State.HELD))


class LaneFacts(msgspec.Struct, frozen=True, gc=False):
    """A lane: one job's deliveries to one destination; what the scheduler holds windows of."""

    id: int
    job_id: int
    destination: str
    priority: Priority
    ready: int
    due_at: float


class Waiting(msgspec.Struct, frozen=True, gc=False):
    """A ready delivery as the scheduler's window holds it.

    `source`: it was greylisted when it came from there, and keeps to it; "" for any source.
    """

    id: int
    due_at: float
    source: str = ""


class Claimed(msgspec.Struct, frozen=True, gc=False):
    """A delivery that a session may now send; every later write presents `lease`."""

    id: int
    job_id: int
    lane_id: int
    recipient: str
    destination: str
    merge: bytes
    row: int
    attempts: int  # this one included
    doubts: int
    lease: int


class Attempt(msgspec.Struct, frozen=True, gc=False):
    """One try, as it is recorded."""

    at: float
    seconds: float
    source: str
    site: str
    host: str
    stage: str
    code: int  # 0 when there was no reply
    reply: str
    klass: str
    rule: str
    outcome: str  # accepted, rejected, broke, in_doubt
    tls: str = ""
    size: int = 0


# For what has a fate and no try behind it.
NOT_TRIED: Final = Attempt(
    at=0.0,
    seconds=0.0,
    source="",
    site="",
    host="",
    stage="",
    code=0,
    reply="",
    klass="",
    rule="",
    outcome="",
)


class Settlement(msgspec.Struct, frozen=True, gc=False):
    """What follows from an attempt: the one write that ends a lease.

    Args:
        claimed: The delivery, with its lease.
        state: READY (again, at `due_at`) or a final state or HELD.
        due_at: The next try; for READY only.
        attempt: What happened; None when nothing was tried (suppressed, expired at claim).
        suppress: The recipient is never mailed again, with this reason ("" = keep mailing).
        soft: It counts towards the suppression by repeated soft bounces.
        in_doubt: The message may have arrived.
        undo_attempt: The try does not count (the path's trouble, not the recipient's).
    """

    claimed: Claimed
    state: State
    due_at: float = 0.0
    attempt: Attempt | None = None
    suppress: str = ""
    soft: bool = False
    in_doubt: bool = False
    undo_attempt: bool = False


class WindowRequest(msgspec.Struct, frozen=True, gc=False):
    """Wanted: a lane's next `limit` ready deliveries after the one at `(after_due, after_id)`."""

    lane_id: int
    after_due: float = 0.0
    after_id: int = 0
    limit: int = 100


@dataclass(frozen=True, slots=True)
class ClaimResult:
    """What a claim came to; ids in none of the three were not ready any more.

    Args:
        claimed: To be sent, with their lease.
        suppressed: Now final: the recipient is not mailed.
        withheld: Still ready: their job is paused or cancelled.
    """

    claimed: list[Claimed]
    suppressed: list[int]
    withheld: list[int]


@dataclass(frozen=True, slots=True)
class SettleResult:
    """What a settle came to.

    Args:
        stale: Ids whose lease or state did not match: nothing was written for them.
        suppressed: Addresses that became suppressed, by a hard bounce or repeated soft ones.
        earliest: When the first of the returned deliveries is due; None when there is none.
    """

    stale: list[int]
    suppressed: list[str]
    earliest: float | None


@dataclass(frozen=True, slots=True)
class Recovered:
    """A delivery that was being sent when the process died: it may have arrived."""

    id: int
    job_id: int
    recipient: str
    destination: str
    row: int
    attempts: int
    doubts: int
    state: State  # READY (sent again) or HELD (waits for a person)
