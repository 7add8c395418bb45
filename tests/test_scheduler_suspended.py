"""A suspension that is lifted leaves nothing behind that holds mail back."""

from ekiden.engine.schedule.facts import (
    FOREVER,
    Item,
    Load,
    Open,
    Park,
    Resolve,
    SchedulerOptions,
    SiteFacts,
    SourceFacts,
)
from ekiden.engine.scheduler import Scheduler
from ekiden.queue.model import LaneFacts, Priority, Waiting
from scheduler_world import START, job

LANE = LaneFacts(1, 1, "a.example", Priority.BULK, 100, START)


def delivering() -> tuple[Scheduler, int, Item]:
    """A scheduler with one lane, one session, and one delivery in its hand."""
    scheduler = Scheduler(SchedulerOptions(sources=(SourceFacts("ip"),)))
    scheduler.job_changed(job(1), START)
    assert scheduler.lane_offered(LANE, START)
    assert Resolve("a.example") in scheduler.actions(START)
    scheduler.resolved("a.example", SiteFacts("mx.example", "big"), START)
    scheduler.loaded(1, [Waiting(1, START), Waiting(2, START)], False, START)
    (opened,) = (one for one in scheduler.actions(START) if isinstance(one, Open))
    scheduler.session_opened(opened.session_id, START)
    return scheduler, opened.session_id, opened.first[0]


def parks(scheduler: Scheduler, now: float) -> list[Park]:
    return [one for one in scheduler.actions(now) if isinstance(one, Park)]


def test_a_lane_on_its_way_out_is_not_put_aside_any_more() -> None:
    scheduler, _, _ = delivering()
    scheduler.suspend("*", FOREVER, "wait", START + 1)
    # The dispatcher has not acted on it yet when the suspension is lifted.
    scheduler.unsuspend("*", START + 1)
    assert parks(scheduler, START + 1) == [Park(1, None)]


def test_a_lane_that_comes_back_at_once_is_taken() -> None:
    scheduler, session, item = delivering()
    scheduler.suspend("*", FOREVER, "wait", START + 1)
    scheduler.session_closed(session, START + 1)
    scheduler.returned(1, [item], START + 1)  # it was claimed ahead
    assert [one.until for one in parks(scheduler, START + 1)] == [START + 301.0] * 2
    scheduler.unsuspend("*", START + 2)
    assert scheduler.lane_offered(LANE, START + 2)
    assert [one.lane_id for one in scheduler.actions(START + 2) if isinstance(one, Load)] == [1]
    assert parks(scheduler, START + 2) == []
