"""Roads (source, provider), and counts of hours and days that outlive the process."""

from collections import Counter

from ekiden.engine.schedule.facts import FOREVER, Counts, SchedulerOptions, SiteFacts, SourceFacts
from ekiden.engine.scheduler import Scheduler
from ekiden.shaping.caps import Caps, Rate
from ekiden.shaping.plans import Plan
from ekiden.shaping.ramps import OTHER, Assigned, Ramps, WarmupOptions
from ekiden.shaping.rates import Allowance
from scheduler_world import START, World, job

DAY = 86_400.0
TWO = (SourceFacts("a1", ("",)), SourceFacts("a2", ("",)))


def big(name: str) -> SiteFacts:
    return SiteFacts(f"mx.{name}", "big" if name.startswith("big") else "")


def two_sources(**given: object) -> World:
    options = SchedulerOptions(sources=TWO, caps=Caps(sessions=1000), **given)  # type: ignore[arg-type]
    return World(options, big)


def used(world: World) -> Counter[tuple[str, bool]]:
    """Messages by source, and whether they went to the big provider."""
    return Counter((source, "big" in site) for _, source, site in world.handed_from)


def test_a_source_closed_at_a_provider_lets_the_others_take_over() -> None:
    world = two_sources()
    world.scheduler.roads.suspend("a1", "big", FOREVER, "blocked by big")
    world.add(job(1), {f"big{n}.example": 5 for n in range(20)})
    world.add(job(2), {f"small{n}.example": 5 for n in range(20)})
    world.run(until=lambda world: not world.left)
    ways = used(world)
    assert ways["a1", True] == 0
    assert ways["a2", True] == 100
    assert ways["a1", False] > 0, "it goes on to everybody else"


def test_without_another_source_the_mail_waits_and_says_why() -> None:
    world = World(SchedulerOptions(sources=(TWO[0],)), big)
    world.scheduler.roads.suspend("a1", "big", START + 3600, "blocked by big")
    world.add(job(1), {"big.example": 5})
    world.run(600)
    assert world.left == 5
    assert world.scheduler.why("big.example", world.now) == ("blocked by big", START + 3600)
    world.run(until=lambda world: not world.left)
    assert START + 3600 <= world.now < START + 3700


def test_what_waits_for_a_road_goes_when_it_is_opened() -> None:
    world = World(SchedulerOptions(sources=(TWO[0],)), big)
    world.scheduler.roads.suspend("a1", "big", FOREVER, "blocked by big")
    world.add(job(1), {"big.example": 5})
    world.run(5)
    world.scheduler.roads.resume("a1", "big", world.now)
    world.schedule_offer(1, world.now)  # as `Queue.look_again` does
    world.run(10, until=lambda world: not world.left)
    assert not world.left


def test_a_block_closes_the_road_longer_each_time() -> None:
    scheduler = Scheduler(SchedulerOptions(sources=TWO))
    state = scheduler._state
    state.site("mx.big", "big")
    state.site("mx.small", "")
    roads = scheduler.roads
    assert roads.blocked("a1", "mx.big", START, START - 1, "550 listed")
    assert not roads.blocked("a1", "mx.big", START, START - 2, "550 listed"), "the same block"
    assert not roads.blocked("a1", "mx.small", START, START - 1, "550 listed"), "speaks for itself"
    assert not roads.blocked("a9", "mx.big", START, START - 1, "no such source")
    (first,) = roads.views(START)
    assert (first.source, first.provider, first.until) == ("a1", "big", START + 900)
    assert roads.blocked("a1", "mx.big", START + 900, START + 899, "550 listed")
    assert roads.views(START + 900)[0].until == START + 900 + 1800

    again = Scheduler(SchedulerOptions(sources=TWO))
    again.roads.recall(roads.learned())
    again._state.site("mx.big", "big")
    assert again.roads.blocked("a1", "mx.big", START + 2800, START + 2750, "550 listed")
    assert again.roads.views(START + 2800)[0].until == START + 2800 + 3600


def test_a_road_with_a_limit_waits_alone() -> None:
    world = two_sources()
    limit = Allowance(10, DAY, 96, "warm-up: 10 today")
    world.scheduler.roads.limit("a1", "big", "warm-up", limit, START)
    world.add(job(1), {f"big{n}.example": 10 for n in range(20)})
    world.run(until=lambda world: not world.left)
    assert used(world) == {("a1", True): 10, ("a2", True): 190}


def test_a_limited_road_uses_all_of_its_day_and_no_more() -> None:
    world = World(SchedulerOptions(sources=(TWO[0],)), big, steps_max=200_000)
    limit = Allowance(10, DAY, 96, "warm-up: 10 today")
    world.scheduler.roads.limit("a1", OTHER, "warm-up", limit, START)
    world.add(job(1), {f"small{n}.example": 1 for n in range(25)})
    world.run(3600)
    assert len(world.done) == 10
    assert world.scheduler.why("small9.example", world.now)[0] in {
        "messages of source a1 to providers not known are limited to warm-up: 10 today",
        "nothing of it is due",
    }
    world.run(DAY)
    assert len(world.done) == 20
    world.run(until=lambda world: not world.left)
    world.scheduler.roads.limit("a1", OTHER, "warm-up", None, world.now)
    world.add(job(2), {f"more{n}.example": 1 for n in range(25)})
    world.run(60, until=lambda world: not world.left)
    assert not world.left


