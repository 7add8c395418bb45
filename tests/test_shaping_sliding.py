"""Places by count: no second holds one too many, and what was missed is caught up."""

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ekiden.shaping.sliding import CLOSEST, Sliding

START = 1_000_000.0


def test_one_a_second_is_exact() -> None:
    places = Sliding()
    assert places.next(START, 1.0) < START, "nobody came yet: at once"
    places.step(START, 1.0)
    assert places.next(START, 1.0) == START + 1.0
    places.step(START + 5.0, 1.0)
    assert places.next(START, 1.0) == START + 1.0, "what comes later does not hold the present up"
    assert places.next(START + 5.0, 1.0) == START + 6.0, "what was not used is not kept"


def test_what_was_missed_is_caught_up_within_the_second() -> None:
    places = Sliding()
    for start in (0.0, 0.1, 0.2, 0.6):  # three places of ten went by
        places.step(START + start, 0.1)
    now, starts = START + 0.6, []
    while now < START + 1.0:
        now = places.next(now, 0.1)
        places.step(now, 0.1)
        starts.append(round(now - START, 3))
    assert starts[:5] == [0.68, 0.76, 0.84, 0.92, 1.0]


def test_in_the_long_run_it_is_the_rate() -> None:
    places, now = Sliding(), START
    for _ in range(1_551):
        now = max(now, places.next(now, 1 / 15.5))
        places.step(now, 1 / 15.5)
    assert now - START == pytest.approx(100.0, abs=1.0)


def test_what_is_booked_has_its_place() -> None:
    places = Sliding()
    places.step(START, 1.0)
    assert places.free(START, 0.3, 1.0) == START + 1.0
    assert places.free(START, 1.4, 1.0) == START + 1.4
    places.take(START + 1.4)
    assert places.next(START, 1.0) == START + 2.4, "a second before it there is no room either"


def test_nothing_starts_in_a_pause() -> None:
    places = Sliding()
    places.step(START, 0.1)
    places.advance(START + 3.0)
    assert places.at == START + 3.0
    assert places.next(START + 0.5, 0.1) == START + 3.0
    assert places.free(START + 0.5, 0.3, 0.1) == START + 3.0


@given(
    st.lists(st.tuples(st.floats(0.0, 0.3), st.floats(0.0, 0.5)), min_size=1, max_size=200),
    st.floats(0.5, 60.0),
)
def test_no_second_holds_more_than_exact_places_would(
    events: list[tuple[float, float]], rate: float
) -> None:
    """Who starts at once and who opens a session first, in any order."""
    places, interval, now, starts = Sliding(), 1 / rate, START, []
    for pause, ahead in events:
        now += pause
        if ahead > 0.25:
            at = places.free(now, ahead, interval)
            places.take(at)
        else:
            at = now = max(now, places.next(now, interval))
            places.step(now, interval)
        starts.append(at)
    starts.sort()
    many = max(1, math.ceil(rate - 1e-6))
    for one, later in pairwise(starts):
        assert later - one >= interval * CLOSEST - 1e-6
    for one, later in zip(starts, starts[many:], strict=False):
        assert later - one >= many * interval - 1e-6
