"""The window: up by evidence, down once per run, back gradually."""

from hypothesis import given
from hypothesis import strategies as st

from ekiden.shaping.window import Backoff, Window, WindowOptions

START = 1_000_000.0


def well(window: Window, now: float, cap: int = 20) -> None:
    """A full window's worth of good transactions."""
    for _ in range(window.size):
        window.good(now, busy=window.size, cap=cap)


def test_it_grows_by_one_an_interval_up_to_the_cap() -> None:
    window = Window(WindowOptions(start=2, interval=2.0))
    sizes = []
    for second in range(12):
        well(window, START + second, cap=6)
        sizes.append(window.size)
    assert sizes == [3, 3, 4, 4, 5, 5, 6, 6, 6, 6, 6, 6]


def test_a_window_that_is_not_full_proves_nothing() -> None:
    window = Window(WindowOptions(start=4))
    for second in range(100):
        window.good(START + second, busy=3, cap=20)
    assert window.size == 4


def test_one_run_of_failures_is_one_step_down() -> None:
    window = Window(WindowOptions(start=16))
    assert window.trouble(START + 5, since=START + 4)
    # Eight more sessions report what they were handed before the step.
    assert not any(window.trouble(START + 5.5, since=START + 4.5) for _ in range(8))
    assert window.size == 8
    assert window.trouble(START + 9, since=START + 6)
    assert window.size == 4


def test_it_comes_back_below_the_knee_and_tries_beyond_later() -> None:
    window = Window(WindowOptions(start=6, interval=2.0, probe=120.0))
    window.trouble(START, since=START - 1)
    sizes = {}
    for second in range(1, 200):
        well(window, START + second)
        sizes[second] = window.size
    assert sizes[1] == 3
    assert sizes[60] == sizes[118] == 5, "one below what was too much"
    assert sizes[199] > 6, "after a while it tries again"


def test_repeated_trouble_makes_it_patient() -> None:
    window = Window(WindowOptions(start=8, interval=2.0, interval_max=60.0))
    for run in range(6):
        window.trouble(START + run, since=START + run - 0.5)
    assert window.size == 1
    well(window, START + 30)
    assert window.size == 1, "two seconds have long become a minute"


def test_it_survives_a_restart() -> None:
    window = Window(WindowOptions(start=8))
    window.trouble(START, since=START - 1)
    again = Window(WindowOptions(start=8))
    again.restore(window.state())
    assert (again.size, again.knee, again.stepped_at) == (4, 7, START)


@given(st.lists(st.tuples(st.booleans(), st.floats(0, 100)), max_size=200), st.integers(1, 30))
def test_it_stays_between_one_and_the_cap(events: list[tuple[bool, float]], cap: int) -> None:
    window = Window(WindowOptions(start=1))
    now = START
    for good, wait in events:
        now += wait
        before = window.size
        if good:
            window.good(now, busy=window.size, cap=cap)
            assert window.size <= before + 1
        else:
            window.trouble(now, since=now)
        assert 1 <= window.size <= max(cap, before)


def test_waits_double_up_to_the_ceiling() -> None:
    waits = Backoff(30.0, 1_800.0, jitter=0.2)
    assert [waits.wait(n, 0.5) for n in range(1, 9)] == [
        30, 60, 120, 240, 480, 960, 1_800, 1_800,
    ]  # fmt: skip
    assert waits.wait(1, 0.0) == 24.0
    assert waits.wait(1, 1.0) == 36.0
    assert waits.wait(10_000, 0.5) == 1_800.0
