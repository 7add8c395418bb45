"""One entry of `cur/` becomes one job in the queue, or is refused.

**Theory.** The job is accepted at one instant: when `open_job` returns (or `submit_job`, for what
fits into one batch). Everything before it is undone or done again after a crash; everything after
it finds the job by its identity and only finishes the move. So a replay is harmless at any step:
docs/spool.md has the table.

**Contract.** `receive` returns when the entry is in `done/` or `failed/`. It raises
`UnavailableError` or `OSError` when the machine is at fault, and then the entry is where it was and
can be received again. Nothing here holds up the event loop: files are read, parsed, synced and
moved on threads, and the next batch is parsed while the queue stores the last one.
"""

import asyncio
import errno
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from itertools import zip_longest
from typing import Final, TypeVar

import structlog

from ekiden.errors import EkidenError, UnavailableError
from ekiden.queue.model import (
    Foretold,
    JobFacts,
    JobState,
    NewJob,
    RefusedRow,
    State,
)
from ekiden.queue.sheaf import Sheaf
from ekiden.spool.answers import RESULT, RefusalLog, write_error, write_json
from ekiden.spool.content import ContentRules
from ekiden.spool.house import Draft, House
from ekiden.spool.jobqueue import JobQueue
from ekiden.spool.jobspec import JobError, JobSpec, shown
from ekiden.spool.layout import Folder, Spool
from ekiden.spool.loading import Loaded, load, stem
from ekiden.spool.newjob import IntakeOptions, new_job
from ekiden.spool.siblings import Family, Member, Piece, refusals
from ekiden.spool.windows import Rows
from ekiden.templates.model import StoredTemplate

T = TypeVar("T")

LOG: Final = structlog.get_logger("ekiden.spool")

# Trouble of the machine, which passes; any other OSError is about the job's own files.
_MACHINE: Final = frozenset(
    {errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS, errno.EMFILE, errno.ENFILE, errno.ENOMEM}
)


