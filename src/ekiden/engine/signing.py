"""Signing beside the loop: a few threads, small batches, bounded.

RSA-2048 costs 0.7-0.9 ms and `cryptography` releases the GIL while it works, so two threads sign
twice as fast and the loop stays free. Ed25519 costs 0.05 ms, and the hop to a thread and back 0.04
more, so small messages are signed on the loop; from about 30 KB on the hop is lost in the hashing,
and they go to a thread (measured: docs/dkim.md).

- At most `limit` messages are inside, whatever the scheduler opens; who asks `room` first renders
  nothing that would have to wait. What is handed in beyond it waits in order.
- Messages handed in during one turn of the loop travel together, split evenly among the threads,
  at most `BATCH` to a hop: one wake-up for several, and none waits long for its neighbours.
- A thread hashes the body, prepares, signs and joins; the loop only takes the bytes.
- An error of one message is that message's; a thread never dies of it.
"""

import asyncio
import os
import threading
from collections import deque
from collections.abc import Callable, Sequence
from queue import SimpleQueue
from types import TracebackType
from typing import Final, Self

from ekiden.dkim.sign import Signer
from ekiden.errors import UnavailableError
from ekiden.message.rendered import Rendered

BATCH: Final = 8  # messages to a hop
PER_THREAD: Final = 32  # messages inside for each thread, waiting ones included
INLINE_BYTES: Final = 32 * 1024  # from here on the hop to a thread costs nothing (docs/dkim.md)


class _Work:
    """One message on its way through a thread."""

    __slots__ = ("error", "future", "now", "rendered", "signed", "signer")

    def __init__(
        self, signer: Signer, rendered: Rendered, now: float, future: "asyncio.Future[bytes]"
    ) -> None:
        self.signer = signer
        self.rendered = rendered
        self.now = now
        self.future = future
        self.signed = b""
        self.error: Exception | None = None


def sign_message(signer: Signer, rendered: Rendered, now: float) -> bytes:
    """Return the signed message, ready to be dot-stuffed and sent.

    Args:
        signer: The identity's keys.
        rendered: The message.
        now: UNIX seconds, for `t=`.
    """
    prepared = signer.prepare(rendered.headers, rendered.body_hash(), now)
    return rendered.message(prepared.finish())


class SigningThreads:
    """Threads that sign for one event loop.

    Args:
        threads: How many; the number of cores by default.
        limit: Messages inside at once; `PER_THREAD` for each thread by default.
        inline: Small messages with Ed25519 keys alone are signed on the loop.

    Use as an asynchronous context manager, or call `start` and `await close()`.

    Attributes:
        on_room: Called on the loop when a message has left and there is room for another.
    """

    def __init__(
        self, threads: int | None = None, *, limit: int | None = None, inline: bool = True
    ) -> None:
        self.threads = threads or os.cpu_count() or 1
        self.limit = limit or PER_THREAD * self.threads
        self.inline = inline
        self.on_room: Callable[[], None] = lambda: None
        self._queue: SimpleQueue[Sequence[_Work] | None] = SimpleQueue()
        self._waiting: deque[_Work] = deque()
        self._pending: list[_Work] = []
        self._workers: list[threading.Thread] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closing = False
        self._inside = 0

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

    def on_loop(self, signer: Signer, rendered: Rendered) -> bool:
        """Whether a message costs less than the hop to a thread: `sign_message` it at once."""
        return self.inline and signer.cheap and len(rendered.body) <= INLINE_BYTES

    async def sign(self, signer: Signer, rendered: Rendered, now: float) -> bytes:
        """Sign a message, here or on a thread; waits while `limit` others are inside.

        Args:
            signer: The identity's keys.
            rendered: The message.
            now: UNIX seconds, for `t=`.

        Returns:
            The message with its DKIM-Signature fields, before dot-stuffing.

        Raises:
            UnavailableError: The threads are closing.
        """
        if self.on_loop(signer, rendered):
            return sign_message(signer, rendered, now)
        return await self.submit(signer, rendered, now)

    def submit(self, signer: Signer, rendered: Rendered, now: float) -> "asyncio.Future[bytes]":
        """Hand a message to the threads; the future has what `sign` returns.

        Raises:
            UnavailableError: The threads are closing.
        """
        if self._loop is None or self._closing:
            raise UnavailableError("signing has been shut down")
        work = _Work(signer, rendered, now, self._loop.create_future())
        if self.room:
            self._admit(work)
        else:
            self._waiting.append(work)
        return work.future

    def _admit(self, work: _Work) -> None:
        self._inside += 1
        # A place is free again when nobody waits for it any more, cancelled or done.
        work.future.add_done_callback(self._left)
        if not self._pending:
            assert self._loop is not None  # noqa: S101 - `submit` has checked it
            self._loop.call_soon(self._flush_if_any)
        self._pending.append(work)

    def _left(self, _: "asyncio.Future[bytes]") -> None:
        self._inside -= 1
        while self._waiting and self.room:
            work = self._waiting.popleft()
            if not work.future.done():
                self._admit(work)
        if self.room:
            self.on_room()

    def _flush(self) -> None:
        """Hand what gathered in this turn of the loop to the threads."""
        pending, self._pending = self._pending, []
        size = min(BATCH, -(-len(pending) // self.threads))
        for start in range(0, len(pending), size):
            self._queue.put(pending[start : start + size])

    def _run(self) -> None:
        while (batch := self._queue.get()) is not None:
            for work in batch:
                try:
                    work.signed = sign_message(work.signer, work.rendered, work.now)
                except Exception as error:  # noqa: BLE001 - it is raised again where `sign` waits
                    work.error = error
            assert self._loop is not None  # noqa: S101 - set before the thread starts
            try:
                self._loop.call_soon_threadsafe(_settle, batch)
            except RuntimeError:  # the loop was closed without `close`: nobody waits any more
                return

    async def close(self) -> None:
        """Finish what is inside, then end the threads."""
        if self._closing:
            return
        self._closing = True
        while self._waiting:
            self._admit(self._waiting.popleft())
        self._flush_if_any()
        for _ in self._workers:
            self._queue.put(None)
        await asyncio.to_thread(self._join)
        # Results were posted before the threads ended; one turn of the loop delivers them.
        await asyncio.sleep(0)

    def _flush_if_any(self) -> None:
        if self._pending:
            self._flush()

    def _join(self) -> None:
        for worker in self._workers:
            worker.join()


def _settle(batch: Sequence[_Work]) -> None:
    for work in batch:
        if work.future.done():  # cancelled meanwhile
            continue
        if work.error is not None:
            work.future.set_exception(work.error)
        else:
            work.future.set_result(work.signed)
