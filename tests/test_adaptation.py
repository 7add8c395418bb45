"""Hidden limits are found, kept to, and found again when they rise; the figures of the issue.

All cases, for longer: `python -m bench.adaptation`.
"""

import pytest

from adaptation_cases import (
    CASES,
    QUOTAS,
    SMALL_QUOTAS,
    Case,
    by_the_hour,
    full_speed_after,
    measure,
    neighbours,
    random_case,
    recovery,
)

CHEAP = [case for case in CASES if case.limit <= 20.0]  # a simulated hour of these takes seconds
IN_STEADY_STATE = 0.90  # at least, of the limit: it stays within 10 % under it
REFUSED = 0.02  # at most, of all transactions
NOBODY = [case for case in map(random_case, range(1, 60, 4)) if case.limit <= 4.0]


@pytest.mark.parametrize("case", CHEAP, ids=lambda case: case.name)
def test_a_hidden_limit_is_found_and_kept_to(case: Case) -> None:
    found = measure(case, 1.25)
    assert found.used >= IN_STEADY_STATE
    assert found.refused < REFUSED


def test_receivers_that_nobody_thought_of() -> None:
    """Ten drawn at random; `bench.adaptation --random` has more of them, and longer."""
    found = [measure(case, 1.5) for case in NOBODY]
    assert min(one.used for one in found) >= IN_STEADY_STATE
    assert max(one.refused for one in found) < REFUSED


def test_their_limits_are_followed_within_minutes_when_they_rise() -> None:
    minutes = sorted(recovery(case) for case in NOBODY)
    assert minutes[-2] <= 5
    assert minutes[-1] <= 10


@pytest.mark.parametrize("case", QUOTAS, ids=lambda case: case.name)
def test_an_hourly_quota_is_used_in_every_hour(case: Case) -> None:
    """Shut for the rest of the hour, it is asked seldom; what it takes in an hour is its pace."""
    for hour in by_the_hour(case, 5):
        assert hour.used >= 0.95
        assert hour.refused < REFUSED


@pytest.mark.parametrize("case", SMALL_QUOTAS[:2], ids=lambda case: case.name)
def test_a_small_quota_is_not_asked_more_often_than_it_pays_for(case: Case) -> None:
    """Each refusal is half a percent of two hundred: the first hour has more, all of them not."""
    hours = by_the_hour(case, 5)
    taken = [hour.used * case.limit * 3_600 for hour in hours]
    refused = [
        one * hour.refused / (1 - hour.refused) for one, hour in zip(taken, hours, strict=True)
    ]
    assert sum(refused) < REFUSED * (sum(taken) + sum(refused))
    assert sum(hour.used for hour in hours) >= 3.5


@pytest.mark.parametrize("case", CHEAP[:2], ids=lambda case: case.name)
def test_a_limit_that_rises_is_found_within_minutes(case: Case) -> None:
    assert recovery(case) <= 5


def test_a_receiver_that_never_throttles_gets_full_speed_within_a_minute() -> None:
    assert full_speed_after() <= 60


def test_one_bad_receiver_costs_the_others_five_percent_at_most() -> None:
    assert {what: share for what, share in neighbours().items() if share < 0.95} == {}
