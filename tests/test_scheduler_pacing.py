"""Roads, ramps and hours at random: nothing is stuck, no cap is passed, no window is broken."""

import random
from collections import Counter

import pytest

from ekiden.engine.schedule.facts import FOREVER, SchedulerOptions, SiteFacts, SourceFacts
from ekiden.localtime import Span, day, minute_of_day, zone
from ekiden.queue.model import Priority
from ekiden.shaping.caps import Caps, Rate
from ekiden.shaping.evidence import Evidence
from ekiden.shaping.hours import Avoided, HoursOptions
from ekiden.shaping.plans import Plan
from ekiden.shaping.ramps import Assigned, Ramps, WarmupOptions
from ekiden.shaping.warmup import RampOptions
from ekiden.shaping.window import Lesson
from scheduler_world import START, Line, Receiver, World, job

HOUR, DAY = 3600.0, 86_400.0
PROVIDERS = ("gmail", "yahoo", "")


@pytest.mark.parametrize("seed", range(12))
def test_whatever_is_due_and_allowed_goes_out(seed: int) -> None:
    dice = random.Random(seed)
    place = zone(dice.choice(["UTC", "Asia/Kolkata", "Europe/Berlin", "America/St_Johns"]))
    spans = ("12:00-12:30", "22:00-07:00", "*:00-*:05", "00:00-06:00")
    avoided = [
        Avoided(dice.choice(["*", "gmail"]), bulk=(dice.choice(spans),), zone=place),
        Avoided("yahoo", transactional=("*:10-*:12",), zone=place),
    ]
    plan = Plan("p", tuple(range(20, 400, dice.choice([15, 60]))))
    hours = Span.parse(dice.choice(["00:00-24:00", "07:00-21:30"]))
    ramps = Ramps(
        WarmupOptions(
            (Assigned(dice.choice(["a1", "*"]), dice.choice(["*", "gmail"]), "p"),),
            {"p": plan, "cautious": plan},
            RampOptions(place, hours),
            overflow=dice.random() < 0.7,
        )
    )
    sources = tuple(
        SourceFacts(
            name,
            ("", "own") if name == "a1" else ("",),
            Caps(sessions=dice.choice([2, 5, None]), messages=dice.choice([(), (Rate(50, HOUR),)])),
        )
        for name in ("a1", "a2", "a3")[: dice.randint(1, 3)]
    )
    world = World(
        SchedulerOptions(
            sources=sources,
            caps=Caps(sessions=dice.choice([3, 20])),
            lanes_max=dice.choice([6, 4096]),
        ),
        lambda name: SiteFacts(f"mx.{name.partition('-')[0]}", PROVIDERS[len(name) % 3]),
        lambda _: Receiver(send=dice.choice([0.2, 2.0]), lesson=lesson),
        seed=seed,
        batch=dice.choice([1, 4]),
        steps_max=400_000,
    )
    sent: Counter[tuple[int, str, str]] = Counter()
    handed = world.hand

    def provider_of(site: str) -> str:
        found = world.scheduler.roads.provider_of(site)
        assert found is not None
        return found

    def lesson(world: World, line: Line) -> Lesson:
        bad = dice.random() < 0.03
        seen = Evidence(tried=1, deferred=int(bad))
        ramps.note(line.source, provider_of(line.site), seen)
        return Lesson.DEFERRED if bad else Lesson.GOOD

    def hand(item: object, session: int) -> None:
        handed(item, session)  # type: ignore[arg-type]  # passed through
        line = world.lines[session]
        provider = provider_of(line.site)
        ramp = ramps.of(line.source, provider)
        number = day(world.now, place).number
        if ramp is not None and ramp.cold:
            sent[number, line.source, provider] += 1
            assert sent[number, line.source, provider] <= ramp.cap
        rank = 0 if world.scheduler._state.jobs[item.job_id].rank == 0 else 1  # type: ignore[attr-defined]  # an Item
        for one in avoided:
            if one.provider in {"*", provider}:
                texts = one.bulk if rank else one.transactional
                shut = set().union(*(Span.parse(text).minutes() for text in texts))
                assert minute_of_day(world.now, place) not in shut

    world.hand = hand  # type: ignore[method-assign]  # watched from outside
    world.scheduler.set_hours(HoursOptions(tuple(avoided), place), START)
    world.scheduler.roads.warm_up(ramps, START)
    pools = ["", "own"]
    for number in range(1, 7):
        priority = Priority.TRANSACTIONAL if number % 3 == 0 else Priority.BULK
        names = [f"{'x' * dice.randint(1, 6)}-{number}.example" for _ in range(4)]
        world.add(
            job(
                number,
                priority=priority,
                pool=dice.choice(pools),
                created_at=START,
                send_at=dice.choice([0.0, START + dice.random() * DAY]),
                expires_at=START + 300 * DAY,
            ),
            {name: dice.randint(1, 60) for name in names},
        )
    if dice.random() < 0.5:
        world.at(HOUR, lambda: world.scheduler.roads.suspend("a1", "gmail", FOREVER, "test"))
        world.at(DAY, lambda: world.scheduler.roads.resume("a1", "gmail", world.now))
    world.run(60 * DAY, until=lambda world: not world.left and not world.lines)
    assert not world.left
