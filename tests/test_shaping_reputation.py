"""Rates and standings: thresholds, volumes, and jobs that begin badly."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ekiden.shaping.reputation import (
    ReputationOptions,
    Standing,
    Tally,
    judge,
    scopes,
)

OPTIONS = ReputationOptions()


@pytest.mark.parametrize(
    ("sent", "bounced", "complained", "standing"),
    [
        (10_000, 0, 0, Standing.HEALTHY),
        (10_000, 199, 9, Standing.HEALTHY),
        (10_000, 200, 0, Standing.FAIR),
        (10_000, 499, 0, Standing.FAIR),
        (10_000, 500, 0, Standing.WARNING),
        (10_000, 999, 0, Standing.WARNING),
        (10_000, 1000, 0, Standing.STOPPED),
        (10_000, 0, 10, Standing.WARNING),
        (10_000, 0, 49, Standing.WARNING),
        (10_000, 0, 50, Standing.STOPPED),
        (999, 999, 999, Standing.HEALTHY),  # too little to say
        (1000, 100, 0, Standing.STOPPED),
    ],
)
def test_the_published_thresholds(
    sent: int, bounced: int, complained: int, standing: Standing
) -> None:
    found = judge("sender:example.com", Tally(sent, bounced, complained), OPTIONS)
    assert found.standing is standing
    assert bool(found.reason) is (standing in {Standing.WARNING, Standing.STOPPED})


def test_a_reason_names_every_rate_that_is_too_high() -> None:
    found = judge("source:a1", Tally(2000, 200, 10), OPTIONS)
    assert found.reason == "10.00% bounces and 0.50% complaints over 2000 deliveries"


def test_a_job_that_begins_badly_stops_early() -> None:
    assert judge("job:7", Tally(100, 99), OPTIONS).standing is Standing.HEALTHY
    stopped = judge("job:7", Tally(300, 100), OPTIONS)
    assert stopped.standing is Standing.STOPPED
    assert stopped.reason == "100 of the first 300 deliveries bounced"
    assert judge("sender:x", Tally(300, 100), OPTIONS).standing is Standing.HEALTHY


@given(
    st.lists(st.tuples(st.integers(1, 5000), st.floats(0, 1)), max_size=60),
    st.integers(100, 20_000),
)
def test_a_tally_never_holds_more_than_twice_the_volume(
    steps: list[tuple[int, float]], volume: int
) -> None:
    tally = Tally()
    for sent, share in steps:
        tally = tally.add(Tally(sent, sent * share, 0), volume)
        assert tally.sent <= 2 * volume
        assert tally.bounced <= tally.sent * (1 + 1e-9)


def test_an_old_sin_is_forgotten_after_a_volume_or_two() -> None:
    tally = Tally(10_000, 1000).add(Tally(), 10_000)
    for _ in range(60):
        tally = tally.add(Tally(1000), 10_000)
    assert judge("sender:x", tally, OPTIONS).standing is Standing.HEALTHY


def test_standings_have_an_order() -> None:
    assert Standing.STOPPED.worse_than(Standing.WARNING)
    assert not Standing.HEALTHY.worse_than(Standing.HEALTHY)


def test_scopes_leave_out_what_is_not_known() -> None:
    found = scopes(sender="x.example", source="", provider="", configuration_set="", job=3)
    assert found == ("sender:x.example", "set:default", "job:3")
