"""Many small requests, answered by few large ones.

Couriers ask for claims and hand in settlements one by one; a statement each would cost a thread hop
each. Here they gather while the previous batch is on its way to the disk, so a batch is as large as
the load makes it: one when idle, hundreds when busy, and nobody waits for a timer.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, Generic, TypeVar

Request = TypeVar("Request")
Answer = TypeVar("Answer")

_AT_ONCE: Final = 64  # answered in one turn of the loop: each begins something, a dial or a message


class Batcher(Generic[Request, Answer]):
    """Gathers requests and answers each with its own part of the batch's answer.

    Args:
        work: Takes the requests of a batch, returns one answer for each, in order. What it raises
            is raised to every requester of the batch.
        most: The most requests in one batch.
    """

    def __init__(
        self,
        work: Callable[[Sequence[Request]], Awaitable[Sequence[Answer]]],
        *,
        most: int = 500,
    ) -> None:
        self._work = work
        self._most = most
        self._waiting: list[tuple[Request, asyncio.Future[Answer]]] = []
        self._worker: asyncio.Task[None] | None = None

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, request: Request) -> asyncio.Future[Answer]:
        """Add a request; the future has its answer once the batch is done."""
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting.append((request, future))
        if self._worker is None:
            self._worker = asyncio.create_task(self._drain(), name="batch")
        return future

    async def flushed(self) -> None:
        """Return when everything put so far has been answered."""
        while self._worker is not None:
            await asyncio.wait([self._worker])

    async def _drain(self) -> None:
        # Let everyone who is ready in this turn of the loop join the first batch.
        await asyncio.sleep(0)
        try:
            while self._waiting:
                batch, self._waiting = self._waiting[: self._most], self._waiting[self._most :]
                await self._answer(batch)
        finally:
            self._worker = None

    async def _answer(self, batch: list[tuple[Request, asyncio.Future[Answer]]]) -> None:
        try:
            answers = await self._work([request for request, _ in batch])
        except Exception as error:  # noqa: BLE001 - it is the requesters' to handle, not lost here
            for _, future in batch:
                if not future.done():
                    future.set_exception(error)
            return
        for place, ((_, future), answer) in enumerate(zip(batch, answers, strict=True), 1):
            if not future.done():
                future.set_result(answer)
            if not place % _AT_ONCE:
                await asyncio.sleep(0)
