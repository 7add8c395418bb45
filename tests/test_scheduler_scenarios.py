"""The scheduler in small scenes: each one rule, seen from outside."""

from collections import Counter
from itertools import pairwise

import pytest

from ekiden.engine.schedule.facts import (
    FOREVER,
    Finish,
    Idle,
    Load,
    Open,
    Park,
    Refuse,
    Resolve,
    SchedulerOptions,
    SiteFacts,
    SourceFacts,
    Take,
)
from ekiden.engine.scheduler import Scheduler
from ekiden.queue.model import JobState, LaneFacts, Waiting
from ekiden.shaping.caps import Caps, Rate
from ekiden.shaping.window import Lesson
from ekiden.smtp.outcome import Broke, Cause, Stage
from scheduler_world import START, Line, Pace, Priority, Receiver, World, job

MANY = SchedulerOptions(caps=Caps(sessions=1000))


def one_site(_: str) -> SiteFacts:
    return SiteFacts("mx", site_caps=Caps(sessions=1))


def ready(
    destination: str = "a.example",
    ids: int = 3,
    *,
    facts: SiteFacts | None = None,
    options: SchedulerOptions | None = None,
) -> Scheduler:
    """Return a scheduler with one loaded and resolved lane."""
    scheduler = Scheduler(options)
    scheduler.job_changed(job(1), START)
    assert scheduler.lane_offered(LaneFacts(1, 1, destination, Priority.BULK, ids, START), START)
    assert scheduler.actions(START) == [Resolve(destination), Load(1, 16, 0.0, 0)]
    scheduler.loaded(1, [Waiting(n, START) for n in range(1, ids + 1)], False, START)
    scheduler.resolved(destination, facts or SiteFacts("mx"), START)
    return scheduler


def opened(scheduler: Scheduler, now: float = START) -> Open:
    action = next(action for action in scheduler.actions(now) if isinstance(action, Open))
    scheduler.session_opened(action.session_id, now)
    return action


def test_what_leaves_memory_while_all_is_asked_anew_is_not_put_off() -> None:
    scheduler = Scheduler()
    scheduler.job_changed(job(1, send_at=START + 3600), START)
    assert scheduler.lane_offered(LaneFacts(1, 1, "a.example", Priority.BULK, 1, START), START)
    scheduler.resolve_again(START)
    assert scheduler.actions(START) == [Park(1, None)]


def test_while_messages_wait_to_be_made_a_site_keeps_the_sessions_it_has() -> None:
    scheduler = ready(ids=12)
    scheduler.press(pressed=True)
    assert [type(action) for action in scheduler.actions(START)] == [Open], "the first one, always"
    assert scheduler.actions(START) == []
    assert scheduler.wake_at(START) > START, "it does not ask again and again"
    scheduler.press(pressed=False)
    assert [type(action) for action in scheduler.actions(START)] == [Open], "what was held back"


def test_one_lane_from_offer_to_park() -> None:
    scheduler = ready()
    session = opened(scheduler)
    assert (session.source, session.site, session.destination) == ("default", "mx", "a.example")
    assert [item.id for item in session.first] == [1]
    scheduler.settled(session.session_id, 1, Lesson.GOOD, START)

    answer = scheduler.take(session.session_id, START, 5)

    assert isinstance(answer, Take)
    assert [item.id for item in answer.items] == [2, 3]
    assert isinstance(scheduler.take(session.session_id, START), Idle)
    for number in (2, 3):
        assert scheduler.actions(START) == []
        scheduler.settled(session.session_id, number, Lesson.GOOD, START)
    assert scheduler.actions(START) == [Park(1, None)]
    waiting = scheduler.take(session.session_id, START)
    assert waiting == Idle(START + 3.0, "kept open for more")
    assert scheduler.take(session.session_id, START + 3.0) == Finish("nothing left")
    scheduler.session_closed(session.session_id, START + 3.1)
    assert scheduler.snapshot().sessions == 0


def test_what_was_returned_is_handed_out_again() -> None:
    scheduler = ready(ids=1)
    (session,) = scheduler.actions(START)
    assert isinstance(session, Open)
    scheduler.session_failed(session.session_id, Lesson.BROKEN, "refused", START + 1)
    scheduler.returned(1, session.first, START + 1)

    assert scheduler.actions(START + 2) == [Park(1, START + 31.0)]
    assert scheduler.why("a.example", START + 2) == ("refused", START + 31.0)


