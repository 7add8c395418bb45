"""What people do with mails: opened, clicked, left, chose; written once, read as events.

| method | writes |
|---|---|
| `react` | opens and clicks: how often for each delivery and link, the job's totals, an event |
| `note_choice` | that somebody left or changed what they get: an event |

A delivery that was folded away, and every one in privacy mode (delivery 0), counts in the totals of
its job alone. What a token says of its job is compared with the job's identity: the number of a job
in another database says nothing here.

One link clicked a hundred times is a hundred events; after that, and beyond a thousand different
links of a job, only numbers grow, so that nobody can fill the disk with a link they got.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from ekiden.message.tokens import job_mark
from ekiden.queue.part import Part, sql
from ekiden.queue.rows import ms, optional_seconds, seconds
from ekiden.store.transaction import Tx, pack

OPEN: Final = "open"
CLICK: Final = "click"
UNSUBSCRIBE: Final = "unsubscribe"
SUBSCRIPTION: Final = "subscription"
_EVENTS: Final = 100  # of one delivery, kind and link
_LINKS: Final = 1000  # of one job


@dataclass(frozen=True, slots=True)
class Reached:
    """Whom a delivery went to, for what comes back of it over HTTP."""

    delivery: int
    recipient: str
    row: int
    job: int
    job_uid: str
    contact_list: str
    topic: str
    from_domain: str
    address: str  # what identifies it: local part casefolded, domain in A-labels
    delivered_at: float | None = None


@dataclass(frozen=True, slots=True)
class Sent:
    """A delivery's recipient and merge data, and its job's number."""

    job: int
    recipient: str
    merge: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Seen:
    """An open or a click.

    Args:
        kind: OPEN or CLICK.
        job: The job.
        mark: What the token says of the job's identity.
        delivery: The delivery; 0 where only totals are kept.
        at: UNIX seconds.
        url: Where the link leads; "" for an open.
        agent: What fetched it: `person`, `proxy`, ...
        human: Whether that is a person.
        user_agent: What it calls itself, printable.
        ip: From where; "" if that is not kept.
    """

    kind: str
    job: int
    mark: bytes
    delivery: int
    at: float
    url: str = ""
    agent: str = ""
    human: bool = True
    user_agent: str = ""
    ip: str = ""


@dataclass(frozen=True, slots=True)
class Chosen:
    """What somebody decided.

    Args:
        kind: UNSUBSCRIBE or SUBSCRIPTION.
        recipient: Their address.
        at: UNIX seconds.
        job: The job whose link it was; None if it was none.
        delivery: The delivery, likewise.
        choice: What they chose: `list`, `topics`, `unsubscribed`, `source`.
        user_agent: What they came with, printable.
        ip: From where.
    """

    kind: str
    recipient: str
    at: float
    job: int | None = None
    delivery: int | None = None
    choice: Mapping[str, Any] = field(default_factory=dict)
    user_agent: str = ""
    ip: str = ""


@dataclass(frozen=True, slots=True)
class ReactionRecord:
    """A row of the outbox."""

    seq: int
    at: float
    kind: str
    job_id: int | None
    delivery_id: int | None
    recipient: str
    row: int
    url: str
    agent: str
    user_agent: str
    ip: str
    times: int
    choice: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ReactionTotal:
    """How often something was done with a job's mails.

    Args:
        kind: What.
        url: With which link; "" for opens, and for clicks on any of them.
        human: By people, or by machines.
        times: How often.
        deliveries: With how many deliveries; 0 in privacy mode.
    """

    kind: str
    url: str
    human: bool
    times: int
    deliveries: int


@dataclass(frozen=True, slots=True)
class Lag:
    """How far behind a destination of events is.

    Args:
        name: The destination.
        rows: Rows of the history that it has before it; those it does not want count as well.
        since: When the oldest of them was written (UNIX seconds); None when there is none.
    """

    name: str
    rows: int
    since: float | None


class Reactions(Part):
    """Writes and reads them."""

    async def reached(self, deliveries: Sequence[int]) -> dict[int, Reached]:
        """Whom deliveries went to; those that are not there are left out."""
        wanted = pack([one for one in set(deliveries) if 0 < one < 1 << 62])
        found = {}
        for row in await self._db.read_json(sql("reached_by"), (wanted,)):
            id_, recipient, line, job, uid, contact_list, topic, domain, at, address = row
            found[id_] = Reached(
                delivery=id_,
                recipient=recipient,
                row=line,
                job=job,
                job_uid=uid,
                contact_list=contact_list,
                topic=topic,
                from_domain=domain,
                address=address,
                delivered_at=optional_seconds(at),
            )
        return found

    async def message_of(self, delivery: int) -> Sent | None:
        """What a delivery's message is made of besides its job; None if it is not there."""
        if not 0 < delivery < 1 << 62:
            return None
        rows = await self._db.read(sql("message_of"), (delivery,))
        return Sent(rows[0][0], rows[0][1], msgspec.json.decode(rows[0][2])) if rows else None

    async def react(self, batch: Sequence[Seen]) -> int:
        """Write opens and clicks; returns how many were about a job of ours."""
        return await self._db.write(lambda tx: _react(tx, batch), rows=len(batch))

    async def note_choice(self, chosen: Chosen) -> None:
        """Write that somebody left or chose."""
        row = (ms(chosen.at), chosen.kind, chosen.job, chosen.delivery, chosen.recipient, 0, "", "")
        last = (chosen.user_agent, chosen.ip, 1, pack(chosen.choice))

        def op(tx: Tx) -> None:
            tx.execute(sql("add_reaction"), (*row, *last))
            if chosen.kind == UNSUBSCRIBE and chosen.job is not None:
                tx.execute(sql("add_total"), (chosen.job, UNSUBSCRIBE, "", 1, 1))

        await self._db.write(op)

    async def reactions_after(self, seq: int, limit: int) -> list[ReactionRecord]:
        """Rows of the outbox with a greater number, in order."""
        rows = await self._db.read_json(sql("reactions_after"), (seq, limit))
        return [ReactionRecord(row[0], seconds(row[1]), *row[2:]) for row in rows]

    async def reaction_totals(self, job_id: int, limit: int = 2000) -> list[ReactionTotal]:
        """What was done with a job's mails, the most frequent first."""
        rows = await self._db.read(sql("reaction_totals"), (job_id, limit))
        return [ReactionTotal(kind, url, bool(human), *rest) for kind, url, human, *rest in rows]

    async def forget_reactions(self, before: float) -> int:
        """Delete one piece of the outbox that is old and was read; returns how many rows."""
        limit = self._options.chunk
        params = (ms(before), limit)
        return await self._db.write(lambda tx: tx.execute(sql("drop_reactions"), params))

    async def begin_mark(self, reader: str) -> None:
        """Give a reader that has no place yet one where the history ends now."""
        await self._db.write(lambda tx: tx.execute(sql("begin_mark"), (reader,)))

    async def end_mark(self, reader: str) -> None:
        """Move a reader to where the history ends: it gives up what it has not read."""
        await self._db.write(lambda tx: tx.execute(sql("end_mark"), (reader,)))

    async def keep_marks(self, readers: Sequence[str]) -> None:
        """Forget how far destinations have come that are not configured any more."""
        names = pack(list(readers))
        await self._db.write(lambda tx: tx.execute(sql("drop_marks"), (names,)))

    async def lags(self) -> list[Lag]:
        """How far behind each destination of events is."""
        return [
            Lag(name, behind, optional_seconds(since))
            for name, behind, since in await self._db.read_json(sql("lags"), ())
        ]


