"""Places in a row: nobody starts closer to another than an interval, opening sessions included."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ekiden.shaping.track import Track

START = 1_000_000.0


def test_places_are_an_interval_apart() -> None:
    track = Track()
    assert track.next(START, 1.0) < START, "nobody came yet: at once"
    track.step(START, 1.0)
    assert track.next(START, 1.0) == START + 1.0
    track.step(START + 5.0, 1.0)
    assert track.next(START, 1.0) == START + 6.0, "what was not used is not kept"


def test_a_place_that_is_taken_ahead_is_passed_over() -> None:
    track = Track()
    track.step(START, 1.0)
    track.take(START + 2.0)
    assert track.next(START, 1.0) == START + 1.0
    track.step(START + 1.0, 1.0)
    assert track.next(START + 1.0, 1.0) == START + 3.0


def test_a_session_opens_in_time_for_a_place() -> None:
    track = Track()
    track.step(START, 1.0)
    assert track.free(START, 0.3, 1.0) == START + 1.0
    assert track.free(START, 1.4, 1.0) == START + 2.0
    track.take(START + 2.0)
    assert track.free(START, 1.4, 1.0) == START + 3.0


def test_who_is_alone_moves_the_row() -> None:
    """Nobody would use the place that passes while its session opens."""
    track = Track()
    track.step(START, 1.0)
    assert track.free(START, 1.3, 1.0, alone=True) == START + 1.3
    assert track.free(START, 0.3, 1.0, alone=True) == START + 1.0, "never before its place"
    track.take(START + 1.3)
    assert track.free(START, 1.3, 1.0, alone=True) == START + 2.3, "another opens meanwhile"


def test_with_a_burst_places_may_be_used_early_and_no_more_of_them() -> None:
    track = Track(burst=2.0)
    for _ in range(3):
        assert track.next(START, 1.0) <= START
        track.step(START, 1.0)
    assert track.next(START, 1.0) == START + 1.0
    assert track.free(START, 0.5, 1.0) == START + 1.0
    track.take(START + 1.0)
    assert track.next(START, 1.0) == START + 2.0, "that place was taken"


def test_those_who_open_at_once_while_nobody_waits_take_places_too() -> None:
    track = Track()
    places = []
    for _ in range(4):
        places.append(track.free(START, 0.3, 0.1))
        track.take(places[-1])
    assert places == pytest.approx([START + 0.3, START + 0.4, START + 0.5, START + 0.6])


def test_a_place_taken_by_who_came_late_is_still_left_alone() -> None:
    track = Track()
    track.take(START + 0.2)
    assert track.next(START + 0.4, 1.0) == pytest.approx(START + 1.2)


@given(st.lists(st.tuples(st.floats(0.0, 3.0), st.booleans()), max_size=60), st.floats(0.1, 2.0))
def test_nobody_comes_closer_than_an_interval(
    events: list[tuple[float, bool]], interval: float
) -> None:
    """But by a twentieth of a second, or half an interval: the row moves with who comes late."""
    track, now, starts = Track(), START, [float("-inf")]
    for wait, opens in events:
        now += wait
        if opens:
            at = track.free(now, 0.25, interval)
            track.take(at)
            starts.append(at)
        else:
            now = max(now, track.next(now, interval))
            track.step(now, interval)
            starts.append(now)
    starts.sort()
    gaps = [after - before for before, after in pairwise(starts)]
    least = max(interval * 0.5, interval - 0.05)
    assert all(gap >= least - 1e-6 for gap in gaps)