class Receiver:
    """Receives entries of `cur/`.

    Args:
        spool: The open spool.
        queue: The queue.
        options: How.
        house: The rules of the house.
        clock: UNIX seconds.
    """

    def __init__(
        self,
        spool: Spool,
        queue: JobQueue,
        options: IntakeOptions,
        house: House,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._spool = spool
        self._queue = queue
        self._options = options
        self._house = house
        self._clock = clock
        self._alone = _Alone()

    async def receive(self, name: str) -> None:
        """Receive the entry `name` of `cur/`.

        Raises:
            UnavailableError: The queue cannot take it now.
            OSError: The disk cannot.
        """
        log = await asyncio.to_thread(RefusalLog, self._spool, stem(name))
        try:
            await self._received(name, log)
        except UnavailableError:
            raise
        except EkidenError as error:
            await self._refuse(name, log, error)
        except OSError as error:
            if error.errno in _MACHINE:
                raise
            what = f"It cannot be read: {error.strerror}."
            await self._refuse(name, log, EkidenError(what, where=shown(name)))
        except Exception as error:  # a bug of ours must not stop the spool for everybody
            LOG.exception("spool_bug", name=shown(name))
            what = f"A fault of the program itself: {type(error).__name__}."
            remedy = "report it with the log's lines about it; the job itself may be right"
            await self._refuse(name, log, EkidenError(what, where=shown(name), remedy=remedy))
        finally:
            log.close()

    async def _received(self, name: str, log: RefusalLog) -> None:
        rules = self._rules(asyncio.get_running_loop())
        loaded = await asyncio.to_thread(load, self._spool, name, self._clock(), rules)
        try:
            plain = loaded.spec
            loaded.spec = await self._completed(plain, name)
            async with self._alone.with_(loaded.uid):
                facts = await self._queue.find_job(loaded.uid)
                if facts is not None and facts.state is not JobState.RECEIVING:
                    await self._known(name, facts)
                    return
                facts = await self._insert(name, loaded, plain, log)
        finally:
            loaded.close()
        members = [facts, *(await self._queue.siblings(facts.id) if facts.siblings else ())]
        for member in members:
            if self._house.opened is not None:
                self._house.opened(member)
        await self._move(name, Folder.DONE)
        LOG.info(
            "job_accepted", name=shown(name), job=facts.id, uid=facts.uid,
            recipients=sum(member.total for member in members), refused=facts.refused,
            duplicates=sum(member.duplicates for member in members),
            suppressed=sum(member.counts.get(State.SUPPRESSED, 0) for member in members),
        )  # fmt: skip

    async def _completed(self, spec: JobSpec, name: str) -> JobSpec:
        """Return a job with what its set adds, if it can be taken."""
        spec = await self._house.complete(spec)
        self._honoured(spec, name)
        self._house.check(spec)
        return spec

    def _rules(self, loop: asyncio.AbstractEventLoop) -> ContentRules:
        """What content is made by; stored templates are asked for from the thread that reads."""

        def find(reference: str) -> StoredTemplate:
            return asyncio.run_coroutine_threadsafe(self._stored(reference), loop).result()

        return ContentRules(self._options.on_missing, self._options.inline_css, find)

    async def _stored(self, reference: str) -> StoredTemplate:
        return await self._house.find(reference)

    def _honoured(self, spec: JobSpec, name: str) -> None:
        """Refuse what this installation would pass over in silence."""
        wanted = {
            "tracking": bool(spec.track_opens or spec.track_clicks),
            "list": bool(spec.contact_list),
        }
        for feature, asked in wanted.items():
            if asked and feature not in self._options.features:
                raise JobError.one(
                    f"`{feature}` is asked for, and this installation does not have it.",
                    where=shown(name),
                    remedy=f"leave `{feature}` out",
                )

    async def _known(self, name: str, facts: JobFacts) -> None:
        """The queue has the job: this is a replay after a crash, or the same job once more."""
        if facts.spool_name != name:
            answer = {
                "name": stem(name),
                "fate": "duplicate",
                "duplicate_of": {
                    "id": facts.id,
                    "uid": facts.uid,
                    "name": stem(facts.spool_name) or facts.name,
                    "state": facts.state.value,
                },
                "advice": "This job was accepted before, so nothing was sent for this copy. To"
                " send it again on purpose, give it another `id`.",
            }
            await asyncio.to_thread(write_json, self._spool, stem(name) + RESULT, answer)
            LOG.info("job_duplicate", name=shown(name), job=facts.id, uid=facts.uid)
        await self._move(name, Folder.DONE)

    async def _insert(self, name: str, loaded: Loaded, plain: JobSpec, log: RefusalLog) -> JobFacts:
        rows = Rows(loaded.batches, log, self._options)
        window = await _to_the_end(rows.pull)
        now = self._clock()
        job = new_job(name, loaded, self._options, now)
        await self._house.judge(job, window[0][1].rows if window else ())
        if rows.ended and len(window) <= 1 and not (window and window[0][0]):
            _some(window, log, name)
            ((_, batch),) = window
            suppressed = await self._sift(job, batch, log)
            lanes = rows.lanes - _destinations(suppressed)
            foretold = await self._foreseen([Draft(job, loaded.spec.on_late, lanes)])
            await _to_the_end(partial(_seal, loaded, log))
            job = replace(job, refused=log.count)
            facts = await self._queue.submit_job(
                job, batch, now, suppressed, log.events(), foretold=foretold
            )
            self._told(facts, foretold)
            return facts
        head = Member(await self._queue.add_job(job), job, loaded.spec)
        family = Family(
            head,
            plain,
            self._queue,
            complete=lambda spec: self._completed(spec, name),
            make=lambda spec: new_job(name, replace(loaded, spec=spec), self._options, now),
        )
        try:
            await self._pour(family, window, rows, log)
            if not any(member.lanes for member in family.members):
                _some([], log, name)
            foretold = await self._foreseen(
                [Draft(one.job, one.spec.on_late, one.lanes) for one in family.members]
            )
            await _to_the_end(partial(_seal, loaded, log))
            facts = await self._queue.open_job(
                head.id,
                self._clock(),
                refused=log.count,
                told=log.events(),
                foretold=foretold,
            )
        except Exception:
            await self._queue.abandon_job(head.id)
            raise
        self._told(facts, foretold)
        return facts

    async def _foreseen(self, drafts: Sequence[Draft]) -> Foretold:
        """Ask what is to be expected of a job, before it is opened."""
        if self._house.foresight is None:
            return Foretold()
        return await self._house.foresight.foresee(drafts)

    def _told(self, facts: JobFacts, foretold: Foretold) -> None:
        if self._house.foresight is not None:
            self._house.foresight.opened(facts, foretold)

    async def _sift(self, job: NewJob, rows: Sheaf, log: RefusalLog) -> dict[str, str]:
        """Ask who is suppressed, and say so in the report."""
        suppressed = await self._queue.sift(job, rows)
        if suppressed:
            await _to_the_end(partial(log.add_suppressed, rows, suppressed))
        return suppressed

    async def _pour(
        self, family: Family, window: list[Piece], rows: "Rows", log: RefusalLog
    ) -> None:
        """Insert window after window, each while the next one is being parsed."""
        while window:
            following = asyncio.create_task(asyncio.to_thread(rows.pull))
            refused: list[RefusedRow] = []
            try:
                refused = await self._store(family, window, log)
            finally:
                await asyncio.wait([following])
            await _to_the_end(partial(log.add, refused))
            window = following.result()

    async def _store(
        self, family: Family, window: Sequence[Piece], log: RefusalLog
    ) -> list[RefusedRow]:
        """Insert a window, each batch while the next one is looked up among the suppressed.

        Returns:
            The rows whose set cannot take them.
        """
        refused: list[RefusedRow] = []
        looking = asyncio.create_task(self._looked_up(family, window[0], log))
        try:
            for (_, batch), after in zip_longest(window, window[1:]):
                member, suppressed = await looking
                if after is not None:
                    looking = asyncio.create_task(self._looked_up(family, after, log))
                if isinstance(member, str):
                    refused += refusals(batch.rows, member)
                    continue
                await self._queue.add_deliveries(member.id, batch, suppressed)
                member.lanes.update(batch.lanes)
                member.lanes -= _destinations(suppressed)
        finally:
            looking.cancel()
            await asyncio.wait([looking])
        return refused

    async def _looked_up(
        self, family: Family, piece: Piece, log: RefusalLog
    ) -> tuple[Member | str, Mapping[str, str]]:
        """Return the job of a batch, or why there is none, and who of it is suppressed."""
        chosen, batch = piece
        member = await family.of(chosen)
        if isinstance(member, str):
            return member, {}
        return member, await self._sift(member.job, batch, log)

    async def _refuse(self, name: str, log: RefusalLog, error: EkidenError) -> None:
        def write() -> None:
            log.move(Folder.FAILED)
            write_error(self._spool, stem(name), error)
            self._spool.move(name, Folder.CUR, Folder.FAILED, name)

        if self._house.refused is not None:
            await self._house.refused(stem(name), error)
        await asyncio.to_thread(write)
        LOG.warning("job_refused", name=shown(name), where=error.where, what=error.what)

    async def _move(self, name: str, folder: Folder) -> None:
        await asyncio.to_thread(self._spool.move, name, Folder.CUR, folder, name)


def _destinations(addresses: Iterable[str]) -> Counter[str]:
    """How many of some addresses, in their key form, are at each destination."""
    return Counter(one.rpartition("@")[2] for one in addresses)


async def _to_the_end(step: Callable[[], T]) -> T:
    """Run `step` on a thread and wait for its end even when cancelled: it uses our open files."""
    task = asyncio.create_task(asyncio.to_thread(step))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        raise


def _some(window: Sequence[Piece], log: RefusalLog, name: str) -> None:
    """Refuse a job that has nobody to be sent to."""
    if window:
        return
    if log.first is None:
        raise JobError.one("There are no recipients.", where=shown(name))
    raise JobError.one(
        f"No recipient is left: all {log.count:,} rows were refused.",
        where=f"{shown(name)}: row {log.first.row}",
        remedy=f"the first one: {log.first.reason}; the others are in the report",
    )


def _seal(loaded: Loaded, log: RefusalLog) -> None:
    """The last steps before the commit point: nothing changed underneath, the report is safe."""
    loaded.check_unchanged()
    log.move(Folder.DONE)


class _Alone:
    """One at a time per identity: two copies of a job that arrive together are one job."""

    def __init__(self) -> None:
        self._locks: dict[str, tuple[asyncio.Lock, list[None]]] = {}

    @asynccontextmanager
    async def with_(self, uid: str) -> AsyncIterator[None]:
        """Hold the identity."""
        lock, users = self._locks.setdefault(uid, (asyncio.Lock(), []))
        users.append(None)
        try:
            async with lock:
                yield
        finally:
            users.pop()
            if not users:
                del self._locks[uid]
