"""Rates: never one too many in any span, and not much less than allowed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ekiden.shaping.caps import Caps, Rate
from ekiden.shaping.rates import DAY, Allowance, Bucket, Meter

START = 1_000_000.0


def greedy(meter: Meter, seconds: float, pauses: list[float]) -> list[float]:
    """Start as soon as allowed, now and then later; return when."""
    now, starts = START, list[float]()
    for number in range(5_000):
        now = max(now, meter.ready_at(now)) + (pauses[number % len(pauses)] if pauses else 0.0)
        if now >= START + seconds:
            break
        meter.spend(now)
        starts.append(now)
    return starts


def most_in_a_span(starts: list[float], seconds: float) -> int:
    most, first = 0, 0
    for last, at in enumerate(starts):
        while starts[first] <= at - seconds + 1e-6:
            first += 1
        most = max(most, last - first + 1)
    return most


@given(
    st.integers(1, 120),
    st.sampled_from([1.0, 60.0, 3_600.0, 86_400.0]),
    st.lists(st.sampled_from([0.0, 0.0, 0.001, 0.3, 40.0, 2_000.0]), max_size=7),
)
def test_no_span_holds_one_too_many(limit: int, seconds: float, pauses: list[float]) -> None:
    meter = Meter.of((Rate(limit, seconds),))
    assert meter is not None
    starts = greedy(meter, seconds * 5, pauses)
    assert most_in_a_span(starts, seconds) <= limit


@pytest.mark.parametrize(("limit", "seconds"), [(10, 1.0), (100, 60.0), (500, 86_400.0)])
def test_little_of_a_rate_is_left_unused(limit: int, seconds: float) -> None:
    meter = Meter.of((Rate(limit, seconds),))
    assert meter is not None
    assert len(greedy(meter, seconds * 10, [])) >= 0.88 * limit * 10


def test_seconds_are_smooth_and_days_are_a_budget() -> None:
    bucket = Bucket(100, 1.0)
    at_once = 0
    while bucket.ready_at(START) <= START:
        bucket.spend(START)
        at_once += 1
    assert at_once == 5
    budget = Allowance(500, 86_400.0, 96)
    for _ in range(500):
        assert budget.ready_at(START) == START
        budget.spend(START)
    assert budget.left(START) == 0
    assert 86_400.0 <= budget.ready_at(START) - START <= 86_400.0 + 900.0


def test_what_is_booked_ahead_is_counted_when_it_starts() -> None:
    meter = Meter.of((Rate(5, 1.0), Rate(3, DAY)))
    assert meter is not None
    interval = 1 / 4.75
    meter.spend(START)
    assert meter.opens_at(START, 0.3, alone=False) == pytest.approx(START + 2 * interval - 0.3)
    meter.spend(START + 0.15, ahead=2 * interval - 0.15)
    assert meter.ready_at(START + 0.2) == pytest.approx(START + interval), "it takes a later place"
    meter.spend(START + interval)
    assert meter.binding(START + 10) == "3 per day", "a budget counts what is handed out"
    assert Meter.of((Rate(5, 1.0),)).opens_at(START, 0.3, alone=False) <= START  # type: ignore[union-attr]  # one rate is a meter


def test_what_starts_at_another_time_than_foreseen_is_counted_again() -> None:
    meter = Meter.of((Rate(5, 1.0), Rate(2, DAY)))
    assert meter is not None
    meter.spend(START)
    meter.unforeseen(START + 3.0)
    assert meter.ready_at(START + 3.0) == pytest.approx(START + 3.0 + 1 / 4.75)
    assert meter.ready_at(START + 9.0) == START + 9.0, "once against the budget"


def test_a_start_that_did_not_happen_is_taken_back() -> None:
    budget = Allowance(2, 3_600.0, 60)
    budget.spend(START)
    budget.spend(START + 70)
    budget.refund(START + 70)
    assert budget.left(START + 100) == 1
    budget.refund(START + 9_999)
    assert budget.left(START + 100) == 1


def test_a_clock_that_steps_back_lets_nothing_more_through() -> None:
    budget = Allowance(3, 3_600.0, 60)
    for at in (START, START - 500, START - 500):
        budget.spend(at)
    assert budget.ready_at(START - 500) > START + 3_600 - 60


def test_the_limit_that_binds_is_named() -> None:
    meter = Meter.of((Rate(10, 1.0), Rate(2, 86_400.0)))
    assert meter is not None
    assert meter.binding(START) == ""
    meter.spend(START)
    assert meter.binding(START) == "10 per second"
    meter.spend(START + 1)
    assert meter.binding(START + 1) == "2 per day"


def test_a_restart_forgets_no_start() -> None:
    rates = (Rate(1, 60.0), Rate(3, 86_400.0))
    meter, again = Meter.of(rates), Meter.of(rates)
    assert meter is not None
    assert again is not None
    for minute in range(3):
        meter.spend(START + minute * 70)
    again.restore(meter.state())
    assert again.ready_at(START + 300) == meter.ready_at(START + 300) > START + 86_000


def test_new_caps_forget_no_start_of_the_last_second() -> None:
    meter, again = Meter.of((Rate(5, 1.0),)), Meter.of((Rate(6, 1.0),))
    assert meter is not None
    assert again is not None
    starts = greedy(meter, 0.9, [])
    again.restore(meter.state())
    starts += greedy(again, 3.0, [])
    assert most_in_a_span(starts, 1.0) <= 6


@pytest.mark.parametrize(
    ("text", "said"),
    [("10/s", "10 per second"), ("90/m", "90 per minute"), ("1000/h", "1,000 per hour"),
     ("500/d", "500 per day")],
)  # fmt: skip
def test_rates_are_read_and_said(text: str, said: str) -> None:
    assert str(Rate.parse(text)) == said


@pytest.mark.parametrize("text", ["", "10", "10/w", "0/s", "-1/s", "1.5/s", "10/s "])
def test_what_is_no_rate_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="rate"):
        Rate.parse(text)


def test_no_rates_need_no_meter() -> None:
    assert Meter.of(()) is None
    assert Caps() == Caps(sessions=None)
    with pytest.raises(ValueError, match="sessions must be at least 1"):
        Caps(sessions=0)


def test_a_pace_is_so_many_and_then_a_rest() -> None:
    meter = Meter.of([Rate(3, 600.0, rest=True), Rate(500, 86_400.0)])
    assert meter is not None
    for second in range(3):
        assert meter.ready_at(START + second) <= START + second
        meter.spend(START + second)
    assert meter.ready_at(START + 3) == START + 2 + 600
    assert meter.binding(START + 3) == "3, then wait 600 seconds"
    assert meter.budgeted, "a rest outlives a restart"
    again = Meter.of([Rate(3, 600.0, rest=True)])
    assert again is not None
    again.restore(meter.state())
    assert again.ready_at(START + 4) == START + 602
    again.spend(START + 602)
    again.refund(START + 602)
    for _ in range(2):
        again.spend(START + 603)
    assert again.ready_at(START + 604) <= START + 604
