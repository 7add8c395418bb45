"""The rate that is found by asking: down by half once a run, up while it binds."""

from itertools import pairwise

import pytest

from ekiden.shaping.knee import FLOOR, STEP
from ekiden.shaping.speed import Speed, SpeedOptions

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
    now = drive(speed, now, 30)
    assert speed.rate == speed.knee
    drive(speed, now, 40)
    assert speed.rate == speed.knee, "a minute has not passed"


def test_it_asks_beyond_the_knee_in_larger_steps() -> None:
    speed, now = throttled()
    knee = speed.knee
    drive(speed, now, 600)
    assert speed.knee > 2 * knee


def asking(knee: float = 10.0) -> tuple[Speed, float]:
    """Return a speed that has just gone beyond its knee, and when."""
    speed = Speed(SpeedOptions())
    speed.limit(knee, START)
    now = START
    while speed.rate is not None and speed.rate <= speed.knee:
        now = drive(speed, now, 1)
    return speed, now


def test_a_question_that_fails_leaves_the_knee_and_costs_a_tenth() -> None:
    speed, now = asking()
    assert speed.rate == pytest.approx(10.0 * (1 + STEP))
    assert speed.calm(now)
    speed.ease(now)
    assert speed.knee == pytest.approx(10.0, rel=0.02)
    assert speed.rate == pytest.approx(9.0, rel=0.02)
    assert speed.in_run(now, since=now - 0.1), "what was on its way is answered already"
    assert not speed.in_run(now + 5.0, since=now + 5.0)
    assert not speed.calm(now + 5.0), "again so soon is a run, and halves it"


def test_the_dearer_the_last_question_the_later_the_next() -> None:
    def waits(refusals: int) -> float:
        speed, now = asking(1.0)
        speed.ease(now)
        for _ in range(refusals - 1):
            assert speed.in_run(now, since=now)
        knee, asked = speed.knee, now
        while speed.rate is not None and speed.rate <= knee:
            now = drive(speed, now, 1)
        return now - asked

    assert 100 < waits(1) < 170, "a hundred messages and more for a refusal"
    assert 220 < waits(2) < 280
    assert waits(10) < 640, "half as long when five minutes have passed"


def test_who_pauses_for_long_is_not_as_fast_as_he_takes() -> None:
    """Three hundred a minute, taken in ten seconds each time: the mean is what it allows."""
    speed, now = throttled()
    assert not speed.trouble(now + 10, since=now + 9), "nothing taken since: it is shut"
    now += 60
    for step in range(300):
        speed.spend(now + step * 0.1)
        speed.good(now + step * 0.1, since=now)
    assert speed.calm(now + 30)
    speed.ease(now + 30)
    assert speed.knee < 5.0


def test_sessions_that_were_too_much_leave_a_rate_that_is_in_use() -> None:
    speed, now = asking()
    speed.limit_to_taken(now)
    assert speed.rate == speed.knee == pytest.approx(10.0, rel=0.02)
    speed.limit(100.0, now)
    assert speed.rate == pytest.approx(10.0, rel=0.02), "never faster"


def test_an_unused_rate_proves_nothing() -> None:
    speed, now = throttled()
    rate = speed.rate
    for second in range(300):
        speed.spend(now + second)
        speed.good(now + second + 0.1, since=now + second)
    assert speed.rate == rate


def test_a_rate_that_is_waited_for_binds_though_it_is_not_used() -> None:
    """Two sessions of five messages: between them nothing is sent, within them all wait."""
    speed, now = throttled()
    rate = speed.rate
    for _ in range(60):
        for _ in range(5):
            now = max(now, speed.ready_at(now))
            speed.spend(now)
            speed.good(now + 0.05, since=now)
        now += 2.0
    assert rate is not None
    assert speed.rate is not None
    assert speed.rate > rate


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


def test_refused_again_at_once_it_is_silent_for_longer_each_time() -> None:
    speed, now = asking()
    speed.ease(now)
    waits = []
    for _ in range(2):
        at = speed.ready_at(now)
        waits.append(at - now)
        now = at
        speed.spend(now)
        assert speed.in_run(now, since=now), "no step, for one has answered it"
    assert speed.ready_at(now) - now > 1.9 * waits[1] > 3.6 * waits[0]


def test_after_a_halving_one_asks_for_all() -> None:
    speed, now = throttled()
    first = speed.ready_at(now)
    assert first > now + 1.4, "a receiver that counts by the second is free again"
    speed.spend(first)
    assert speed.ready_at(first) > first + 1.4, "not before the answer"
    speed.good(first + 0.5, since=first)
    second = speed.ready_at(first + 0.5)
    speed.spend(second)
    assert speed.ready_at(second) < second + 0.3


