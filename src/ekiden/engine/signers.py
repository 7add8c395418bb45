"""The threads that make signatures: a crew of none of Python's where it can be, else Python's own.

- A crew (`dkim.crew`) never asks for the GIL. It takes the batches of keys that sign in batches,
  which all do where Ekiden was compiled (docs/dkim.md).
- Threads of Python's sign the rest, and what libcrypto would not: each step there must first get
  the GIL from a busy loop. They are started when the first such message comes.
- Both are less urgent to the kernel than the loop (`NICENESS`): where cores are few, it does not
  wait for one while a key is at work (bench/README.md: a fourth less of lag, the same rate).
- An error of one message is that message's; a thread never dies of it.
"""

import asyncio
import os
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from queue import SimpleQueue
from typing import Final

from ekiden.dkim.batch import Order
from ekiden.dkim.crew import Crew, start_crew
from ekiden.dkim.sign import Prepared, Signed, alike, finish_each, finish_with, orders
from ekiden.errors import UnavailableError

NICENESS: Final = 10  # of the threads, beside the process's own


class Work:
    """One message on its way through a thread."""

    __slots__ = ("given", "prepared", "signed")

    def __init__(self, prepared: Prepared, given: Callable[[Signed], None]) -> None:
        self.prepared = prepared
        self.given = given
        self.signed: Signed = b""


Batch = Sequence[Work]


class Signers:
    """Threads that sign batches of messages for one event loop.

    Args:
        threads: How many of each kind.
        done: Called on the loop with what was put in together, or a part of it, signed.
    """

    def __init__(self, threads: int, done: Callable[[Batch], None]) -> None:
        self._threads = threads
        self._done = done
        self._crew: Crew[Batch] | None = None
        self._queue: SimpleQueue[Batch | None] = SimpleQueue()
        self._workers: list[threading.Thread] = []
        self._loop: asyncio.AbstractEventLoop

    def start(self) -> None:
        """Start; needs a running loop."""
        self._loop = asyncio.get_running_loop()
        own = os.getpriority(os.PRIO_PROCESS, 0)
        self._crew = start_crew(self._threads, own + NICENESS)
        if self._crew is not None:
            self._loop.add_reader(self._crew.bell, self._take)

    def put(self, batch: Batch) -> None:
        """Have messages signed."""
        if self._crew is None:
            self._put_to_workers(batch)
            return
        for places in alike([work.prepared for work in batch]):
            group = [batch[place] for place in places]
            try:
                given = orders([work.prepared for work in group])
            except Exception:  # noqa: BLE001 - `finish_each` finds out whose fault it is
                given = None
            if given is None:
                self._put_to_workers(group)
            else:
                self._crew.put(given, group)

    def _take(self) -> None:
        if self._crew is not None:
            for group, signed in self._crew.taken():
                self._finish(group, signed)

    def _finish(self, group: Batch, signed: Sequence[Order]) -> None:
        try:
            finished = finish_with([work.prepared for work in group], signed)
        except UnavailableError:
            self._put_to_workers(group)
            return
        for work, one in zip(group, finished, strict=True):
            work.signed = one
        self._loop.call_soon(self._done, group)  # a sender's fault must not cost the other groups

    def _put_to_workers(self, batch: Batch) -> None:
        while len(self._workers) < self._threads:
            name = f"ekiden-sign-{len(self._workers)}"
            worker = threading.Thread(target=self._run, name=name, daemon=True)
            worker.start()
            self._workers.append(worker)
        self._queue.put(batch)

    def _run(self) -> None:
        with suppress(OSError):  # Linux gives threads priorities of their own; others need not
            own = os.getpriority(os.PRIO_PROCESS, 0)
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), own + NICENESS)
        while (batch := self._queue.get()) is not None:
            signed = finish_each([work.prepared for work in batch])
            for work, one in zip(batch, signed, strict=True):
                work.signed = one
            try:
                self._loop.call_soon_threadsafe(self._done, batch)
            except RuntimeError:  # the loop was closed without `close`: nobody waits any more
                return

    async def close(self) -> None:
        """Finish what was put in, then end the threads."""
        crew, self._crew = self._crew, None
        if crew is not None:
            self._loop.remove_reader(crew.bell)
            for group, signed in await asyncio.to_thread(crew.close):
                self._finish(group, signed)
        for _ in self._workers:
            self._queue.put(None)
        await asyncio.to_thread(self._join)
        # Results were posted before the threads ended: one turn of the loop takes them.
        await asyncio.sleep(0)

    def _join(self) -> None:
        for worker in self._workers:
            worker.join()
