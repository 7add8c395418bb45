"""The queue itself, the feeder and the scheduler on a clock that jumps: days in a second.

Sessions take no time and receivers take what they get, but for what `defers` says; so the clock
only goes on where limits of ours, or the retry schedule, make mail wait.
"""

from collections import Counter
from collections.abc import Callable

from ekiden.engine.feeder import Feeder
from ekiden.engine.schedule.facts import (
    FOREVER,
    Close,
    Finish,
    Item,
    Load,
    Open,
    Park,
    Resolve,
    SchedulerOptions,
    SiteFacts,
    Take,
)
from ekiden.engine.scheduler import Scheduler
from ekiden.queue.model import JobFacts, Settlement, State
from ekiden.queue.queue import Queue
from ekiden.shaping.window import Lesson
from queue_world import NOW, attempt

LOOK = 900.0  # seconds that the clock goes on at once, at most
DAY = 86_400.0


class QuotaWorld:
    """Runs a queue.

    Args:
        queue: With open jobs.
        options: The scheduler's.
        site_facts: The site of each destination.
    """

    def __init__(
        self, queue: Queue, options: SchedulerOptions, site_facts: Callable[[str], SiteFacts]
    ) -> None:
        self.queue = queue
        self.options = options
        self.site_facts = site_facts
        self.now = NOW
        self.jobs: dict[int, JobFacts] = {}
        self.delivered: Counter[int] = Counter()  # by day
        self.defers: Callable[[str, float], bool] = lambda _destination, _now: False
        self.retry = 3_600.0
        self.scheduler = Scheduler(options)
        self.feeder = Feeder(queue, self.scheduler, self._know)

    def restart(self) -> None:
        """Forget everything that is not in the queue, but what counts are kept of."""
        counted = self.scheduler.counting.all()
        self.scheduler = Scheduler(self.options)
        self.scheduler.counting.recall(counted)
        self.feeder = Feeder(self.queue, self.scheduler, self._know)
        self.jobs.clear()

    async def _know(self, job_id: int) -> None:
        if job_id not in self.jobs:
            self.jobs[job_id] = await self.queue.job(job_id)
            self.scheduler.job_changed(self.jobs[job_id], self.now)

    async def run(self, seconds: float) -> None:
        """Let so much time pass."""
        end = self.now + seconds
        while True:
            await self.feeder.offer(self.now)
            if await self._act():
                continue
            while await self.queue.expire_due(self.now) or await self.queue.expire_spent(self.now):
                pass
            if self.now >= end:
                return
            wake = self.scheduler.wake_at(self.now)
            self.now = min(end, max(wake, self.now + 1.0), self.now + LOOK)

    async def _act(self) -> bool:
        actions = self.scheduler.actions(self.now)
        loads = [one for one in actions if isinstance(one, Load)]
        parks = [one for one in actions if isinstance(one, Park)]
        if loads:
            await self.feeder.load(loads, self.now)
        if parks:
            await self.feeder.park(parks)
            for park in parks:
                self._put_off(park)
        for action in actions:
            match action:
                case Resolve(name):
                    self.scheduler.resolved(name, self.site_facts(name), self.now)
                case Open():
                    await self._serve(action)
                case Close(session):
                    self.scheduler.session_closed(session, self.now)
                case _:
                    pass
        return bool(actions)

    def _put_off(self, park: Park) -> None:
        job = self.jobs.get(park.own)
        if job is not None and park.until is not None:
            self.jobs[job.id] = job.put_off(park.until)
            self.scheduler.job_changed(self.jobs[job.id], self.now)

    async def _serve(self, order: Open) -> None:
        self.scheduler.session_opened(order.session_id, self.now)
        items: tuple[Item, ...] = order.first
        while items:
            await self._send(order.session_id, items)
            match self.scheduler.take(order.session_id, self.now, 50):
                case Take(found):
                    items = found
                case Finish():
                    break
                case idle:
                    assert idle.until < FOREVER
                    self.now = max(self.now, idle.until)
        self.scheduler.session_closed(order.session_id, self.now)

    async def _send(self, session: int, items: tuple[Item, ...]) -> None:
        found = await self.queue.claim([item.id for item in items], 7, self.now)
        results = []
        for one in found.claimed:
            deferred = self.defers(one.destination, self.now)
            job = self.jobs[one.job_id]
            again = self.now + self.retry
            state = State.DELIVERED
            if deferred:
                state = State.EXPIRED if again > job.expires_at else State.READY
            code = 450 if deferred else 250
            results.append(
                Settlement(
                    one,
                    state,
                    attempt=attempt(code=code, at=self.now),
                    due_at=again if state is State.READY else 0.0,
                )
            )
            self.delivered[int((self.now - NOW) // DAY)] += not deferred
        await self.queue.settle(results, self.now)
        taught = {result.claimed.id: result.state for result in results}
        for item in items:
            good = taught.get(item.id) is State.DELIVERED
            lesson = Lesson.GOOD if good else Lesson.DEFERRED
            self.scheduler.settled(session, item.id, lesson, self.now)
