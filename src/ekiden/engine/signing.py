"""Signing beside the loop: a few threads, small batches, bounded.

An RSA-2048 operation costs 0.25-0.9 ms and the GIL is free while it goes on, so two threads sign
twice as fast and the loop stays free. Ed25519 costs 0.04 ms, no more than the hop to
a thread and back, so it is done on the loop (measured: docs/dkim.md).

- A thread does the private-key operation and nothing else. Each step of Python there must first get
  the GIL from a busy loop; hashing and folding cost the same on either side of it.
- At most `limit` messages are inside, whatever the scheduler opens; who asks `room` first renders
  nothing that would have to wait. What is handed in beyond it waits in order.
- Messages travel `BATCH` to a hop: one wake-up of a thread and one of the loop for all of them, and
  one hand-over of the GIL where the keys sign in batches (`dkim.batch`: 1.4 times the messages). A
  smaller batch leaves only when the threads would run dry without it: as soon as they are busy,
  what comes waits for company, and the batches grow by themselves.
- Where keys cannot sign in batches, and several threads have enough in hand (`busy`), the loop
  signs the next message itself: a message that stays costs none of the hand-overs of the GIL that
  one which goes costs (bench/README.md: a seventh more messages on two cores). One thread alone is
  not helped: that is how a loop is kept free of signatures.
- The threads are a little less urgent to the kernel than the loop (`NICENESS`): where cores are
  few, the loop does not wait for one while a key is at work (bench/README.md: a fourth less of lag,
  the same rate).
- What was signed together is given to those who wait for it `A_TURN` at a time, or a fourth of it
  where more has gathered: each has its session begin a transaction, and sixteen at once keep the
  loop (p99 lag 14 -> 11 ms, at the same rate).
- An error of one message is that message's; a thread never dies of it.
"""

import asyncio
import os
import threading
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from queue import SimpleQueue
from types import TracebackType
from typing import Final, Self

from ekiden.dkim.sign import Prepared, Signed, finish_each
from ekiden.errors import UnavailableError

BATCH: Final = 16  # messages to a hop
PER_THREAD: Final = 64  # messages inside for each thread, waiting ones included
ENOUGH: Final = 16  # messages inside for each thread: it is not idle before it is given the next
A_TURN: Final = 4  # signed messages given to their senders in one turn of the loop, at least
NICENESS: Final = 10  # of the threads, beside the process's own


class _Work:
    """One message on its way through a thread."""

    __slots__ = ("given", "prepared", "signed")

    def __init__(self, prepared: Prepared, given: Callable[[Signed], None]) -> None:
        self.prepared = prepared
        self.given = given
        self.signed: Signed = b""


