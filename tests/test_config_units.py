"""Durations, sizes, rates and patterns."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ekiden.config import Rate, first_match, matches, wrong_pattern
from ekiden.config.units import (
    format_duration,
    format_rate,
    format_size,
    parse_duration,
    parse_rate,
    parse_size,
)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0s", 0.0),
        ("10ms", 0.01),
        ("90s", 90.0),
        ("5m", 300.0),
        ("20h", 72_000.0),
        ("3d", 259_200.0),
        ("1w", 604_800.0),
        ("1d12h", 129_600.0),
        ("1.5h", 5400.0),
    ],
)
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize(
    "text", ["", "3", "s", "-1s", "3 days", "1h ", "٣s", "1e9s", "9" * 30 + "s"]
)
def test_wrong_durations(text: str) -> None:
    with pytest.raises(ValueError, match="expected a duration"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("text", "size"),
    [("512B", 512), ("64KiB", 65_536), ("25MB", 25_000_000), ("1.5 kB", 1500), ("2GiB", 2**31)],
)
def test_sizes(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "25", "25M", "MB", "25mb", "-1B"])
def test_wrong_sizes(text: str) -> None:
    with pytest.raises(ValueError, match="expected a size"):
        parse_size(text)


@pytest.mark.parametrize(
    ("text", "rate"),
    [
        ("100/s", Rate(100, 1.0)),
        ("20/min", Rate(20, 60.0)),
        ("50 then 10m", Rate(50, 600.0, rest=True)),
        ("20/m", Rate(20, 60.0)),
        ("3000 / h", Rate(3000, 3600.0)),
        ("500/d", Rate(500, 86_400.0)),
    ],
)
def test_rates(text: str, rate: Rate) -> None:
    assert parse_rate(text) == rate


@pytest.mark.parametrize("text", ["", "100", "0/s", "1/w", "1.5/s", "/s", "-1/s"])
def test_wrong_rates(text: str) -> None:
    with pytest.raises(ValueError, match="expected a rate"):
        parse_rate(text)


@given(st.integers(0, 10**9))
def test_formatted_durations_parse_back(milliseconds: int) -> None:
    seconds = milliseconds / 1000
    assert parse_duration(format_duration(seconds)) == pytest.approx(seconds)


@given(st.integers(0, 10**8))
def test_formatted_sizes_parse_back(size: int) -> None:
    assert parse_size(format_size(size)) == size


@given(st.integers(1, 10**8), st.sampled_from([1.0, 60.0, 3600.0, 86_400.0]))
def test_formatted_rates_parse_back(count: int, seconds: float) -> None:
    assert parse_rate(format_rate(Rate(count, seconds))) == Rate(count, seconds)


@given(st.text(max_size=30))
def test_parsers_raise_nothing_but_value_error(text: str) -> None:
    for parse in (parse_duration, parse_size, parse_rate):
        try:
            parse(text)
        except ValueError as error:
            assert str(error).startswith("expected")  # noqa: PT017 - success is fine as well


@pytest.mark.parametrize(
    ("pattern", "name", "covered"),
    [
        ("example.com", "example.com", True),
        ("example.com", "EXAMPLE.com.", True),
        ("example.com", "a.example.com", False),
        ("*.example.com", "a.example.com", True),
        ("*.example.com", "b.a.example.com", True),
        ("*.example.com", "example.com", False),
        ("*.example.com", ".example.com", False),
        ("*.example.com", "aexample.com", False),
        ("*", "anything.example", True),
    ],
)
def test_patterns(pattern: str, name: str, covered: bool) -> None:
    assert matches(pattern, name) is covered


def test_the_first_pattern_decides() -> None:
    choices = [("a.example", 1), ("*.example", 2), ("*", 3)]
    assert [first_match(choices, name) for name in ("a.example", "b.example", "c.test")] == [
        1,
        2,
        3,
    ]
    assert first_match(choices[:2], "c.test") is None


@pytest.mark.parametrize(
    "pattern", ["", "*example.com", "a..b", "*.*", "例え.jp", "a b", "-a.example"]
)
def test_wrong_patterns(pattern: str) -> None:
    assert wrong_pattern(pattern).startswith("expected")


@pytest.mark.parametrize("pattern", ["*", "localhost", "*.jp", "xn--r8jz45g.jp", "a_b.example."])
def test_right_patterns(pattern: str) -> None:
    assert wrong_pattern(pattern) == ""
