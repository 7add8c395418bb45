"""Everything the scheduler knows, and the moves that keep it consistent.

The invariant behind every move here: *whatever could go out is in a line, or at a gate that will
put it back*. A lane is in its share's line, or stuck at its destination; a share in its work's
ring, or stuck at its job; a work in the engine's line, at a gate, or served by its sessions. Timers
carry gates whose opening is a matter of time; the end of a session opens those that were full.
"""

import heapq
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable
from fnmatch import fnmatchcase
from typing import Final

from ekiden.engine.schedule.facts import (
    FOREVER,
    Action,
    Counts,
    Item,
    Learned,
    Park,
    RoadLearned,
    SchedulerOptions,
    SourceFacts,
)
from ekiden.engine.schedule.parts import (
    Destination,
    Gate,
    Jitter,
    Job,
    Lane,
    Line,
    Path,
    Pool,
    Road,
    Scope,
    Session,
    Share,
    Site,
    Source,
    Work,
)
from ekiden.queue.model import JobFacts, Waiting
from ekiden.shaping.caps import NO_CAPS, Caps
from ekiden.shaping.hours import Hours
from ekiden.shaping.ramps import OTHER, Ramps
from ekiden.shaping.window import NEVER

SUSPENDED_PARK: Final = 300.0  # seconds after which a lane that is held without end asks again


