"""What the scheduler costs per message: a million deliveries on a virtual clock.

    python -m bench.scheduler [--messages 1000000] [--destinations 20000]

Destinations are sized like a real list: a few hold most of the mail (Zipf), many hold a handful.
The queue behind it is arithmetic, so what is measured is the scheduler: the CPU time inside its
methods, and the memory it holds. Nothing is written to any wire or disk.
"""

import argparse
import heapq
import resource
import time
import tracemalloc
from collections.abc import Callable
from typing import Any

from ekiden.engine.schedule.facts import (
    Close,
    Finish,
    Idle,
    Load,
    Open,
    Park,
    Resolve,
    SchedulerOptions,
    SiteFacts,
    Take,
    Wake,
)
from ekiden.engine.scheduler import Scheduler
from ekiden.queue.model import JobFacts, JobState, LaneFacts, Priority, Waiting
from ekiden.shaping.caps import Caps
from ekiden.shaping.window import Lesson

START = 1_000_000.0


class Timed:
    """The scheduler, with the time spent inside it."""

    def __init__(self, scheduler: Scheduler) -> None:
        self.seconds = 0.0
        self._scheduler = scheduler

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self._scheduler, name)

        def timed(*args: Any, **named: Any) -> Any:
            begin = time.process_time()
            result = method(*args, **named)
            self.seconds += time.process_time() - begin
            return result

        setattr(self, name, timed)
        return timed


def sizes(messages: int, destinations: int) -> list[int]:
    """Return how many deliveries each destination gets: Zipf, at least one each."""
    weights = [1 / (rank + 1) for rank in range(destinations)]
    scale = (messages - destinations) / sum(weights)
    counts = [1 + int(weight * scale) for weight in weights]
    counts[0] += messages - sum(counts)
    return counts


def job(number: int, priority: Priority) -> JobFacts:
    return JobFacts(
        id=number, uid=str(number), name=str(number), state=JobState.OPEN, priority=priority,
        mail_from="a@example.org", from_domain="example.org", configuration_set="", pool="",
        created_at=START, send_at=0.0, expires_at=START + 1e9, deliver_by=None, pace=None,
        spool_name="",
    )  # fmt: skip


class Drive:
    """The dispatcher's loop over a queue that is arithmetic."""

    def __init__(self, messages: int, destinations: int, slots: int) -> None:
        options = SchedulerOptions(caps=Caps(sessions=slots))
        self.scheduler = Timed(Scheduler(options))
        self.now = START
        self.events: list[tuple[float, int, Callable[..., None], tuple[Any, ...]]] = []
        self.ticket = 0
        self.sent = 0
        self.sessions = 0
        self.lanes: list[LaneFacts] = []
        self.idle: set[int] = set()
        base = 1
        self.first: dict[int, int] = {}
        self.scheduler.job_changed(job(1, Priority.BULK), START)
        for number, count in enumerate(sizes(messages, destinations), 1):
            name = f"d{number}.example"
            self.lanes.append(LaneFacts(number, 1, name, Priority.BULK, count, START))
            self.first[number] = base
            base += count
        self.offered = 0
        # Lists come sorted by nothing in particular: the large ones are not all first.
        self.order = sorted(range(destinations), key=lambda n: (n * 7919) % destinations)

    def at(self, delay: float, act: Callable[..., None], *args: Any) -> None:
        self.ticket += 1
        heapq.heappush(self.events, (self.now + delay, self.ticket, act, args))

    def run(self) -> None:
        while True:
            self.pump()
            wake = self.scheduler.wake_at(self.now)
            at = min(wake, self.events[0][0]) if self.events else wake
            if at == float("inf"):
                return
            self.now = at
            while self.events and self.events[0][0] <= at:
                _, _, act, args = heapq.heappop(self.events)
                act(*args)

    def pump(self) -> None:
        while True:
            while self.offered < len(self.order):
                if not self.scheduler.lane_offered(self.lanes[self.order[self.offered]], self.now):
                    break
                self.offered += 1
            actions = self.scheduler.actions(self.now)
            for action in actions:
                self.act(action)
            if not actions:
                return

    def act(self, action: object) -> None:
        match action:
            case Load(lane_id, limit, _, after):
                first, count = self.first[lane_id], self.lanes[lane_id - 1].ready
                begin = max(after + 1, first)
                end = min(begin + limit, first + count)
                items = [Waiting(number, START) for number in range(begin, end)]
                self.scheduler.loaded(lane_id, items, end < first + count, self.now)
            case Resolve(name):
                facts = SiteFacts(
                    f"mx.{name}", site_caps=Caps(sessions=20, messages_per_session=100)
                )
                self.scheduler.resolved(name, facts, self.now)
            case Open(session_id):
                self.sessions += 1
                self.at(0.2, self.dialled, session_id, list(action.first))
            case Wake(session_id):
                self.next(session_id)
            case Close(session_id):
                self.idle.discard(session_id)
                self.at(0.01, self.closed, session_id)
            case Park():
                pass

    def dialled(self, session_id: int, items: list[Any]) -> None:
        self.scheduler.session_opened(session_id, self.now)
        self.at(0.1, self.done, session_id, items)

    def done(self, session_id: int, items: list[Any]) -> None:
        self.scheduler.settled(session_id, items.pop().id, Lesson.GOOD, self.now)
        self.sent += 1
        self.next(session_id)

    def next(self, session_id: int) -> None:
        self.idle.discard(session_id)
        match self.scheduler.take(session_id, self.now):
            case Take(items):
                self.at(0.1, self.done, session_id, list(items))
            case Idle(until):
                self.idle.add(session_id)
                self.at(until - self.now, self.wait_over, session_id)
            case Finish():
                self.at(0.01, self.closed, session_id)

    def wait_over(self, session_id: int) -> None:
        if session_id in self.idle:
            self.next(session_id)

    def closed(self, session_id: int) -> None:
        self.scheduler.session_closed(session_id, self.now)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--messages", type=int, default=1_000_000)
    parser.add_argument("--destinations", type=int, default=20_000)
    parser.add_argument("--slots", type=int, default=500)
    parser.add_argument("--memory", action="store_true", help="trace memory (slows the clock)")
    given = parser.parse_args()
    drive = Drive(given.messages, given.destinations, given.slots)
    if given.memory:
        tracemalloc.start()
    begin = time.perf_counter()
    drive.run()
    wall = time.perf_counter() - begin
    assert drive.sent == given.messages, f"{drive.sent} of {given.messages}"
    inside = drive.scheduler.seconds
    print(f"{drive.sent:,} messages, {given.destinations:,} destinations, {given.slots} slots")
    print(f"virtual time     {drive.now - START:,.0f} s, {drive.sessions:,} sessions")
    print(f"scheduler        {inside / drive.sent * 1e6:.1f} us per message")
    print(f"whole simulation {wall:.1f} s")
    if given.memory:
        print(f"scheduler memory {tracemalloc.get_traced_memory()[1] / 2**20:.0f} MiB at its peak")
    print(f"resident         {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB")


if __name__ == "__main__":
    main()
