"""Which sessions to open: one work at a time, by everything that must allow it. Pure.

A work whose turn has come either gets a session, or waits at the first gate that is closed to it,
or leaves the line because its sessions suffice. After each the next in line behind an open gate is
let through, so a free slot is never left unused and nobody is woken in vain.
"""

from itertools import islice
from typing import cast

from ekiden.engine.schedule.facts import FOREVER, Action, Close, Open, Wake
from ekiden.engine.schedule.gates import Gate, Scope
from ekiden.engine.schedule.overflow import sources_of
from ekiden.engine.schedule.own import free_of, has_own, messages_per_session, open_at
from ekiden.engine.schedule.state import SUSPENDED_PARK, State, waits_for_own
from ekiden.engine.schedule.sticking import AMONG, LOOK, idle_session, lacks_session, wanted
from ekiden.engine.schedule.turns import Way, lane_of_rank
from ekiden.engine.schedule.ways import Path, Road
from ekiden.engine.schedule.works import Session, Work
from ekiden.shaping.ramps import OTHER
from ekiden.shaping.window import NEVER

PROBE_AGAIN = 2.0  # seconds until it is looked whether fewer other paths are being probed


def next_session(state: State, now: float) -> Action | None:
    """Serve the first work in line; return what to do for it, if anything."""
    standing, rank = state.line.pop()
    work = cast("Work", standing)  # nobody else stands in line
    work.in_line[rank] = False
    work.held_until = NEVER
    action: Action | None = None
    waits_at: Gate | None = None
    if work.rings[rank] and (at := _hours(state, work, rank, now)) > now:
        _wait_for_hours(state, work, rank, at, now)
    elif (session := idle_session(work, rank, now)) is not None:
        state.not_idle(session)
        action = Wake(session.id)
        state.work_in_line(work, rank)
    elif _wants(state, work, rank, now):
        found = _closed(work, now) or _path(state, work, rank, now)
        if isinstance(found, Path):
            action = _open(state, work, rank, found, now)
            if action is None and work.rings[rank]:  # all of it keeps to other sources
                waits_at, at = _wait_for_source(state, work, rank, now)
                state.work_at_gate(work, rank, waits_at, at)
        else:
            waits_at, at = found
            action = _wait(state, work, rank, (waits_at, at), now)
    _pass_on(state, work, waits_at, now)
    state.tidy(work)
    return action


def _hours(state: State, work: Work, rank: int, now: float) -> float:
    """Return when mail of a rank may begin at a work's site by the clock."""
    site = work.site
    provider = "" if site.provider is None else site.provider.name
    at = state.hours.opens_at(provider, rank, now)
    if at <= now and rank == 1 and site.begins(now, state.options.park_after):
        return state.hours.smoothed(site.name, now)
    return at


def _wait_for_hours(state: State, work: Work, rank: int, at: float, now: float) -> None:
    state.work_at_gate(work, rank, work.site, at)
    if now + state.options.park_after < at:
        state.park_rank(work, rank, at)


def _wants(state: State, work: Work, rank: int, now: float) -> bool:
    """Whether one more session is worth opening."""
    if not work.rings[rank]:
        return False
    if work.sessions == 0 or lacks_session(work, rank, now):
        return True
    wants = work.waiting > work.sessions * state.options.session_share
    if wants and state.pressed:
        state.held_back.add((work, rank))
        return False
    return wants


def _closed(work: Work, now: float) -> tuple[Gate, float] | None:
    """Return the provider or the site when it lets nobody in now, and until when."""
    site = work.site
    provider = site.provider
    if provider is not None and (at := provider.open_at(now)) > now:
        return provider, at
    if has_own(work):
        if (at := max(site.until, site.connections_at(now))) > now:
            return site, at
    elif (at := site.open_at(now)) > now:
        return site, at
    return None


def _path(state: State, work: Work, rank: int, now: float) -> Path | tuple[Gate, float]:
    """Return the path to use, or where to wait for one."""
    if not work.pool.sources:
        return work.pool, FOREVER
    site = work.site
    site_at = FOREVER
    roads: list[tuple[float, Gate]] = []
    busy: list[tuple[float, Gate]] = []
    own = has_own(work)
    source_wanted = wanted(work, rank, now)
    every = sources_of(state, work, rank, now)
    if source_wanted:
        every = sorted(every, key=lambda one: one.name != source_wanted)
    for source in every:
        path = state.path(source, site)
        at = _path_opens_at(state, path, now)
        if own and at <= now:
            at = open_at(work, path, now)
        if at > now:
            site_at = min(site_at, at)
            continue
        road = state.road(source, site)
        at = road.open_at(now)
        if at > now:
            roads.append((at, road))
            continue
        at = source.open_at(now)
        if at <= now:
            return path
        busy.append((at, source))
    if source_wanted:
        return _wait_for_source(state, work, rank, now)
    return _wait_where(site, site_at, roads, busy)


def _wait_for_source(state: State, work: Work, rank: int, now: float) -> tuple[Gate, float]:
    """Return where a work waits whose next deliveries keep to a source that has no room for them.

    What comes after those in the queue is read meanwhile: they must not stand in its way.
    """
    for share in work.rings[rank]:
        for lane in islice(share.lanes, AMONG):
            if lane.sticking:
                lane.more = True
                lane.quota = max(lane.quota, min(2 * len(lane.items) + 1, state.options.lane_most))
                state.want_load(lane)
    return work.site, now + LOOK