def _react(tx: Tx, batch: Sequence[Seen]) -> int:
    uids = _uids(tx, {one.job for one in batch})
    known = {
        row[0]: row
        for row in tx.json(sql("reached_by"), (pack(sorted({one.delivery for one in batch})),))
    }
    written = 0
    for one in batch:
        uid = uids.get(one.job)
        if uid is None or job_mark(uid) != one.mark:
            continue
        written += 1
        row = known.get(one.delivery)
        if row is None or row[3] != one.job:
            _total(tx, one, 0, one.url)
            if one.kind == CLICK:
                _total(tx, one, 0, "")
            continue
        times = _saw(tx, one, one.url)
        _total(tx, one, int(times == 1), one.url)
        if one.kind == CLICK:
            _total(tx, one, int(_saw(tx, one, "") == 1), "")
        if times <= _EVENTS:
            tx.execute(
                sql("add_reaction"),
                (
                    *(ms(one.at), one.kind, one.job, one.delivery, row[1], row[2], one.url),
                    *(one.agent, one.user_agent, one.ip, times, "{}"),
                ),
            )
    return written


def _uids(tx: Tx, jobs: set[int]) -> dict[int, str]:
    return {
        job: found[0] for job in jobs if (found := tx.one(sql("uid_of_job"), (job,))) is not None
    }


def _saw(tx: Tx, one: Seen, url: str) -> int:
    times: int = tx.rows(
        sql("saw"), (one.delivery, one.kind, url, int(one.human), one.job, ms(one.at))
    )[0][0]
    return times


def _total(tx: Tx, one: Seen, deliveries: int, url: str) -> None:
    key = (one.job, one.kind, url, int(one.human))
    if url and tx.rows(sql("links_counted"), (one.job, one.kind, int(one.human)))[0][0] > _LINKS:
        return
    tx.execute(sql("add_total"), (*key, deliveries))
