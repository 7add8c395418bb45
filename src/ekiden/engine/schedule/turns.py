"""Whose turn it is: within a site over jobs, within a job over destinations. Pure.

Each level is a ring that turns by one at every pick, so nobody is served twice before everybody was
served once: jobs share a site evenly however many destinations each has there, and a run of one
destination is no longer than the number of jobs that have nothing else. Transactional mail passes
bulk; while both wait, one turn in `bulk_turns` is bulk's. What cannot move now is taken out of its
ring and left where it will be put back from.
"""

from itertools import islice
from typing import Final

from ekiden.engine.schedule.better import better_at
from ekiden.engine.schedule.facts import FOREVER
from ekiden.engine.schedule.state import State
from ekiden.engine.schedule.works import Destination, Job, Lane, Session, Share, Work

LOOKED_AT: Final = 64  # lanes of a job among which a cold source looks for the most engaged


def next_lane(state: State, work: Work, session: Session, now: float) -> Lane | None:
    """Return the lane whose turn it is at a session, None when nothing can go now."""
    urgent, bulk = work.rings
    first = 0 if urgent and (not bulk or work.turn < state.options.bulk_turns - 1) else 1
    shut = _shut(state, work, now)
    for rank in (first, 1 - first):
        if shut[rank] or not work.rings[rank]:
            continue
        cold, free = session.road.cold, session.free
        lane = lane_of_rank(state, work, rank, session, now, cold=cold, free=free)
        if lane is not None:
            if rank == 1:
                work.turn = 0
            elif bulk:
                work.turn += 1
            return lane
    return _lane_held_up(session, work, shut, now)


def lane_of_rank(
    state: State,
    work: Work,
    rank: int,
    session: Session | None,
    now: float,
    *,
    cold: bool,
    free: tuple[bool, bool],
) -> Lane | None:
    """Return the next lane among a work's mail of one rank.

    Args:
        state: The scheduler's memory.
        work: Where to look.
        rank: 0 for transactional mail, 1 for bulk.
        session: Which session would take it; None for one that would be opened for it.
        now: UNIX seconds.
        cold: Whether it would leave from a source that warms up there.
        free: Of which caps of the destination the session is free (`own.Free`).
    """
    ring = work.rings[rank]
    while ring:
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
        if cold:
            _engaged_first(share)
        lane = _lane_of_share(state, share, session, free, now)
        if lane is not None:
            ring.rotate(-1)
            return lane
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
    state: State, share: Share, session: Session | None, free: tuple[bool, bool], now: float
) -> Lane | None:
    lanes = share.lanes
    while lanes:
        lane = lanes[0]
        if not lane.items or lane.share is not share:
            lanes.popleft()
            if lane.share is share:
                lane.in_line = False
            continue
        at = opens_at(lane.destination, session, free, now)
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


def _lane_held_up(session: Session, work: Work, shut: tuple[bool, bool], now: float) -> Lane | None:
    """Return a lane that waits for a destination which this very session holds."""
    for destination in session.destinations:
        for lane in destination.stuck:
            share = lane.share
            if share is None or share.work is not work or not lane.items:
                continue
            job = share.job
            if shut[job.rank]:
                continue
            if job.from_at <= now < job.facts.expires_at and (
                opens_at(destination, session, session.free, now) <= now
            ):
                return lane
    return None


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
