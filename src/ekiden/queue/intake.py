"""Intake: a job's rows come in, invisible, until `open_job` makes them mail.

```
add_job -> receiving -> add_deliveries* -> open_job -> open
               |
               +-- crash, or abandon_job --> gone, as if it had never come
```

`submit_job` does all three in one transaction, for single messages and small jobs.

Who is suppressed is asked twice: `sift` says it of a batch when the job comes in, and what it names
ends as *suppressed* when the job is opened; `claim` asks again at the moment of sending.

A batch comes as a `Sheaf`, made on the caller's thread; or as rows, which are made into one here.
"""

from collections.abc import Collection, Mapping, Sequence
from functools import partial
from typing import Final

from msgspec.structs import replace

from ekiden.errors import NotFoundError, RefusedError
from ekiden.queue.engaged import EngagedFirst, in_order
from ekiden.queue.memory import keep_foretold
from ekiden.queue.model import Foretold, JobFacts, NewDelivery, NewJob, RefusedRow, State
from ekiden.queue.part import Part, QueueOptions, end_rows, select_jobs, sql
from ekiden.queue.rows import job_facts, ms, optional_ms
from ekiden.queue.seen import Seen
from ekiden.queue.sheaf import Sheaf, sheaf_of
from ekiden.store.database import Database
from ekiden.store.erased import erased_among
from ekiden.store.transaction import Tx, pack

_NOBODY: Final[Mapping[str, str]] = {}  # nobody of a batch is suppressed
_NOTHING: Final = Foretold()  # nothing was said of a job

Rows = Sequence[NewDelivery] | Sheaf

# What ends as suppressed when its job is opened: delivery, lane, reason.
_Sifted = list[tuple[int, int, str]]


