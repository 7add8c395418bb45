"""From the queue's timeline into the scheduler's windows.

All lanes with something ready stand on one timeline, ordered by (due_at, id). The feeder is a
cursor on it, one for each priority: it offers the lanes that have become due, and stops where the
scheduler has no room; what lies behind the cursor is in the scheduler, finished, or has been put
back on the timeline (a retry, a parked lane, a resumed job). A write that puts something back
behind the cursor is noted by the queue, and `offer` begins there again.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final

from ekiden.engine.schedule.facts import Load, Park
from ekiden.engine.scheduler import Scheduler
from ekiden.queue.model import Priority, WindowRequest
from ekiden.queue.queue import Queue

_PAGE: Final = 1000  # lanes read at once
_START: Final = (float("-inf"), 0)
_MARGIN: Final = 0.001  # a lane put back is due after the cursor, not at it


@dataclass(slots=True)
class Cursor:
    """How far the timeline of one priority has been offered."""

    priority: Priority
    after: tuple[float, int] = _START


class Feeder:
    """Keeps the scheduler's windows filled.

    Args:
        queue: The timeline.
        scheduler: Takes the lanes.
        know: Makes sure that the scheduler knows a job before its lanes are offered.
    """

    def __init__(
        self, queue: Queue, scheduler: Scheduler, know: Callable[[int], Awaitable[None]]
    ) -> None:
        self._queue = queue
        self._scheduler = scheduler
        self._know = know
        self._cursors = [Cursor(priority) for priority in Priority]

    async def offer(self, now: float) -> int:
        """Offer what has become due; return how many lanes were taken."""
        back = self._queue.take_rewind()
        if back is not None:
            for cursor in self._cursors:
                cursor.after = min(cursor.after, (back - _MARGIN, 0))
        taken = 0
        for cursor in self._cursors:
            if not self._scheduler.takes(cursor.priority, now):
                continue
            taken += await self._offer_from(cursor, now)
        return taken

    async def _offer_from(self, cursor: Cursor, now: float) -> int:
        taken = 0
        while True:
            room = self._scheduler.lane_room()
            page = min(_PAGE, room)
            if page == 0:
                return taken
            lanes = await self._queue.lanes_due(now, cursor.after, page, cursor.priority)
            for lane in lanes:
                await self._know(lane.job_id)
                if not self._scheduler.lane_offered(lane, now):
                    return taken
                cursor.after = (lane.due_at, lane.id)
                taken += 1
            if len(lanes) < page:
                return taken

    async def load(self, loads: Sequence[Load], now: float) -> None:
        """Fill the windows that the scheduler asked for, all in one read."""
        requests = [
            WindowRequest(load.lane_id, load.after_due, load.after_id, load.limit) for load in loads
        ]
        windows = await self._queue.windows(requests, now)
        for load in loads:
            found = windows.get(load.lane_id, [])
            self._scheduler.loaded(load.lane_id, found, more=len(found) >= load.limit, now=now)

    async def park(self, parks: Sequence[Park]) -> None:
        """Put lanes that left the scheduler back on the timeline; drained ones when they are due.

        A result that is written between the scheduler's word and this write cannot be overlooked:
        the queue looks up what is due in the same transaction.
        """
        own = {park.lane_id: park.own for park in parks if park.own and park.until is not None}
        await self._queue.park({park.lane_id: park.until for park in parks}, own)
