"""Who takes nothing for minutes counts by the hour, and is asked seldom."""

import pytest

from ekiden.shaping.shut import LONG, SELDOM, Shut

START = 1_000_000.0
HOURLY = 200 / 3_600


def test_who_counts_by_the_minute_is_asked_as_ever() -> None:
    shut = Shut()
    shut.begin(START)
    assert shut.patience(START + 60, HOURLY) == 0.0
    shut.end(START + 60)
    assert shut.lasted == 60.0
    shut.forget()
    shut.begin(START + 200)
    assert shut.patience(START + 200, HOURLY) == 0.0


def test_shut_for_minutes_it_is_asked_less_and_less_until_its_price() -> None:
    shut = Shut()
    shut.begin(START)
    assert shut.patience(START + LONG, HOURLY) == 3 * LONG
    assert shut.patience(START + 500, HOURLY) == 1_500.0
    assert shut.patience(START + 2_000, HOURLY) == SELDOM, "never less often than that"
    assert shut.patience(START + 2_000, 1_000 / 3_600) == pytest.approx(540.0), "150 messages"
    assert shut.patience(START + 2_000, 0.0) == SELDOM


def test_what_was_shut_for_long_is_given_as_long_at_once() -> None:
    shut = Shut()
    shut.begin(START)
    shut.end(START + 600)
    shut.forget()
    assert not shut.met
    shut.begin(START + 4_000)
    assert shut.patience(START + 4_000, HOURLY) == 600.0
    shut.end(START + 4_020)
    shut.forget()
    shut.begin(START + 5_000)
    assert shut.patience(START + 5_000, HOURLY) == 0.0, "it was soon well"
