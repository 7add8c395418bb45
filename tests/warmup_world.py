"""Weeks of warm-up on a clock that jumps: sources, providers, daily jobs, and bad days.

The real scheduler with real ramps; receivers as functions. Every message handed out is counted by
day, source and provider from outside, so that what the ramps say of themselves can be checked.
Shared by `test_warmup_weeks.py` and `bench/warmup.py`.
"""

import random
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date, tzinfo

from ekiden.engine.schedule.facts import SchedulerOptions, SiteFacts, SourceFacts
from ekiden.localtime import Span, day, zone
from ekiden.queue.model import JobState
from ekiden.shaping.caps import Caps
from ekiden.shaping.evidence import Evidence
from ekiden.shaping.plans import Plan, geometric
from ekiden.shaping.ramps import Assigned, Ramps, WarmupOptions
from ekiden.shaping.warmup import RampOptions, Turn
from ekiden.shaping.window import Lesson
from scheduler_world import Line, Receiver, World, job

BEGIN = 1_772_323_200.0  # 2026-03-01 00:00 UTC: a change of the clocks falls into the weeks
HOUR = 3600.0


@dataclass(frozen=True)
class Bad:
    """A provider has a bad day with a source: these shares of attempts go wrong."""

    day: int  # from 0
    source: str
    provider: str
    deferred: float = 0.0
    bounced: float = 0.0
    complained: float = 0.0
    blocked: float = 0.0
    kind: str = ""


@dataclass(frozen=True)
class Silent:
    """Nothing is sent on these days."""

    first: int
    last: int


