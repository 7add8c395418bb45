"""The scheduler against random worlds: what must hold at every instant, held at every event."""

from collections import Counter, defaultdict
from collections.abc import Sequence

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ekiden.engine.schedule.facts import SchedulerOptions, SiteFacts, SourceFacts
from ekiden.shaping.caps import Caps, Rate
from ekiden.shaping.rates import HOUR
from ekiden.shaping.window import Lesson
from scheduler_world import START, Line, Pace, Priority, Receiver, World, job

small = st.integers(1, 4)
maybe_cap = st.one_of(st.none(), st.integers(1, 5))
rates = st.sampled_from(
    [(), (), (), (Rate(2, 1),), (Rate(30, 60),), (Rate(10, 1), Rate(40, 60)), (Rate(200, 3600),)]
)
caps = st.builds(
    Caps, sessions=maybe_cap, messages_per_session=maybe_cap, messages=rates, connections=rates
)


@st.composite
def worlds(draw: st.DrawFn) -> World:
    sites = draw(st.integers(1, 6))
    site_facts = [
        (
            draw(caps),
            draw(st.sampled_from(["", "", "big", "other"])),
            draw(caps),
        )
        for _ in range(sites)
    ]
    # A provider's caps are the provider's: every one of its sites says the same.
    provider_caps = {provider: cap for _, provider, cap in site_facts}
    home = {f"d{n}.example": draw(st.integers(0, sites - 1)) for n in range(draw(small) * 3)}
    destination_caps = {name: draw(st.sampled_from([Caps(), Caps(sessions=1)])) for name in home}

    def site_of(name: str) -> SiteFacts:
        site_caps, provider, _ = site_facts[home[name]]
        return SiteFacts(
            f"s{home[name]}",
            provider,
            destination_caps[name],
            site_caps,
            provider_caps[provider] if provider else Caps(),
            until=draw_until,
        )

    draw_until = START + draw(st.sampled_from([30.0, 300.0, 1e12]))
    trouble = draw(st.sampled_from([0.0, 0.05, 0.3]))
    down = [draw(st.sampled_from([0.0, 0.0, 40.0, 2_000.0])) for _ in range(sites)]
    slow = draw(st.sampled_from([0.01, 1.0]))

    def lesson(world: World, line: Line) -> Lesson:
        if world.random.random() >= trouble:
            return Lesson.GOOD
        return world.random.choice([Lesson.DEFERRED, Lesson.SLOW, Lesson.BROKEN, Lesson.BLOCKED])

    receivers = [
        Receiver(
            dial=slow,
            send=slow / 2,
            down=lambda now, end=end: now < START + end,  # type: ignore[misc]
            lesson=lesson,
        )
        for end in down
    ]
    options = SchedulerOptions(
        sources=(
            SourceFacts("a", ("", "x"), draw(caps)),
            SourceFacts("b", ("",), draw(caps), draw(caps)),
        )[: draw(st.integers(1, 2))],
        caps=Caps(sessions=draw(st.integers(1, 12))),
        sets=draw(st.sampled_from([{}, {"own": Caps(sessions=2)}, {"own": Caps(sessions=30)}])),
        lanes_max=draw(st.sampled_from([2, 5, 1000])),
        lane_first=draw(st.sampled_from([1, 4, 16])),
        lane_most=16,
        waiting_max=draw(st.sampled_from([40, 1000])),
        quantum=draw(st.integers(1, 5)),
        park_after=draw(st.sampled_from([1.0, 15.0])),
        idle=draw(st.sampled_from([0.0, 3.0])),
    )
    world = World(
        options,
        site_of,
        lambda name: receivers[int(name[1:])],
        seed=draw(st.integers(0, 1000)),
        batch=draw(st.integers(1, 4)),
    )
    for number in range(1, draw(small) + 1):
        facts = job(
            number,
            priority=draw(st.sampled_from(Priority)),
            pool=draw(st.sampled_from(["", "", "x"])),
            configuration_set=draw(st.sampled_from(["", "", "own"])),
            send_at=START + draw(st.sampled_from([0.0, 50.0])),
            pace=draw(st.sampled_from([None, None, Pace(5, 60.0)])),
        )
        world.add(facts, {name: draw(st.integers(0, 12)) for name in home})
    world.watch = lambda world: holds(world, site_of)
    return world


