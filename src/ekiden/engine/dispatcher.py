"""The engine's loop: the scheduler decides, this acts, and tells it what came of it.

```
             +------------------- facts --------------------+
             v                                              |
   Scheduler.actions(now) -> Open    -> a Courier ----------+-> Settler -> queue
                             Resolve -> Resolver -----------+
                             Load    -> Feeder (one read) --+
                             Park    -> Feeder (one write)
                             Refuse  -> claim and conclude --+
                             Wake, Close -> the courier
```

The dispatcher is also the couriers' `Desk`: each of its small methods is one fact for the
scheduler.
While the database refuses writes (disk full) nothing is claimed and nothing opened; what is on the
wire is concluded and waits in the settler.
"""

import asyncio
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import groupby
from operator import attrgetter
from typing import Any, Final

import structlog

from ekiden.engine.claims import Claims
from ekiden.engine.clock import Clock
from ekiden.engine.composer import Composed, Composer, Unrenderable
from ekiden.engine.conclude import Concluded, Conclusions, Journey
from ekiden.engine.courier import Courier
from ekiden.engine.dialler import Dialler, DialOptions
from ekiden.engine.feeder import Feeder
from ekiden.engine.opening import Opening
from ekiden.engine.resolver import MxHost, Resolver, Site, Unresolved
from ekiden.engine.schedule.facts import (
    Action,
    Answer,
    Close,
    Idle,
    Item,
    Load,
    Open,
    Park,
    Refuse,
    Resolve,
    SiteFacts,
    Wake,
)
from ekiden.engine.scheduler import Scheduler
from ekiden.engine.session import Session
from ekiden.engine.settler import Settler
from ekiden.engine.sources import Source
from ekiden.errors import UnavailableError
from ekiden.queue.model import Claimed, JobFacts, JobState
from ekiden.queue.queue import Queue
from ekiden.shaping.window import Lesson
from ekiden.smtp.outcome import Broke, Cause, Outcome, Rejected, Stage

_log = structlog.get_logger()

FEED_INTERVAL: Final = 0.25  # seconds between looks at the timeline when nobody asks for one
_BREATH: Final = 0.005  # seconds in which facts gather before the scheduler is asked again
_TROUBLE_WAIT: Final = 1.0  # seconds between tries while the database refuses
_BUDGET: Final = 64  # actions per turn of the loop
_LOOKS: Final = 256  # works looked at per turn: most of ten thousand may only have to wait


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """What the engine needs of the configuration beside its parts.

    Args:
        lookahead: Deliveries a session claims ahead of the one on the wire.
        drain: Seconds that open transactions have when the daemon stops.
    """

    lookahead: int = 8
    drain: float = 30.0


@dataclass(frozen=True, slots=True)
class Parts:
    """What the engine is made of.

    Args:
        queue: Where deliveries wait.
        scheduler: Who is next.
        resolver: Where they go.
        dialler: Opens sessions.
        composer: Makes messages.
        conclusions: What outcomes mean, built by the caller with `jobs` and `settler.put`.
        settler: Writes what came of them.
        sources: The egress sources by name.
        site_facts: The caps of a destination at its site.
        clock: The engine's clock.
        jobs: The jobs in play, by id; the engine keeps it.
        handing_over: Hears of each delivery just before the end of its content is handed over.
    """

    queue: Queue
    scheduler: Scheduler
    resolver: Resolver
    dialler: Dialler
    composer: Composer
    conclusions: Conclusions
    settler: Settler
    sources: Mapping[str, Source]
    site_facts: Callable[[str, Site], SiteFacts]
    clock: Clock
    jobs: dict[int, JobFacts]
    handing_over: Callable[[Claimed], None] = lambda _: None