class SigningThreads:
    """Threads that sign for one event loop.

    Args:
        threads: How many; the number of cores by default.
        limit: Messages inside at once; `PER_THREAD` for each thread by default.

    Use as an asynchronous context manager, or call `start` and `await close()`.

    Attributes:
        on_room: Called on the loop when messages have left and there is room for others.
    """

    def __init__(self, threads: int | None = None, *, limit: int | None = None) -> None:
        self.threads = threads or os.cpu_count() or 1
        self.limit = limit or PER_THREAD * self.threads
        self.on_room: Callable[[], None] = lambda: None
        self._queue: SimpleQueue[Sequence[_Work] | None] = SimpleQueue()
        self._waiting: deque[_Work] = deque()
        self._pending: list[_Work] = []
        self._workers: list[threading.Thread] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closing = False
        self._inside = 0
        self._given = 0  # of which, in the threads' hands
        self._signed: deque[_Work] = deque()  # and not given yet
        self._handing_out = False  # a turn of the loop is due for them
        self._flushing = False  # a flush is due in this turn of the loop

    def start(self) -> None:
        """Start the threads; needs a running loop."""
        self._loop = asyncio.get_running_loop()
        for number in range(self.threads):
            worker = threading.Thread(target=self._run, name=f"ekiden-sign-{number}", daemon=True)
            worker.start()
            self._workers.append(worker)

    async def __aenter__(self) -> Self:
        self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    @property
    def inside(self) -> int:
        """Messages handed in and not finished: what the engine shows as waiting for signatures."""
        return self._inside

    @property
    def room(self) -> bool:
        """Whether another message would be signed without waiting for others."""
        return self._inside < self.limit

    @property
    def busy(self) -> bool:
        """Whether the loop had better sign the next message itself, if keys sign one by one."""
        return self.threads > 1 and self._inside >= ENOUGH * self.threads

    def submit(self, prepared: Prepared, given: Callable[[Signed], None]) -> None:
        """Hand a message to the threads.

        Args:
            prepared: What is to be signed.
            given: Called once, on the loop, with the finished fields or the error.

        Raises:
            UnavailableError: The threads are closing.
        """
        if self._loop is None or self._closing:
            raise UnavailableError("signing has been shut down")
        work = _Work(prepared, given)
        if self.room:
            self._admit(work)
        else:
            self._waiting.append(work)

    def _admit(self, work: _Work) -> None:
        self._inside += 1
        self._pending.append(work)
        if not self._flushing:
            self._flushing = True
            assert self._loop is not None  # noqa: S101 - `submit` has checked it
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        """Hand on what makes full batches, and the rest if the threads need it."""
        self._flushing = False
        pending = self._pending
        while len(pending) >= BATCH:
            self._give(pending[:BATCH])
            del pending[:BATCH]
        if pending and (self._given < BATCH * self.threads or self._closing):
            size = -(-len(pending) // self.threads)
            for start in range(0, len(pending), size):
                self._give(pending[start : start + size])
            pending.clear()

    def _give(self, batch: Sequence[_Work]) -> None:
        self._given += len(batch)
        self._queue.put(batch)

    def _run(self) -> None:
        with suppress(OSError):  # Linux gives threads priorities of their own; others need not
            own = os.getpriority(os.PRIO_PROCESS, 0)
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), own + NICENESS)
        while (batch := self._queue.get()) is not None:
            signed = finish_each([work.prepared for work in batch])
            for work, one in zip(batch, signed, strict=True):
                work.signed = one
            assert self._loop is not None  # noqa: S101 - set before the thread starts
            try:
                self._loop.call_soon_threadsafe(self._finished, batch)
            except RuntimeError:  # the loop was closed without `close`: nobody waits any more
                return

    def _finished(self, batch: Sequence[_Work]) -> None:
        self._inside -= len(batch)
        self._given -= len(batch)
        while self._waiting and self.room:
            self._admit(self._waiting.popleft())
        self._signed.extend(batch)
        if not self._handing_out:
            self._hand_out()
        if self.room:
            self.on_room()
        self._flush()

    def _hand_out(self) -> None:
        """Give some of what is signed in each turn of the loop: what each sets off takes time.

        Where turns are long and much has gathered it is more, so that the threads never wait.
        """
        share = min(len(self._signed), max(A_TURN, len(self._signed) // A_TURN))
        self._handing_out = share < len(self._signed)
        if self._handing_out:
            assert self._loop is not None  # noqa: S101 - somebody has handed them in
            self._loop.call_soon(self._hand_out)
        for _ in range(share):
            work = self._signed.popleft()
            work.given(work.signed)

    async def close(self) -> None:
        """Finish what is inside, then end the threads."""
        if self._closing:
            return
        self._closing = True
        while self._waiting:
            self._admit(self._waiting.popleft())
        self._flush()
        for _ in self._workers:
            self._queue.put(None)
        await asyncio.to_thread(self._join)
        # Results were posted before the threads ended: one turn of the loop takes them.
        await asyncio.sleep(0)
        while self._signed:
            self._hand_out()

    def _join(self) -> None:
        for worker in self._workers:
            worker.join()
