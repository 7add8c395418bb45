"""A world for the scheduler: a queue in lists, receivers as functions, a clock that jumps.

It drives a `Scheduler` the way the dispatcher does and checks, at every event, what must hold at
every instant. Shared by the scheduler's tests and by `bench/scheduler.py`.
"""

import heapq
import random
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field

from ekiden.engine.schedule.facts import (
    Close,
    Finish,
    Idle,
    Item,
    Load,
    Open,
    Park,
    Refuse,
    Resolve,
    SchedulerOptions,
    SiteFacts,
    Take,
    Wake,
)
from ekiden.engine.scheduler import Scheduler
from ekiden.queue.model import JobFacts, JobState, LaneFacts, Pace, Priority, Waiting
from ekiden.shaping.window import Lesson

START = 1_000_000.0


def job(number: int, **given: object) -> JobFacts:
    facts: dict[str, object] = {
        "id": number,
        "uid": f"job-{number}",
        "name": f"job {number}",
        "state": JobState.OPEN,
        "priority": Priority.BULK,
        "mail_from": "news@example.org",
        "from_domain": "example.org",
        "configuration_set": "",
        "pool": "",
        "created_at": START,
        "send_at": 0.0,
        "expires_at": START + 10_000_000,
        "deliver_by": None,
        "pace": None,
        "spool_name": "",
    }
    return JobFacts(**{**facts, **given})  # type: ignore[arg-type]  # checked by the dataclass


@dataclass
class Receiver:
    """How a site behaves: seconds to connect, seconds per message, and what it answers."""

    dial: float = 0.2
    send: float = 0.1
    down: Callable[[float], bool] = lambda _: False
    lesson: Callable[["World", "Line"], Lesson] = lambda _world, _line: Lesson.GOOD


@dataclass
class Line:
    """One simulated connection."""

    id: int
    site: str
    source: str
    items: list[Item]
    opened: bool = False
    sent: int = 0
    busy: bool = True
    over: bool = False
    latest: int = 0  # the id that was sent last
    asked: int = 0  # how often it has asked for more: of its waits only the last one counts