def test_a_dead_destination_is_refused_without_a_session() -> None:
    outcome = Broke(Stage.RESOLVE, Cause.NULL_MX)
    scheduler = ready(facts=SiteFacts("", dead=outcome))

    (refuse,) = scheduler.actions(START)

    assert isinstance(refuse, Refuse)
    assert [item.id for item in refuse.items] == [1, 2, 3]
    assert refuse.outcome == outcome
    for item in refuse.items:
        scheduler.settled(0, item.id, Lesson.NONE, START)
    assert scheduler.actions(START) == [Park(1, None)]
    assert scheduler.snapshot().in_hand == 0


def test_a_destination_that_is_not_found_waits() -> None:
    scheduler = Scheduler()
    scheduler.job_changed(job(1), START)
    lane = LaneFacts(1, 1, "a.example", Priority.BULK, 1, START)
    scheduler.lane_offered(lane, START)
    scheduler.actions(START)
    scheduler.unresolved("a.example", START + 300, "SERVFAIL", START)
    assert scheduler.actions(START) == [Park(1, START + 300)]
    assert scheduler.why("a.example", START) == ("SERVFAIL", START + 300)
    scheduler.lane_offered(lane, START + 1)
    assert scheduler.actions(START + 1) == [Park(1, START + 300)], "not asked again before"


def test_destinations_of_a_site_take_turns() -> None:
    world = World(MANY, lambda _: SiteFacts("mx", site_caps=Caps(sessions=1)))
    world.add(job(1), {f"d{n}.example": 10 for n in range(8)})
    world.run()
    names = [name for _, name, _, _ in world.handed]
    rounds = [set(names[at : at + 8]) for at in range(0, 80, 8)]
    assert all(len(names) == 8 for names in rounds)


def test_sites_take_turns_when_slots_are_short() -> None:
    options = SchedulerOptions(caps=Caps(sessions=2), quantum=3)
    world = World(options)
    world.add(job(1), {f"d{n}.example": 30 for n in range(10)})
    world.run()
    order = [name for _, name, _, _ in world.handed]
    counts = Counter[str]()
    for name in order:
        counts[name] += 1
        behind = min(counts[f"d{n}.example"] for n in range(10))
        # Two turns of a quantum, and what the two open sessions are at.
        assert counts[name] - behind <= 9
    assert len(order) == 300


def test_jobs_share_a_site_evenly_whatever_their_destinations() -> None:
    world = World(MANY, one_site)
    world.add(job(1), {f"d{n}.example": 20 for n in range(20)})
    world.add(job(2), {"d0.example": 100})
    world.run(until=lambda world: len(world.handed) >= 200)
    jobs = Counter(job_id for _, _, job_id, _ in world.handed)
    assert abs(jobs[1] - jobs[2]) <= 4


