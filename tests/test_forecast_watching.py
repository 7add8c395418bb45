"""What holds up the mail that a forecast watches, in words that are so."""

import pytest

from ekiden.engine.schedule.explain import NOTHING_DUE
from ekiden.forecast.watching import IN_LINE, TO_BE_TRIED, SimLane, Watch
from ekiden.queue.model import LaneFacts, Priority


class Silent:
    """A scheduler that has nothing of a destination in memory."""

    def why(self, _destination: str, now: float, _job: int | None = None) -> tuple[str, float]:
        return NOTHING_DUE, now


@pytest.mark.parametrize(
    ("due", "words"), [(100.0, IN_LINE), (100.5, IN_LINE), (101.5, TO_BE_TRIED)]
)
def test_mail_that_is_not_in_memory_is_in_line_or_waits_for_its_next_try(
    due: float, words: str
) -> None:
    facts = LaneFacts(1, 7, "a.example", Priority.BULK, 3, 100.0)
    lane = SimLane(facts, (7, ""), 10, 4, {1: 200.0, 2: due, 3: 200.0}, 3)
    watch = Watch([lane], Silent(), 0.0)  # type: ignore[arg-type]  # all of it that is asked
    watch.leapt(101.0, 161.0)
    assert watch.course.held_up == {(7, ""): {words: 161.0}}
    watch.final(lane, 3, 161.0)
    assert (watch.course.arrivals, watch.left) == ({(7, ""): [(161.0, 4)]}, 2)
