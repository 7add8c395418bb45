"""Whose turn it is: within a site over jobs, within a job over destinations. Pure.

Each level is a ring that turns by one at every pick, so nobody is served twice before everybody was
served once: jobs share a site evenly however many destinations each has there, and a run of one
destination is no longer than the number of jobs that have nothing else. Transactional mail passes
bulk; while both wait, one turn in `bulk_turns` is bulk's. What cannot move now is taken out of its
ring and left where it will be put back from.
"""

from itertools import islice, pairwise
from typing import Final, NamedTuple

from ekiden.engine.schedule.better import better_at
from ekiden.engine.schedule.facts import FOREVER
from ekiden.engine.schedule.state import State
from ekiden.engine.schedule.sticking import AMONG, place
from ekiden.engine.schedule.works import Destination, Job, Lane, Session, Share, Work

LOOKED_AT: Final = 64  # lanes of a job among which a cold source looks for the most engaged


class Way(NamedTuple):
    """How a lane's next would leave.

    Args:
        source: From where.
        cold: Whether that source warms up there.
        free: Of which caps of the destination the session is free (`own.Free`).
    """

    source: str
    cold: bool
    free: tuple[bool, bool]


def way_of(session: Session) -> Way:
    """Return how what a session takes leaves."""
    return Way(session.path.source.name, session.road.cold, session.free)


def next_lane(state: State, work: Work, session: Session, now: float) -> Lane | None:
    """Return the lane whose turn it is at a session, None when nothing can go now."""
    urgent, bulk = work.rings
    first = 0 if urgent and (not bulk or work.turn < state.options.bulk_turns - 1) else 1
    shut = _shut(state, work, now)
    for rank in (first, 1 - first):
        if shut[rank] or not work.rings[rank]:
            continue
        lane = lane_of_rank(state, work, rank, session, now, way=way_of(session))
        if lane is not None:
            _count_turn(work, rank, other=bool(bulk))
            return lane
    return _lane_held_up(state, session, work, shut, now)


def _count_turn(work: Work, rank: int, *, other: bool) -> None:
    """Count how often bulk mail, if there is some, has been passed by."""
    if rank == 1:
        work.turn = 0
    elif other:
        work.turn += 1


def lane_of_rank(
    state: State,
    work: Work,
    rank: int,
    session: Session | None,
    now: float,
    *,
    way: Way,
) -> Lane | None:
    """Return the next lane among a work's mail of one rank.

    Args:
        state: The scheduler's memory.
        work: Where to look.
        rank: 0 for transactional mail, 1 for bulk.
        session: Which session would take it; None for one that would be opened for it.
        now: UNIX seconds.
        way: How it would leave.
    """
    ring = work.rings[rank]
    passed = 0  # shares with nothing but what keeps to another source
    while len(ring) > passed:
        share = ring[0]
        job = share.job
        if not job.from_at <= now < job.facts.expires_at:
            ring.popleft()
            _set_aside(state, share, job, job.from_at, now)
            continue
        if job.facts.deliver_by is not None and rank == 1:
            better = better_at(state, work.site, job, now)
            if better > now:
                ring.popleft()
                _set_aside(state, share, job, better, now)
                continue
        if way.cold:
            _engaged_first(share)
        lane = _lane_of_share(state, share, session, way, now)
        if lane is not None:
            ring.rotate(-1)
            return lane
        if share.lanes:
            ring.rotate(-1)
            passed += 1
            continue
        ring.popleft()
        share.in_line = False
    return None


def _engaged_first(share: Share) -> None:
    """Let the lane come first whose next recipient reacted the latest (`queue.engaged`).

    Within a lane the queue has them in that order; among the lanes of a job, a cold source takes
    the one whose next is due first. Equals stay in turn.
    """
    lanes = share.lanes
    due = [lane.items[0].due_at if lane.items else FOREVER for lane in islice(lanes, LOOKED_AT)]
    if due:
        lanes.rotate(-due.index(min(due)))


