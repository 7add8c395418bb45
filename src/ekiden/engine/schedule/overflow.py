"""Which sources of a pool may carry a work now, in which order: cold ones first, then warm. Pure.

A pool may hold sources that warm up at a provider beside sources that are warm. The cold ones are
to be filled every day, spread over its hours, so a warm source must not empty the queue in the
first minute: bulk leaves from it only as far as more is waiting for the provider than the cold
ones may still carry today. Transactional mail, and jobs that must be delivered before the day's
sending hours end, do not wait for a cold source.
"""

from zlib import crc32

from ekiden.engine.schedule.state import State
from ekiden.engine.schedule.ways import Road, Source
from ekiden.engine.schedule.works import Session, Work
from ekiden.shaping.ramps import OTHER

COUNT_AGAIN = 5.0  # seconds for which a count of what waits serves


def sources_of(state: State, work: Work, rank: int, now: float) -> list[Source]:
    """Return the sources of a work's pool that may carry its mail of a rank, in order.

    The order begins at a place that depends on the site alone: a small site always sees the same
    source (which is what greylisting wants), a large one sees all of them.
    """
    sources = work.pool.sources
    if len(sources) == 1:
        return sources
    start = crc32(work.site.name.encode()) % len(sources)
    order = sources[start:] + sources[:start]
    ramps = state.ramps
    if ramps is None or not ramps.any:
        return order
    roads = [state.road(source, work.site) for source in order]
    cold = [road for road in roads if road.cold]
    if not cold:
        return order
    first = [source for source, road in zip(order, roads, strict=True) if road.cold]
    if not ramps.options.overflow:
        return first
    if rank == 1 and not _hurries(work, cold, now) and not _exceeds(state, cold, now):
        return first
    return [*first, *(source for source in order if source not in first)]


def must_leave(state: State, session: Session, now: float) -> bool:
    """Whether a session from a warm source has to leave what is left to the cold ones."""
    ramps, pool, rings = state.ramps, session.work.pool, session.work.rings
    if ramps is None or not ramps.any or len(pool.sources) < 2 or session.road.cold:
        return False
    if not rings[1] or rings[0]:
        return False
    return session.path.source not in sources_of(state, session.work, 1, now)


def _hurries(work: Work, cold: list[Road], now: float) -> bool:
    """Whether the job whose turn it is must be delivered before the cold ones are done today."""
    ring = work.rings[1]
    deliver_by = ring[0].job.facts.deliver_by if ring else None
    if deliver_by is None:
        return False
    return deliver_by < max((road.ramp.closes(now) for road in cold if road.ramp), default=now)


def _exceeds(state: State, cold: list[Road], now: float) -> bool:
    """Whether more waits for the provider than its cold roads may still carry today."""
    if now < state.crowded_until:
        return True  # and more than that lies in the queue
    left = sum(road.ramp.left(now) for road in cold if road.ramp is not None)
    return _waiting(state, cold[0].provider, now) > left


def _waiting(state: State, provider: str, now: float) -> int:
    if not state.backlog_at <= now < state.backlog_at + COUNT_AGAIN:
        state.backlog_at = now
        state.backlog.clear()
        for lane in state.lanes.values():
            site = lane.destination.site
            if site is not None and lane.job.rank == 1 and lane.job.from_at <= now:
                name = OTHER if site.provider is None else site.provider.name
                waiting = max(lane.ahead, len(lane.items))
                state.backlog[name] = state.backlog.get(name, 0) + waiting
    return state.backlog.get(provider, 0)
