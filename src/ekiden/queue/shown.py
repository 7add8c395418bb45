"""What the queue shows: its history and its state, for reports, events and people."""

from dataclasses import dataclass

import msgspec

from ekiden.queue.model import Attempt, JobState, State


class AttemptRecord(msgspec.Struct, frozen=True, gc=False):
    """One row of the history: a try, or a fate without one (`attempt` is None).

    `klass` says why there was no try: the reason of a suppression, or what a list said
    (`lists.model.Refusal`).
    """

    seq: int
    delivery_id: int
    job_id: int
    recipient: str
    destination: str
    row: int
    number: int
    fate: State  # READY means deferred, to `due_at`
    at: float
    due_at: float | None
    in_doubt: bool
    attempt: Attempt | None
    klass: str = ""


class AcceptedRow(msgspec.Struct, frozen=True, gc=False):
    """A delivery that an opened job brought into the queue."""

    id: int
    job_id: int
    recipient: str
    destination: str
    row: int
    at: float


@dataclass(frozen=True, slots=True)
class JobRow:
    """A delivery as a report shows it."""

    id: int
    recipient: str
    destination: str
    row: int
    state: State
    attempts: int
    doubts: int
    due_at: float | None
    finished_at: float | None
    code: int
    reply: str
    klass: str


@dataclass(frozen=True, slots=True)
class DeliveryHistory:
    """A delivery with all its attempts, oldest first."""

    job_uid: str
    job_name: str
    delivery: JobRow
    attempts: list[AttemptRecord]


@dataclass(frozen=True, slots=True)
class Suspension:
    """Destinations that a person stopped."""

    pattern: str
    until: float | None
    reason: str
    at: float


@dataclass(frozen=True, slots=True)
class Backlog:
    """What waits for one destination, over all jobs.

    Args:
        destination: The recipient domain.
        ready: Deliveries in state ready, deferred ones included.
        deferred: Those of them that were tried and wait for a later time.
        sending: Deliveries in a session now.
        held: Deliveries that wait for a person.
        oldest: When the oldest waiting job came in.
        next_due: When the next delivery is due.
        suspended: The reason of the suspension that covers the destination, "" when it has none;
            None when it is not suspended.
        paused: A paused job, when nothing of open jobs is ready; else "".
        begins: When the first of its open jobs with something ready begins (`send_at`).
        aside: When the scheduler looks at it, or looked: later than `next_due` for what it has put
            aside.
    """

    destination: str
    ready: int
    deferred: int
    sending: int
    held: int
    oldest: float | None
    next_due: float | None
    suspended: str | None = None
    paused: str = ""
    begins: float | None = None
    aside: float | None = None


@dataclass(frozen=True, slots=True)
class Overview:
    """The queue in numbers: jobs by state, and the deliveries of unfinished jobs by state."""

    jobs: dict[JobState, int]
    deliveries: dict[State, int]
