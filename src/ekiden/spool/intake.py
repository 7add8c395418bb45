"""Intake: what lands in `new/` becomes jobs in the queue.

```
new/NAME --rename--> cur/NAME --load, check--> queue: receiving --open_job--> open
                        |                                              |
                        +--> failed/NAME + NAME.error.txt              +--> done/NAME
```

This module finds entries and hands them out; `receiving` does one of them. Job directories have a
worker of their own, so that a message file does not wait behind a million recipients.

A job that cannot be taken because the disk is full or the queue is unavailable stays where it is:
intake stops taking, says so in `trouble`, and goes on by itself when it can.
"""

import asyncio
import errno
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import Final, TypeVar

import structlog
from watchfiles import awatch

from ekiden.errors import UnavailableError
from ekiden.spool.answers import ANSWERS, free_name
from ekiden.spool.arrivals import Arrivals
from ekiden.spool.house import House
from ekiden.spool.jobqueue import JobQueue
from ekiden.spool.jobspec import shown
from ekiden.spool.layout import Folder, Spool
from ekiden.spool.loading import stem
from ekiden.spool.newjob import IntakeOptions
from ekiden.spool.receiving import Receiver

__all__ = ["Intake", "IntakeOptions", "JobQueue"]

LOG: Final = structlog.get_logger("ekiden.spool")

T = TypeVar("T")

_WAITING: Final = 200  # complete entries that are taken note of at a time
_NAME_BYTES: Final = 200
_NOT_OURS: Final = frozenset({errno.EACCES, errno.EPERM})


class Intake:
    """Takes jobs from the spool into the queue until it is cancelled.

    Args:
        spool: The open spool.
        queue: The queue.
        options: How.
        house: The rules of the house; a plain one takes any job.
        clock: UNIX seconds.
    """

    def __init__(
        self,
        spool: Spool,
        queue: JobQueue,
        options: IntakeOptions | None = None,
        house: House | None = None,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._spool = spool
        self._queue = queue
        self._options = options or IntakeOptions()
        self._receiver = Receiver(
            spool,
            queue,
            self._options,
            house or House(),
            clock=clock,
        )
        self._arrivals = Arrivals(spool, self._options.rest, time.monotonic)
        self._stirred = asyncio.Event()
        self._claimed: set[str] = set()  # names in new/ that a worker has, will have, or gave up
        self._naming = asyncio.Lock()  # a name is free until the entry stands there
        self._small: asyncio.Queue[str] = asyncio.Queue(_WAITING)
        self._large: asyncio.Queue[str] = asyncio.Queue(_WAITING)
        self.trouble = ""  # why nothing is taken at present; "" when all is well

    async def run(self) -> None:
        """Take jobs until cancelled; what a crash left behind comes first."""
        await self._patiently(self._queue.abandon_receiving)
        left = await asyncio.to_thread(self._left_behind)
        async with asyncio.TaskGroup() as group:
            group.create_task(self._watch())
            group.create_task(self._replay(left))
            group.create_task(self._work(self._large))
            for _ in range(self._options.workers):
                group.create_task(self._work(self._small))
            await self._scan()

    async def take_all(self) -> int:
        """Take what lies in cur/ and what is complete in new/, then return: for offline use.

        Returns:
            How many entries were taken.

        Raises:
            UnavailableError: The queue or the disk refused.
        """
        await self._queue.abandon_receiving()
        left = await asyncio.to_thread(self._left_behind)
        for name in left:
            await self._receiver.receive(name)
        names = await asyncio.to_thread(self._arrivals.look, _WAITING)
        taken = [await self._claim(name) for name in names]
        for entry in taken:
            if entry:
                await self._receiver.receive(entry)
        return len(left) + len(taken)

    def _left_behind(self) -> list[str]:
        """The entries of cur/: what a crash interrupted."""
        return [
            name
            for name in self._spool.names(Folder.CUR)
            if not name.startswith(".") and not name.endswith(ANSWERS)
        ]

    async def _replay(self, names: list[str]) -> None:
        for name in names:
            await self._patiently(partial(self._receiver.receive, name))

    async def _watch(self) -> None:
        """Wake the scan when something happens in new/; where that cannot be heard, scans do."""
        path = self._spool.path / Folder.NEW
        try:
            async for _ in awatch(path, watch_filter=None, debounce=200, step=20, recursive=False):
                self._stirred.set()
        except (OSError, RuntimeError) as error:
            LOG.warning("spool_not_watched", path=str(path), error=str(error))

    async def _scan(self) -> None:
        while True:
            self._stirred.clear()
            if await self._room():
                for name in await asyncio.to_thread(self._arrivals.look, _WAITING):
                    if name not in self._claimed:
                        self._claimed.add(name)
                        lane = self._large if stem(name) == name else self._small
                        await lane.put(name)  # full: the workers are behind, so this waits
            pause = self._options.scan
            if self._arrivals.waiting:
                pause = min(pause, max(0.05, self._options.rest / 4))
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._stirred.wait()

    async def _room(self) -> bool:
        """Whether the disk has room for more jobs."""
        free = await asyncio.to_thread(self._spool.free_bytes)
        if free < self._options.free:
            self._troubled(f"{free:,} bytes free on the spool's disk: too few to take jobs")
            return False
        self._well()
        return True

    async def _work(self, lane: asyncio.Queue[str]) -> None:
        while True:
            name = await lane.get()
            taken = await self._patiently(partial(self._claim, name))
            if taken:
                await self._patiently(partial(self._receiver.receive, taken))
            if taken is not None:
                self._claimed.discard(name)

    async def _claim(self, name: str) -> str | None:
        """Move an entry into cur/ under the name it keeps.

        Returns:
            That name; "" when the entry is gone; None when it cannot be moved, so that it is left
            alone from now on.
        """

        def move() -> str:
            final = free_name(self._spool, _clean(name), unique=time.time_ns())
            self._spool.move(name, Folder.NEW, Folder.CUR, final)
            return final

        try:
            async with self._naming:
                return await asyncio.to_thread(move)
        except FileNotFoundError:
            return ""
        except OSError as error:
            if error.errno not in _NOT_OURS:
                raise
            LOG.error(  # noqa: TRY400 - a person's mistake, not a fault: no traceback
                "spool_entry_stuck",
                name=shown(name),
                error=error.strerror,
                remedy="another user's directory can be moved only by root: submit it as the"
                " daemon's user",
            )
            return None

    async def _patiently(self, step: Callable[[], Awaitable[T]]) -> T:
        """Do a step; wait and try again for as long as the machine will not have it."""
        while True:
            try:
                done = await step()
            except (UnavailableError, OSError) as error:
                self._troubled(str(error))
                await asyncio.sleep(self._options.retry)
            else:
                self._well()
                return done

    def _troubled(self, trouble: str) -> None:
        if not self.trouble:
            LOG.error("spool_stopped", trouble=trouble)
        self.trouble = trouble

    def _well(self) -> None:
        if self.trouble:
            LOG.info("spool_goes_on", after=self.trouble)
        self.trouble = ""


def _clean(name: str) -> str:
    """A name that can be shown, stored, and have answers beside it (255 bytes at most)."""
    base = stem(name)
    plain = shown(base, 255).encode()[:_NAME_BYTES].decode("utf-8", "ignore")
    return plain + name[len(base) :]