@pytest.mark.parametrize("sites", [1, 40])
def test_transactional_passes_bulk_and_does_not_starve_it(sites: int) -> None:
    options = SchedulerOptions(caps=Caps(sessions=2), quantum=1)
    world = World(options, lambda name: SiteFacts(name, site_caps=Caps(sessions=1)))
    names = [f"d{n}.example" for n in range(sites)]
    world.add(job(1), dict.fromkeys(names, 400 // sites))
    world.add(job(2, priority=Priority.TRANSACTIONAL), dict.fromkeys(names, 400 // sites))
    # While both wait, and after the start, when only what was read first can go.
    world.run(until=lambda world: len(world.handed) >= 300)
    jobs = Counter(job_id for _, _, job_id, _ in world.handed[20:300])
    assert 0.18 <= jobs[1] / 280 <= 0.25


def test_siblings_share_a_pace() -> None:
    world = World()
    pace = Pace(10, 60.0)
    head = job(1, pace=pace, siblings=1)
    world.add(head, {f"d{n}.example": 3 for n in range(10)})
    world.add(job(2, pace=pace, head=1, priority=Priority.TRANSACTIONAL), {"e.example": 20})
    world.add(job(3, pace=pace), {"f.example": 10})  # another one has a pace of its own
    world.run()
    family = [at for at, _, number, _ in world.handed if number in {1, 2}]
    assert len(family) == 50
    for place, at in enumerate(family[10:]):
        assert at - family[place] >= 60.0
    assert {at < START + 60 for at, _, number, _ in world.handed if number == 3} == {True}
    for number in (1, 2, 3):
        world.scheduler.job_gone(number)


@pytest.mark.parametrize("pace", [Pace(10, 5.0), Pace(1, 0.5)])
@pytest.mark.parametrize("sessions", [1, None])
def test_siblings_at_two_sites_of_a_provider_get_as_much_of_a_pace(
    pace: Pace, sessions: int | None
) -> None:
    """Who has a session open took every round before the other had one: 600 to 0."""
    world = World(
        SchedulerOptions(),
        lambda name: SiteFacts(name, "big", provider_caps=Caps(sessions=sessions)),
        lambda _: Receiver(dial=0.2, send=0.1),
    )
    world.add(job(1, pace=pace, siblings=1), {"a.example": 200})
    world.add(job(2, pace=pace, head=1), {"b.example": 200})
    world.run(60.0)
    counts = Counter(number for _, _, number, _ in world.handed)
    assert abs(counts[1] - counts[2]) <= pace.messages
    assert counts.total() >= 0.6 * pace.messages * 60 / (pace.seconds + 0.1 * pace.messages)


def test_who_waits_not_has_no_claim_on_a_pace() -> None:
    """A sibling whose mail comes late does not get all of it until it has as much."""
    world = World(site_of=lambda name: SiteFacts(name, "big", provider_caps=Caps(sessions=1)))
    pace = Pace(10, 5.0)
    world.add(job(1, pace=pace, siblings=1), {"a.example": 200})
    world.add(job(2, pace=pace, head=1), {})
    world.run(40.0)
    before = len(world.handed)
    world.add(job(2, pace=pace, head=1), {"b.example": 200})
    world.run(60.0)
    counts = Counter(number for _, _, number, _ in world.handed[before:])
    assert abs(counts[1] - counts[2]) <= 2 * pace.messages


def test_a_pace_is_kept() -> None:
    world = World(MANY)
    world.add(job(1, pace=Pace(10, 60.0)), {f"d{n}.example": 5 for n in range(10)})
    world.run()
    times = [at for at, _, _, _ in world.handed]
    assert len(times) == 50
    assert all(times[at + 10] - times[at] >= 60.0 for at in range(40))
    assert times[-1] - times[0] < 4 * 60 + 5


def test_nothing_goes_before_send_at_or_after_the_end() -> None:
    world = World(MANY)
    world.add(job(1, send_at=START + 100), {"a.example": 3})
    world.add(job(2, expires_at=START + 1.0), {"b.example": 1000})
    world.run(500)
    assert all(at >= START + 100 for at, name, _, _ in world.handed if name == "a.example")
    late = [at for at, name, _, _ in world.handed if name == "b.example" and at >= START + 1.0]
    assert late == []
    assert world.delivered["a.example"] == 3
    assert 0 < world.delivered["b.example"] < 1000


def test_a_paused_job_stops_and_goes_on() -> None:
    world = World(MANY)
    world.add(job(1), {"a.example": 100})
    world.run(until=lambda world: len(world.handed) >= 10)
    handed = len(world.handed)
    world.scheduler.job_changed(job(1, state=JobState.PAUSED), world.now)
    world.run(20)
    assert len(world.handed) == handed < 20
    world.scheduler.job_changed(job(1), world.now)
    world.schedule_offer(1, world.now)
    world.run()
    assert world.left == 0


def test_a_suspension_stops_and_says_why() -> None:
    world = World(MANY)
    world.add(job(1), {"a.example": 50, "b.example": 50})
    world.run(until=lambda world: len(world.handed) >= 10)
    world.scheduler.suspend("a.*", FOREVER, "postmaster asked us", world.now)
    world.run(30)
    done = world.delivered["a.example"]
    assert done < 20
    assert world.delivered["b.example"] == 50
    assert world.scheduler.why("a.example", world.now) == ("postmaster asked us", FOREVER)
    world.scheduler.unsuspend("a.*", world.now)
    world.run()
    assert world.left == 0


def test_a_provider_caps_all_its_sites_together() -> None:
    world = World(
        MANY,
        lambda name: SiteFacts(f"mx.{name}", "big", provider_caps=Caps(sessions=3)),
    )
    most = 0

    def watch(world: World) -> None:
        nonlocal most
        most = max(most, len(world.lines))

    world.watch = watch
    world.add(job(1), {f"d{n}.example": 5 for n in range(50)})
    world.run()
    assert (most, world.left) == (3, 0)


def test_the_window_opens_to_the_cap_within_a_minute() -> None:
    world = World(MANY, lambda _: SiteFacts("mx", site_caps=Caps(sessions=20)))
    world.add(job(1), {"a.example": 100_000})
    world.keep_log = False
    world.check = False
    world.run(60)
    assert world.sessions["mx"] == 20


def test_the_window_finds_the_receivers_own_limit() -> None:
    """A receiver that takes six sessions and answers 421 to the seventh: 4xx stay rare."""
    slow = Counter[str]()

    def lesson(world: World, line: Line) -> Lesson:
        over = world.sessions[line.site] > 6
        slow["4xx" if over else "fine"] += 1
        return Lesson.SLOW if over else Lesson.GOOD

    world = World(
        MANY,
        lambda _: SiteFacts("mx", site_caps=Caps(sessions=50, messages_per_session=100)),
        lambda _: Receiver(lesson=lesson),
    )
    world.check = False
    world.keep_log = False
    world.steps_max = 100_000
    world.add(job(1), {"a.example": 60_000})
    world.run(900)
    assert slow["4xx"] / (slow["4xx"] + slow["fine"]) < 0.02
    assert slow["fine"] > 0.6 * 900 * 60, "it stays near the limit"


def test_a_failing_path_is_probed_by_one_session() -> None:
    world = World(MANY, receiver_of=lambda _: Receiver(down=lambda now: now < START + 400))
    world.add(job(1), {"a.example": 100})
    world.run()
    times = [at - START for at, _ in world.opened if at < START + 400]
    # The window's first two fail together; then one at a time, further and further apart.
    first, probes = times[:2], times[2:]
    assert first[1] - first[0] < 1
    gaps = [later - earlier for earlier, later in pairwise(times[1:])]
    assert all(later > earlier * 1.3 for earlier, later in pairwise(gaps))
    assert 3 <= len(probes) <= 5
    assert world.left == 0


def test_dead_receivers_take_next_to_nothing_from_others() -> None:
    def rate(dead: int) -> float:
        world = World(
            SchedulerOptions(caps=Caps(sessions=40), lanes_max=400),
            receiver_of=lambda name: (
                Receiver(dial=30.0, down=lambda _: True) if "dead" in name else Receiver()
            ),
        )
        world.check = False
        world.steps_max = 500_000
        world.add(job(1), {f"dead{n}.example": 100 for n in range(dead)})
        world.add(job(2), {f"good{n}.example": 1000 for n in range(60)})
        # The first contact costs what it costs; then the dead are known.
        world.run(200)
        before = sum(world.delivered.values())
        world.run(200)
        return (sum(world.delivered.values()) - before) / 200

    assert rate(30) > 0.95 * rate(0)


@pytest.mark.parametrize("sites", [1, 10])
def test_tarpits_take_next_to_nothing_from_others(sites: int) -> None:
    def rate(tarpits: int) -> float:
        world = World(
            SchedulerOptions(caps=Caps(sessions=20)),
            lambda name: SiteFacts(f"mx.{name}", site_caps=Caps(sessions=10)),
            lambda name: Receiver(send=60.0) if "tar" in name else Receiver(),
        )
        world.check = False
        world.steps_max = 500_000
        world.add(job(1), {f"tar{n}.example": 1000 for n in range(tarpits)})
        world.add(job(2), {f"good{n}.example": 2000 for n in range(20)})
        world.run(100)
        before = Counter(world.delivered)
        world.run(100)
        done = world.delivered - before
        return sum(count for name, count in done.items() if "good" in name) / 100

    alone = rate(0)
    assert alone > 100
    assert rate(sites) > 0.945 * alone


def test_dead_receivers_leave_the_lanes_to_others() -> None:
    world = World(
        SchedulerOptions(caps=Caps(sessions=40), lanes_max=20),
        receiver_of=lambda name: (
            Receiver(dial=30.0, down=lambda _: True) if "dead" in name else Receiver()
        ),
    )
    world.add(job(1), {f"dead{n}.example": 100 for n in range(200)})
    world.add(job(2), {f"good{n}.example": 50 for n in range(40)})
    world.run(900)
    assert sum(world.delivered.values()) == 40 * 50


def test_retry_after_is_honoured() -> None:
    scheduler = ready()
    session = opened(scheduler)
    scheduler.settled(
        session.session_id, 1, Lesson.SLOW, START + 1, retry_after=90.0, reason="try in 90 s"
    )
    assert scheduler.take(session.session_id, START + 1) == Finish("try in 90 s")
    scheduler.session_closed(session.session_id, START + 1)
    assert scheduler.actions(START + 2) == [Park(1, START + 91)]
    assert scheduler.why("a.example", START + 2) == ("try in 90 s", START + 91)


def test_new_caps_hold_as_soon_as_the_answers_are_asked_for_again() -> None:
    scheduler = ready(facts=SiteFacts("mx", site_caps=Caps(sessions=1), until=START + 9_000))
    scheduler.lane_offered(LaneFacts(2, 1, "b.example", Priority.BULK, 1, START), START)
    scheduler.actions(START)
    scheduler.resolved("b.example", SiteFacts("mx", site_caps=Caps(sessions=1)), START)
    assert scheduler.why("b.example", START)[0] == "1 of 1 sessions of site mx"
    assert Resolve("b.example") not in scheduler.actions(START + 1)
    scheduler.resolve_again(START + 1)
    assert Resolve("b.example") in scheduler.actions(START + 1)
    assert scheduler.why("b.example", START + 1)[0] == "1 of 1 sessions of site mx"
    scheduler.resolved("b.example", SiteFacts("mx", site_caps=Caps(sessions=2)), START + 1)
    assert scheduler.why("b.example", START + 1)[0] != "1 of 1 sessions of site mx"


def test_every_waiting_destination_says_why() -> None:
    site_caps = Caps(sessions=1, messages=(Rate(2, 60),))
    scheduler = ready(facts=SiteFacts("mx", site_caps=site_caps))
    scheduler.lane_offered(LaneFacts(2, 1, "b.example", Priority.BULK, 1, START), START)
    assert scheduler.why("b.example", START) == ("its MX hosts are being looked up", FOREVER)
    assert scheduler.why("c.example", START) == ("nothing of it is due", START)
    scheduler.actions(START)
    scheduler.resolved("b.example", SiteFacts("mx", site_caps=site_caps), START)
    assert scheduler.why("b.example", START)[0] == "1 of 1 sessions of site mx"
    scheduler.suspend("mx", START + 60, "by hand", START)
    assert scheduler.why("b.example", START) == ("by hand", START + 60)


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        (job(1, state=JobState.PAUSED), "nothing of it is due"),
        (job(1, send_at=START + 9), "job job 1 begins later (send_at)"),
        (job(1, pool="none"), "no source serves the pool 'none'"),
    ],
)
def test_what_a_job_does_to_why(facts: object, reason: str) -> None:
    scheduler = ready(options=SchedulerOptions(sources=(SourceFacts("s", ("",)),)))
    scheduler.job_changed(facts, START)  # type: ignore[arg-type]  # the table holds jobs
    assert scheduler.why("a.example", START)[0] == reason


def test_lessons_survive_a_restart() -> None:
    world = World(MANY, lambda _: SiteFacts("mx", site_caps=Caps(sessions=9)))
    world.add(job(1), {"a.example": 5000})
    world.run(60)
    learned = world.scheduler.learned()
    assert learned["default to mx"].window[0] == 9

    again = World(MANY, lambda _: SiteFacts("mx", site_caps=Caps(sessions=9)))
    again.scheduler.recall(learned)
    again.add(job(1), {"a.example": 5000})
    again.run(1.0)
    assert again.sessions["mx"] == 9


def test_memory_holds_windows_and_not_the_queue() -> None:
    options = SchedulerOptions(lanes_max=50, waiting_max=1000, resolved_max=100)
    world = World(options)
    world.check = False
    world.add(job(1), {f"d{n}.example": 3 for n in range(2000)})
    world.run()
    state = world.scheduler._state
    assert world.left == 0
    assert len(state.destinations) <= 100
    assert len(state.sites) <= 100
    assert len(state.learned) <= 100
