"""Facts and a job -> a forecast: the scheduler is set up as at a restart, and run ahead.

Contract. `estimate` changes nothing and asks nobody; the same facts give the same forecast. What is
not known is assumed and counted: a destination that was not looked up goes to the provider that its
name matches, or to a site of its own; a path that was never used answers like the others do.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from functools import partial
from statistics import fmean
from typing import Any, Final

import msgspec

from ekiden import settings
from ekiden.config import Config
from ekiden.engine.capsbook import CapsBook, profiles
from ekiden.engine.schedule.explain import NOTHING_DUE
from ekiden.engine.schedule.facts import (
    FOREVER,
    Counts,
    Learned,
    RoadLearned,
    SiteFacts,
)
from ekiden.engine.scheduler import Scheduler
from ekiden.engine.sites import MxHost, Site
from ekiden.forecast.coarse import STEPS, Lot, lots, weight_for
from ekiden.forecast.model import Facts, Finish, Forecast, Load
from ekiden.forecast.simulate import Course, Simulation, Timing
from ekiden.forecast.steady import unusual
from ekiden.forecast.words import sentence
from ekiden.queue.memory import Kind
from ekiden.queue.model import JobFacts, JobState, Priority
from ekiden.shaping.caps import NO_CAPS, Caps, Rate
from ekiden.shaping.ramps import Ramps
from ekiden.shaping.reactions import Reaction
from ekiden.shaping.warmup import RampState

REACH: Final = 0.99  # the share that "in time" is about
HORIZON: Final = 60 * 86_400.0  # seconds that are looked ahead at most: a warm-up takes weeks
SEARCH_STEPS: Final = 6_000  # of each run of the search for the latest start
_WEEK: Final = 7 * 86_400.0
_TURNS: Final = 8  # halvings of the search
_POINTS: Final = 60  # of the curve
_WATCHED: Final = 1 << 40  # the planned job's number; no job of a queue has it
_UNMEASURED: Final = Timing(opening=0.5, seconds=0.2)  # ours: a far receiver in good health
_SERVED: Final = "it is being served"
_TO_BE_TRIED: Final = "deferrals: the rest waits for its next try"


def estimate(config: Config, facts: Facts, load: Load, *, search: bool = True) -> Forecast:
    """Say when a job will be done.

    Args:
        config: The configuration.
        facts: What it meets.
        load: The job; its `send_at` is its start.
        search: Also look for the latest start that reaches its deadline.
    """
    begin = max(load.send_at, facts.now)
    course, weight = _run(config, facts, load, facts.now, STEPS)
    arrived = {name: _sorted(found) for name, found in course.arrivals.items()}
    every = _sorted([one for found in arrived.values() for one in found])
    whole = _finish("*", every, load.total, load.deliver_by, course)
    providers = [
        _finish(name, arrived[name], total, load.deliver_by, course)
        for name, total in _totals(config, facts, load).items()
    ]
    whole = msgspec.structs.replace(whole, binds=_last(providers))
    latest = None
    if search and load.deliver_by is not None and load.total:
        latest = _latest_start(config, facts, load, whole, begin)
    made = Forecast(
        job=load.name,
        at=facts.now,
        start=begin,
        deliver_by=load.deliver_by,
        whole=whole,
        providers=tuple(sorted(providers, key=lambda one: -one.messages)),
        curve=_curve(every),
        latest_start=latest,
        reach=REACH,
        coarse=weight,
        assumed=sum(1 for name in load.lanes if name not in facts.sites),
        volume=unusual(config, load.pool, load.total, facts.memory.get(Kind.VOLUME, {}), facts.now),
    )
    return msgspec.structs.replace(made, words=sentence(made))


# --- the world ----------------------------------------------------------------------------------


def _run(config: Config, facts: Facts, load: Load, now: float, steps: int) -> tuple[Course, int]:
    """Run the world until the job is done; return its course, and what its ids stand for."""
    world = _World(config, facts)
    live = [
        one
        for one in _decoded(facts.memory, Kind.REACTION, Reaction).values()
        if one.until > facts.now
    ]
    scheduler = _scheduler(config, facts, world, live, now)
    simulation = Simulation(
        scheduler,
        now,
        facts_of=world.facts_of,
        timing_of=world.timing_of,
        retry=settings.retry_policy(config).waits,
    )
    for one in live:
        simulation.at(one.until, partial(scheduler.reacting.lift, one))
    others = sum(one.total for one in facts.loads)
    weight = weight_for(others, steps)
    for one in facts.loads:
        simulation.add(_job(one, one.id), world.lots_of(one, weight), weight)
    weight = weight_for(load.total, steps)
    mine = msgspec.structs.replace(load, expires_at=FOREVER)  # how late, not whether, is asked
    simulation.add(_job(mine, _WATCHED), world.lots_of(mine, weight), weight)
    begin = max(now, load.send_at)
    return simulation.run(_WATCHED, begin, begin + HORIZON), weight


def _job(load: Load, number: int) -> JobFacts:
    return JobFacts(
        id=number,
        uid=f"forecast:{number}",
        name=load.name,
        state=JobState.OPEN,
        priority=Priority.BULK if load.bulk else Priority.TRANSACTIONAL,
        mail_from="",
        from_domain="",
        configuration_set=load.configuration_set,
        pool=load.pool,
        created_at=0.0,
        send_at=load.send_at,
        expires_at=load.expires_at,
        deliver_by=load.deliver_by,
        pace=load.pace,
        spool_name="",
        patience=load.patience,
    )


def _scheduler(
    config: Config, facts: Facts, world: "_World", reactions: Sequence[Reaction], now: float
) -> Scheduler:
    """Return a scheduler that knows what the engine knows, as `keeper` recalls it at a start."""
    scheduler = Scheduler(settings.scheduling(config))
    memory = facts.memory
    scheduler.set_hours(settings.hours(config), now)
    scheduler.recall(world.learned)
    scheduler.roads.recall(_decoded(memory, Kind.ROAD, RoadLearned))
    scheduler.counting.recall(_decoded(memory, Kind.COUNT, Counts))
    ramps = Ramps(settings.warmup(config))
    ramps.recall(_decoded(memory, Kind.RAMP, RampState))
    scheduler.roads.warm_up(ramps, now)
    scheduler.hours.recall(_decoded(memory, Kind.HOURS, list[list[float]]))
    scheduler.reacting.begin_anew()
    for reaction in reactions:
        scheduler.reacting.apply(reaction, now)
    held = dict(facts.suspensions)
    held |= dict.fromkeys(one[9:] for one in facts.stopped if one.startswith("provider:"))
    for pattern, until in held.items():
        end = FOREVER if until is None else until
        scheduler.suspend(pattern, end, f"{pattern} is suspended", now)
    stopped = {one[7:] for one in facts.stopped if one.startswith("source:")}
    if stopped:
        every = settings.source_facts(config)
        scheduler.set_sources([one for one in every if one.name not in stopped], now)
    return scheduler


def _decoded(memory: Mapping[str, Mapping[str, str]], kind: Kind, shape: Any) -> dict[str, Any]:
    kept = memory.get(kind, {})
    return {name: msgspec.json.decode(text, type=shape) for name, text in kept.items()}


class _World:
    """Sites, caps and times of destinations and lots."""

    def __init__(self, config: Config, facts: Facts) -> None:
        self._book = CapsBook(config, profiles(config))
        self._sites = facts.sites
        self._lots: dict[str, Lot] = {}
        self._merged: dict[str, float] = {}  # lots of several: messages for one of their sessions
        self.learned: dict[str, Learned] = _decoded(facts.memory, Kind.PATH, Learned)
        self._held = _held_sites(facts, self.learned)
        self._window = settings.scheduling(config).window
        self._sources = [one.name for one in settings.source_facts(config)]
        self._provider: dict[str, str] = {}  # by site
        self._deferred = _deferred(facts.memory)
        self._common = _common([one for one in self.learned.values() if one.each > 0])
        self._of_provider: dict[str, Timing] = {}
        self._cached: dict[str, tuple[Site, str]] = {}

    def site(self, destination: str) -> tuple[Site, str]:
        """Return where a destination's mail goes, and the provider there."""
        found = self._cached.get(destination)
        if found is None:
            said = self._sites.get(destination)
            if said is None:
                site = Site(destination, ())
            else:
                hosts = tuple(MxHost(0, host) for host in said.hosts)
                site = Site(said.name, hosts, said.port, said.route)
            provider = self._book.provider(destination, site)
            found = self._cached[destination] = (site, provider)
            self._provider[site.name] = provider
        return found

    def provider(self, destination: str) -> str:
        """Return a destination's provider, "" for nobody known."""
        return self.site(destination)[1]

    def lots_of(self, load: Load, weight: int) -> dict[str, tuple[str, int]]:
        """Return a job's lanes, small ones put together: by name, the provider and the number."""
        made = {}
        for lot in lots(load.lanes, self._place, weight, self._held):
            name = lot.name if lot.many == 1 else f"{lot.name} of job {load.id}"
            self._lots[name] = lot
            made[name] = (self.provider(lot.like), lot.messages)
            if lot.many > 1 and not lot.site:
                self._merge(name, lot)
        return made

    def _place(self, destination: str) -> tuple[str, str]:
        site, provider = self.site(destination)
        return site.name, provider

    def _merge(self, name: str, lot: Lot) -> None:
        """Give a lot of several destinations the windows of all their paths together."""
        size = float(lot.many * self._window.start)
        for source in self._sources:
            self.learned[f"{source} to {name}"] = Learned([size, -1, 0.0, self._window.interval])
        self._provider[name] = self.provider(lot.like)

    def facts_of(self, name: str) -> SiteFacts:
        """Return what the scheduler is told of a destination or a lot."""
        lot = self._lots.get(name) or Lot(name, name, 1)
        found = self._book.facts(lot.like, self.site(lot.like)[0])
        if lot.site:
            caps = _widened(found.destination_caps, lot.many)
            return replace(found, destination_caps=caps, until=FOREVER)
        if lot.many == 1:
            return replace(found, until=FOREVER)
        per_session = found.site_caps.messages_per_session or lot.messages
        self._merged[name] = max(1.0, min(lot.messages / lot.many, per_session))
        return replace(
            found,
            name=name,
            destination_caps=NO_CAPS,
            site_caps=_widened(found.site_caps, lot.many),
            until=FOREVER,
            hosts=(),
        )

    def timing_of(self, source: str, site: str) -> Timing:
        """Return how a path answers."""
        provider = self._provider.get(site, "")
        one = self.learned.get(f"{source} to {site}")
        if one is not None and one.each > 0:
            timing = Timing(one.opening or self._common.opening, one.each)
        else:
            timing = self._like(provider)
        timing = replace(timing, deferred=self._deferred.get(provider, 0.0))
        each = self._merged.get(site)
        if each is not None:  # a session there stands for several, each dialled
            timing = replace(timing, opening=0.0, seconds=timing.seconds + timing.opening / each)
        return timing

    def _like(self, provider: str) -> Timing:
        """Return how the paths to a provider answer, or all paths."""
        found = self._of_provider.get(provider)
        if found is None:
            mine = [
                one
                for name, one in self.learned.items()
                if one.each > 0 and provider and self._is(name, provider)
            ]
            found = self._of_provider[provider] = _common(mine) if mine else self._common
        return found

    def _is(self, path: str, provider: str) -> bool:
        return self._provider.get(path.partition(" to ")[2]) == provider