def test_what_a_minute_had_room_for_it_has() -> None:
    """A pause of seconds says nothing of the mean."""
    speed = Speed(SpeedOptions())
    speed.limit(10.0, START)
    now = drive(speed, START, 60)
    speed.trouble(now, since=now)
    assert not speed.trouble(now + 2, since=now + 1), "it is shut"
    speed.good(now + 12, since=now + 11.9)
    assert speed.trouble(now + 12.2, since=now + 12.1)
    assert speed.knee > 4.0, "not the one in twelve seconds"


def test_what_an_hour_had_room_for_it_has() -> None:
    """A thousand an hour: a few of the next are taken an hour later, and it is shut again."""
    speed = Speed(SpeedOptions())
    speed.limit(1.0, START)
    for second in range(1_000):
        speed.good(START + second, since=START + second - 0.1)
    now = START + 1_000
    speed.ease(now)
    assert not speed.trouble(now + 10, since=now + 9)
    again = now + 2_700
    for step in range(20):
        speed.good(again + step * 2, since=again + step * 2)
    assert speed.trouble(again + 50, since=again + 50)
    assert speed.knee > 0.2, "not twenty in 2,750 seconds"


def test_a_large_question_that_fails_is_followed_by_one_half_as_large() -> None:
    speed, now = asking()
    step = 0.0
    while step < 0.35:
        now = drive(speed, now, 1)
        assert speed.rate is not None
        step = speed.rate / speed.knee - 1
    speed.ease(now)
    knee, failed = speed.knee, now
    while speed.rate is not None and speed.rate <= knee:
        now = drive(speed, now, 1)
    assert speed.rate == pytest.approx(knee * (1 + step / 2))
    assert now - failed < 45, "it has paid for the question on its climb"


def test_what_was_too_much_a_moment_ago_is_approached_by_halves() -> None:
    speed, now = asking()
    while speed.rate is not None and speed.rate < 1.3 * speed.knee:
        now = drive(speed, now, 1)
    assert speed.rate is not None
    failed = speed.rate
    speed.ease(now)
    asked = {speed.rate}
    while now < START + 300 and speed.rate < failed:
        now = drive(speed, now, 1)
        asked.add(speed.rate)
    beyond = sorted(rate for rate in asked if rate > failed / 1.3)
    assert all(later - rate <= (failed - rate) * 0.9 for rate, later in pairwise(beyond))


def test_a_slow_question_is_held_until_it_has_told_something() -> None:
    speed, now = asking(0.5)
    assert speed.rate is not None
    rate, asked = speed.rate, now
    while speed.rate == rate:
        now = drive(speed, now, 1)
    assert (now - asked) * (rate - 0.5) > 1.4, "messages more than at the knee"


@pytest.mark.parametrize(("rate", "early"), [(1.0, 0.001), (10.0, 0.01), (100.0, 0.02)])
def test_who_is_slow_is_exact(rate: float, early: float) -> None:
    """A late timer costs a fast path much and a slow one nothing: never one more in a second."""
    speed = Speed(SpeedOptions())
    speed.limit(rate, START)
    for start in range(round(rate)):
        speed.spend(START + 10 + start * 0.8 / rate)
    now = START + 10.9
    assert speed.ready_at(now) == pytest.approx(START + 11 - early, abs=1e-6)


def test_places_are_kept_when_a_rate_comes_to_be_counted() -> None:
    """From places in a row to a count, and back: nothing starts closer than either allows."""
    speed = Speed(SpeedOptions())
    speed.limit(4.2, START)
    now = max(START + 10, speed.ready_at(START))
    speed.spend(now)
    speed.book(now + 0.5)
    speed.limit(2.0, now)
    assert speed.ready_at(now) > now + 0.5 + 0.45, "what was booked while it was counted"
    at = now
    while speed.rate is not None and speed.rate < 4.5:
        at = drive(speed, at, 1)
        last, ready = at, speed.ready_at(at)
        assert ready >= last + 0.8 / speed.rate - 0.01


def test_it_never_falls_below_the_floor() -> None:
    speed, now = throttled()
    for _ in range(50):
        now += 100
        speed.good(now, since=now)
        speed.trouble(now + 1, since=now + 1)
    assert speed.rate == FLOOR


def test_refusals_after_a_silence_leave_a_knee() -> None:
    """The minute before was empty: the most that it took is no measure of what it takes."""
    speed, now = asking()
    for _ in range(3):
        now += 600.0
        speed.ease(now)
        assert speed.knee >= FLOOR
        assert speed.rate is not None
        assert speed.rate >= FLOOR


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
