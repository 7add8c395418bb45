"""One pass of the scheduler is bounded, however many works stand in line; passes add up to one."""

import pytest

from ekiden.engine.schedule import slots
from ekiden.engine.schedule.facts import Action, Load, Open, Resolve, SchedulerOptions, SiteFacts
from ekiden.engine.schedule.state import State
from ekiden.engine.scheduler import Scheduler
from ekiden.queue.model import LaneFacts, Priority, Waiting
from ekiden.shaping.caps import Caps, Rate
from ekiden.shaping.window import Lesson
from scheduler_world import START, job

SITES = 500


def crowd(caps: Caps, ids: int = 3) -> Scheduler:
    """Return a scheduler with one lane for each of many sites, all loaded, nothing begun."""
    scheduler = Scheduler(
        SchedulerOptions(caps=Caps(sessions=SITES), lanes_max=SITES, resolving_max=SITES)
    )
    scheduler.job_changed(job(1), START)
    for lane in range(SITES):
        facts = LaneFacts(lane, 1, f"d{lane}.example", Priority.BULK, ids, START)
        assert scheduler.lane_offered(facts, START)
    for action in scheduler.actions(START, 4 * SITES):
        match action:
            case Load(lane):
                waiting = [Waiting(lane * 100 + n, START) for n in range(1, ids + 1)]
                scheduler.loaded(lane, waiting, False, START)
            case Resolve(name):
                scheduler.resolved(name, SiteFacts(f"mx.{name}", site_caps=caps), START)
            case _:
                pytest.fail(f"not yet: {action}")
    return scheduler


def passes(scheduler: Scheduler, now: float, **bounds: int) -> list[list[Action]]:
    """Ask until there is nothing to do at once."""
    found = []
    while scheduler.wake_at(now) <= now:
        found.append(scheduler.actions(now, **bounds))
    return found


def test_a_pass_begins_no_more_sessions_than_it_may() -> None:
    found = passes(crowd(Caps(sessions=1)), START, opens=8)
    opens = [sum(isinstance(action, Open) for action in one) for one in found]
    assert max(opens) == 8
    assert sum(opens) == SITES


def test_a_pass_looks_at_no_more_works_than_it_may(monkeypatch: pytest.MonkeyPatch) -> None:
    """No source is left: each work steps out of the line, and nothing begins."""
    scheduler = crowd(Caps(sessions=1))
    scheduler.set_sources((), START)
    looked = 0
    plain = slots.next_session

    def counted(state: State, now: float) -> Action | None:
        nonlocal looked
        looked += 1
        return plain(state, now)

    monkeypatch.setattr(slots, "next_session", counted)
    each = []
    while scheduler.wake_at(START) <= START:
        looked = 0
        assert not any(isinstance(one, Open) for one in scheduler.actions(START, looks=50))
        each.append(looked)
    assert max(each) == 50
    assert sum(each) == SITES


def test_a_pass_fires_no_more_timers_than_it_may() -> None:
    """Every site takes its next connection at the same moment."""
    scheduler = crowd(Caps(sessions=2, connections=(Rate(1, 10.0),)))
    for one in scheduler.actions(START, 4 * SITES):
        assert isinstance(one, Open)
        scheduler.session_opened(one.session_id, START)
        scheduler.settled(one.session_id, one.first[0].id, Lesson.GOOD, START)
        scheduler.session_closed(one.session_id, START)
    while scheduler.wake_at(START) <= START:
        scheduler.actions(START)
    later = START + 11.0
    found = passes(scheduler, later, looks=50)
    opens = [sum(isinstance(action, Open) for action in one) for one in found]
    assert max(opens) <= 50
    assert sum(opens) == SITES