# --- counts -----------------------------------------------------------------------------------


def day(limit: int) -> Caps:
    return Caps(messages=(Rate(limit, DAY),))


def capped(name: str, *, destination: int = 0, site: int = 0, provider: int = 0) -> SiteFacts:
    return SiteFacts(
        f"mx.{name}",
        "big",
        destination_caps=day(destination) if destination else Caps(),
        site_caps=day(site) if site else Caps(),
        provider_caps=day(provider) if provider else Caps(),
    )


def restarted(world: World, kept: dict[str, Counts], now: float) -> World:
    again = World(world.options, world.site_of)
    again.now = now
    again.scheduler.counting.recall(kept)
    return again


def day_of(facts: SiteFacts, options: SchedulerOptions) -> tuple[int, int]:
    """Deliveries before and after a restart in the middle of the day."""
    world = World(options, lambda _: facts)
    world.add(job(1), {"a.example": 500})
    world.run(60)
    again = restarted(world, world.scheduler.counting.moved(), world.now)
    again.add(job(2), {"a.example": 500})
    again.run(60)
    return len(world.done), len(again.done)


def test_no_day_begins_anew_at_a_restart() -> None:
    plain = SchedulerOptions()
    every = [
        (capped("a", destination=100), plain),
        (capped("a", site=100), plain),
        (capped("a", provider=100), plain),
        (SiteFacts("mx"), SchedulerOptions(caps=day(100))),
        (SiteFacts("mx"), SchedulerOptions(sources=(SourceFacts("a1", caps=day(100)),))),
        (SiteFacts("mx"), SchedulerOptions(sources=(SourceFacts("a1", path_caps=day(100)),))),
    ]
    for facts, options in every:
        assert day_of(facts, options) == (100, 0), (facts, options)


def test_a_cap_that_was_raised_counts_what_was_sent() -> None:
    world = World(site_of=lambda _: capped("a", site=100))
    world.add(job(1), {"a.example": 500})
    world.run(60)
    again = restarted(world, world.scheduler.counting.all(), world.now)
    again.site_of = lambda _: capped("a", site=130)
    again.add(job(2), {"a.example": 500})
    again.run(60)
    assert len(again.done) == 30


def test_counts_are_given_out_once_and_kept_for_scopes_that_leave_memory() -> None:
    options = SchedulerOptions(resolved_max=5)
    world = World(options, lambda name: capped(name, destination=3))
    world.add(job(1), {f"a{n}.example": 2 for n in range(30)})
    world.run(60)
    first = world.scheduler.counting.moved()
    assert {f"destination a{n}.example" for n in range(30)} <= first.keys()
    assert world.scheduler.counting.moved() == {}
    assert len(world.scheduler._state.counts) <= 5, "memory is bounded"
    # Those that are remembered by whoever writes them down come back by `recall`.
    again = restarted(world, first, world.now)
    again.options = SchedulerOptions()
    again.add(job(2), {f"a{n}.example": 2 for n in range(30)})
    again.run(60)
    assert sum(again.delivered.values()) >= 5


def test_a_destination_that_left_memory_goes_on_counting() -> None:
    world = World(SchedulerOptions(resolved_max=3), lambda name: capped(name, destination=3))
    world.add(job(1), {f"a{n}.example": 2 for n in range(5)})
    world.run(60)
    world.add(job(2), {f"a{n}.example": 2 for n in range(5)})
    world.run(60)
    # Two of the five were the longest out of use and are forgotten; the disk has them (Keeper).
    assert 5 * 3 <= len(world.done) <= 5 * 3 + 2


def test_a_cold_source_takes_the_most_engaged_first_over_the_destinations_of_a_site() -> None:
    world = World(SchedulerOptions(sources=(TWO[0],)), lambda _: SiteFacts("mx", "big"))
    plan = Plan("p", (30,))
    ramps = Ramps(WarmupOptions((Assigned("*", "*", "p"),), {"p": plan, "cautious": plan}))
    world.scheduler.roads.warm_up(ramps, START)
    world.add(job(1), {f"d{n}.example": 10 for n in range(6)})
    for lane, rows in world.rows.items():
        for number in rows:
            rows[number] = START - 1 + lane % 2 / 1000  # every second destination reacted lately
    world.run(90_000)
    first = [destination for _, destination, _, _ in world.handed[:30]]
    assert Counter(first) == {f"d{n}.example": 10 for n in (1, 3, 5)}
    assert len(world.handed) >= 30
