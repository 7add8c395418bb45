"""The scheduler on a virtual clock: it says who goes next, receivers answer as they were measured.

Nothing of shaping is repeated here: caps, windows, back-off, ramps, hours and turns are the
scheduler's own. What is simulated is the queue (lanes of ids), DNS (known before), connections (so
many seconds to open, so many for a message) and receivers (a share of first attempts is deferred
and comes back after the retry schedule). Deterministic: shares are spread evenly, nothing is drawn.
"""

import heapq
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from ekiden.engine.schedule.facts import (
    FOREVER,
    Action,
    Close,
    Finish,
    Idle,
    Item,
    Load,
    Open,
    Park,
    Refuse,
    Resolve,
    SiteFacts,
    Take,
    Wake,
)
from ekiden.engine.scheduler import Scheduler
from ekiden.forecast.watching import Course, SimLane, Watch
from ekiden.queue.model import JobFacts, LaneFacts, Waiting
from ekiden.shaping.window import Lesson

_CLOSING: Final = 0.05  # seconds that QUIT takes
_ROUNDING: Final = 1e-9  # of shares that are summed
_EVENTS_MOST: Final = 20_000_000  # a bound for what must not happen: a world that never ends


@dataclass(frozen=True, slots=True)
class Timing:
    """How a path answers, as it was measured.

    Args:
        opening: Seconds until a session stands.
        seconds: Seconds a message takes on it.
        deferred: The share of first attempts that are deferred.
        again: The share of later ones.
        waits: Seconds until the next attempt, after the first and after a later one; 0 for what
            the retry schedule says.
        brief: How long one that is deferred takes, as a share of `seconds`.
    """

    opening: float = 0.5
    seconds: float = 0.2
    deferred: float = 0.0
    again: float = 0.0
    waits: tuple[float, float] = (0.0, 0.0)
    brief: float = 1.0


@dataclass(slots=True)
class _Line:
    """A simulated connection."""

    id: int
    timing: Timing
    items: list[Item]
    busy: bool = True
    over: bool = False
    asked: int = 0  # how often it has asked for more: of its waits only the last one counts


