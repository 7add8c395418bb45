"""A reader of the queue's history: its own place in it, and events in order, at least once.

The queue keeps what happened until the marks of all its readers have passed it. A `Follower` reads
one batch, hands it on as events, and moves its mark; so whatever stands in the way of one reader
(a full disk, a webhook that is down) delays that reader and nothing else, and a crash repeats a
batch under the same ids.
"""

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import Final, Protocol

from ekiden.errors import NotFoundError
from ekiden.events.model import Event, EventType, accepted, alert, happened, reaction
from ekiden.queue.model import JobFacts
from ekiden.queue.reactions import ReactionRecord
from ekiden.queue.reports import Notice
from ekiden.queue.shown import AcceptedRow, AttemptRecord

KINDS: Final = ("attempts", "accepted", "notices", "reactions")
_JOBS_KNOWN: Final = 2048  # more than a batch has rows: `known` answers for all of them
_REACTIONS: Final = frozenset(
    {EventType.OPEN, EventType.CLICK, EventType.UNSUBSCRIBE, EventType.SUBSCRIPTION}
)
_NOTICES: Final = frozenset({EventType.ALERT, EventType.REJECTED, EventType.RENDERING_FAILURE})

Write = Callable[[Sequence[Event]], Awaitable[None]]


class Outbox(Protocol):
    """What a follower needs of the queue."""

    async def attempts_after(self, seq: int, limit: int) -> list[AttemptRecord]:
        """Return history rows with a greater `seq`, in order."""

    async def accepted_after(self, after: int, limit: int) -> list[AcceptedRow]:
        """Return deliveries of opened jobs that come after `after`, in the order of opening."""

    async def notices_after(self, seq: int, limit: int) -> list[Notice]:
        """Return notices to the operator with a greater `seq`, in order."""

    async def reactions_after(self, seq: int, limit: int) -> list[ReactionRecord]:
        """Return what was done with mails, with a greater `seq`, in order."""

    async def job(self, key: int) -> JobFacts:
        """Return a job."""

    async def mark(self, reader: str) -> int:
        """Return how far `reader` has come, 0 at first."""

    async def set_mark(self, reader: str, seq: int) -> None:
        """Note how far `reader` has come: nothing beyond it is deleted."""


class Follower:
    """Reads the history on from its marks.

    Args:
        outbox: The queue.
        name: Its marks are `NAME.attempts` and so on.
        write: Takes a batch of events; the marks move once it returns.
        types: The events that are wanted; others are passed over.
        batch: Rows read at once.
    """

    def __init__(
        self, outbox: Outbox, name: str, write: Write, *, types: Collection[EventType], batch: int
    ) -> None:
        self._outbox = outbox
        self._name = name
        self._hand_on = write
        self._types = frozenset(types)
        self._batch = batch
        self._jobs: OrderedDict[int, JobFacts] = OrderedDict()
        self._places: dict[str, int] = {}
        self.behind = False  # the last step met a full batch: there is more
        self._by_name: dict[tuple[str, str], JobFacts] = {}

    async def begin(self) -> None:
        """Take our places: from now on the queue deletes nothing that we have not passed."""
        for kind in KINDS:
            await self.move(kind, await self._outbox.mark(f"{self._name}.{kind}"))

    async def step(self) -> bool:
        """Hand on one batch of each kind; false when there was nothing."""
        self.behind = False
        # First who came in, then what became of them: a reader meets a delivery before its fate.
        came = more = await self._accepted()
        while more:
            more = await self._accepted()
        came = await self._notices() or came
        came = await self._attempts() or came
        return await self._reactions() or came

    async def job(self, key: int) -> JobFacts:
        """Return a job; the last few thousand are remembered."""
        known = self._jobs.get(key)
        if known is None:
            known = self._jobs[key] = await self._outbox.job(key)
            self._by_name[known.identity, known.configuration_set] = known
            if len(self._jobs) > _JOBS_KNOWN:
                _, gone = self._jobs.popitem(last=False)
                self._by_name.pop((gone.identity, gone.configuration_set), None)
        return known

    def known(self, uid: str, configuration_set: str) -> JobFacts | None:
        """Return the job that an event handed on just now is about."""
        return self._by_name.get((uid, configuration_set))

    async def _attempts(self) -> bool:
        rows = await self._outbox.attempts_after(self._place("attempts"), self._batch)
        if rows:
            jobs = {key: await self.job(key) for key in {row.job_id for row in rows}}
            await self._write([happened(row, jobs[row.job_id]) for row in rows])
            self.behind = len(rows) >= self._batch
            await self.move("attempts", rows[-1].seq)
        return bool(rows)

    async def _accepted(self) -> bool:
        rows = await self._outbox.accepted_after(self._place("accepted"), self._batch)
        if not rows:
            return False
        if EventType.ACCEPTED in self._types:
            await self._write([accepted(row, await self.job(row.job_id)) for row in rows])
        await self.move("accepted", rows[-1].id)
        return True

    async def _notices(self) -> bool:
        rows = await self._outbox.notices_after(self._place("notices"), self._batch)
        if not rows:
            return False
        if not self._types.isdisjoint(_NOTICES):
            await self._write([alert(row, await self._job_of(row.job_id)) for row in rows])
        await self.move("notices", rows[-1].seq)
        return True

    async def _reactions(self) -> bool:
        rows = await self._outbox.reactions_after(self._place("reactions"), self._batch)
        if not rows:
            return False
        if not self._types.isdisjoint(_REACTIONS):
            await self._write([reaction(row, await self._job_of(row.job_id)) for row in rows])
        await self.move("reactions", rows[-1].seq)
        return True

    async def _job_of(self, key: int | None) -> JobFacts | None:
        try:
            return None if key is None else await self.job(key)
        except NotFoundError:
            return None

    async def _write(self, events: Sequence[Event]) -> None:
        wanted = [event for event in events if event.type in self._types]
        if wanted:
            await self._hand_on(wanted)

    def _place(self, kind: str) -> int:
        return self._places[kind]

    async def move(self, kind: str, place: int) -> None:
        """Note that everything of a kind up to `place` has been passed."""
        await self._outbox.set_mark(f"{self._name}.{kind}", place)
        self._places[kind] = place
