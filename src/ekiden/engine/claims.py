"""Leases for couriers: asked for one by one, taken in one write for all who ask meanwhile."""

import asyncio
import secrets
from collections.abc import Callable, Sequence

import structlog

from ekiden.engine.batching import Batcher
from ekiden.engine.schedule.facts import Item
from ekiden.engine.scheduler import Scheduler
from ekiden.errors import UnavailableError
from ekiden.queue.model import Claimed
from ekiden.queue.queue import Queue
from ekiden.shaping.window import Lesson

_log = structlog.get_logger()


class Claims:
    """Takes them, and tells the scheduler of ids that did not come.

    Args:
        queue: Who leases.
        scheduler: Gave the ids out.
        now: The engine's clock.
        refused: Hears that the database takes nothing now.
        returned: Takes ids back that were not leased for that reason.
    """

    def __init__(
        self,
        queue: Queue,
        scheduler: Scheduler,
        *,
        now: Callable[[], float],
        refused: Callable[[UnavailableError], None],
        returned: Callable[[Sequence[Item]], None],
    ) -> None:
        self._queue = queue
        self._scheduler = scheduler
        self._now = now
        self._refused = refused
        self._returned = returned
        self._batcher = Batcher[tuple[int, ...], list[Claimed]](self._claim_batch)

    def give(
        self, session_id: int, items: Sequence[Item], given: Callable[[Sequence[Claimed]], None]
    ) -> None:
        """Lease deliveries for a session, then give them; those that may not be sent are missing.

        `given` is called once in any case, later and on the loop.
        """
        asked = self._ask(items)
        asked.add_done_callback(lambda done: given(self._leased(session_id, items, done)))

    async def take(self, items: Sequence[Item]) -> list[Claimed]:
        """Lease deliveries that no session carries."""
        asked = self._ask(items)
        await asyncio.wait([asked])
        return self._leased(0, items, asked)

    def _ask(self, items: Sequence[Item]) -> "asyncio.Future[list[Claimed]]":
        return self._batcher.put(tuple(item.id for item in items))

    def _leased(
        self, session_id: int, items: Sequence[Item], done: "asyncio.Future[list[Claimed]]"
    ) -> list[Claimed]:
        """Return what a claim came to, and tell the scheduler what is missing."""
        error = done.exception()
        if error is None:
            claimed = done.result()
            if len(claimed) < len(items):
                held = {delivery.id for delivery in claimed}
                now = self._now()
                for item in items:
                    if item.id not in held:
                        self._scheduler.settled(session_id, item.id, Lesson.NONE, now)
            return claimed
        if isinstance(error, UnavailableError):
            self._refused(error)
        else:
            _log.error("a bug: a claim failed", exc_info=error)
        self._returned(items)
        return []

    async def _claim_batch(self, requests: Sequence[tuple[int, ...]]) -> list[list[Claimed]]:
        """Claim for many couriers in one write, and give each its own part."""
        ids = [delivery_id for request in requests for delivery_id in request]
        # The lease is a secret of this claim: a write that does not know it changes nothing.
        lease = secrets.randbits(62) + 1
        result = await self._queue.claim(ids, lease, self._now())
        by_id = {claimed.id: claimed for claimed in result.claimed}
        return [[by_id[key] for key in request if key in by_id] for request in requests]