def _wait_where(
    site: Gate, site_at: float, roads: list[tuple[float, Gate]], busy: list[tuple[float, Gate]]
) -> tuple[Gate, float]:
    """Return the gate that is opened by whatever comes first, as far as one gate can be.

    A source's gate hears of every session that ends in its pools, a road's of those to its
    provider, a site's of its own and of the times of its paths.
    """
    if busy:
        at, gate = min(busy, key=_time)
        return gate, at
    if roads:
        at, gate = min(roads, key=_time)
        if at <= site_at:
            return gate, at
    return site, site_at


def _time(closed: tuple[float, Gate]) -> float:
    return closed[0]


def _path_opens_at(state: State, path: Path, now: float) -> float:
    if not path.room():
        return max(path.until, now) if path.until > now else FOREVER
    at = path.open_at(now)
    if at <= now and (path.failures or (now < state.short_until and state.suspect(path))):
        # Dead and dragging paths together hold a small share of the slots, however many they are.
        most = state.engine.caps.sessions or 200
        if state.probes >= max(1, int(most * state.options.probes_share)):
            if now < state.crowded_until:
                # Its lanes would wait here for a probe while others wait for their places.
                return now + max(state.options.failing.base, 2 * state.options.park_after)
            return now + PROBE_AGAIN
    return at


def _open(state: State, work: Work, rank: int, path: Path, now: float) -> Action | None:
    cold = state.road(path.source, work.site).cold
    way = Way(path.source.name, cold, free_of(work, path))
    lane = lane_of_rank(state, work, rank, None, now, way=way)
    if lane is None:
        return None
    session = state.begin(work, path, now)
    destination = lane.destination
    if destination.connections is not None:
        destination.connections.spend(now)
    per_session = destination.caps.messages_per_session
    if per_session is not None and messages_per_session(work, path) is None:
        session.most = min(session.most, per_session)
    item = state.hand_out(lane, session, now)
    state.work_in_line(work, rank)
    return Open(session.id, path.source.name, work.site.name, destination.name, (item,))


def _wait(
    state: State, work: Work, rank: int, closed: tuple[Gate, float], now: float
) -> Action | None:
    gate, at = closed
    state.work_at_gate(work, rank, gate, at)
    if isinstance(gate, Scope) and gate.full():
        if now < state.crowded_until:
            _turn_away(state, work, gate, now)
        return _close_idle(state, gate)
    # No slot will help: a time must come, or a person. Free slots of a path end a wait sooner.
    until = now + SUSPENDED_PARK if at == FOREVER and not _may_end(gate) else at
    if work.sessions == 0 and now + state.options.park_after < until < FOREVER:
        if isinstance(gate, Road) and gate.cold and now >= state.crowded_until:
            # Nobody needs their places in memory: they keep those in line, where the most engaged
            # is chosen.
            if waits_for_own(work, now):
                state.put_off(work, until)
            return None
        later = gate.later(until) if isinstance(gate, Road) else until
        state.park(work, later, own=waits_for_own(work, now))
    return None


def _may_end(gate: Gate) -> bool:
    """Whether the end of a session can open a gate that is not full: a window on its paths can."""
    return isinstance(gate, Scope) and gate.until != FOREVER


def _turn_away(state: State, work: Work, gate: Gate, now: float) -> None:
    """Send a work away from a long line at a full gate: others may be served in its place.

    Each one sent away is told a later time, as if ten a second could be served, so a million
    destinations behind five sessions do not come back every half minute.
    """
    if gate.waiters is None or len(gate.waiters) < state.options.lanes_max // 8:
        gate.turned_away = 0
    elif work.sessions == 0:
        gate.turned_away += 1
        state.park(work, now + min(30.0 + gate.turned_away / 10, 3_600.0))


def _close_idle(state: State, scope: Gate) -> Action | None:
    """Return the end of a session that keeps a slot of `scope` without work, if there is one."""
    found: Session | None = next(
        (session for session in state.idle.values() if scope in session.scopes), None
    )
    if found is None:
        return None
    state.finish(found, "its slot is needed")
    return Close(found.id)


def make_room(state: State) -> Action | None:
    """Return the end of an idle session when others wait for the engine's slots."""
    return _close_idle(state, state.engine) if state.line and state.engine.full() else None


def _pass_on(state: State, work: Work, waits_at: Gate | None, now: float) -> None:
    """Let the next one through wherever there is still room."""
    provider = work.site.provider
    if provider is not None and provider is not waits_at:
        state.poke(provider, now)
    name = OTHER if provider is None else provider.name
    for source in work.pool.sources:
        road = source.roads.get(name)
        if road is not None and road is not waits_at and road.waiters:
            state.poke_road(road, now)
        if source is not waits_at and source.waiters:
            state.poke(source, now)


def crowded(state: State, session: Session) -> bool:
    """Whether somebody else waits for a slot that this session holds."""
    work = session.work
    if state.engine.full() and len(state.line) > work.standing_at(None):
        return True
    site = work.site
    if session.seat is not site and session.seat.full() and site.waiters:
        return len(site.waiters) > work.standing_at(site)
    return any(
        scope.waiters and scope.full() and len(scope.waiters) > work.standing_at(scope)
        for scope in session.scopes
    )