class Intake(Part):
    """The receiving side of the queue."""

    def __init__(self, db: Database, options: QueueOptions | None = None) -> None:
        super().__init__(db, options)
        self._seen: dict[int, Seen] = {}
        self._order: dict[int, EngagedFirst | None] = {}  # of jobs that are being received
        self._sifted: dict[int, _Sifted] = {}

    async def find_job(self, uid: str) -> JobFacts | None:
        """The job with this identity, or None."""
        found = await self._db.write(lambda tx: select_jobs(tx, "jobs_by_uid", uid))
        return found[0] if found else None

    async def add_job(self, job: NewJob) -> int:
        """Begin to receive a job; returns its id.

        Half a job that an earlier try left behind under the same identity is removed first.

        Raises:
            RefusedError: A job with this identity is in the queue, or is being received now.
        """
        found = await self.find_job(job.uid)
        if found is not None:
            if found.state != "receiving" or found.id in self._seen:
                raise _known(found)
            await self.abandon_job(found.id)
        job_id = await self._db.write(lambda tx: _insert_job(tx, job))
        # An address is mailed once, whichever of the sets its rows choose.
        self._seen[job_id] = self._seen[job.head] if job.head else Seen()
        self._order[job_id] = EngagedFirst.of(job)
        return job_id

    async def sift(self, job: NewJob, rows: Rows) -> dict[str, str]:
        """Say who of a batch is not mailed, by the suppressions that apply to the job.

        Reads beside the writer: what is suppressed a moment later is found when it is claimed.

        Returns:
            The reason for each address, in its key form.
        """
        reasons: dict[str, str] = await self._db.read_json(
            sql("sift"),
            (
                sheaf_of(rows).packed_keys,
                pack(job.suppression_scopes),
                int(job.priority),
                pack(job.passed_reasons),
            ),
        )
        return reasons

    async def add_deliveries(
        self, job_id: int, rows: Rows, suppressed: Mapping[str, str] = _NOBODY
    ) -> int:
        """Add a batch (a few thousand) to a job that is being received.

        An address that the job already has (local part casefolded, domain as A-labels) is counted
        as a duplicate and ignored.

        Args:
            job_id: A job that is being received.
            rows: The batch.
            suppressed: What `sift` said of it; these end when the job is opened.

        Returns:
            How many were added.

        Raises:
            NotFoundError: There is no such job, or it is not being received by this process.
        """
        seen = self._seen.get(job_id)
        if seen is None:
            raise NotFoundError("this job is not being received", where=f"job {job_id}")
        order, sheaf = self._order.get(job_id), sheaf_of(rows)

        def op(tx: Tx) -> tuple[int, _Sifted]:
            return in_order(tx, order, lambda: _insert(tx, job_id, sheaf, seen, suppressed))

        count, ending = await self._db.write(op, rows=len(sheaf))
        self._sifted.setdefault(job_id, []).extend(ending)
        return count

    async def open_job(
        self,
        job_id: int,
        now: float,
        *,
        refused: int,
        told: Sequence[RefusedRow] = (),
        foretold: Foretold = _NOTHING,
    ) -> JobFacts:
        """The commit point: from here on the job, with its siblings, is mail to be sent.

        Args:
            job_id: A job that is being received.
            now: UNIX seconds.
            refused: Rows that intake refused.
            told: Those of them that become events.
            foretold: What was said of it.

        Raises:
            RefusedError: The job is not being received.
        """

        def op(tx: Tx) -> tuple[JobFacts, int | None]:
            _tell(tx, job_id, now, told)
            keep_foretold(tx, job_id, foretold, now)
            return _open(tx, job_id, now, refused)

        facts, earliest = await self._db.write(op)
        for sibling in await self.siblings(job_id) if facts.siblings else ():
            await self._opened(sibling.id, now)
        facts = await self._opened(job_id, now) or facts
        self._note_due(earliest)
        return facts

    async def _opened(self, job_id: int, now: float) -> JobFacts | None:
        """Let end what was sifted from a job; returns the job if that was anything."""
        self._seen.pop(job_id, None)
        self._order.pop(job_id, None)
        sifted = self._sifted.pop(job_id, [])
        chunk = self._options.chunk
        facts = None
        for start in range(0, len(sifted), chunk):
            piece = sifted[start : start + chunk]
            facts = await self._db.write(partial(_end_sifted, job_id, piece, now), rows=len(piece))
        return facts

    async def siblings(self, *jobs: int) -> list[JobFacts]:
        """The siblings of jobs, in the order in which they came."""
        found = await self._db.read_json(
            f"{sql('job_columns')}\n{sql('siblings_of')}", (pack(jobs),)
        )
        return [job_facts(row) for row in found]

    async def submit_job(
        self,
        job: NewJob,
        rows: Rows,
        now: float,
        suppressed: Mapping[str, str] = _NOBODY,
        told: Sequence[RefusedRow] = (),
        *,
        foretold: Foretold = _NOTHING,
    ) -> JobFacts:
        """Add and open a small job in one transaction.

        Args:
            job: The job.
            rows: All of its deliveries.
            now: UNIX seconds.
            suppressed: What `sift` said of them.
            told: Refused rows that become events.
            foretold: What was said of it.

        Raises:
            RefusedError: A job with this identity is in the queue.
        """
        sheaf = sheaf_of(rows)

        def op(tx: Tx) -> tuple[JobFacts, int | None]:
            job_id = _insert_job(tx, job)
            order = EngagedFirst.of(job)
            _, ending = in_order(tx, order, lambda: _insert(tx, job_id, sheaf, Seen(), suppressed))
            _tell(tx, job_id, now, told)
            keep_foretold(tx, job_id, foretold, now)
            facts, earliest = _open(tx, job_id, now, job.refused)
            return (_end_sifted(job_id, ending, now, tx) if ending else facts), earliest

        facts, earliest = await self._db.write(op, rows=len(sheaf))
        self._note_due(earliest)
        return facts

    async def abandon_job(self, job_id: int) -> None:
        """Undo a job that was not opened, in pieces; a crash leaves the rest to the next start."""
        self._seen.pop(job_id, None)
        self._order.pop(job_id, None)
        self._sifted.pop(job_id, None)
        for sibling in await self._db.write(
            lambda tx: select_jobs(tx, "siblings_of", pack([job_id]))
        ):
            await self.abandon_job(sibling.id)
        chunk = self._options.chunk
        while await self._db.write(lambda tx: _drop_piece(tx, job_id, chunk), rows=chunk):
            pass

    async def abandon_receiving(self) -> list[str]:
        """At start: undo the jobs that were being received when the process died.

        Returns:
            Their identities.
        """
        found = await self._db.write(lambda tx: tx.rows(sql("receiving")))
        for job_id, _ in found:
            await self.abandon_job(job_id)
        return [uid for _, uid in found]