def _held_sites(facts: Facts, learned: Mapping[str, Learned]) -> frozenset[str]:
    """Return the sites of which a path is paused, slowed by what it found, or under a reaction."""
    paths = {name for name, one in learned.items() if one.until > facts.now or one.speed}
    reactions = _decoded(facts.memory, Kind.REACTION, Reaction).values()
    sites = {one.site for one in reactions if one.site}
    return frozenset({*sites, *(name.partition(" to ")[2] for name in paths)})


def _widened(caps: Caps, many: int) -> Caps:
    """Return what several sites allow together."""
    return Caps(
        sessions=None if caps.sessions is None else caps.sessions * many,
        messages=tuple(Rate(rate.limit * many, rate.seconds) for rate in caps.messages),
        connections=tuple(Rate(rate.limit * many, rate.seconds) for rate in caps.connections),
    )


def _common(learned: list[Learned]) -> Timing:
    if not learned:
        return _UNMEASURED
    openings = [one.opening for one in learned if one.opening > 0]
    return Timing(
        fmean(openings) if openings else _UNMEASURED.opening,
        fmean(one.each for one in learned),
    )


def _deferred(memory: Mapping[str, Mapping[str, str]]) -> dict[str, float]:
    """Return the share of attempts that each provider deferred lately."""
    found = {}
    for provider, (tried, deferred) in _decoded(memory, Kind.HOURS, list[list[float]]).items():
        if sum(tried) > 0:
            found["" if fnmatchcase(provider, "other") else provider] = sum(deferred) / sum(tried)
    return found