class State:
    """The scheduler's memory. See `parts` for what each thing is."""

    def __init__(self, options: SchedulerOptions, jitter: Jitter) -> None:
        self.options = options
        self.jitter = jitter
        self.engine = Scope("engine", "", options.caps, options.bulk_turns)
        self.line = Line(options.bulk_turns)
        self.jobs: dict[int, Job] = {}
        self.lanes: dict[int, Lane] = {}
        self.destinations: dict[str, Destination] = {}
        self.resting: OrderedDict[str, Destination] = OrderedDict()  # resolved, without lanes
        self.sites: dict[str, Site] = {}
        self.providers: dict[str, Scope] = {}
        self.sources: dict[str, Source] = {}
        self.pools: dict[str, Pool] = {}
        self.sessions: dict[int, Session] = {}
        self.idle: OrderedDict[int, Session] = OrderedDict()
        self.hand: dict[int, tuple[Lane, Session | None, float]] = {}
        self.known: set[int] = set()  # ids in memory: waiting in a lane, or handed out
        self.waiting = 0
        self.requested = 0  # ids asked for and not yet loaded
        self.requests: dict[int, int] = {}  # of which, by lane
        self.resolving = 0
        self.probes = 0
        self.pressed = False  # messages wait to be made: more sessions to a site help nobody
        self.held_back: set[tuple[Work, int]] = set()  # who had wanted another one meanwhile
        self.short_until = NEVER  # works had to wait for the engine's slots lately
        self.crowded_until = NEVER  # lanes were turned away: who cannot move makes room
        self.suspensions: dict[str, tuple[float, str]] = {}
        self.learned: OrderedDict[str, Learned] = OrderedDict()  # of paths not in memory
        self.ramps: Ramps | None = None  # all warm-ups
        self.hours = Hours()
        self.backlog: dict[str, int] = {}  # bulk that waits, by provider, as of backlog_at
        self.backlog_at = NEVER
        self.roads_learned: dict[str, RoadLearned] = {}  # of roads not in memory
        self.counts: OrderedDict[str, Counts] = OrderedDict()  # of scopes not in memory
        self.unsaved: dict[str, Counts] = {}  # of which, those that nobody has written down
        self.trouble: OrderedDict[str, tuple[float, str]] = OrderedDict()  # not found: until, why
        self.out: deque[Action] = deque()
        self.loads: dict[int, Lane] = {}
        self.unresolved: deque[Destination] = deque()
        self.made_path: Callable[[Path], None] = lambda _: None
        self._timers: list[tuple[float, int, Gate | Job]] = []
        self._ticket = 0
        self.set_sources(options.sources)

    # --- Sources --------------------------------------------------------------------------------

    def set_sources(self, facts: Iterable[SourceFacts]) -> None:
        """Take over the sources; those that are gone begin no more sessions."""
        turns = self.options.bulk_turns
        for pool in self.pools.values():
            pool.sources.clear()
        for fact in facts:
            source = self.sources.get(fact.name)
            if source is None:
                source = Source(fact.name, fact.caps, fact.path_caps, turns)
                self.sources[fact.name] = source
            self.set_caps(source, fact.caps)
            source.path_caps = fact.path_caps
            source.pools = [self.pool(name) for name in fact.pools]
            for pool in source.pools:
                pool.sources.append(source)
        for site in self.sites.values():
            for path in site.paths.values():
                path.set_caps(path.source.path_caps)

    def set_caps(self, scope: Scope, caps: Caps) -> None:
        """Give a scope its caps, and what was counted of its hours and days before."""
        scope.set_caps(caps)
        self._find_counts(scope)

    def _find_counts(self, scope: Scope) -> None:
        if self.counts and (scope.messages or scope.connections):
            kept = self.counts.pop(scope.key, None)
            if kept is not None:
                recount(scope, kept)

    def pool(self, name: str) -> Pool:
        """Return the pool of that name; one that no source serves holds what is sent to it."""
        found = self.pools.get(name)
        if found is None:
            found = self.pools[name] = Pool(name, self.options.bulk_turns)
        return found

    # --- Places -----------------------------------------------------------------------------------

    def destination(self, name: str) -> Destination:
        """Return the destination, new ones asking to be resolved."""
        found = self.destinations.get(name)
        if found is None:
            found = self.destinations[name] = Destination(name, self.options.bulk_turns)
            self._suspend_by_name(found)
        self.resting.pop(name, None)
        return found

    def site(self, name: str, provider: str) -> Site:
        """Return the site; its provider is that of the latest answer."""
        family = self.provider(provider) if provider else None
        found = self.sites.get(name)
        if found is None:
            options = self.options
            found = self.sites[name] = Site(name, NO_CAPS, family, options.bulk_turns)
            self._suspend_by_name(found)
        if not found.works:
            found.provider = family
        return found

    def provider(self, name: str) -> Scope:
        """Return the provider."""
        found = self.providers.get(name)
        if found is None:
            found = Scope("provider", name, NO_CAPS, self.options.bulk_turns)
            self.providers[name] = found
            self._suspend_by_name(found)
        return found

    def path(self, source: Source, site: Site) -> Path:
        """Return the path, with what was learned of it before."""
        found = site.paths.get(source.name)
        if found is None:
            options = self.options
            waits = (options.failing, options.slowing, options.blocking)
            learning = (options.window, options.speed)
            found = Path(source, site, learning, waits, options.bulk_turns)
            self._find_counts(found)
            learned = self.learned.pop(found.name, None)
            if learned is not None:
                found.restore(learned)
            site.paths[source.name] = found
            self.made_path(found)
        return found

    def road(self, source: Source, site: Site) -> Road:
        """Return the road from a source to a site's provider."""
        return self.road_to(source, OTHER if site.provider is None else site.provider.name)

    def road_to(self, source: Source, provider: str) -> Road:
        """Return the road, with what was learned of it before."""
        found = source.roads.get(provider)
        if found is None:
            options = self.options
            found = Road(source.name, provider, options.blocking, options.bulk_turns)
            source.roads[provider] = found
            learned = self.roads_learned.pop(found.name, None)
            if learned is not None:
                found.refusals = learned.refusals
                found.suspend(learned.until, learned.reason)
            ramp = None if self.ramps is None else self.ramps.of(source.name, provider)
            if ramp is not None:
                found.warm_up(ramp)
        return found

    def work(self, site: Site, pool: Pool) -> Work:
        """Return the work of that site and pool."""
        found = site.works.get(pool.name)
        if found is None:
            found = site.works[pool.name] = Work(site, pool)
        return found

    def rest(self, destination: Destination) -> None:
        """Remember a destination without lanes for a while; forget the one unused the longest."""
        if destination.lanes or destination.sessions or destination.asked:
            return
        if destination.site is None or destination.dead is not None:
            self.destinations.pop(destination.name, None)
            self._keep_counts(destination)
            return
        self.resting[destination.name] = destination
        self.resting.move_to_end(destination.name)
        while len(self.resting) > self.options.resolved_max:
            _, oldest = self.resting.popitem(last=False)
            self.destinations.pop(oldest.name, None)
            self._keep_counts(oldest)
            self.leave_site(oldest)

    def leave_site(self, destination: Destination) -> None:
        """Take a destination off its site; a site without any is forgotten, its lessons kept."""
        site, destination.site = destination.site, None
        if site is None:
            return
        site.destinations -= 1
        self._forget_site(site)

    def _forget_site(self, site: Site) -> None:
        if site.destinations or site.sessions:
            return
        self.sites.pop(site.name, None)
        self._keep_counts(site)
        for path in site.paths.values():
            self._keep_counts(path)
            self.learned[path.name] = path.state()
        while len(self.learned) > self.options.resolved_max:
            self.learned.popitem(last=False)

    def _keep_counts(self, scope: Scope) -> None:
        """Remember what a scope that is forgotten has counted of its hours and days."""
        counts = counted(scope)
        if not counts:
            return
        self.counts[scope.key] = self.unsaved[scope.key] = counts
        while len(self.counts) > self.options.resolved_max:
            self.counts.popitem(last=False)

    # --- Suspensions ------------------------------------------------------------------------------

    def _suspend_by_name(self, scope: Scope) -> None:
        for pattern, (until, reason) in self.suspensions.items():
            if fnmatchcase(scope.name, pattern):
                scope.until, scope.reason = until, reason

    def scopes_named(self, pattern: str) -> list[Scope]:
        """Return the destinations, sites and providers whose name matches."""
        every: list[dict[str, Scope]] = [{**self.destinations}, {**self.sites}, self.providers]
        return [
            scope for kind in every for scope in kind.values() if fnmatchcase(scope.name, pattern)
        ]

    # --- Lines ------------------------------------------------------------------------------------

    def lane_in_line(self, lane: Lane) -> None:
        """Let a lane with ids stand in line, and with it its share and its work."""
        share = lane.share
        if share is None or lane.drained or not lane.items:
            return
        if not lane.in_line:
            lane.in_line = True
            share.lanes.append(lane)
        self.share_in_line(share)

    def share_in_line(self, share: Share) -> None:
        """Let a share stand in its work's ring, and its work in the engine's line."""
        if not share.in_line and share.lanes:
            share.in_line = True
            share.work.rings[share.rank].append(share)
        self.work_in_line(share.work, share.rank)

    def work_in_line(self, work: Work, rank: int) -> None:
        """Let a work stand in the engine's line for its mail of that rank, once."""
        if not work.in_line[rank] and work.rings[rank]:
            work.in_line[rank] = True
            work.gates[rank] = None
            self.line.push(work, rank)

    def work_at_gate(self, work: Work, rank: int, gate: Gate, at: float) -> None:
        """Let a work wait at a gate, which will be looked at again at `at` at the latest."""
        work.in_line[rank] = True
        work.gates[rank] = gate
        gate.queue(work, rank)
        self.set_timer(gate, at)

    def poke(self, gate: Gate, now: float) -> None:
        """Let the first in line at an open gate through; the one after it when that has moved."""
        if not gate.waiters:
            return
        at = gate.open_at(now)
        if at <= now:
            self._through(gate.waiters)
        else:
            self.set_timer(gate, at)

    def poke_all(self, gate: Gate) -> None:
        """Let all in line at a gate through, to look for themselves."""
        while gate.waiters:
            self._through(gate.waiters)

    def _through(self, waiters: Line) -> None:
        work, rank = waiters.pop()
        work.gates[rank] = None
        self.line.push(work, rank)

    def poke_source(self, source: Source, now: float) -> None:
        """Let one through that wants this source, or would take it in place of another."""
        if source.waiters:
            self.poke(source, now)
            return
        for pool in source.pools:
            for other in pool.sources:
                if other.waiters:
                    self._through(other.waiters)
                    return

    def poke_road(self, road: Road, now: float) -> None:
        """Let one through that wants this road, or would take it in place of another's."""
        if road.waiters:
            self.poke(road, now)
            return
        for pool in self.sources[road.source].pools:
            for source in pool.sources:
                other = source.roads.get(road.provider)
                if other is not None and other.waiters:
                    self._through(other.waiters)
                    return

    def unstick_destination(self, destination: Destination) -> None:
        """Put the lanes that waited for a destination back in line."""
        stuck, destination.stuck = destination.stuck, []
        for lane in stuck:
            lane.in_line = False
            self.lane_in_line(lane)

    def unstick_job(self, job: Job) -> None:
        """Put the shares that waited for a job back in line."""
        stuck, job.stuck = job.stuck, []
        for share in stuck:
            share.in_line = False
            self.share_in_line(share)

    # --- Timers -----------------------------------------------------------------------------------

    def set_timer(self, gate: Gate | Job, at: float) -> None:
        """Look at a gate at `at`, unless it will be looked at before that."""
        if at < gate.timer:
            gate.timer = at
            self._ticket += 1
            heapq.heappush(self._timers, (at, self._ticket, gate))

    def next_timer(self) -> float:
        """Return the time of the first timer."""
        timers = self._timers
        while timers and timers[0][2].timer != timers[0][0]:
            heapq.heappop(timers)
        return timers[0][0] if timers else FOREVER

    def fire_timers(self, now: float) -> None:
        """Look at every gate whose time has come."""
        while self.next_timer() <= now:
            _, _, gate = heapq.heappop(self._timers)
            gate.timer = FOREVER
            match gate:
                case Job():
                    self.unstick_job(gate)
                case Destination():
                    self.wake_destination(gate, now)
                case Site():
                    self.poke_all(gate)
                case Source():
                    self.poke_source(gate, now)
                case Road():
                    self.poke_road(gate, now)
                case _:
                    self.poke(gate, now)

    def wake_destination(self, destination: Destination, now: float) -> None:
        """Look again at a destination: its caps, and whether its site must be found again."""
        self.unstick_destination(destination)
        if destination.lanes and destination.stale_at <= now and not destination.asked:
            destination.asked = True
            self.unresolved.append(destination)

    def delay_of(self, facts: JobFacts) -> float:
        """Return how far the scheduled start of a job is put off: bulk only."""
        if facts.priority == 0:
            return 0.0
        return self.hours.delay(facts.uid, facts.created_at, facts.send_at, facts.deliver_by)

    # --- Lanes ------------------------------------------------------------------------------------

    def attach(self, lane: Lane, now: float) -> None:
        """Give a lane its place at the site of its destination, unless nothing moves there."""
        site = lane.destination.site
        if site is None or lane.share is not None:
            return
        work = self.work(site, self.pool(lane.job.facts.pool))
        provider = "" if site.provider is None else site.provider.name
        clock = self.hours.opens_at(provider, lane.job.rank, now)
        held = max(work.held_until, clock)
        if held > now + self.options.park_after:
            self.drop(lane, held, own=work.held_by_own and work.held_until == held)
            return
        share = work.shares.get(lane.job.facts.id)
        if share is None:
            share = work.shares[lane.job.facts.id] = Share(lane.job, work)
        share.members[lane.id] = lane
        lane.share = share
        work.waiting += len(lane.items)
        self.lane_in_line(lane)

    def detach(self, lane: Lane) -> None:
        """Take a lane off its site."""
        share, lane.share = lane.share, None
        if share is None:
            return
        # Its place in a line is left where it is: whoever comes upon it sees that it has moved.
        lane.in_line = False
        del share.members[lane.id]
        work = share.work
        work.waiting -= len(lane.items)
        if not share.members:
            work.shares.pop(share.job.facts.id, None)
            self.tidy(work)

    def tidy(self, work: Work) -> None:
        """Forget a work that has nothing any more."""
        if not (work.shares or work.sessions or any(work.in_line)):
            works = work.site.works
            if works.get(work.pool.name) is work:
                del works[work.pool.name]

    def want_load(self, lane: Lane) -> None:
        """Ask for more ids when a lane's window runs low."""
        if lane.more and not (lane.loading or lane.drained) and len(lane.items) <= lane.quota // 2:
            self.loads[lane.id] = lane

    def may_load(self) -> bool:
        """Whether memory has room for more ids."""
        return self.waiting + self.requested < self.options.waiting_max

    def add(self, lane: Lane, items: Iterable[Waiting], *, front: bool = False) -> None:
        """Put ids into a lane's window."""
        fresh = [item for item in items if item.id not in self.known]
        self.known.update(item.id for item in fresh)
        if front:
            lane.items.extendleft(reversed(fresh))
        else:
            lane.items.extend(fresh)
        self.waiting += len(fresh)
        if lane.share is not None:
            lane.share.work.waiting += len(fresh)

    def drop(
        self, lane: Lane, until: float | None, *, tell: bool = True, own: bool = False
    ) -> None:
        """Forget a lane; what it held is safe in the queue.

        Args:
            lane: The lane.
            until: When it is to be offered again; None: when its next delivery is due.
            tell: Whether the queue is told.
            own: Whether it waits for nothing but limits of our own.
        """
        if lane.drained:
            return
        lane.drained = True
        self.detach(lane)
        self.known.difference_update(item.id for item in lane.items)
        self.waiting -= len(lane.items)
        lane.items.clear()
        self.loads.pop(lane.id, None)
        del self.lanes[lane.id]
        lane.job.lanes.pop(lane.id, None)
        lane.destination.lanes.pop(lane.id, None)
        self.rest(lane.destination)
        if tell:
            self.out.append(Park(lane.id, until, lane.job.facts.id if own else 0))

    def park(self, work: Work, until: float, *, own: bool = False) -> None:
        """Let the lanes of a work that cannot move give their places to others."""
        work.held_until, work.held_by_own = until, own
        for lane in [lane for share in work.shares.values() for lane in share.members.values()]:
            self.drop(lane, until, own=own)

    def unpark(self) -> None:
        """Let what is leaving memory be offered when it is due: what held it is over."""
        for _ in range(len(self.out)):
            action = self.out.popleft()
            self.out.append(Park(action.lane_id, None) if isinstance(action, Park) else action)

    def park_rank(self, work: Work, rank: int, until: float) -> None:
        """Let the lanes of one rank give their places to others; the other rank goes on."""
        shares = [share for share in work.shares.values() if share.rank == rank]
        for lane in [lane for share in shares for lane in share.members.values()]:
            self.drop(lane, until)

    # --- The hand ---------------------------------------------------------------------------------

    def hand_out(self, lane: Lane, session: Session | None, now: float) -> Item:
        """Take the first id of a lane's window into a session's hand."""
        items = lane.items
        waiting = items.popleft()
        job, destination = lane.job, lane.destination
        self.waiting -= 1
        if lane.share is not None:
            lane.share.work.waiting -= 1
        lane.hand += 1
        lane.ahead -= 1
        self.hand[waiting.id] = (lane, session, now)
        if session is not None:
            session.hand += 1
            session.taken += 1
            for scope in session.scopes:
                if scope.messages is not None:
                    scope.messages.spend(now)
            if destination.messages is not None:
                destination.messages.spend(now)
            if self.backlog and job.rank == 1:
                self.backlog[session.road.provider] = self.backlog.get(session.road.provider, 1) - 1
            self._hold(session, destination)
            if job.facts.pace is not None:
                job.spend(now)
        if lane.more:
            self.want_load(lane)
        return Item(waiting.id, lane.id, job.facts.id, destination.name, waiting.due_at)

    def _hold(self, session: Session, destination: Destination) -> None:
        """Count a session at a destination while it has something of it, or served it last."""
        held = session.destinations
        if destination in held:
            held[destination] += 1
        else:
            held[destination] = 1
            destination.sessions += 1
        last = session.destination
        session.destination = destination
        if last is not None and last is not destination and held[last] == 0:
            self.let_go(session, last)

    def let_go(self, session: Session, destination: Destination) -> None:
        """Count a session no longer at a destination."""
        del session.destinations[destination]
        destination.sessions -= 1
        if destination.stuck:
            self.unstick_destination(destination)
        if not destination.lanes:
            self.rest(destination)

    def put_down(self, delivery_id: int) -> tuple[Lane, Session | None, float] | None:
        """Take an id out of a hand; None when it was in none."""
        held = self.hand.pop(delivery_id, None)
        if held is None:
            return None
        self.known.discard(delivery_id)
        lane, session, _ = held
        lane.hand -= 1
        if session is not None:
            session.hand -= 1
            destination = lane.destination
            # After the session's end there is nothing left to count.
            if destination in session.destinations:
                session.destinations[destination] -= 1
                if session.destination is not destination and not session.destinations[destination]:
                    self.let_go(session, destination)
        return held

    # --- Sessions ---------------------------------------------------------------------------------

    def begin(self, work: Work, path: Path, now: float) -> Session:
        """Take a slot everywhere a session counts."""
        self._ticket += 1
        site = work.site
        road = self.road(path.source, site)
        every = (self.engine, path.source, road, path, site, site.provider)
        scopes = tuple(scope for scope in every if scope is not None)
        session = Session(self._ticket, work, path, road=road, scopes=scopes, now=now)
        for scope in scopes:
            scope.sessions += 1
            if scope.connections is not None:
                scope.connections.spend(now)
        session.most = min(
            (most for scope in scopes if (most := scope.caps.messages_per_session) is not None),
            default=session.most,
        )
        found = path.messages_per_session(now)
        if found is not None:
            session.most = min(session.most, found)
        self.sessions[session.id] = session
        work.sessions += 1
        session.probe = self.suspect(path)
        self.probes += session.probe
        return session

    def suspect(self, path: Path) -> bool:
        """Whether a path's sessions are likely to keep a slot for little."""
        return path.failures > 0 or path.seconds > self.options.dragging

    def finish(self, session: Session, reason: str) -> None:
        """A session is told to end; its work stands in line again for what is left."""
        if session.finishing:
            return
        session.finishing = reason
        self.not_idle(session)
        for scope in session.scopes:
            scope.leaving += 1
        session.work.sessions -= 1
        for rank in (0, 1):
            self.work_in_line(session.work, rank)

    def end(self, session: Session, now: float) -> None:
        """A session is over: give its slots back and let others through."""
        self.finish(session, "over")
        del self.sessions[session.id]
        path, site = session.path, session.work.site
        for scope in session.scopes:
            scope.sessions -= 1
            scope.leaving -= 1
        if session.open:
            path.proven -= 1
        self.probes -= session.probe
        for destination in list(session.destinations):
            self.let_go(session, destination)
        self.poke_all(site)
        if site.provider is not None:
            self.poke(site.provider, now)
        self.poke_road(session.road, now)
        self.poke_source(path.source, now)
        self._leave_closed_gates(session.work, now)
        self.tidy(session.work)
        self._forget_site(site)

    def _leave_closed_gates(self, work: Work, now: float) -> None:
        """Park a work whose last session has ended and that waits long: others need its lanes."""
        if work.sessions or None in {
            gate for gate, stands in zip(work.gates, work.in_line, strict=True) if stands
        }:
            return
        gates = [gate for gate in work.gates if isinstance(gate, Scope)]
        until = min((gate.open_at(now) for gate in gates), default=now)
        if now + self.options.park_after < until < FOREVER:
            self.park(work, until, own=waits_for_own(work, now))

    def not_idle(self, session: Session) -> None:
        """A session is not kept waiting for work any more."""
        if session.idle_until != NEVER:
            session.idle_until = NEVER
            self.idle.pop(session.id, None)
            session.work.idle.pop(session.id, None)