@dataclass
class World:
    options: SchedulerOptions = field(default_factory=SchedulerOptions)
    site_of: Callable[[str], SiteFacts] = lambda name: SiteFacts(f"mx.{name}")
    receiver_of: Callable[[str], Receiver] = lambda _: Receiver()
    seed: int = 1
    batch: int = 1
    keeps: Callable[[int], str] = lambda _: ""  # the source that an id keeps to
    close_time: float = 0.01
    check: bool = True
    steps_max: int = 20_000

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)
        self.scheduler = Scheduler(self.options, jitter=self.random.random)
        self.now = START
        self.events: list[tuple[float, int, Callable[[], None]]] = []
        self.ticket = 0
        self.lanes: dict[int, LaneFacts] = {}
        self.rows: dict[int, dict[int, float]] = {}  # lane -> ready id -> due
        self.due: dict[int, float] = {}  # lane -> offered again at
        self.backlog: list[tuple[float, int]] = []
        self.held: list[int] = []  # lanes turned away
        self.next_id = 1
        self.lines: dict[int, Line] = {}
        self.sessions = Counter[str]()
        self.handed: list[tuple[float, str, int, int]] = []  # at, destination, job, session
        self.begun: list[tuple[float, str, str]] = []  # at the receiver: at, destination, source
        self.untried: list[tuple[float, str, str]] = []  # of these: at, destination, source
        self.handed_at: dict[int, float] = {}  # by id, the latest
        self.handed_from: list[tuple[float, str, str]] = []  # at, source, site
        self.delivered = Counter[str]()
        self.done: set[int] = set()
        self.out: set[int] = set()
        self.opened: list[tuple[float, str]] = []
        self.refused: list[int] = []
        self.watch: Callable[[World], None] = lambda _: None
        self.parks = 0
        self.keep_log = True
        self.refunded = False  # something handed out was given back untried

    # --- the queue ----------------------------------------------------------------------------

    def add(self, facts: JobFacts, counts: dict[str, int]) -> None:
        self.scheduler.job_changed(facts, self.now)
        for name, count in counts.items():
            lane_id = len(self.lanes) + 1
            self.lanes[lane_id] = LaneFacts(
                lane_id, facts.id, name, facts.priority, count, self.now
            )
            ids = range(self.next_id, self.next_id + count)
            self.next_id += count
            self.rows[lane_id] = dict.fromkeys(ids, self.now)
            self.schedule_offer(lane_id, self.now)

    def schedule_offer(self, lane_id: int, at: float) -> None:
        self.due[lane_id] = at
        heapq.heappush(self.backlog, (at, lane_id))

    def offer(self) -> None:
        while self.backlog and self.backlog[0][0] <= self.now:
            at, lane_id = self.backlog[0]
            if self.due.get(lane_id) != at:
                heapq.heappop(self.backlog)
                continue
            if not self.rows[lane_id]:
                heapq.heappop(self.backlog)
                del self.due[lane_id]
                continue
            old = self.lanes[lane_id]
            ready = len(self.rows[lane_id])
            facts = LaneFacts(old.id, old.job_id, old.destination, old.priority, ready, old.due_at)
            if not self.scheduler.lane_offered(facts, self.now):
                return
            heapq.heappop(self.backlog)
            del self.due[lane_id]

    # --- the clock ----------------------------------------------------------------------------

    def at(self, delay: float, act: Callable[[], None]) -> None:
        self.ticket += 1
        heapq.heappush(self.events, (self.now + delay, self.ticket, act))

    def run(self, seconds: float = 1e18, *, until: Callable[["World"], bool] | None = None) -> None:
        end = self.now + seconds
        for _ in range(self.steps_max):
            self.pump()
            if until is not None and until(self):
                return
            nexts = [self.scheduler.wake_at(self.now)]
            if self.events:
                nexts.append(self.events[0][0])
            if self.backlog:
                nexts.append(max(self.backlog[0][0], self.now + 0.5))
            at = min(nexts)
            if at >= end or at == float("inf"):
                self.now = end if end < 1e15 else self.now
                return
            assert at >= self.now
            self.now = at
            while self.events and self.events[0][0] <= self.now:
                heapq.heappop(self.events)[2]()
                if self.check:
                    self.watch(self)
        raise AssertionError(f"no end after {self.steps_max} steps")

    def pump(self) -> None:
        for _ in range(10_000):
            self.offer()
            actions = self.scheduler.actions(self.now)
            for action in actions:
                self.act(action)
                if self.check:
                    self.watch(self)
            if not actions and self.scheduler.wake_at(self.now) > self.now:
                return
        raise AssertionError("the scheduler always has something more to say")

    # --- the dispatcher -----------------------------------------------------------------------

    def act(self, action: object) -> None:
        match action:
            case Resolve(destination):
                self.at(0.01, lambda: self.resolve(destination))
            case Load():
                self.load(action)
            case Open():
                self.open(action)
            case Park(lane_id, until):
                self.parks += 1
                rows = self.rows[lane_id]
                if until is None:
                    until = min(rows.values(), default=None)
                if until is not None:
                    self.schedule_offer(lane_id, max(until, self.now))
            case Refuse(_, items, _):
                for item in items:
                    self.hand(item, 0)
                    self.out.discard(item.id)
                    self.refused.append(item.id)
                    self.scheduler.settled(0, item.id, Lesson.NONE, self.now)
            case Wake(session_id):
                self.next(self.lines[session_id])
            case Close(session_id):
                self.quit(self.lines[session_id])
            case _:
                raise AssertionError(action)

    def resolve(self, name: str) -> None:
        self.scheduler.resolved(name, self.site_of(name), self.now)

    def load(self, action: Load) -> None:
        rows = self.rows[action.lane_id]
        after = (action.after_due, action.after_id)
        found: list[Waiting] = []
        more = False
        # dicts keep the order of insertion, which is (due, id) until something is deferred.
        for number, due in rows.items():
            if due <= self.now and (due, number) > after:
                if len(found) == action.limit:
                    more = True
                    break
                found.append(Waiting(number, due, self.keeps(number)))
        self.scheduler.loaded(action.lane_id, found, more, self.now)

    def hand(self, item: Item, session: int) -> None:
        assert item.id not in self.out, "handed out twice"
        assert item.id not in self.done, "handed out after its end"
        # The claim: `ready` becomes `sending`.
        assert self.rows[item.lane_id].pop(item.id) <= self.now
        self.out.add(item.id)
        if self.keep_log:
            self.handed.append((self.now, item.destination, item.job_id, session))
            self.handed_at[item.id] = self.now
            if session:
                line = self.lines[session]
                self.handed_from.append((self.now, line.source, line.site))

    def open(self, action: Open) -> None:
        line = Line(action.session_id, action.site, action.source, list(action.first))
        self.lines[line.id] = line
        self.sessions[line.site] += 1
        if self.keep_log:
            self.opened.append((self.now, line.site))
        for item in line.items:
            self.hand(item, line.id)
        receiver = self.receiver_of(line.site)
        self.at(receiver.dial, lambda: self.dialled(line, receiver))

    def dialled(self, line: Line, receiver: Receiver) -> None:
        if receiver.down(self.now):
            self.give_back(line)
            self.gone(line)
            self.scheduler.session_failed(line.id, Lesson.BROKEN, "connection refused", self.now)
            return
        line.opened = True
        self.scheduler.session_opened(line.id, self.now)
        self.send(line)

    def give_back(self, line: Line) -> None:
        by_lane = defaultdict(list)
        self.refunded |= bool(line.items)
        for item in line.items:
            if self.keep_log:
                self.untried.append((self.handed_at[item.id], item.destination, line.source))
            self.out.discard(item.id)
            self.rows[item.lane_id][item.id] = item.due_at
            by_lane[item.lane_id].append(item)
        line.items.clear()
        for lane_id, items in by_lane.items():
            self.scheduler.returned(lane_id, items, self.now)

    def send(self, line: Line) -> None:
        line.busy = True
        if self.keep_log:
            self.begun.append((self.now, line.items[0].destination, line.source))
        receiver = self.receiver_of(line.site)
        self.at(receiver.send, lambda: self.sent(line, receiver))

    def sent(self, line: Line, receiver: Receiver) -> None:
        if line.over:
            return
        item = line.items.pop(0)
        line.sent += 1
        line.latest = item.id
        lesson = receiver.lesson(self, line)
        self.out.discard(item.id)
        if lesson is Lesson.GOOD:
            self.done.add(item.id)
            self.delivered[item.destination] += 1
        else:
            self.rows[item.lane_id][item.id] = self.now + 60.0
            if item.lane_id not in self.due:
                self.schedule_offer(item.lane_id, self.now + 60.0)
        self.scheduler.settled(line.id, item.id, lesson, self.now, reason="451 slow down")
        if lesson is Lesson.BROKEN:
            self.give_back(line)
            self.gone(line)
            self.scheduler.session_closed(line.id, self.now)
            return
        self.next(line)

    def next(self, line: Line) -> None:
        if line.over:
            return
        if line.items:
            self.send(line)
            return
        line.busy = False
        line.asked += 1
        asked = line.asked
        match self.scheduler.take(line.id, self.now, self.batch):
            case Take(items):
                for item in items:
                    self.hand(item, line.id)
                line.items.extend(items)
                self.send(line)
            case Idle(until, _):
                if until < 1e18:
                    self.at(until - self.now, lambda: self.waited(line, asked))
            case Finish():
                self.quit(line)

    def waited(self, line: Line, asked: int) -> None:
        if not line.busy and line.asked == asked:
            self.next(line)

    def quit(self, line: Line) -> None:
        assert not line.items
        line.over = True
        self.at(self.close_time, lambda: self.closed(line))

    def closed(self, line: Line) -> None:
        self.gone(line)
        self.scheduler.session_closed(line.id, self.now)

    def gone(self, line: Line) -> None:
        line.over = True
        del self.lines[line.id]
        self.sessions[line.site] -= 1

    # --- views --------------------------------------------------------------------------------

    @property
    def left(self) -> int:
        return sum(len(rows) for rows in self.rows.values()) + len(self.out)


__all__ = ["START", "Pace", "Priority", "Receiver", "World", "job"]