# --- the answer ---------------------------------------------------------------------------------


def _totals(config: Config, facts: Facts, load: Load) -> dict[str, int]:
    world = _World(config, facts)
    found: defaultdict[str, int] = defaultdict(int)
    for name, count in load.lanes.items():
        found[world.provider(name)] += count
    return found


def _sorted(arrivals: list[tuple[float, int]]) -> list[tuple[float, int]]:
    return sorted(arrivals)


def _finish(
    name: str,
    arrivals: list[tuple[float, int]],
    total: int,
    deliver_by: float | None,
    course: Course,
) -> Finish:
    in_time = None
    if deliver_by is not None and total:
        in_time = sum(number for at, number in arrivals if at <= deliver_by) / total
    return Finish(
        name=name,
        messages=total,
        half=_when(arrivals, total * 0.5),
        most=_when(arrivals, total * 0.95),
        end=_when(arrivals, total),
        in_time=in_time,
        binds=_binds(name, course),
    )


def _when(arrivals: list[tuple[float, int]], number: float) -> float | None:
    there = 0
    for at, more in arrivals:
        there += more
        if there >= number - 1e-9:
            return at
    return None


def _binds(name: str, course: Course) -> str:
    """Return what held a provider's mail up for the longest, until 95 % of it were there."""
    if name == "*":
        return ""
    seen = course.held_up.get(name)
    if not seen:
        return ""
    others = {reason: lasted for reason, lasted in seen.items() if reason != _SERVED}
    if sum(others.values()) * 3 >= sum(seen.values()):
        found = max(others, key=lambda reason: others[reason])
        return _TO_BE_TRIED if found == NOTHING_DUE else found
    return "sessions, and the time the receiver takes over a message"


