"""Why a destination waits, and what each site is doing: words for people. Reads, never changes."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from ekiden.engine.schedule import sticking
from ekiden.engine.schedule.better import better_at
from ekiden.engine.schedule.facts import FOREVER
from ekiden.engine.schedule.gates import Scope
from ekiden.engine.schedule.own import closed_because, has_own
from ekiden.engine.schedule.state import State
from ekiden.engine.schedule.ways import Path, Source
from ekiden.engine.schedule.works import Destination, Job, Lane, Site, Work
from ekiden.queue.model import JobState
from ekiden.shaping.ramps import OTHER
from ekiden.shaping.window import NEVER

Reason = tuple[str, float]

NOTHING_DUE: Final = "nothing of it is due"  # nothing in memory; the queue may know more


@dataclass(frozen=True, slots=True)
class PathView:
    """A path, for people. `until` is 0 when nothing holds it."""

    source: str
    sessions: int
    window: int
    failures: int
    until: float
    reason: str


@dataclass(frozen=True, slots=True)
class SiteView:
    """A site, for people.

    Args:
        name: Its name.
        provider: Its provider, "" for none.
        hosts: Its MX hosts.
        destinations: Those in memory that lead to it.
        waiting: Ids in memory that wait for it.
        sessions: Open and being dialled.
        cap: The most sessions it may have, None when it has no cap of its own.
        held: Why no further session may begin, "" when one may.
        until: When that ends; FOREVER when another session must end first.
        paths: Its paths.
    """

    name: str
    provider: str
    hosts: tuple[str, ...]
    destinations: int
    waiting: int
    sessions: int
    cap: int | None
    held: str
    until: float
    paths: tuple[PathView, ...]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The whole, for people and metrics: what is counted anyway, so that asking costs nothing.

    Args:
        sessions: Open and being dialled.
        sessions_idle: Of these, those that wait for work.
        lanes: In memory.
        waiting: Ids in memory that wait.
        in_hand: Ids that sessions have.
        resolving: Destinations that are being looked up.
        destinations: In memory.
        providers: Sessions by provider; those at sites of nobody known under "".
    """

    sessions: int
    sessions_idle: int
    lanes: int
    waiting: int
    in_hand: int
    resolving: int
    destinations: int
    providers: Mapping[str, int]


def snapshot(state: State) -> Snapshot:
    """Return what the scheduler is doing."""
    providers = {name: one.sessions for name, one in state.providers.items() if one.sessions}
    unknown = len(state.sessions) - sum(providers.values())
    return Snapshot(
        sessions=len(state.sessions),
        sessions_idle=len(state.idle),
        lanes=len(state.lanes),
        waiting=state.waiting,
        in_hand=len(state.hand),
        resolving=state.resolving,
        destinations=len(state.destinations),
        providers=providers | ({"": unknown} if unknown else {}),
    )


def sites(state: State, now: float) -> Iterator[SiteView]:
    """Give what each site is doing, as it is when its turn comes; there may be thousands."""
    return (_site_view(site, now) for site in list(state.sites.values()))


def _site_view(site: Site, now: float) -> SiteView:
    held = _site_closed(site, now)
    return SiteView(
        name=site.name,
        provider=site.provider.name if site.provider else "",
        hosts=site.hosts,
        destinations=site.destinations,
        waiting=sum(work.waiting for work in site.works.values()),
        sessions=site.sessions,
        cap=site.caps.sessions,
        held=held[0] if held else "",
        until=held[1] if held else 0.0,
        paths=tuple(_path_view(path, now) for path in site.paths.values()),
    )


def _path_view(path: Path, now: float) -> PathView:
    held = path.until > now
    return PathView(
        source=path.source.name,
        sessions=path.sessions,
        window=path.limit(),
        failures=path.failures,
        until=path.until if held else 0.0,
        reason=path.reason if held else "",
    )


def _when(reason: Reason) -> float:
    return reason[1]


def why(state: State, name: str, now: float, job: int | None = None) -> Reason:
    """Return why nothing of a destination goes out at this moment, and until when.

    The time is FOREVER when it depends on something else than time (a slot, a person), and `now`
    when it is not held up at all.

    Args:
        state: The scheduler's.
        name: The destination.
        now: UNIX seconds.
        job: Only of this job's mail; None for all of it.
    """
    destination = state.destinations.get(name)
    every = state.hours.because("", 1, now)
    if destination is None and every is not None and name not in state.trouble:
        return every
    if destination is None:
        until, reason = state.trouble.get(name, (now, NOTHING_DUE))
        return reason, until
    if destination.until > now:
        return destination.reason, destination.until
    if destination.site is None:
        return "its MX hosts are being looked up", FOREVER
    lanes = [one for one in destination.lanes.values() if job in {None, one.job.facts.id}]
    if not lanes:
        aside = _put_aside(destination.site, now) or _hours_closed(state, destination.site, 1, now)
        return aside or (NOTHING_DUE, now)
    site = destination.site
    jobs = [
        _job_closed(lane.job, now)
        or _hours_closed(state, site, lane.job.rank, now)
        or _better_hour(state, site, lane.job, now)
        for lane in lanes
    ]
    shut = [reason for reason in jobs if reason is not None]
    if len(shut) == len(jobs):
        return min(shut, key=_when)
    return _closed(state, destination, site, lanes[0], now, alone=job is not None)


