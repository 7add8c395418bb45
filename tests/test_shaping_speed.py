"""The rate that is found by asking: down by half once a run, up while it binds."""

import pytest

from ekiden.shaping.speed import FLOOR, STEP, Speed, SpeedOptions

START = 1_000_000.0


def drive(speed: Speed, start: float, seconds: float) -> float:
    """Send as fast as the rate allows, all of it taken; return the time after it."""
    now, end = start, start + seconds
    while now < end:
        now = max(now, speed.ready_at(now)) if speed.rate else now + 0.1
        speed.spend(now)
        speed.good(now + 0.05, since=now)
    return now


def throttled(taken: int = 100) -> tuple[Speed, float]:
    """Return a speed that took ten a second and then met trouble, and when."""
    speed = Speed(SpeedOptions())
    now = drive(speed, START, taken / 10)
    assert speed.trouble(now, since=now)
    return speed, now


def test_there_is_no_rate_before_there_is_trouble() -> None:
    speed = Speed(SpeedOptions())
    now = drive(speed, START, 60)
    assert speed.rate is None
    assert speed.ready_at(now) < now
    assert speed.state() == []


def test_trouble_halves_what_was_taken() -> None:
    speed, _ = throttled()
    assert speed.knee == pytest.approx(10.0, rel=0.05)
    assert speed.rate == pytest.approx(5.0, rel=0.05)


def test_a_run_of_refusals_is_one_step() -> None:
    speed, now = throttled()
    rate = speed.rate
    assert not speed.trouble(now + 1, since=now - 0.1), "handed out before the step"
    assert not speed.trouble(now + 2, since=now + 1), "nothing was taken since: no news of the rate"
    assert speed.rate == rate


def test_it_climbs_to_the_knee_and_waits_there() -> None:
    speed, now = throttled()
    now = drive(speed, now, 60)
    assert speed.rate == speed.knee
    drive(speed, now, 50)
    assert speed.rate == speed.knee, "two minutes have not passed"


def test_it_asks_beyond_the_knee_in_larger_steps() -> None:
    speed, now = throttled()
    knee = speed.knee
    drive(speed, now, 600)
    assert speed.knee > 2 * knee


def test_a_question_that_fails_leaves_the_knee_and_is_put_off() -> None:
    speed, now = throttled()
    knee = speed.knee
    while speed.rate is not None and speed.rate <= knee:
        now = drive(speed, now, 1)
    first = now
    assert speed.rate == pytest.approx(knee * (1 + STEP))
    assert speed.trouble(now, since=now)
    assert speed.knee == knee
    while speed.rate is not None and speed.rate <= knee:
        now = drive(speed, now, 1)
    assert now - first > 200


def test_an_unused_rate_proves_nothing() -> None:
    speed, now = throttled()
    rate = speed.rate
    for second in range(300):
        speed.spend(now + second)
        speed.good(now + second + 0.1, since=now + second)
    assert speed.rate == rate


def test_much_at_once_and_then_nothing_is_measured_as_both() -> None:
    """Sixty a minute: a burst is taken in seconds, then all is refused until the minute is over."""
    speed, now = throttled(60)
    assert not speed.trouble(now + 10, since=now + 9)
    again = now + 54
    assert speed.rate is not None
    for step in range(60):
        speed.spend(again + step * 0.1)
        speed.good(again + step * 0.1, since=again + step * 0.1 - 0.05)
    speed.trouble(again + 6, since=again + 6)
    assert speed.knee == pytest.approx(1.2, rel=0.1), "not the ten a second of the burst"


def test_it_never_falls_below_the_floor() -> None:
    speed, now = throttled()
    for _ in range(50):
        now += 100
        speed.good(now, since=now)
        speed.trouble(now + 1, since=now + 1)
    assert speed.rate == FLOOR


def test_a_limit_from_outside_holds_like_one_that_was_found() -> None:
    speed = Speed(SpeedOptions())
    speed.limit(2.0, START)
    assert (speed.rate, speed.knee) == (2.0, 2.0)
    speed.limit(5.0, START)
    assert speed.rate == 2.0


def test_it_survives_a_restart() -> None:
    speed, _ = throttled()
    again = Speed(SpeedOptions())
    again.restore(speed.state())
    assert (again.rate, again.knee, again.state()) == (speed.rate, speed.knee, speed.state())
    again.restore([1.0])
    assert again.rate == speed.rate, "what it did not write it leaves alone"