def _known(job: JobFacts) -> RefusedError:
    return RefusedError(
        f"the job {job.uid!r} is already here ({job.state})",
        where=f"job {job.id}",
        remedy="give a different id to send it again",
    )


def _check_list(tx: Tx, job: NewJob) -> None:
    """Refuse a job to a list or topic that is not there."""
    found = tx.one(sql("list_topic"), (job.contact_list, job.topic))
    if found is None:
        raise NotFoundError(
            f"there is no contact list {job.contact_list!r}",
            where=f"job {job.name[:100]}",
            remedy=f"make it: ekiden lists add {job.contact_list}",
        )
    if not found[1]:
        raise NotFoundError(
            f"the list {job.contact_list!r} has no topic {job.topic!r}",
            where=f"job {job.name[:100]}",
            remedy=f"make it: ekiden topics add {job.contact_list} {job.topic}",
        )


def _insert_job(tx: Tx, job: NewJob) -> int:
    found = select_jobs(tx, "jobs_by_uid", job.uid)
    if found:
        raise _known(found[0])
    if job.contact_list:
        _check_list(tx, job)
    rows = tx.rows(
        sql("add_job"),
        {
            "uid": job.uid,
            "name": job.name,
            "priority": int(job.priority),
            "mail_from": job.mail_from,
            "from_domain": job.from_domain,
            "configuration_set": job.configuration_set,
            "pool": job.pool,
            "spool_name": job.spool_name,
            "scopes": pack(job.suppression_scopes),
            "created_at": ms(job.created_at),
            "send_at": ms(job.send_at),
            "expires_at": ms(job.expires_at),
            "deliver_by": optional_ms(job.deliver_by),
            "pace_messages": job.pace.messages if job.pace else None,
            "pace_ms": ms(job.pace.seconds) if job.pace else None,
            "refused": job.refused,
            "contact_list": job.contact_list,
            "topic": job.topic,
            "passed_reasons": pack(job.passed_reasons),
            "template": job.template,
            "patience_ms": optional_ms(job.patience),
            "head_id": job.head or None,
        },
    )
    job_id: int = rows[0][0]
    if not job.head:
        tx.execute(sql("add_content"), (job_id, job.content))
    return job_id


def _tell(tx: Tx, job_id: int, now: float, told: Sequence[RefusedRow]) -> None:
    """Write refused rows into the outbox, with the job: an event for each."""
    if told:
        rows = [
            ["rendering_failure" if one.lacks else "rejected", one.recipient, one.row, one.reason]
            for one in told
        ]
        tx.execute(sql("add_refused_rows"), (pack(rows), ms(now), job_id))


def _open(tx: Tx, job_id: int, now: float, refused: int) -> tuple[JobFacts, int | None]:
    if not tx.execute(sql("open_job"), (job_id, ms(now), refused)):
        raise RefusedError("only a job that is being received can be opened", where=f"job {job_id}")
    facts = select_jobs(tx, "jobs_by_id", job_id)[0]
    members = [job_id]
    if facts.siblings:
        tx.execute(sql("open_siblings"), (job_id, ms(now)))
        members += [one.id for one in select_jobs(tx, "siblings_of", pack(members))]
    due = [tx.rows(sql("earliest_of_job"), (member,))[0][0] for member in members]
    return facts, min((at for at in due if at is not None), default=None)


def _end_sifted(job_id: int, sifted: _Sifted, now: float, tx: Tx) -> JobFacts:
    """Let end what was suppressed when it came in, and was not claimed meanwhile."""
    ids = pack([id_ for id_, _, _ in sifted])
    ready = set(tx.json(sql("still_ready"), (ids,)))
    ending = [row for row in sifted if row[0] in ready]
    end_rows(tx, job_id, ending, (State.READY, State.SUPPRESSED), ms(now))
    return select_jobs(tx, "jobs_by_id", job_id)[0]


