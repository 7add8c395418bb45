"""What was taken in the last minute or hour."""

import pytest

from ekiden.shaping.taken import MINUTE, Taken

START = 1_000_000.0


def test_a_burst_is_fast_for_its_part_and_slow_for_the_whole() -> None:
    minute = Taken(MINUTE, 12)
    for step in range(60):
        minute.count(START + step * 0.1)
    assert minute.mean(START + 6.0) == pytest.approx(10.0)
    assert minute.least(START + 6.0) == 1.0
    assert minute.least(START + 50.0) == 1.0


def test_what_is_older_than_the_span_is_forgotten() -> None:
    minute = Taken(MINUTE, 12)
    for step in range(120):
        minute.count(START + step)
    assert minute.mean(START + 120.0) == pytest.approx(1.0, rel=0.1)
    assert minute.least(START + 185.0) == 0.0
    minute.count(START + 1_000.0)
    assert minute.mean(START + 1_010.0) == pytest.approx(0.1)


def test_a_clock_that_steps_back_counts_into_the_present() -> None:
    minute = Taken(MINUTE, 12)
    minute.count(START)
    minute.count(START - 30.0)
    assert minute.least(START) == pytest.approx(2 / MINUTE)
