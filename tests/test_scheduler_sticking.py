"""Who was greylisted comes back from the same source, while there is one and it pays to wait."""

from collections import defaultdict

import pytest

from ekiden.engine.schedule.facts import SchedulerOptions, SiteFacts, SourceFacts
from ekiden.engine.schedule.sticking import STICKS
from ekiden.shaping.caps import Caps, Rate
from ekiden.shaping.window import Lesson
from scheduler_world import START, Line, Receiver, World, job

SITE = "mx.example"
A, B = SourceFacts("a"), SourceFacts("b")


class Greylisting(World):
    """One receiver that lets each (source, recipient) wait at first."""

    def __init__(self, sources: tuple[SourceFacts, ...] = (A, B), destinations: int = 1) -> None:
        self.tries: dict[int, list[str]] = defaultdict(list)
        self.took: dict[int, float] = {}
        super().__init__(
            SchedulerOptions(sources=sources),
            lambda _: SiteFacts(SITE, site_caps=Caps(sessions=6)),
            lambda _: Receiver(lesson=self.answer),
            keeps=self.source_of,
        )
        self.add(job(1), {f"d{n}.example": 240 // destinations for n in range(destinations)})

    def source_of(self, number: int) -> str:
        """As the queue tells it: the source of the last attempt, which was greylisted."""
        return self.tries[number][-1] if self.tries[number] else ""

    def answer(self, _: World, line: Line) -> Lesson:
        known = line.source in self.tries[line.latest]
        self.tries[line.latest].append(line.source)
        if known:
            self.took[line.latest] = self.now
        return Lesson.GOOD if known else Lesson.DEFERRED


@pytest.mark.parametrize("destinations", [1, 12, 240])
def test_two_tries_each_from_one_source(destinations: int) -> None:
    world = Greylisting(destinations=destinations)
    world.run(200.0)
    assert len(world.took) == 240
    assert all(len(tries) == 2 for tries in world.tries.values()), "a third: from the other one"
    assert {tries[0] for tries in world.tries.values()} == {"a", "b"}, "both are used"


def test_a_source_that_is_gone_is_not_waited_for() -> None:
    world = Greylisting()
    world.run(50.0)
    assert not world.took
    world.scheduler.set_sources([B], world.now)
    world.run(300.0)
    assert len(world.took) == 240
    assert {tries[-1] for tries in world.tries.values()} == {"b"}


def test_a_source_that_cannot_is_waited_for_a_while_and_holds_nobody_up() -> None:
    world = Greylisting()
    world.run(50.0)
    of_a = {number for number, tries in world.tries.items() if tries == ["a"]}
    full = SourceFacts("a", caps=Caps(messages=(Rate(1, 86_400.0),)))
    world.scheduler.set_sources([full, B], world.now)
    world.run(100.0)
    assert len(of_a) > 20
    assert world.took.keys() >= world.tries.keys() - of_a, "those of b go on"
    assert len(of_a & world.took.keys()) <= 1
    why, until = world.scheduler.why("d0.example", world.now)
    assert why == "greylisted when it came from a: waits for it"
    assert START + STICKS < until < START + STICKS + 150
    world.run(STICKS)
    world.run(300.0)
    assert len(world.took) == 240
    late = {number for number in of_a if world.tries[number][-1] == "b"}
    assert len(late) >= len(of_a) - 1
    assert min(world.took[number] for number in late) > START + 60.0 + STICKS
