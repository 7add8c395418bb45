"""Reports: what came back after a delivery, written once.

`report` is the one transition: it writes the report, a row of the history, a suppression or a soft
bounce, and the tallies, if the delivery exists, its recipient is the one named, and no report of
that kind has come for it. `count_inbound` counts what incoming mail came to; `notice` is something
for the operator, on its way into the event log.

A report does not change a delivery's state: the receiver did accept it, and its job may have ended.
It appears in the delivery's history with outcome `reported` or `complaint`, and from there in the
event log.

**Soft bounces that come later.** A delivery clears an address's soft bounces the moment it is
accepted, so a mailbox that accepts everything and returns it an hour later would never be
suppressed. Soft reports are therefore also counted by themselves: as many as the configuration asks
for, over at least as many days, within four times that span.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from ekiden.queue.memory import count_road
from ekiden.queue.model import Attempt, State
from ekiden.queue.part import Part, sql
from ekiden.queue.reputation import add_tallies
from ekiden.queue.rows import CODE, STATES, ms, seconds
from ekiden.shaping.reputation import Tally
from ekiden.store.transaction import Tx, pack

REPORTED: Final = "reported"  # the outcome of a history row that a bounce mail brought
COMPLAINT: Final = "complaint"  # the same for a feedback report
_DAY_MS: Final = 86_400_000
_SPANS: Final = 4  # soft reports are looked for in so many times the least span
_KEEP_NOTICES: Final = 30 * 86_400.0


class ReportKind(StrEnum):
    """What a report means for the recipient; one of each kind counts per delivery."""

    HARD = "hard"  # the mailbox is gone
    SOFT = "soft"  # not now; counts towards a suppression
    OTHER = "other"  # about the sender or the message: nobody is suppressed
    COMPLAINT = "complaint"


@dataclass(frozen=True, slots=True)
class Addressee:
    """Whom a delivery went to, and how.

    Args:
        delivery: Its number.
        job: Its job.
        recipient: As it went into RCPT TO.
        address: What identifies the address: local part casefolded, domain in A-labels.
        destination: Its domain.
        from_domain: The From domain of the job.
        configuration_set: The job's set.
        state: Where the delivery is.
        source: The source of its last attempt; "" if none was made.
        site: The site of that attempt.
        host: The host of that attempt.
    """

    delivery: int
    job: int
    recipient: str
    address: str
    destination: str
    from_domain: str
    configuration_set: str
    state: State
    source: str
    site: str
    host: str


@dataclass(frozen=True, slots=True)
class NewReport:
    """A report that was verified.

    Args:
        delivery: The delivery that its identifier names.
        address: That delivery's address; nothing is written if it is another one.
        kind: What it means.
        digest: SHA-256 of the mail.
        expires_at: When its identifier expires (UNIX seconds).
        attempt: What goes into the history.
        scopes: Whose rates it counts for.
        road: The way it had gone, "SOURCE to PROVIDER"; "" when that is not known.
    """

    delivery: int
    address: str
    kind: ReportKind
    digest: bytes
    expires_at: float
    attempt: Attempt
    scopes: tuple[str, ...] = ()
    road: str = ""


@dataclass(frozen=True, slots=True)
class Reporting:
    """What a report came to.

    Args:
        counted: False for one that had come before.
        suppressed: The reason for which the address is now suppressed; "" if it is not.
    """

    counted: bool
    suppressed: str = ""


@dataclass(frozen=True, slots=True)
class InboundCount:
    """How often incoming mail came to an outcome, and when last."""

    outcome: str
    number: int
    last_at: float


@dataclass(frozen=True, slots=True)
class Notice:
    """Something the operator must hear of.

    Args:
        seq: Its number.
        at: UNIX seconds.
        scope: What it is about, such as `source:a1` or `sender:example.com`.
        job_id: The job, if it is about one.
        detail: In words.
        kind: Of a row that was refused when its job came in: "rejected" or "rendering_failure".
        recipient: Whom that row names; "" when that is unknown.
        row: Its number.
    """

    seq: int
    at: float
    scope: str
    job_id: int | None
    detail: str
    kind: str = ""
    recipient: str = ""
    row: int = 0


class Reports(Part):
    """Writes reports."""

    async def addressee(self, delivery: int) -> Addressee | None:
        """Whom a delivery went to; None if there is no such delivery (any more)."""
        if not 0 < delivery < 1 << 63:
            return None
        rows = await self._db.read(sql("addressee"), (delivery,))
        if not rows:
            return None
        id_, job, recipient, address, destination, domain, set_, state, *way = rows[0]
        source, site, host = way
        return Addressee(
            delivery=id_,
            job=job,
            recipient=recipient,
            address=address,
            destination=destination,
            from_domain=domain,
            configuration_set=set_,
            state=STATES[state],
            source=source,
            site=site,
            host=host,
        )

    async def report(self, new: NewReport, now: float, volume: int) -> Reporting:
        """Write a report, if it is the first of its kind for its delivery.

        Args:
            new: The report.
            now: UNIX seconds.
            volume: The representative volume of rates.
        """
        options = self._options

        def op(tx: Tx) -> Reporting:
            key = (new.delivery, str(new.kind), new.digest, new.address, ms(now))
            if not tx.execute(sql("add_report"), (*key, ms(new.expires_at))):
                return Reporting(counted=False)
            _write_history(tx, new)
            more = Tally(
                bounced=float(new.kind is ReportKind.HARD),
                complained=float(new.kind is ReportKind.COMPLAINT),
            )
            if new.kind in (ReportKind.HARD, ReportKind.COMPLAINT):
                add_tallies(tx, dict.fromkeys(new.scopes, more), volume, ms(now))
                if new.road:
                    count_road(tx, new.road, int(more.bounced), int(more.complained), ms(now))
            reason = _reason(tx, new, options.soft_bounces, options.soft_bounce_days, ms(now))
            if reason:
                job = tx.one(sql("job_of"), (new.delivery,))
                row = [new.address, reason, job[0] if job else None, new.attempt.reply]
                tx.execute(sql("suppress"), (pack([row]), ms(now)))
            return Reporting(counted=True, suppressed=reason)

        return await self._db.write(op)

    async def count_inbound(self, counts: Mapping[str, int], now: float) -> None:
        """Add to how often incoming mail came to each outcome."""
        rows = pack([[name, number] for name, number in counts.items() if number > 0])
        await self._db.write(lambda tx: tx.execute(sql("count_inbound"), (rows, ms(now))))

    async def inbound_counts(self) -> list[InboundCount]:
        """How often incoming mail came to each outcome, by name."""
        rows = await self._db.read(sql("inbound_counts"))
        return [InboundCount(outcome, number, seconds(at)) for outcome, number, at in rows]

    async def notice(self, scope: str, detail: str, now: float, job_id: int | None = None) -> None:
        """Tell the operator something, through the event log."""
        row = (ms(now), scope, job_id, detail)
        await self._db.write(lambda tx: tx.execute(sql("add_notice"), row))

    async def notices_after(self, seq: int, limit: int) -> list[Notice]:
        """Notices with a greater number, in order."""
        found = await self._db.read_json(sql("notices_after"), (seq, limit))
        return [Notice(id_, seconds(at), *rest) for id_, at, *rest in found]

    async def forget_reports(self, now: float) -> int:
        """Delete one piece of what can never count again; returns how many rows that were."""
        limit = self._options.chunk
        # A soft report still counts for its address when its identifier has expired.
        span = ms(now) - round(self._options.soft_bounce_days * _DAY_MS * _SPANS)

        def op(tx: Tx) -> int:
            old = ms(now - _KEEP_NOTICES)
            return (
                tx.execute(sql("drop_notices"), (old, limit))
                + tx.execute(sql("drop_old_tallies"), (old, limit))
                + tx.execute(sql("drop_reports"), (span, limit))
            )

        return await self._db.write(op, rows=limit)


def _write_history(tx: Tx, new: NewReport) -> None:
    seq = tx.rows(sql("last_seq"))[0][0] + 1
    said = new.attempt
    fate = State.DELIVERED if new.kind is ReportKind.COMPLAINT else State.BOUNCED
    way = (said.source, said.site, said.host, said.stage, said.code, said.reply)
    meaning = (said.klass, said.rule, said.outcome)
    row = (new.delivery, seq, CODE[fate], ms(said.at), *way, *meaning)
    tx.execute(sql("report_attempt"), row)
    tx.execute(sql("link_attempt"), (new.delivery, seq))


def _reason(tx: Tx, new: NewReport, least: int, days: float, now: int) -> str:
    """Return why the address is to be suppressed now; "" if it is not."""
    if new.kind is ReportKind.HARD:
        return "hard_bounce"
    if new.kind is ReportKind.COMPLAINT:
        return "complaint"
    if new.kind is ReportKind.OTHER:
        return ""
    span = round(days * _DAY_MS)
    counts = pack([[new.address, 1]])
    tx.execute(sql("count_soft"), (counts, now))
    enough = bool(tx.json(sql("soft_enough"), (counts, least, span)))
    number, first, last = tx.rows(sql("soft_reports"), (new.address, now - _SPANS * span))[0]
    return "soft_bounces" if enough or (number >= least and last - first >= span) else ""


__all__: Sequence[str] = [
    "COMPLAINT",
    "REPORTED",
    "Addressee",
    "InboundCount",
    "NewReport",
    "Notice",
    "ReportKind",
    "Reporting",
    "Reports",
]