class Dispatcher:
    """Runs the engine; see the module.

    Args:
        parts: What it is made of.
        options: From the configuration.
    """

    def __init__(self, parts: Parts, options: EngineOptions) -> None:
        self._parts = parts
        self._options = options
        self._scheduler = parts.scheduler
        self._feeder = Feeder(parts.queue, parts.scheduler, self._know)
        self._claims = Claims(
            parts.queue,
            parts.scheduler,
            now=self.now,
            refused=self._refused,
            returned=self.returned,
        )
        self._opening = Opening()
        self._poked = asyncio.Event()
        self._feed_now = asyncio.Event()
        self._couriers: dict[int, Courier] = {}
        self._running: dict[int, asyncio.Task[None]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._parking: set[asyncio.Task[None]] = set()
        self._sites: dict[str, Site] = {}
        self._sizes: dict[str, int] = {}  # of the largest messages, by destination
        self._refused_until = 0.0
        self._stopping = False
        self.conclusions = parts.conclusions

    # --- life -------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Run until cancelled; then let open transactions end, within the drain time."""
        feeding = asyncio.create_task(self._feed(), name="feed")
        try:
            await self._loop()
        finally:
            feeding.cancel()
            await asyncio.shield(asyncio.create_task(self._drain(), name="drain"))

    def reconfigure(
        self,
        resolver: Resolver,
        dialling: DialOptions,
        sources: Mapping[str, Source],
        site_facts: Callable[[str, Site], SiteFacts],
        options: EngineOptions,
    ) -> None:
        """Take over a new configuration; open sessions end as they began."""
        self._options = options
        self._parts = replace(
            self._parts,
            resolver=resolver,
            dialler=Dialler(resolver, dialling),
            sources=sources,
            site_facts=site_facts,
        )
        now = self.now()
        for destination, name in self._scheduler.found():
            site = self._sites[name]
            if not site.route:  # where a route leads now, the next look-up says
                facts = site_facts(destination, site)
                self._scheduler.belongs(name, facts.provider, now)
                self._know_site(destination, facts, now)
        self._scheduler.resolve_again(now)
        self.poke()

    def poke(self) -> None:
        """Something changed: ask the scheduler soon."""
        self._poked.set()

    def look(self) -> None:
        """Something became due: look at the timeline now."""
        self._feed_now.set()

    async def parked(self) -> None:
        """Wait until what is being put aside now is written: only then can it be taken back."""
        if self._parking:
            await asyncio.wait(list(self._parking))

    @property
    def sessions(self) -> int:
        """How many sessions are open or being opened."""
        return len(self._couriers)

    def located(self) -> dict[str, Site]:
        """Return where the destinations are that are known now."""
        found = self._scheduler.found()
        return {name: self._sites[site] for name, site in found if site in self._sites}

    def job_changed(self, job: JobFacts) -> None:
        """A job was opened, paused, resumed, cancelled or finished."""
        if job.state in {JobState.DONE, JobState.CANCELLED}:
            self._parts.jobs.pop(job.id, None)
            self._scheduler.job_gone(job.id)
            self._parts.composer.forget(job.id)
        else:
            self._parts.jobs[job.id] = job
            self._scheduler.job_changed(job, self.now())
        self.look()
        self.poke()

    async def _know(self, job_id: int) -> None:
        if job_id not in self._parts.jobs:
            self.job_changed(await self._parts.queue.job(job_id))

    async def _loop(self) -> None:
        while True:
            self._poked.clear()
            now = self.now()
            acted = 0
            if not self._in_trouble(now):
                self._scheduler.press(pressed=self._parts.composer.behind)
                opens = self._opening.most
                actions = self._scheduler.actions(now, _BUDGET, opens=opens, looks=_LOOKS)
                acted = len(actions)
                self._act(actions)
            if acted >= _BUDGET:
                await self._breathe(0.0)
                continue
            await self._breathe(_BREATH)
            wait = max(0.0, min(self._scheduler.wake_at(now) - now, _TROUBLE_WAIT))
            if wait and not self._poked.is_set():
                with suppress(TimeoutError):
                    async with asyncio.timeout(wait):
                        await self._poked.wait()

    async def _breathe(self, seconds: float) -> None:
        """Let others have the loop, and learn how busy it is."""
        due = time.perf_counter() + seconds
        await asyncio.sleep(seconds)
        self._opening.woke(time.perf_counter() - due)

    async def _feed(self) -> None:
        while True:
            self._feed_now.clear()
            try:
                if await self._feeder.offer(self.now()):
                    self.poke()
            except UnavailableError as error:
                self._refused(error)
            with suppress(TimeoutError):
                async with asyncio.timeout(FEED_INTERVAL):
                    await self._feed_now.wait()

    async def _drain(self) -> None:
        self._stopping = True
        for courier in list(self._couriers.values()):
            courier.end()
        running = list(self._running.values())
        if running:
            _, late = await asyncio.wait(running, timeout=self._options.drain)
            if late:
                _log.warning("sessions did not end in time and are cut off", sessions=len(late))
            for session_id in [key for key, task in self._running.items() if task in late]:
                self._couriers[session_id].cut()
            if late:
                await asyncio.wait(late, timeout=5.0)
        for task in list(self._tasks):
            task.cancel()
        await self._parts.settler.flushed()

    def _in_trouble(self, now: float) -> bool:
        return self._parts.settler.trouble is not None or now < self._refused_until

    def _refused(self, error: UnavailableError) -> None:
        now = self.now()
        if now >= self._refused_until:
            _log.error("the database refuses; nothing is claimed meanwhile", error=str(error))
        self._refused_until = now + _TROUBLE_WAIT

    # --- acting -----------------------------------------------------------------------------------

    def _act(self, actions: Sequence[Action]) -> None:
        loads = [action for action in actions if isinstance(action, Load)]
        if loads:
            self._spawn(self._load(loads), "load")
        parks = [action for action in actions if isinstance(action, Park)]
        if parks:
            task = self._spawn(self._park(parks), "park")
            self._parking.add(task)
            task.add_done_callback(self._parking.discard)
        for action in actions:
            match action:
                case Resolve(destination):
                    self._spawn(self._resolve(destination), "resolve")
                case Open():
                    self._open(action)
                case Wake(session_id) if session_id in self._couriers:
                    self._couriers[session_id].wake()
                case Close(session_id) if session_id in self._couriers:
                    self._couriers[session_id].end()
                case Refuse():
                    self._spawn(self._refuse(action), "refuse")
                case _:
                    pass

    def _spawn(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("a bug: a task of the engine failed", task=task.get_name(), exc_info=error)

    async def _load(self, loads: Sequence[Load]) -> None:
        await self._feeder.load(loads, self.now())
        self.poke()

    async def _park(self, parks: Sequence[Park]) -> None:
        await self._surely(lambda: self._feeder.park(parks))
        self._put_off(parks)
        self.look()

    def _put_off(self, parks: Sequence[Park]) -> None:
        """Let jobs whose mail waits for limits of our own end later, as the queue does."""
        until: dict[int, float] = {}
        for park in parks:
            if park.own and park.until is not None:
                until[park.own] = max(park.until, until.get(park.own, 0.0))
        for job_id, at in until.items():
            job = self._parts.jobs.get(job_id)
            if job is not None and (later := job.put_off(at)) is not job:
                self._parts.jobs[job_id] = later
                self._scheduler.job_changed(later, self.now())

    async def _resolve(self, destination: str) -> None:
        found = await self._parts.resolver.resolve(destination)
        now = self.now()
        if isinstance(found, Site):
            self._sites[found.name] = found
            facts = self._parts.site_facts(destination, found)
            self._know_site(destination, facts, now)
        else:
            self._unresolved(destination, found, now)
        self.poke()

    def _know_site(self, destination: str, facts: SiteFacts, now: float) -> None:
        if facts.size is None:
            self._sizes.pop(destination, None)
        else:
            self._sizes[destination] = facts.size
        self._scheduler.resolved(destination, facts, now)

    def _unresolved(self, destination: str, found: Unresolved, now: float) -> None:
        cause = found.outcome.cause
        if cause in {Cause.NO_SUCH_DOMAIN, Cause.NULL_MX}:
            dead = SiteFacts(destination, dead=found.outcome, until=found.until)
            self._scheduler.resolved(destination, dead, now)
        else:
            reason = f"{cause}: {found.outcome.detail}"
            self._scheduler.unresolved(destination, found.until, reason, now)

    def _open(self, order: Open) -> None:
        site = self._sites[order.site]
        source = self._parts.sources[order.source]

        async def dial(host: MxHost) -> Session | Rejected | Broke:
            return await self._parts.dialler.dial(source, site, host, order.destination)

        courier = Courier(self, order, site.hosts, dial, lookahead=self._options.lookahead)
        self._couriers[order.session_id] = courier
        self._opening.begun(order.session_id)
        task = asyncio.create_task(courier.run(), name=f"session {order.session_id}")
        self._running[order.session_id] = task
        task.add_done_callback(lambda task: self._courier_ended(order.session_id, task))

    def _courier_ended(self, session_id: int, task: asyncio.Task[None]) -> None:
        self._couriers.pop(session_id, None)
        self._running.pop(session_id, None)
        self._opening.over(session_id)
        self._ended(task)
        self.poke()

    async def _refuse(self, order: Refuse) -> None:
        """Conclude deliveries that nobody can ever take."""
        journey = Journey(began=self.now(), source="", site="", host="")
        for claimed in await self._claims.take(order.items):
            concluded = self.conclusions.conclude(claimed, order.outcome, journey, hosts_left=False)
            self.concluded(0, concluded)

    async def _surely(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Do a write that must not be forgotten, as soon as the database takes it."""
        while True:
            try:
                await work()
            except UnavailableError as error:
                self._refused(error)
                await asyncio.sleep(_TROUBLE_WAIT)
            else:
                return

    # --- the couriers' desk ----------------------------------------------------------------------

    def now(self) -> float:
        """Return UNIX seconds."""
        return self._parts.clock.now()

    def take(self, session_id: int, most: int) -> Answer:
        """Ask the scheduler for the session's next deliveries."""
        now = self.now()
        if self._in_trouble(now):
            return Idle(now + _TROUBLE_WAIT, "the database refuses writes")
        return self._scheduler.take(session_id, now, most)

    def opened(self, session_id: int) -> None:
        """Tell the scheduler that the session stands."""
        self._opening.over(session_id)
        self._scheduler.session_opened(session_id, self.now())
        self.poke()

    def failed(self, session_id: int, outcome: Outcome, concluded: Concluded | None) -> None:
        """Tell the scheduler that no host of the site could be opened; the session is over."""
        now = self.now()
        lesson, reason, retry_after = Lesson.BROKEN, str(outcome), None
        if concluded is not None:
            lesson, reason, retry_after = concluded.lesson, concluded.reason, concluded.retry_after
            delivery_id = concluded.settlement.claimed.id
            self._scheduler.settled(0, delivery_id, Lesson.NONE, now)
        elif isinstance(outcome, Broke):
            reason = f"{outcome.cause}: {outcome.detail}"
        self._scheduler.session_failed(session_id, lesson, reason, now, retry_after)
        self.poke()

    def closed(self, session_id: int) -> None:
        """Tell the scheduler that the session is over."""
        self._scheduler.session_closed(session_id, self.now())
        self.poke()

    def concluded(self, session_id: int, concluded: Concluded) -> None:
        """Tell the scheduler what a delivery came to."""
        self._scheduler.settled(
            session_id,
            concluded.settlement.claimed.id,
            concluded.lesson,
            self.now(),
            retry_after=concluded.retry_after,
            reason=concluded.reason,
        )
        self.poke()

    def handing_over(self, claimed: Claimed) -> None:
        """Note that the end of its content goes to the receiver now."""
        self._parts.handing_over(claimed)

    def returned(self, items: Sequence[Item]) -> None:
        """Tell the scheduler that ids it gave out are untouched."""
        now = self.now()
        for lane_id, group in groupby(sorted(items), key=attrgetter("lane_id")):
            self._scheduler.returned(lane_id, list(group), now)
        self.poke()

    def claim(
        self, session_id: int, items: Sequence[Item], given: Callable[[Sequence[Claimed]], None]
    ) -> None:
        """Lease deliveries, then give them; those that may not be sent are missing."""
        self._claims.give(session_id, items, given)

    async def release(self, claims: Sequence[Claimed]) -> None:
        """Give claims back untried."""

        async def give_back() -> None:
            await self._parts.queue.release(claims, self.now())

        await self._surely(give_back)

    def compose(
        self, claimed: Claimed, *, seven_bit: bool = False
    ) -> "asyncio.Future[Composed | Unrenderable]":
        """Render and sign."""
        return self._parts.composer.compose(claimed, seven_bit=seven_bit)

    def size_limit(self, destination: str) -> int | None:
        """Return the largest message that a destination takes, in bytes, if that is known."""
        return self._sizes.get(destination)

    def objection(self, claimed: Claimed, session: Session) -> Broke | None:
        """Return why a delivery may not travel over this session, if so."""
        detail = self._parts.composer.lacks(claimed.job_id, session)
        return Broke(Stage.STARTTLS, Cause.TLS, detail) if detail else None