def _closed(
    state: State, destination: Destination, site: Site, lane: Lane, now: float, *, alone: bool
) -> Reason:
    """Return what is in the way of a lane; of all lanes there, unless it is asked for `alone`."""
    if destination.sessions:
        work = lane.share.work if alone and lane.share is not None else None
        return _within(destination, site, now, work) or ("it is being served", now)
    return (
        destination.closed_because(now)
        or _site_closed(site, now, lane)
        or _sources_closed(state, lane, site, now)
        or _engine_closed(state, now)
        or sticking.because(lane, now)
        or _waits_within(destination, site, now)
    )


def _within(
    destination: Destination, site: Site, now: float, work: Work | None = None
) -> Reason | None:
    """Return which rate slows a destination that is being served, or a work there."""
    scopes: list[Scope | None] = [site.provider]
    if work is None or work.own is None or not work.own.caps.messages:
        scopes = [destination, site, site.provider]
    for path in site.paths.values():
        if path.sessions:
            road = path.source.roads.get(OTHER if site.provider is None else site.provider.name)
            scopes += [path, path.own, road, path.source]
    scopes += site.sets.values() if work is None else [work.own]
    for scope in scopes:
        meter = None if scope is None else scope.messages
        if meter is not None and (at := meter.ready_at(now)) > now:
            return f"messages of {scope} are limited to {meter.binding(now)}", at
    return None


def _hours_closed(state: State, site: Site, rank: int, now: float) -> Reason | None:
    """Return why mail of a rank waits for the clock at a site."""
    provider = "" if site.provider is None else site.provider.name
    closed = state.hours.because(provider, rank, now)
    if closed is not None or rank == 0:
        return closed
    begins = site.begins(now, state.options.park_after)
    at = state.hours.smoothed(site.name, now) if begins else NEVER
    return (f"bulk to {site} begins a little after the hour", at) if at > now else None


def _better_hour(state: State, site: Site, job: Job, now: float) -> Reason | None:
    if job.rank == 0 or site.provider is None:
        return None
    at = better_at(state, site, job, now)
    return (state.hours.words(site.provider.name, now), at) if at > now else None


def _put_aside(site: Site, now: float) -> Reason | None:
    """Return why mail for a site may have left memory: the site, or every source seen there."""
    ways = [_source_closed(path.source, site, now) for path in site.paths.values()]
    held = [reason for reason in ways if reason is not None]
    every = min(held, key=_when) if held and len(held) == len(ways) else None
    sets = [why for one in site.sets.values() if (why := one.closed_because(now))]
    return _site_closed(site, now) or every or next(iter(sets), None)


def _site_closed(site: Site, now: float, lane: Lane | None = None) -> Reason | None:
    """Return why nothing more may begin at a site, by caps that hold for a lane."""
    provider = site.provider.closed_because(now) if site.provider else None
    work = None if lane is None or lane.share is None else lane.share.work
    if provider is None and work is not None and has_own(work):
        # Its sources or its set say something in place of the site.
        return (site.reason, site.until) if site.until > now else None
    return provider or site.closed_because(now)


def _engine_closed(state: State, now: float) -> Reason | None:
    closed = state.engine.closed_because(now)
    return (f"no free slot: {closed[0]}", closed[1]) if closed else None


def _sources_closed(state: State, lane: Lane, site: Site, now: float) -> Reason | None:
    sources = state.pool(lane.job.facts.pool).sources
    if not sources:
        return f"no source serves the pool {lane.job.facts.pool!r}", FOREVER
    work = None if lane.share is None else lane.share.work
    reasons = [_source_closed(source, site, now, work) for source in sources]
    held = [reason for reason in reasons if reason is not None]
    return min(held, key=_when) if len(held) == len(reasons) else None


def _source_closed(
    source: Source, site: Site, now: float, work: Work | None = None
) -> Reason | None:
    path = site.paths.get(source.name)
    if path is not None and path.until > now:
        return path.reason, path.until
    if path is not None and not path.room():
        what = "one probe at a time" if path.failures else f"a window of {path.limit()}"
        return f"{path.sessions} sessions, {what} on {path}", FOREVER
    if path is not None and work is not None and has_own(work):
        held = closed_because(work, path, now)
        if held is not None:
            return held
    elif path is not None and path.own is not None:
        held = path.own.closed_because(now)
        if held is not None:
            return held
    road = source.roads.get(OTHER if site.provider is None else site.provider.name)
    scopes: list[Scope] = [one for one in (path, road, source) if one is not None]
    return next((why for scope in scopes if (why := scope.closed_because(now))), None)


def _waits_within(destination: Destination, site: Site, now: float) -> Reason:
    if not any(lane.items for lane in destination.lanes.values()):
        return "its next deliveries are being read from the queue", FOREVER
    if site.sessions:
        return f"its turn comes after others of {site} ({site.sessions} sessions)", FOREVER
    return f"its turn comes next at {destination}", now


def _job_closed(job: Job, now: float) -> Reason | None:
    facts = job.facts
    if facts.state is not JobState.OPEN:
        return f"job {facts.name} is {facts.state}", FOREVER
    if facts.expires_at <= now:
        return f"job {facts.name} has expired", now
    if job.begins_at > now:
        return f"job {facts.name} begins later (send_at)", job.begins_at
    if job.from_at > now:
        pace = facts.pace
        words = f"{pace.messages}, then wait {pace.seconds:g} s" if pace else ""
        return f"pace of job {facts.name} ({words})", job.from_at
    return None
