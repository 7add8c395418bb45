"""Facts and a job -> a forecast: the scheduler is set up as at a restart, and run ahead.

Contract. `estimate` changes nothing and asks nobody; the same facts give the same forecast. What is
not known is assumed and counted: a destination that was not looked up goes to the provider that its
name matches, or to a site of its own; a path that was never used answers like the others do.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Final

import msgspec

from ekiden import settings
from ekiden.config import Config
from ekiden.engine.schedule.facts import (
    FOREVER,
    Counts,
    RoadLearned,
)
from ekiden.engine.scheduler import Scheduler
from ekiden.forecast.coarse import STEPS, told, weight_for
from ekiden.forecast.model import Facts, Finish, Forecast, Load
from ekiden.forecast.simulate import Simulation
from ekiden.forecast.steady import unusual
from ekiden.forecast.watching import Course, Part
from ekiden.forecast.words import finished
from ekiden.forecast.world import Map, World, decoded
from ekiden.queue.memory import Kind
from ekiden.queue.model import JobFacts, JobState, Priority
from ekiden.shaping.ramps import Ramps
from ekiden.shaping.reactions import Reaction
from ekiden.shaping.warmup import RampState

REACH: Final = 0.99  # the share that "in time" is about
HORIZON: Final = 60 * 86_400.0  # seconds that are looked ahead at most: a warm-up takes weeks
SEARCH_STEPS: Final = 6_000  # of each run of the search for the latest start
_WEEK: Final = 7 * 86_400.0
_TURNS: Final = 8  # halvings of the search
_FINE: Final = 30.0  # seconds at which it ends: a start is told to the minute
_POINTS: Final = 60  # of the curve
_WATCHED: Final = 1 << 40  # the planned job's number; no job of a queue has it
_SERVED: Final = "it is being served"


def estimate(config: Config, facts: Facts, load: Load, *, search: bool = True) -> Forecast:
    """Say when a job will be done.

    Args:
        config: The configuration.
        facts: What it meets.
        load: The job, its siblings with it; its `send_at` is its start.
        search: Also look for the latest start that reaches its deadline.
    """
    begin = max(load.send_at, facts.now)
    places = Map(config, facts)
    course, weight = _run(places, load, facts.now, STEPS)
    parts = _parts(places, load)
    every = {name for one in load.members for name in one.lanes}
    whole = _all_of("*", parts, course, load.deliver_by)
    by_provider: defaultdict[str, dict[Part, int]] = defaultdict(dict)
    by_member: defaultdict[int, dict[Part, int]] = defaultdict(dict)
    for part, number in parts.items():
        by_member[part[0]][part] = number
        by_provider[part[1]][part] = number
    sets = [
        _all_of(
            one.configuration_set if place else "",
            by_member[_WATCHED + place],
            course,
            load.deliver_by,
        )
        for place, one in enumerate(load.members)
        if load.siblings and one.lanes
    ]
    made = Forecast(
        job=load.name,
        at=facts.now,
        start=begin,
        deliver_by=load.deliver_by,
        whole=whole,
        providers=tuple(
            sorted(
                (
                    _finish(name, mine, course, load.deliver_by)
                    for name, mine in by_provider.items()
                ),
                key=lambda one: -one.messages,
            )
        ),
        curve=_curve(_arrived(parts, course)),
        reach=REACH,
        coarse=weight,
        assumed=sum(not places.site(name)[0].hosts for name in every),
        volume=unusual(config, load, facts.memory.get(Kind.VOLUME, {}), facts.now),
        sets=tuple(sets),
    )
    if search and load.deliver_by is not None and load.total:
        latest = _latest_start(places, load, made)
        made = msgspec.structs.replace(made, latest_start=latest, searched=True)
    return finished(made)


# --- the world ----------------------------------------------------------------------------------


def _run(places: Map, load: Load, now: float, steps: int) -> tuple[Course, int]:
    """Run the world until the job is done; return its course, and what its ids stand for."""
    config, facts = places.config, places.facts
    world = World(places)
    live = [
        one
        for one in decoded(facts.memory, Kind.REACTION, Reaction).values()
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
    heads = Counter(one.head for one in (*facts.loads, load) if one.head)
    for one in facts.loads:
        head = _WATCHED if one.head and one.head == load.id else one.head
        lots = world.lots_of(one, weight, str(one.id))
        simulation.add(_job(one, one.id, head, heads[one.id]), lots, weight)
    weight = weight_for(load.total, steps)
    alone = not load.siblings
    for place, one in enumerate(load.members):
        mine = msgspec.structs.replace(one, expires_at=FOREVER)  # how late, not whether, is asked
        head = _WATCHED if place else load.head
        siblings = heads[load.id] if alone else len(load.siblings) * (not place)
        lots = world.lots_of(mine, weight, str(_WATCHED + place))
        simulation.add(_job(mine, _WATCHED + place, head, siblings), lots, weight)
    begin = max(now, load.send_at)
    watched = range(_WATCHED, _WATCHED + len(load.members))
    return simulation.run(watched, begin, begin + HORIZON), weight


def _job(load: Load, number: int, head: int, siblings: int) -> JobFacts:
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
        head=head,
        siblings=siblings,
    )


def _scheduler(
    config: Config, facts: Facts, world: World, reactions: Sequence[Reaction], now: float
) -> Scheduler:
    """Return a scheduler that knows what the engine knows, as `keeper` recalls it at a start."""
    scheduler = Scheduler(settings.scheduling(config))
    memory = facts.memory
    scheduler.set_hours(settings.hours(config), now)
    scheduler.recall(world.learned)
    scheduler.roads.recall(decoded(memory, Kind.ROAD, RoadLearned))
    scheduler.counting.recall(decoded(memory, Kind.COUNT, Counts))
    ramps = Ramps(settings.warmup(config))
    ramps.recall(decoded(memory, Kind.RAMP, RampState))
    scheduler.roads.warm_up(ramps, now)
    scheduler.hours.recall(decoded(memory, Kind.HOURS, list[list[float]]))
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


# --- the answer ---------------------------------------------------------------------------------


def _parts(places: Map, load: Load) -> Counter[Part]:
    """Return how many messages each part of a job has."""
    found: Counter[Part] = Counter()
    for place, one in enumerate(load.members):
        for name, count in one.lanes.items():
            found[_WATCHED + place, places.site(name)[1]] += count
    return found


def _arrived(parts: Iterable[Part], course: Course) -> list[tuple[float, int]]:
    return sorted(one for part in parts for one in course.arrivals.get(part, ()))


def _all_of(
    name: str, parts: Mapping[Part, int], course: Course, deliver_by: float | None
) -> Finish:
    """Return when all of a job or set is done; what holds up its last provider holds it up."""
    by_provider: defaultdict[str, dict[Part, int]] = defaultdict(dict)
    for part, number in parts.items():
        by_provider[part[1]][part] = number
    each = [_finish(one, mine, course, deliver_by) for one, mine in by_provider.items()]
    ends = [(one.end is None, one.end or 0.0, one.binds) for one in each if one.messages]
    whole = _finish(name, parts, course, deliver_by)
    return msgspec.structs.replace(whole, binds=max(ends)[2] if ends else "")


def _finish(
    name: str, parts: Mapping[Part, int], course: Course, deliver_by: float | None
) -> Finish:
    arrivals, total = _arrived(parts, course), sum(parts.values())
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
        binds=_binds(parts, course),
    )


def _when(arrivals: list[tuple[float, int]], number: float) -> float | None:
    there = 0
    for at, more in arrivals:
        there += more
        if there >= number - 1e-9:
            return at
    return None


def _binds(parts: Iterable[Part], course: Course) -> str:
    """Return what held mail up for the longest, until 95 % of it were there."""
    seen: defaultdict[str, float] = defaultdict(float)
    for part in parts:
        for reason, lasted in course.held_up.get(part, {}).items():
            seen[told(reason)] += lasted
    if not seen:
        return ""
    others = {reason: lasted for reason, lasted in seen.items() if reason != _SERVED}
    if sum(others.values()) * 3 >= sum(seen.values()):
        return max(others, key=lambda reason: others[reason])
    return "sessions, and the time the receiver takes over a message"


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


def _latest_start(places: Map, load: Load, made: Forecast) -> float | None:
    """Look for the latest start with which `REACH` of a job is there in time, and of each set."""
    deadline = load.deliver_by
    if deadline is None:
        return None
    asked_for = [sum(one.lanes.values()) for one in load.members]

    def reaches(start: float) -> bool:
        asked = msgspec.structs.replace(load, send_at=start)
        course, _ = _run(places, asked, min(start, places.facts.now), SEARCH_STEPS)
        there: Counter[int] = Counter()
        for (job, _), found in course.arrivals.items():
            there[job - _WATCHED] += sum(number for at, number in found if at <= deadline)
        return all(there[place] >= REACH * number for place, number in enumerate(asked_for))

    return _search(reaches, deadline, made)


def _search(reaches: Callable[[float], bool], deadline: float, made: Forecast) -> float | None:
    begin = made.start
    late = deadline  # does not reach
    early = None if made.late else begin  # does
    step = max((made.whole.end or begin + _WEEK) - begin, 60.0)
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
        if late - early <= _FINE:
            break
        middle = (early + late) / 2
        if reaches(middle):
            early = middle
        else:
            late = middle
    return early