def holds(world: World, site_of: object) -> None:
    """Every cap, from the outside: by what the world has open, not by the scheduler's counts."""
    assert callable(site_of)
    facts = {name: site_of(name) for name in {lane.destination for lane in world.lanes.values()}}
    lines = list(world.lines.values())
    within("engine", len(lines), world.options.caps)
    by_source = Counter(line.source for line in lines)
    # Key by key: of a set that says something, else of a source that does, else of the site.
    works = {key: session.work for key, session in world.scheduler._state.sessions.items()}
    of_sets = [line for line in lines if works[line.id].own is not None]
    for site, count in Counter(line.site for line in of_sets).items():
        within(f"set to {site}", count, world.options.sets["own"])
    others = [line for line in lines if works[line.id].own is None]
    by_path = Counter((line.source, line.site) for line in others)
    owners = set()
    every = world.options.sources
    longer = {one.name for one in every if one.path_caps.messages_per_session is not None}
    for source in world.options.sources:
        within(source.name, by_source[source.name], source.caps)
        if source.path_caps.sessions is not None:
            owners.add(source.name)
        for (name, site), count in by_path.items():
            if name == source.name:
                within(f"{name} to {site}", count, source.path_caps)
    bound = [line for line in others if line.source not in owners]
    by_site = Counter(line.site for line in bound)
    providers = {fact.name: fact.provider for fact in facts.values()}
    by_provider = Counter(providers[line.site] for line in lines)
    in_use: dict[str, set[int]] = defaultdict(set)
    for line in bound:
        for item in line.items:
            in_use[item.destination].add(line.id)
    for name, fact in facts.items():
        within(fact.name, by_site[fact.name], fact.site_caps)
        within(name, len(in_use[name]), fact.destination_caps)
        if fact.provider:
            within(fact.provider, by_provider[fact.provider], fact.provider_caps)
            most_messages([line for line in lines if line.source not in longer], fact)
    state = world.scheduler._state
    # Beyond the windows there is only what came back from a hand.
    hands = (world.options.caps.sessions or 0) * world.batch
    assert len(state.lanes) <= world.options.lanes_max + hands
    assert state.waiting <= world.options.waiting_max + world.options.lane_most + hands


def within(what: str, count: int, limit: Caps) -> None:
    assert limit.sessions is None or count <= limit.sessions, f"{what}: {count} sessions"


def most_messages(lines: list[Line], fact: SiteFacts) -> None:
    most = fact.site_caps.messages_per_session
    for line in lines:
        if most is not None and line.site == fact.name:
            assert line.sent + len(line.items) <= most


def spans(
    handed: list[float],
    limits: tuple[Rate, ...],
    untried: Sequence[float] = (),
    begun: Sequence[float] = (),
) -> None:
    for rate in limits:
        # A budget counts what is handed out and gets back what was not tried; a rate per second or
        # minute holds where the receiver is, when a message begins there.
        smooth = begun and rate.seconds < HOUR
        times = sorted(begun if smooth else (Counter(handed) - Counter(untried)).elements())
        for first, at in enumerate(times[: max(0, len(times) - rate.limit)]):
            # One more than the limit never fits into a half-open span; the clock is a float.
            assert times[first + rate.limit] - at >= rate.seconds - 1e-6, rate


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(worlds())
def test_whatever_happens(world: World) -> None:
    world.run()

    assert world.left == 0, "everything due and allowed is handed out"
    assert len(world.done) == world.next_id - 1
    idle_and_empty(world)
    handed_by_site: dict[str, list[float]] = defaultdict(list)
    handed_by_provider: dict[str, list[float]] = defaultdict(list)
    opened_by_site: dict[str, list[float]] = defaultdict(list)
    facts = {name: world.site_of(name) for _, name, _, _ in world.handed}
    site_caps = {fact.name: fact.site_caps for fact in facts.values()}
    provider_caps = {fact.provider: fact.provider_caps for fact in facts.values()}
    for at, name, _, _ in world.handed:
        handed_by_site[facts[name].name].append(at)
        handed_by_provider[facts[name].provider].append(at)
    for at, site in world.opened:
        opened_by_site[site].append(at)
    for site, times in handed_by_site.items():
        own = {one.name: one.path_caps.messages for one in world.options.sources}
        sent = [(at, source) for at, source, where in world.handed_from if where == site]
        back = [(at, source) for at, name, source in world.untried if facts[name].name == site]
        met = [(at, source) for at, name, source in world.begun if facts[name].name == site]
        spans(
            [at for at, source in sent if not own[source]],
            site_caps[site].messages,
            [at for at, source in back if not own[source]],
            [at for at, source in met if not own[source]],
        )
        for name, limits in own.items():
            spans(
                [at for at, source in sent if source == name],
                limits,
                [at for at, source in back if source == name],
                [at for at, source in met if source == name],
            )
        assert len(sent) <= len(times)
        spans(opened_by_site[site], site_caps[site].connections)
    for provider, times in handed_by_provider.items():
        if provider:
            untried = [at for at, name, _ in world.untried if facts[name].provider == provider]
            begun = [at for at, name, _ in world.begun if facts[name].provider == provider]
            spans(times, provider_caps[provider].messages, untried, begun)
    paced(world)


def idle_and_empty(world: World) -> None:
    """Nothing is left behind: every count is back at zero."""
    state = world.scheduler._state
    assert not state.sessions
    assert not state.hand
    assert not state.known
    assert state.waiting == 0
    assert state.probes == 0
    assert not state.lanes
    assert not state.idle
    scopes = [state.engine, *state.sources.values(), *state.providers.values()]
    scopes += [*state.sites.values(), *state.destinations.values()]
    scopes += [path for site in state.sites.values() for path in site.paths.values()]
    for scope in scopes:
        assert (scope.sessions, scope.leaving) == (0, 0), str(scope)
    assert all(path.proven == 0 for site in state.sites.values() for path in site.paths.values())


def paced(world: World) -> None:
    for facts in {
        lane.job_id: world.scheduler._state.jobs[lane.job_id].facts for lane in world.lanes.values()
    }.values():
        times = [at for at, _, job_id, _ in world.handed if job_id == facts.id]
        assert all(at >= facts.send_at for at in times)
        if facts.pace is not None and not world.refunded:
            spans(times, (Rate(facts.pace.messages, facts.pace.seconds),))