class Simulation:
    """A world for one scheduler.

    Args:
        scheduler: With everything recalled, and its clock at `now`.
        now: UNIX seconds.
        facts_of: The site of a destination or lot.
        timing_of: How the path of a source and a site answers.
        retry: Seconds to the next attempt, after each one.
    """

    def __init__(
        self,
        scheduler: Scheduler,
        now: float,
        *,
        facts_of: Callable[[str], SiteFacts],
        timing_of: Callable[[str, str], Timing],
        retry: Sequence[float],
    ) -> None:
        self.now = now
        self._scheduler = scheduler
        self._facts_of = facts_of
        self._timing_of = timing_of
        self._retry = tuple(retry)
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._ticket = 0
        self._lanes: dict[int, SimLane] = {}
        self._jobs: dict[int, JobFacts] = {}
        self._due: dict[int, float] = {}
        self._offers: list[tuple[float, int]] = []
        self._lines: dict[int, _Line] = {}
        self._tried: Counter[int] = Counter()
        self._deferring: defaultdict[tuple[str, bool], float] = defaultdict(float)
        self._watch: Watch | None = None
        self._next_id = 1

    def add(self, job: JobFacts, lots: Mapping[str, tuple[str, int]], weight: int) -> None:
        """Queue a job.

        Args:
            job: Its facts.
            lots: By destination or lot: the provider, and how many messages.
            weight: Messages that an id stands for.
        """
        self._scheduler.job_changed(job, self.now)
        self._jobs[job.id] = job
        for name, (provider, messages) in lots.items():
            number = -(-messages // weight)
            lane_id = len(self._lanes) + 1
            ids = range(self._next_id, self._next_id + number)
            self._next_id += number
            self._lanes[lane_id] = SimLane(
                LaneFacts(lane_id, job.id, name, job.priority, number, self.now),
                (job.id, provider),
                weight,
                messages - (number - 1) * weight,
                dict.fromkeys(ids, self.now),
                ids[-1],
            )
            self._offer_at(lane_id, self.now)

    def run(self, watched: Collection[int], starts: float, until: float) -> Course:
        """Run until the watched jobs are done, or a time has come.

        Args:
            watched: The numbers of jobs.
            starts: When it is to begin: waiting for that holds nothing up. UNIX seconds.
            until: UNIX seconds.
        """
        lanes = [lane for lane in self._lanes.values() if lane.facts.job_id in watched]
        watch = self._watch = Watch(lanes, self._scheduler, max(self.now, starts))
        for _ in range(_EVENTS_MOST):
            self._pump()
            if watch.left <= 0:
                watch.course.ended = True
                break
            at = self._next()
            if at > until:
                watch.leapt(self.now, until)
                break
            watch.leapt(self.now, at)
            self.now = max(at, self.now)
            while self._events and self._events[0][0] <= self.now:
                heapq.heappop(self._events)[2]()
        watch.course.now = self.now
        return watch.course

    # --- the clock --------------------------------------------------------------------------------

    def _next(self) -> float:
        at = self._scheduler.wake_at(self.now)
        if self._events:
            at = min(at, self._events[0][0])
        if self._offers:
            at = min(at, max(self._offers[0][0], self.now + 0.25))  # the feeder's look
        return at

    def at(self, moment: float, act: Callable[[float], None]) -> None:
        """Let something happen at a time; it is told the time."""
        self._at(moment - self.now, lambda: act(self.now))

    def _at(self, delay: float, act: Callable[[], None]) -> None:
        self._ticket += 1
        heapq.heappush(self._events, (self.now + delay, self._ticket, act))

    def _pump(self) -> None:
        while True:
            self._offer()
            actions = self._scheduler.actions(self.now)
            for action in actions:
                self._act(action)
            if not actions and self._scheduler.wake_at(self.now) > self.now:
                return

    # --- the queue --------------------------------------------------------------------------------

    def _offer_at(self, lane_id: int, at: float) -> None:
        self._due[lane_id] = at
        heapq.heappush(self._offers, (at, lane_id))

    def _offer(self) -> None:
        offers = self._offers
        while offers and offers[0][0] <= self.now:
            at, lane_id = offers[0]
            lane = self._lanes[lane_id]
            if self._due.get(lane_id) == at and lane.rows:
                facts = LaneFacts(
                    lane_id,
                    lane.facts.job_id,
                    lane.facts.destination,
                    lane.facts.priority,
                    len(lane.rows),
                    lane.facts.due_at,
                )
                if not self._scheduler.lane_offered(facts, self.now):
                    return
            heapq.heappop(offers)
            if self._due.get(lane_id) == at:
                del self._due[lane_id]

    def _load(self, action: Load) -> None:
        rows = self._lanes[action.lane_id].rows
        after = (action.after_due, action.after_id)
        found: list[Waiting] = []
        more = False
        for number, due in rows.items():  # in the order of insertion: by due time, then by id
            if due <= self.now and (due, number) > after:
                if len(found) == action.limit:
                    more = True
                    break
                found.append(Waiting(number, due))
        self._scheduler.loaded(action.lane_id, found, more, self.now)

    def _park(self, lane_id: int, until: float | None) -> None:
        rows = self._lanes[lane_id].rows
        if until is None:
            until = min(rows.values(), default=None)
        if until is not None and until < FOREVER:
            self._offer_at(lane_id, max(until, self.now))

    def _put_off(self, job_id: int, until: float | None) -> None:
        """Let a job that waits for limits of our own end later, as the dispatcher does."""
        job = self._jobs.get(job_id)
        if job is not None and until is not None and (later := job.put_off(until)) is not job:
            self._jobs[job_id] = later
            self._scheduler.job_changed(later, self.now)

    # --- what the scheduler says ------------------------------------------------------------------

    def _act(self, action: Action) -> None:
        match action:
            case Resolve(name):
                self._scheduler.resolved(name, self._facts_of(name), self.now)
            case Load():
                self._load(action)
            case Open():
                self._open(action)
            case Park(lane_id, until, own):
                self._park(lane_id, until)
                self._put_off(own, until)
            case Wake(session_id):
                self._go_on(self._lines[session_id])
            case Close(session_id):
                self._quit(self._lines[session_id])
            case Refuse(_, items, _):
                for item in items:
                    lane = self._lanes[item.lane_id]
                    lane.rows.pop(item.id, None)
                    self._scheduler.settled(0, item.id, Lesson.NONE, self.now)
                    self._final(lane, item)

    def _open(self, order: Open) -> None:
        timing = self._timing_of(order.source, order.site)
        line = _Line(order.session_id, timing, [])
        self._lines[line.id] = line
        self._take(line, order.first)
        self._at(timing.opening, lambda: self._stands(line))

    def _stands(self, line: _Line) -> None:
        self._scheduler.session_opened(line.id, self.now)
        self._go_on(line)

    def _take(self, line: _Line, items: Sequence[Item]) -> None:
        for item in items:
            lane = self._lanes[item.lane_id]
            lane.rows.pop(item.id, None)
            more = lane.messages(item.id) - 1
            if more > 0:
                self._scheduler.weigh(line.id, item, more, self.now)
        line.items.extend(items)

    def _final(self, lane: SimLane, item: Item) -> None:
        if self._watch is not None:
            self._watch.final(lane, item.id, self.now)

    # --- sessions ---------------------------------------------------------------------------------

    def _go_on(self, line: _Line) -> None:
        if line.over:
            return
        if not line.items:
            line.busy = False
            line.asked += 1
            asked = line.asked
            answer = self._scheduler.take(line.id, self.now, 1)
            match answer:
                case Take(items):
                    self._take(line, items)
                case Idle(until, _):
                    if until < FOREVER:
                        self._at(max(0.0, until - self.now), lambda: self._waited(line, asked))
                    return
                case Finish():
                    self._quit(line)
                    return
        line.busy = True
        item = line.items[0]
        lane = self._lanes[item.lane_id]
        deferred = self._defers(lane, item, line.timing)
        seconds = line.timing.seconds * lane.messages(item.id)
        if deferred:
            seconds *= line.timing.brief
        self._at(seconds, lambda: self._sent(line, deferred=deferred))

    def _waited(self, line: _Line, asked: int) -> None:
        if not line.busy and line.asked == asked:
            self._go_on(line)

    def _sent(self, line: _Line, *, deferred: bool) -> None:
        item = line.items.pop(0)
        lane = self._lanes[item.lane_id]
        if deferred:
            self._defer(lane, item, line.timing)
        lesson = Lesson.DEFERRED if deferred else Lesson.GOOD
        self._scheduler.settled(line.id, item.id, lesson, self.now)
        if not deferred:
            self._final(lane, item)
        self._go_on(line)

    def _defers(self, lane: SimLane, item: Item, timing: Timing) -> bool:
        """Whether this is one of those that are deferred; they are spread evenly."""
        again = item.id in self._tried
        key = lane.part[1], again
        self._deferring[key] += timing.again if again else timing.deferred
        if self._deferring[key] < 1.0 - _ROUNDING:
            return False
        self._deferring[key] -= 1.0
        return True

    def _defer(self, lane: SimLane, item: Item, timing: Timing) -> None:
        tried = self._tried[item.id]
        self._tried[item.id] += 1
        wait = timing.waits[min(tried, 1)] or self._retry[min(tried, len(self._retry) - 1)]
        due = self.now + wait
        lane.rows[item.id] = due
        offered = self._due.get(item.lane_id)
        if offered is None or offered > due:
            self._offer_at(item.lane_id, due)

    def _quit(self, line: _Line) -> None:
        line.over = True
        self._at(_CLOSING, lambda: self._gone(line))

    def _gone(self, line: _Line) -> None:
        del self._lines[line.id]
        self._scheduler.session_closed(line.id, self.now)