@dataclass
class Weeks:
    """The simulation.

    Args:
        days: How many days.
        sources: Names.
        providers: Names; "other" for sites of nobody known.
        zone_name: Whose days.
        plan: Everybody's plan.
        volume: Messages a day to each provider, all sources together.
        bad: The bad days.
        silent: Days without mail.
        restarts: Days in whose middle the scheduler is made anew from what was kept.
    """

    days: int = 70
    sources: Sequence[str] = ("a1", "a2", "a3", "a4", "a5")
    providers: Sequence[str] = ("gmail", "outlook", "yahoo", "docomo", "gmx", "other")
    zone_name: str = "Europe/Berlin"
    hours: str = "08:00-20:00"
    plan: Plan = field(default_factory=lambda: Plan("ours", geometric(8, 1.045, 60)))
    volume: int = 360
    bad: Sequence[Bad] = ()
    silent: Sequence[Silent] = ()
    restarts: Sequence[int] = ()
    seed: int = 1

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)
        self.zone: tzinfo = zone(self.zone_name)
        self.ramp_options = RampOptions(zone=self.zone, hours=Span.parse(self.hours))
        self.options = WarmupOptions(
            assigned=(Assigned("*", "*", "ours"),),
            plans={"ours": self.plan, "cautious": self.plan},
            ramp=self.ramp_options,
        )
        self.ramps = Ramps(self.options)
        self.world = World(
            SchedulerOptions(
                sources=tuple(SourceFacts(name) for name in self.sources),
                caps=Caps(sessions=200),
            ),
            self.site_of,
            self.receiver_of,
            seed=self.seed,
            steps_max=50_000_000,
        )
        self.world.check = False
        self.world.keep_log = False
        self.world.now = BEGIN
        self.world.scheduler.roads.warm_up(self.ramps, BEGIN)
        self.begin = day(BEGIN, self.zone).number
        self.sent: Counter[tuple[int, str, str]] = Counter()  # day, source, provider
        self.hourly: dict[tuple[int, str, str], Counter[int]] = defaultdict(Counter)
        self.caps: dict[tuple[int, str, str], int] = {}
        self.seen: dict[tuple[int, str, str], Evidence] = {}  # from outside
        self.turns: list[Turn] = []
        self._bad = {(one.day, one.source, one.provider): one for one in self.bad}
        self._hand = self.world.hand
        self.world.hand = self.hand  # type: ignore[method-assign]  # counted from outside
        self.jobs = 0

    # --- the world --------------------------------------------------------------------------------

    def site_of(self, name: str) -> SiteFacts:
        provider = name.partition("-")[0]
        return SiteFacts(f"mx.{name}", "" if provider == "other" else provider)

    def provider_at(self, site: str) -> str:
        return site.removeprefix("mx.").partition("-")[0]

    def receiver_of(self, site: str) -> Receiver:
        return Receiver(dial=0.5, send=0.5, lesson=self.outcome)

    def today(self) -> int:
        return day(self.world.now, self.zone).number - self.begin

    def hand(self, item: object, session: int) -> None:
        self._hand(item, session)  # type: ignore[arg-type]  # passed through
        line = self.world.lines[session]
        provider, number = self.provider_at(line.site), self.today()
        key = (number, line.source, provider)
        self.sent[key] += 1
        self.hourly[key][int((self.world.now - BEGIN) // HOUR)] += 1
        ramp = self.ramps.of(line.source, provider)
        assert ramp is not None
        self.caps[key] = ramp.cap if ramp.cold else 1 << 60

    def outcome(self, world: World, line: Line) -> Lesson:
        provider = self.provider_at(line.site)
        bad = self._bad.get((self.today(), line.source, provider))
        lesson, seen = Lesson.GOOD, Evidence(tried=1)
        if bad is not None:
            draw = self.random.random()
            if draw < bad.blocked:
                lesson, seen = Lesson.GOOD, Evidence(tried=1, blocked=1)
            elif draw < bad.blocked + bad.bounced:
                seen = Evidence(tried=1, bounced=1)
            elif draw < bad.blocked + bad.bounced + bad.complained:
                seen = Evidence(tried=1, complained=1)
            elif draw < bad.blocked + bad.bounced + bad.complained + bad.deferred:
                lesson, seen = Lesson.DEFERRED, Evidence(tried=1, deferred=1)
        key = (self.today(), line.source, provider)
        self.seen[key] = self.seen.get(key, Evidence()) + seen
        self.ramps.note(line.source, provider, seen)
        return lesson

    # --- days -------------------------------------------------------------------------------------

    def run(self, each: Callable[["Weeks", int], None] = lambda *_: None) -> None:
        for number in range(self.days):
            today = day(self.world.now, self.zone)
            if not any(one.first <= number <= one.last for one in self.silent):
                self.add_job(today.begins, today.ends)
            if number in self.restarts:
                self.world.run(today.begins + 14 * HOUR - self.world.now)
                self.restart()
            each(self, number)
            self.world.run(today.ends - self.world.now)
            self.world.now = today.ends
            self.turns += self.ramps.turns()
        self.ramps.tick(self.world.now)
        self.turns += self.ramps.turns()

    def add_job(self, begins: float, ends: float) -> None:
        self.jobs += 1
        share = self.volume // 2
        counts = {f"{one}-{part}.example": share for one in self.providers for part in range(2)}
        facts = job(self.jobs, send_at=begins, expires_at=ends - 60, created_at=begins)
        self.world.add(facts, counts)
        if self.jobs > 1:
            old = job(self.jobs - 1, state=JobState.DONE)
            self.world.scheduler.job_gone(old.id)

    def restart(self) -> None:
        """Make the ramps anew from what would be on the disk."""
        self.turns += self.ramps.turns()  # told before the end
        kept = self.ramps.states()
        self.ramps = Ramps(self.options)
        self.ramps.recall(kept)
        self.world.scheduler.roads.warm_up(self.ramps, self.world.now)

    # --- what came of it --------------------------------------------------------------------------

    def date_of(self, number: int) -> str:
        return date.fromordinal(self.begin + number).isoformat()

    def day_of(self, at: float) -> int:
        return day(at, self.zone).number - self.begin

    def over(self) -> list[tuple[int, str, str, int, int]]:
        """Days above their cap: day, source, provider, sent, cap."""
        return [
            (*key, sent, self.caps[key]) for key, sent in self.sent.items() if sent > self.caps[key]
        ]


def bad_days(seed: int, days: int, sources: Sequence[str], providers: Sequence[str]) -> list[Bad]:
    """Bad days at random, of every kind."""
    dice = random.Random(seed)
    found = []
    for n in range(60):
        at = dice.randrange(3, days - 2), dice.choice(sources), dice.choice(providers)
        found.append(
            (
                Bad(*at, deferred=0.2, kind="deferrals"),
                Bad(*at, deferred=0.6, kind="many deferrals"),
                Bad(*at, bounced=0.15, kind="bounces"),
                Bad(*at, complained=0.05, kind="complaints"),
                Bad(*at, blocked=0.2, kind="blocks"),
            )[n % 5]
        )
    return found
