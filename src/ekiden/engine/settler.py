"""Settlements on their way to the disk: gathered, written in batches, never dropped.

A settlement is the only record that a message was delivered. While the disk is full the batch waits
here and is tried again; `trouble` tells the dispatcher to claim nothing more meanwhile, so what
waits is bounded by what was on the wire.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

import structlog

from ekiden.errors import UnavailableError
from ekiden.queue.model import Settlement

_log = structlog.get_logger()
_MOST: Final = 500  # settlements in one write
_RETRY: Final = 1.0  # seconds between tries while the database refuses


class Settler:
    """Writes settlements as they come.

    Args:
        write: Writes a batch durably; raises UnavailableError while that is impossible.
        done: Called after each batch is on the disk, with what it held.
        patience: Seconds that `flushed` waits for a database that refuses.
    """

    def __init__(
        self,
        write: Callable[[Sequence[Settlement]], Awaitable[object]],
        done: Callable[[Sequence[Settlement]], None],
        *,
        patience: float = 10.0,
    ) -> None:
        self._write = write
        self._patience = patience
        self._done = done
        self._waiting: list[Settlement] = []
        self._some = asyncio.Event()
        self._none = asyncio.Event()
        self._none.set()
        self.trouble: UnavailableError | None = None

    def put(self, settlement: Settlement) -> None:
        """Take a settlement; it is on the disk some milliseconds later."""
        if not self._waiting:
            self._none.clear()
            self._some.set()
        self._waiting.append(settlement)

    async def flushed(self) -> None:
        """Return when everything put so far is on the disk, or the database goes on refusing.

        A full disk must not keep the daemon from ending. What is not written then is *sending* in
        the queue, and the ledger knows what of it is past the dot: the next start goes on there.
        """
        while not self._none.is_set():
            try:
                async with asyncio.timeout(self._patience):
                    await self._none.wait()
            except TimeoutError:
                if self.trouble is not None:
                    _log.error("results are left to the next start", waiting=len(self._waiting))
                    return

    async def run(self) -> None:
        """Write until cancelled; what is being written then is finished first."""
        while True:
            await self._some.wait()
            batch = self._waiting[:_MOST]
            await self._write_surely(batch)
            del self._waiting[: len(batch)]
            self._done(batch)
            if not self._waiting:
                self._some.clear()
                self._none.set()

    async def _write_surely(self, batch: Sequence[Settlement]) -> None:
        while True:
            try:
                await self._write(batch)
            except UnavailableError as error:
                if self.trouble is None:
                    _log.error(
                        "results cannot be written; nothing more is sent until they can",
                        waiting=len(self._waiting),
                        error=str(error),
                    )
                self.trouble = error
                await asyncio.sleep(_RETRY)
            else:
                if self.trouble is not None:
                    _log.info("results are written again", waiting=len(self._waiting))
                self.trouble = None
                return
