"""Signing beside the loop: a few threads, small batches, bounded.

An RSA-2048 operation costs 0.14-0.9 ms, and the threads that make them (`engine.signers`) leave the
loop free meanwhile. Ed25519 costs 0.04 ms, no more than the hop of one message to a thread and
back, so it is done on the loop unless a batch goes that way together (measured: docs/dkim.md).

- A thread does the private-key operation and nothing else: hashing and folding cost the same on
  either side, and are Python.
- At most `limit` messages are inside, whatever the scheduler opens; who asks `room` first renders
  nothing that would have to wait. What is handed in beyond it waits in order.
- Messages travel `BATCH` to a hop: one wake-up of a thread and one of the loop for all of them. A
  smaller batch leaves only when the threads would run dry without it: as soon as they are busy,
  what comes waits for company, and the batches grow by themselves.
- Where keys cannot sign in batches, and several threads have enough in hand (`busy`), the loop
  signs the next message itself: a message that stays costs none of the hand-overs of the GIL that
  one which goes costs (bench/README.md: a seventh more messages on two cores). One thread alone is
  not helped: that is how a loop is kept free of signatures.
- What was signed together is given to those who wait for it `A_TURN` at a time, or a fourth of it
  where more has gathered: each has its session begin a transaction, and sixteen at once keep the
  loop (p99 lag 14 -> 11 ms, at the same rate).
"""

import asyncio
import os
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import Final, Self

from ekiden.dkim.sign import Prepared, Signed
from ekiden.engine.signers import Batch, Signers, Work
from ekiden.errors import UnavailableError

BATCH: Final = 16  # messages to a hop
PER_THREAD: Final = 64  # messages inside for each thread, waiting ones included
ENOUGH: Final = 16  # messages inside for each thread: it is not idle before it is given the next
A_TURN: Final = 4  # signed messages given to their senders in one turn of the loop, at least


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
        self._signers = Signers(self.threads, self._finished)
        self._waiting: deque[Work] = deque()
        self._pending: list[Work] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closing = False
        self._inside = 0
        self._given = 0  # of which, in the threads' hands
        self._signed: deque[Work] = deque()  # and not given yet
        self._handing_out = False  # a turn of the loop is due for them
        self._flushing = False  # a flush is due in this turn of the loop

    def start(self) -> None:
        """Start the threads; needs a running loop."""
        self._loop = asyncio.get_running_loop()
        self._signers.start()

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
        work = Work(prepared, given)
        if self.room:
            self._admit(work)
        else:
            self._waiting.append(work)

    def _admit(self, work: Work) -> None:
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

    def _give(self, batch: Batch) -> None:
        self._given += len(batch)
        self._signers.put(batch)

    def _finished(self, batch: Batch) -> None:
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
        await self._signers.close()
        while self._signed:
            self._hand_out()
