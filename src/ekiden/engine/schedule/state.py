"""Everything the scheduler knows, and the moves that keep it consistent.

Three storeys: `places` (what has a name), `lines` (who stands where, and when it is looked at
again), and here the lanes, the hand and the sessions. The invariant behind every move is told in
`lines`.
"""

from collections import OrderedDict, deque
from collections.abc import Iterable, Mapping
from typing import Final

from ekiden.engine.schedule import own, sticking
from ekiden.engine.schedule.facts import (
    FOREVER,
    Action,
    Item,
    Park,
    SchedulerOptions,
)
from ekiden.engine.schedule.gates import Scope
from ekiden.engine.schedule.lines import Lines
from ekiden.engine.schedule.ways import GONE, Path
from ekiden.engine.schedule.works import Destination, Jitter, Lane, Session, Share, Work
from ekiden.queue.model import JobFacts, Waiting
from ekiden.shaping.caps import NO_CAPS, Caps
from ekiden.shaping.ramps import OTHER
from ekiden.shaping.window import NEVER

SUSPENDED_PARK: Final = 300.0  # seconds after which a lane that is held without end asks again


class State(Lines):
    """The scheduler's memory. See `gates`, `ways` and `works` for what each thing is."""

    def __init__(self, options: SchedulerOptions, jitter: Jitter) -> None:
        super().__init__(options, jitter)
        self.lanes: dict[int, Lane] = {}
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
        self.crowded_until = NEVER  # lanes were turned away: who cannot move makes room
        self.backlog: dict[str, int] = {}  # bulk that waits, by provider, as of backlog_at
        self.backlog_at = NEVER
        self.takes: dict[tuple[int, str], tuple[float, float]] = {}  # of a job at a provider
        self.trouble: OrderedDict[str, tuple[float, str]] = OrderedDict()  # not found: until, why
        self.out: deque[Action] = deque()
        self.loads: dict[int, Lane] = {}

    # --- Lanes ------------------------------------------------------------------------------------

    def delay_of(self, facts: JobFacts) -> float:
        """Return how far the scheduled start of a job is put off: bulk only."""
        if facts.priority == 0:
            return 0.0
        return self.hours.delay(facts.uid, facts.created_at, facts.send_at, facts.deliver_by)

    def attach(self, lane: Lane, now: float) -> None:
        """Give a lane its place at the site of its destination, unless nothing moves there."""
        site = lane.destination.site
        if site is None or lane.share is not None:
            return
        facts = lane.job.facts
        work = self.work(site, self.pool(facts.pool), facts.configuration_set)
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

    def set_sets(self, sets: Mapping[str, Caps], now: float) -> None:
        """Take over what sets say in place of sites; lanes find their works anew."""
        if sets == self.sets:
            return
        self.sets = dict(sets)
        for site in self.sites.values():
            for name, scope in site.sets.items():
                caps = self.sets.get(name)
                scope.squeeze(GONE, 0 if caps is None else None)
                scope.set_caps(caps or NO_CAPS)
        for lane in list(self.lanes.values()):
            self.detach(lane)
            self.attach(lane, now)
        for site in self.sites.values():
            self.poke_all(site)

    # --- Forgetting -------------------------------------------------------------------------------

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
            if works.get(work.key) is work:
                del works[work.key]

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
        lane.sticking += sum(item.source != "" for item in fresh)
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
        lane.sticking = 0
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

    def put_off(self, work: Work, until: float) -> None:
        """Let the queue know that lanes wait until then for limits of our own, and stay here.

        Often enough, that is: each time half a lifetime has passed.
        """
        for lane in [lane for share in work.shares.values() for lane in share.members.values()]:
            patience = lane.job.facts.patience
            if patience is not None and until - lane.kept_until >= patience / 2:
                lane.kept_until = until
                self.out.append(Park(lane.id, until, lane.job.facts.id))

    def unpark(self) -> None:
        """Let what is leaving memory be offered when it is due: what held it is over."""
        for _ in range(len(self.out)):
            action = self.out.popleft()
            self.out.append(Park(action.lane_id, None) if isinstance(action, Park) else action)

    def unhold(self, scope: object) -> None:
        """Keep lanes of a site, or of a provider's sites, that are offered from now on."""
        for site in self.sites.values():
            if scope is site or scope is site.provider:
                for work in site.works.values():
                    work.held_until = NEVER

    def park_rank(self, work: Work, rank: int, until: float) -> None:
        """Let the lanes of one rank give their places to others; the other rank goes on."""
        shares = [share for share in work.shares.values() if share.rank == rank]
        for lane in [lane for share in shares for lane in share.members.values()]:
            self.drop(lane, until)

    # --- The hand ---------------------------------------------------------------------------------

    def hand_out(self, lane: Lane, session: Session | None, now: float) -> Item:
        """Take the first id of a lane's window that may leave from there into a session's hand."""
        items = lane.items
        if session is None or not lane.sticking:
            waiting = items.popleft()
        else:
            at = max(sticking.place(lane, session.path.source.name, now), 0)
            waiting = items[at]
            del items[at]
        lane.sticking -= waiting.source != ""
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
            ahead = 0.0 if session.open else session.path.ahead
            for scope in session.metered:
                if scope.messages is not None:
                    scope.messages.spend(now, ahead)
            if destination.messages is not None and not session.free[1]:
                destination.messages.spend(now, ahead)
            if self.backlog and job.rank == 1:
                self.backlog[session.road.provider] = self.backlog.get(session.road.provider, 1) - 1
            self._hold(session, destination)
            if job.facts.pace is not None:
                job.spend(now)
        if lane.more:
            self.want_load(lane)
        due_at, source = waiting.due_at, waiting.source
        return Item(waiting.id, lane.id, job.facts.id, destination.name, due_at, source)

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
        if path.own is not None or work.own is not None:
            self._take_own_seat(session, work, path)
        session.asks = path.length.ask(now)
        if path.length.limit is not None and not session.asks:
            session.most = min(session.most, path.length.limit)
        self.sessions[session.id] = session
        work.sessions += 1
        session.probe = self.suspect(path)
        self.probes += session.probe
        return session

    def _take_own_seat(self, session: Session, work: Work, path: Path) -> None:
        """Let a session count where its set or its source says something in the site's place."""
        site = work.site
        session.free = own.free_of(work, path)
        if session.free.messages:
            rates = own.meter_of(work, path)
            session.metered = (*(one for one in session.scopes if one is not site), rates)
        if session.free.sessions:
            seat = session.seat = own.seat_of(work, path)
            seat.sessions += 1
            site.guests += 1
            path.raised = seat.caps.sessions
        session.most = own.messages_per_session(work, path) or session.most

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
        if session.seat is not session.work.site:
            session.seat.leaving += 1
            session.work.site.guests -= 1
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
        if session.seat is not site:
            session.seat.sessions -= 1
            session.seat.leaving -= 1
        if session.open:
            path.proven -= 1
            site.served_at = now
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
        own_ones = (work.own, None if path is None else path.own)
        scopes = (path, source.roads.get(name), source, *own_ones)
        ways = [one for one in scopes if one is not None]
        if any(scope.until > now for scope in ways):
            continue
        if any(scope.rationed(now) for scope in (*above, *ways)):
            return True
    return False
