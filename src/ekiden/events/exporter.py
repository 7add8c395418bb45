"""From the queue's history to the event log: pulled, in order, at least once.

The queue keeps what happened until the mark of its reader has passed it; the exporter reads at most
one batch ahead, writes it beside the loop, and moves the mark. So a burst of results waits on disk
where it already is, a full disk delays events and nothing else, and a crash between write and mark
repeats a batch under the same ids. The repetition is avoided where the log's own tail shows that
the batch was written.
"""

import asyncio
import contextlib
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

import structlog

from ekiden.errors import EkidenError, UnavailableError
from ekiden.events.log import EventLog
from ekiden.events.model import Event, EventType, happened
from ekiden.events.outbox import Follower, Outbox
from ekiden.slices import sliced

ATTEMPTS: Final = "events.attempts"


@dataclass(frozen=True, slots=True)
class ExporterOptions:
    """How the exporter works.

    Args:
        types: The events that are written.
        batch: Rows read at once.
        poll: Seconds between looks when nothing wakes it.
        gather: Seconds that events gather before the next look: results come a few at a time, and
            every look is a handful of statements and a sync of the log.
        retry: Seconds before a failed write is tried again; doubled up to `retry_max`.
        retry_max: See `retry`.
        listener: Called on the loop with each event of the chosen types, after it was written.
        moved: Called when there was something new, whether it was written or passed over.
    """

    types: Collection[EventType] = tuple(EventType)
    batch: int = 250
    poll: float = 1.0
    gather: float = 0.1
    retry: float = 1.0
    retry_max: float = 30.0
    listener: Callable[[Event], None] | None = None
    moved: Callable[[], None] = lambda: None


class Exporter:
    """Writes the queue's history into the event log.

    Args:
        outbox: The queue.
        log: The open log; the exporter alone uses it, on its own thread.
        options: See `ExporterOptions`.
    """

    def __init__(self, outbox: Outbox, log: EventLog, options: ExporterOptions) -> None:
        self._outbox = outbox
        self._log = log
        self._options = options
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="events")
        self._follower = Follower(
            outbox, "events", self._write, types=options.types, batch=options.batch
        )
        self._wake = asyncio.Event()
        self._said = structlog.get_logger("ekiden.events")
        self.trouble = ""  # what keeps the log from being written, for `status`
        self.written = 0

    def wake(self) -> None:
        """Say that there may be something new: the next look is now."""
        self._wake.set()

    async def run(self) -> None:
        """Export until cancelled; `drain` afterwards writes what came last."""
        await self._begin()
        while True:
            if await self._patiently():
                self._options.moved()
            else:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self._options.poll):
                        await self._wake.wait()
                self._wake.clear()
            if not self._follower.behind:
                await asyncio.sleep(self._options.gather)

    async def drain(self) -> None:
        """Export everything there is now; for the end of a run.

        Raises:
            UnavailableError: The log cannot be written.
        """
        await self._begin()
        while await self._step():
            pass

    def close(self) -> None:
        """End the writing thread, once what it has been given is written."""
        self._thread.shutdown()

    async def _patiently(self) -> bool:
        wait = self._options.retry
        while True:
            try:
                moved = await self._step()
            except UnavailableError as error:
                if not self.trouble:
                    self._said.error("event log cannot be written", reason=str(error))
                self.trouble = str(error)
                await asyncio.sleep(wait)
                wait = min(wait * 2, self._options.retry_max)
            else:
                if self.trouble:
                    self._said.info("event log can be written again")
                self.trouble = ""
                return moved

    async def _step(self) -> bool:
        return await self._follower.step()

    async def _write(self, events: Sequence[Event]) -> None:
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._thread, self._log.append, events)
        self.written += len(events)
        if self._options.listener is not None:
            async for event in sliced(events):
                self._options.listener(event)

    async def _begin(self) -> None:
        await self._follower.begin()
        await self._skip_written()

    async def _skip_written(self) -> None:
        """Move the mark over what a crash kept from being marked, if the log's tail proves it."""
        last = await asyncio.get_running_loop().run_in_executor(self._thread, self._log.last)
        if last is None or last.id[:1] != "a" or not last.id[1:].isdigit():
            return
        seq = int(last.id[1:])
        mark = await self._outbox.mark(ATTEMPTS)
        if not mark < seq <= mark + self._options.batch:
            return
        # A number alone proves nothing: the queue may be a new one. The same row must be there.
        found = await self._outbox.attempts_after(seq - 1, 1)
        if not found or found[0].seq != seq:
            return
        try:
            there = happened(found[0], await self._follower.job(found[0].job_id))
        except (EkidenError, ValueError):
            return
        if there == last:
            await self._follower.move("attempts", seq)