def _insert(
    tx: Tx, job_id: int, sheaf: Sheaf, seen: Seen, suppressed: Mapping[str, str]
) -> tuple[int, _Sifted]:
    """Add the new ones of a batch; returns how many, and which of them are suppressed."""
    found = tx.one(sql("receiving_job"), (job_id,))
    if found is None or found[0] != "receiving":
        raise NotFoundError("this job is not being received", where=f"job {job_id}")
    _, priority, due_at = found
    came = len(sheaf)
    first = tx.rows(sql("last_delivery"))[0][0] + 1
    fresh = _fresh(tx, sheaf, seen, first)
    gone = erased_among(tx, sheaf.keys)  # what is said about them is not stored again
    if len(fresh) < came or gone:
        sheaf = Sheaf([_kept(sheaf, place, gone) for place in fresh])
    ending: _Sifted = []
    if sheaf:
        lanes = _lanes(tx, job_id, sheaf, priority, due_at)
        tx.execute(sql("add_deliveries"), (pack(lanes), first, due_at))
        places = (sheaf.recipients, first, sheaf.merges, sheaf.places)
        tx.execute(sql("add_payloads"), places)
        if sheaf.different:
            different = [(first + place, key) for place, key in sheaf.different]
            tx.execute(sql("add_addresses"), (pack(different),))
        tx.execute(sql("add_run"), (job_id, first, first + len(sheaf) - 1, sheaf.prints))
        if suppressed:
            ending = [
                (first + place, lanes[place], suppressed[key])
                for place, key in enumerate(sheaf.keys)
                if key in suppressed
            ]
    tx.execute(sql("count_received"), (job_id, len(sheaf), came - len(sheaf)))
    return len(sheaf), ending


def _kept(sheaf: Sheaf, place: int, gone: Collection[str]) -> NewDelivery:
    row = sheaf.rows[place]
    return replace(row, merge=b"{}") if sheaf.keys[place] in gone else row


def _fresh(tx: Tx, sheaf: Sheaf, seen: Seen, first: int) -> Sequence[int]:
    """The places of the addresses that the job does not have yet, in the order of the batch.

    What `seen` notes of each is the id that it gets when they are stored in this order.
    """
    if seen.base < 0:
        seen.base = first - 1
    hashes, addresses = sheaf.hashes, sheaf.keys
    suspects = seen.screen(hashes, first - seen.base)
    if not suspects:
        return range(len(addresses))
    doubtful = set(suspects)
    fresh = [place for place in range(len(addresses)) if place not in doubtful]
    alike = {place: [n + seen.base for n in seen.suspects(hashes[place])] for place in suspects}
    wanted = {id_ for ids in alike.values() for id_ in ids if id_ < first}
    stored: dict[int, str] = dict(tx.json(sql("stored_addresses"), (pack(sorted(wanted)),)))
    for place in suspects:
        # Again, since this loop itself adds: the batch may hold the address three times.
        ids = [number + seen.base for number in seen.suspects(hashes[place])]
        known = {stored.get(id_) if id_ < first else addresses[fresh[id_ - first]] for id_ in ids}
        if addresses[place] not in known:
            seen.add(hashes[place], first + len(fresh) - seen.base)
            fresh.append(place)
    return fresh


def _lanes(tx: Tx, job_id: int, sheaf: Sheaf, priority: int, due_at: int) -> list[int]:
    """Make or count up the lanes of a batch; returns the lane of each row."""
    packed = pack(list(sheaf.lanes.items()))
    tx.execute(sql("add_lanes"), (packed, job_id, priority, due_at))
    ids: list[int] = tx.json(sql("lane_ids"), (packed, job_id))
    lane_of = dict(zip(sheaf.lanes, ids, strict=True))
    return list(map(lane_of.__getitem__, sheaf.destinations))


def _drop_piece(tx: Tx, job_id: int, chunk: int) -> bool:
    """Undo one run, then one piece of the lanes, then the job; True while something is left."""
    run = tx.one(sql("next_run"), (job_id,))
    if run is not None:
        run_id, first, last = run
        tx.execute(sql("drop_payloads"), (first, last))
        tx.execute(sql("drop_deliveries"), (first, last))
        tx.execute(sql("drop_run"), (run_id,))
        return True
    if tx.execute(sql("drop_lanes"), (job_id, chunk)):
        return True
    tx.execute(sql("drop_job"), (job_id,))
    return False
