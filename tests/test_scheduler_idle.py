"""Sessions that are kept open: who gets them, and how soon."""

import pytest

from ekiden.engine.schedule.facts import SchedulerOptions, SiteFacts
from ekiden.queue.model import Priority
from ekiden.shaping.caps import Caps
from scheduler_world import START, Receiver, World, job


@pytest.mark.parametrize("priority", [Priority.BULK, Priority.TRANSACTIONAL])
def test_new_mail_takes_an_idle_session_at_once(priority: Priority) -> None:
    """Its site had as many sessions as it may have, and stood in line for another one."""
    found = World(
        SchedulerOptions(idle=30.0),
        lambda name: SiteFacts("mx", site_caps=Caps(sessions=2)),
        lambda _: Receiver(send=1.0),
    )
    found.add(job(1), {"a.example": 20})
    found.run(until=lambda world: not world.left)
    found.run(3.0)
    assert len(found.lines) == 2, "both are open, and idle"
    began = found.now
    found.add(job(2, priority=priority), {"a.example": 2, "b.example": 2})
    found.run(until=lambda world: not world.left)
    assert next(at for at, _, number, _ in found.handed if number == 2) - began < 1.0
    assert found.now - began < 5.0
    assert found.now > START
    assert len(found.opened) == 2
