"""Between the tables' numbers and the model's types: times, states, counts.

Times are whole milliseconds in the tables: exact through JSON, and a cursor over them never skips
or repeats. States are the indexes of `STATES`.
"""

from collections.abc import Sequence
from typing import Any, Final

from ekiden.queue.model import Attempt, JobFacts, JobState, Pace, Priority, State
from ekiden.queue.shown import AttemptRecord

STATES: Final = tuple(State)
CODE: Final = {state: code for code, state in enumerate(STATES)}
READY, SENDING, HELD = CODE[State.READY], CODE[State.SENDING], CODE[State.HELD]
SUPPRESSED, CANCELLED, EXPIRED = (
    CODE[State.SUPPRESSED],
    CODE[State.CANCELLED],
    CODE[State.EXPIRED],
)
DELIVERED: Final = CODE[State.DELIVERED]
FIRST_FINAL: Final = CODE[State.DELIVERED]
FAR: Final = 1 << 52  # milliseconds; beyond any time, and exact in a float


def ms(seconds: float) -> int:
    """UNIX seconds as stored: whole milliseconds; infinities become the far ends."""
    return round(min(max(seconds * 1000.0, -float(FAR)), float(FAR)))


def optional_ms(seconds: float | None) -> int | None:
    """The same, None stays None."""
    return None if seconds is None else ms(seconds)


def seconds(stored: int) -> float:
    """Stored milliseconds as UNIX seconds."""
    return stored / 1000.0


def optional_seconds(stored: int | None) -> float | None:
    """The same, None stays None."""
    return None if stored is None else stored / 1000.0


def address_key(recipient: str, destination: str) -> str:
    """What identifies an address: its local part casefolded, its domain in A-labels.

    RFC 5321 section 2.4 lets local parts differ by case; no provider that matters does, and a list
    that says Bob@ and bob@ means one person.
    """
    return f"{recipient.rpartition('@')[0].casefold()}@{destination}"


def job_facts(row: Sequence[Any]) -> JobFacts:
    """A row of the statement `job_columns` as a value."""
    id_, uid, name, state, priority, mail_from, from_domain, configuration_set, pool = row[:9]
    created_at, send_at, expires_at, deliver_by, pace_messages, pace_ms, spool_name = row[9:16]
    total, refused, duplicates, scopes, opened_at, finished_at, counts = row[16:23]
    contact_list, topic, template, patience, head, siblings = row[23:]
    return JobFacts(
        id=id_,
        uid=uid,
        name=name,
        state=JobState(state),
        priority=Priority(priority),
        mail_from=mail_from,
        from_domain=from_domain,
        configuration_set=configuration_set,
        pool=pool,
        created_at=seconds(created_at),
        send_at=seconds(send_at),
        expires_at=seconds(expires_at),
        deliver_by=optional_seconds(deliver_by),
        pace=None if pace_messages is None else Pace(pace_messages, seconds(pace_ms)),
        spool_name=spool_name,
        counts=dict(zip(STATES, counts, strict=True)),
        total=total,
        refused=refused,
        duplicates=duplicates,
        suppression_scopes=tuple(scopes),
        opened_at=optional_seconds(opened_at),
        finished_at=optional_seconds(finished_at),
        contact_list=contact_list,
        topic=topic,
        template=template,
        patience=optional_seconds(patience),
        head=head,
        siblings=siblings,
    )


def attempt_record(row: Sequence[Any]) -> AttemptRecord:
    """A row of the attempt statements as a value."""
    seq, delivery_id, job_id, recipient, destination, row_number, number, fate, due_at = row[:9]
    tried, in_doubt, at = row[9:12]
    # By position, in the order of the statement and of the type: hundreds at a time.
    attempt = Attempt(at / 1000.0, row[12] / 1000.0, *row[13:]) if tried else None
    return AttemptRecord(
        seq,
        delivery_id,
        job_id,
        recipient,
        destination,
        row_number,
        number,
        STATES[fate],
        at / 1000.0,
        None if due_at is None else due_at / 1000.0,
        bool(in_doubt),
        attempt,
        "" if tried else row[19],
    )