def _lane_of_share(
    state: State, share: Share, session: Session | None, way: Way, now: float
) -> Lane | None:
    """Return the next lane of a share that may leave this way; those that may not stay in line."""
    lanes = share.lanes
    passed = 0
    while passed < min(len(lanes), AMONG):
        lane = lanes[0]
        if not lane.items or lane.share is not share:
            lanes.popleft()
            if lane.share is share:
                lane.in_line = False
            continue
        if lane.sticking and place(lane, way.source, now) < 0:
            lanes.rotate(-1)
            passed += 1
            continue
        at = opens_at(lane.destination, session, way.free, now)
        if at > now:
            lanes.popleft()
            if now + state.options.park_after < at < FOREVER and lane.destination.rationed(now):
                state.drop(lane, at, own=True)
                continue
            lane.destination.stuck.append(lane)
            state.set_timer(lane.destination, at)
            continue
        lanes.rotate(-1)
        return lane
    return None


def opens_at(
    destination: Destination, session: Session | None, free: tuple[bool, bool], now: float
) -> float:
    """Return when a destination may be served by a session; FOREVER: when another lets go of it.

    Args:
        destination: The destination.
        session: The session; None for one that would be opened.
        free: Of which caps of the destination it is free (`own.Free`).
        now: UNIX seconds.
    """
    caps = destination.caps
    at = destination.until
    if session is None and not any(free):
        return destination.open_at(now)
    if session is None:
        at = max(at, destination.connections_at(now))
        if not free[0] and destination.full():
            return FOREVER
    elif (
        caps.sessions is not None
        and not free[0]
        and destination.sessions >= caps.sessions
        and destination not in session.destinations
    ):
        return FOREVER
    if destination.messages is not None and not free[1]:
        at = max(at, destination.messages.ready_at(now))
    return at


def _shut(state: State, work: Work, now: float) -> tuple[bool, bool]:
    """Whether transactional and bulk mail must not begin at a work's site, by the clock."""
    hours = state.hours
    if not hours.options.avoided:
        return False, False
    provider = "" if work.site.provider is None else work.site.provider.name
    return hours.opens_at(provider, 0, now) > now, hours.opens_at(provider, 1, now) > now


def _lane_held_up(
    state: State, session: Session, work: Work, shut: tuple[bool, bool], now: float
) -> Lane | None:
    """Return a lane that waits for a destination which this very session holds, in its turn."""
    found: list[Lane | None] = [None, None]  # by rank
    for destination in session.destinations:
        for lane in islice(destination.stuck, AMONG):
            share = lane.share
            if share is None or share.work is not work or not lane.items:
                continue
            job = share.job
            if found[job.rank] or shut[job.rank] or place(lane, session.path.source.name, now) < 0:
                continue
            if job.from_at <= now < job.facts.expires_at and (
                opens_at(destination, session, session.free, now) <= now
            ):
                found[job.rank] = lane
    urgent, bulk = found
    chosen = urgent or bulk
    if urgent and bulk and work.turn >= state.options.bulk_turns - 1:
        chosen = bulk
    if chosen is not None:
        _count_turn(work, 1 if chosen is bulk else 0, other=bulk is not None)
        _let_others_first(chosen, work)
    return chosen


def _let_others_first(lane: Lane, work: Work) -> None:
    """Put a lane behind the others of its work that wait for its destination; works keep theirs."""
    stuck = lane.destination.stuck
    if len(stuck) > AMONG:  # those that were not looked at come nearer
        stuck.remove(lane)
        stuck.append(lane)
        return
    places = [at for at, one in enumerate(stuck) if one.share and one.share.work is work]
    for at, then in pairwise(places[places.index(stuck.index(lane)) :]):
        stuck[at] = stuck[then]
    stuck[places[-1]] = lane


def _set_aside(state: State, share: Share, job: Job, at: float, now: float) -> None:
    """A job that must not send before `at`: wait for that time, or drop what has none."""
    share.in_line = False
    if now >= job.facts.expires_at:
        for lane in list(share.members.values()):
            state.drop(lane, None)
    elif now < state.crowded_until and at > now + state.options.park_after:
        for lane in list(share.members.values()):
            state.drop(lane, at)
    else:
        share.in_line = True
        job.stuck.append(share)
        state.set_timer(job, at)