def waits_for_own(work: Work, now: float) -> bool:
    """Whether nothing but limits of our own keeps a work from another session.

    A rate of its provider, its site, or a source that could serve it is used up, and nothing that a
    receiver said, and no person, holds that one.
    """
    site = work.site
    above = [scope for scope in (site.provider, site) if scope is not None]
    if any(scope.until > now for scope in above):
        return False
    name = OTHER if site.provider is None else site.provider.name
    for source in work.pool.sources:
        path = site.paths.get(source.name)
        if path is not None and (path.failures or path.refusals):
            continue
        ways = [one for one in (path, source.roads.get(name), source) if one is not None]
        if any(scope.until > now for scope in ways):
            continue
        if any(scope.rationed(now) for scope in (*above, *ways)):
            return True
    return False


def counted(scope: Scope) -> Counts:
    """Return what a scope has counted, if it has a rate per hour or day; else nothing."""
    meters = (("messages", scope.messages), ("connections", scope.connections))
    return {
        what: state
        for what, meter in meters
        if meter is not None and meter.budgeted and (state := meter.state())
    }


def recount(scope: Scope, counts: Counts) -> None:
    """Let a scope continue from what it had counted."""
    for what, meter in (("messages", scope.messages), ("connections", scope.connections)):
        if meter is not None and what in counts:
            meter.restore(counts[what])