def _last(providers: Sequence[Finish]) -> str:
    """Return what holds up the provider that is done last: that is what holds up the whole."""
    ends = [(one.end is None, one.end or 0.0, one.binds) for one in providers if one.messages]
    return max(ends)[2] if ends else ""


def _curve(arrivals: list[tuple[float, int]]) -> tuple[tuple[float, int], ...]:
    total = sum(number for _, number in arrivals)
    found: list[tuple[float, int]] = []
    there, told = 0, 0.0
    for at, more in arrivals:
        there += more
        if there >= told:
            found.append((at, there))
            told = there + total / _POINTS
    if found and found[-1][1] < there:
        found.append((arrivals[-1][0], there))
    return tuple(found)


def _latest_start(
    config: Config, facts: Facts, load: Load, whole: Finish, begin: float
) -> float | None:
    """Look for the latest start with which `REACH` of a job is there in time."""
    deadline = load.deliver_by
    if deadline is None:
        return None

    def reaches(start: float) -> bool:
        asked = msgspec.structs.replace(load, send_at=start)
        course, _ = _run(config, facts, asked, min(start, facts.now), SEARCH_STEPS)
        there = sum(n for found in course.arrivals.values() for at, n in found if at <= deadline)
        return there >= REACH * load.total

    return _search(reaches, deadline, (whole.end or begin + _WEEK) - begin, whole, begin)


def _search(
    reaches: Callable[[float], bool], deadline: float, lasts: float, whole: Finish, begin: float
) -> float | None:
    late = deadline  # does not reach
    early = begin if (whole.in_time or 0.0) >= REACH else None  # does
    step = max(lasts, 60.0)
    while early is None:
        start = deadline - step
        if step > _WEEK:
            return None
        if reaches(start):
            early = start
        else:
            late = min(late, start)
            step *= 1.6
    for _ in range(_TURNS):
        middle = (early + late) / 2
        if reaches(middle):
            early = middle
        else:
            late = middle
    return early
