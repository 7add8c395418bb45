"""Windows of the clock, beginnings at the top of the hour, and hours that were learned."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ekiden.localtime import Span, minute_of_day, zone
from ekiden.shaping.hours import Avoided, Hours, HoursOptions, Windows

HOUR, DAY = 3600.0, 86_400.0
MONDAY = datetime(2026, 3, 2, tzinfo=UTC).timestamp()


def at(text: str, name: str = "UTC") -> float:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(name)).timestamp()


@pytest.mark.parametrize(
    ("texts", "now", "opens"),
    [
        (("12:00-12:30",), "2026-03-02T11:59:59", "2026-03-02T11:59:59"),
        (("12:00-12:30",), "2026-03-02T12:00:00", "2026-03-02T12:30:00"),
        (("12:00-12:30",), "2026-03-02T12:30:00", "2026-03-02T12:30:00"),
        (("22:00-07:00",), "2026-03-02T23:10:00", "2026-03-03T07:00:00"),
        (("22:00-07:00",), "2026-03-03T06:59:59", "2026-03-03T07:00:00"),
        (("*:00-*:05",), "2026-03-02T09:03:20", "2026-03-02T09:05:00"),
        (("*:58-*:03",), "2026-03-02T23:59:00", "2026-03-03T00:03:00"),
        (("12:00-12:30", "12:30-13:00"), "2026-03-02T12:10:00", "2026-03-02T13:00:00"),
        (("18:00-24:00",), "2026-03-02T18:00:00", "2026-03-03T00:00:00"),
    ],
)
@pytest.mark.parametrize("place", ["UTC", "Asia/Tokyo", "Asia/Kathmandu", "Australia/Adelaide"])
def test_a_window_is_read_off_the_clock(
    texts: tuple[str, ...], now: str, opens: str, place: str
) -> None:
    windows = Windows(texts, zone(place))
    assert windows.opens_at(at(now, place)) == at(opens, place)


@pytest.mark.parametrize(
    ("texts", "now", "hours"),
    [
        (("00:00-04:00",), "2026-03-29T00:00:00", 3),  # the clocks leap from 2 to 3
        (("00:00-04:00",), "2026-10-25T00:00:00", 5),  # 2 to 3 comes twice
        (("01:00-02:30",), "2026-03-29T01:00:00", 1),  # its end is leapt over
    ],
)
def test_changes_of_the_clock_change_no_window(
    texts: tuple[str, ...], now: str, hours: float
) -> None:
    windows = Windows(texts, zone("Europe/Berlin"))
    begins = at(now, "Europe/Berlin")
    assert windows.opens_at(begins) - begins == hours * HOUR


@given(
    st.lists(
        st.tuples(st.integers(0, 1439), st.integers(1, 700)).map(
            lambda pair: (
                f"{pair[0] // 60:02}:{pair[0] % 60:02}-"
                f"{(pair[0] + pair[1]) % 1440 // 60:02}:{(pair[0] + pair[1]) % 60:02}"
            )
        ),
        max_size=3,
    ),
    st.lists(st.floats(-2 * DAY, 400 * DAY), min_size=1, max_size=8),
)
def test_what_opens_is_open_and_nothing_before_it(texts: list[str], times: list[float]) -> None:
    place = ZoneInfo("America/St_Johns")  # half an hour off, with changes of the clock
    windows = Windows(texts, place)
    shut = set().union(*(Span.parse(text).minutes() for text in texts)) if texts else set()
    for step in times:  # forwards and backwards
        now = MONDAY + step
        opens = windows.opens_at(now)
        assert opens >= now
        if len(shut) < 1440:
            assert minute_of_day(opens, place) not in shut
        if opens > now:
            assert minute_of_day(now, place) in shut
            assert minute_of_day(opens - 60, place) in shut


@pytest.mark.parametrize(
    "text", ["", "12:00", "12:00-12:00", "25:00-26:00", "*:00-12:05", "12:60-13:00", "1:00-2:00"]
)
def test_what_is_no_span_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected times"):
        Span.parse(text)


def hours(**given_: object) -> Hours:
    avoided = (
        Avoided("*", bulk=("22:00-07:00",)),
        Avoided("doco*", bulk=("07:00-07:05",), transactional=("03:00-03:10",)),
    )
    return Hours(HoursOptions(avoided, **given_))  # type: ignore[arg-type]  # by the test


def test_windows_hold_by_class_and_provider_and_follow_each_other() -> None:
    found = hours()
    night = MONDAY + 23 * HOUR
    assert found.opens_at("", 1, night) == MONDAY + 31 * HOUR
    assert found.opens_at("docomo", 1, night) == MONDAY + 31 * HOUR + 300, "one opens into another"
    assert found.opens_at("docomo", 0, night) == night
    assert found.opens_at("docomo", 0, MONDAY + 3 * HOUR) == MONDAY + 3 * HOUR + 600
    assert found.because("docomo", 1, night) == (
        "bulk mail avoids 22:00-07:00 (UTC)", MONDAY + 31 * HOUR + 300,
    )  # fmt: skip
    assert found.because("gmail", 1, MONDAY + 12 * HOUR) is None
    assert found.avoided("docomo", 1) == "22:00-07:00 (UTC); 07:00-07:05 (UTC) at docomo"


def test_beginnings_are_spread_over_the_top_of_the_hour() -> None:
    found = hours(smooth=120.0)
    noon = MONDAY + 12 * HOUR
    starts = sorted(found.smoothed(f"mx{n}", noon) - noon for n in range(100))
    assert 0 <= starts[0] < 10
    assert 110 < starts[-1] < 120
    assert len({int(start // 12) for start in starts}) == 10
    late = max(found.smoothed("mx1", noon), noon)
    assert found.smoothed("mx1", late) == late
    assert found.smoothed("mx1", noon + 120) == noon + 120


def test_scheduled_jobs_begin_at_moments_of_their_own() -> None:
    found = hours(jitter=60.0)
    noon = MONDAY + 12 * HOUR
    delays = [found.delay(f"job-{n}", MONDAY, noon, None) for n in range(50)]
    assert all(0 <= delay < 60 for delay in delays)
    assert max(delays) - min(delays) > 40
    assert delays == [found.delay(f"job-{n}", MONDAY, noon, None) for n in range(50)]
    assert found.delay("job-1", MONDAY, 0.0, None) == 0.0, "begins at once"
    assert found.delay("job-1", MONDAY, noon, noon + 600) <= 6.0, "a deadline leaves less"


def learned() -> Hours:
    found = hours()
    for hour, share in ((12, 20), (13, 15), (15, 2)):
        for number in range(100):
            found.note("gmail", MONDAY + hour * HOUR + number, deferred=number < share)
    return found


def test_a_job_with_time_waits_for_a_better_hour() -> None:
    found = learned()
    now = MONDAY + 12.5 * HOUR
    assert found.better_at("gmail", now, now + 24 * HOUR) == MONDAY + 15 * HOUR
    assert found.better_at("gmail", now, now + 5 * HOUR) == now, "too much of the time left"
    assert found.better_at("gmail", now, None) == now, "no deadline, no waiting"
    assert found.better_at("yahoo", now, now + 24 * HOUR) == now, "nothing is known"
    good = MONDAY + 15.5 * HOUR
    assert found.better_at("gmail", good, good + 24 * HOUR) == good
    assert "20% are deferred at gmail" in found.words("gmail", now)
    found.set_options(HoursOptions(prefer=False))
    assert found.better_at("gmail", now, now + 24 * HOUR) == now


def test_what_was_learned_is_plain_and_survives() -> None:
    found = learned()
    assert found.moved == {"gmail"}
    again = hours()
    again.recall(found.states())
    assert again.views() == found.views()
    view = found.views()["gmail"]
    assert (view[12].share, view[14].share) == (0.2, None)
    again.recall({"gmail": [[1.0], [0.0]]})  # of another shape: left alone
    assert again.views() == found.views()


def test_newer_attempts_weigh_more() -> None:
    found = hours()
    for number in range(20_000):
        found.note("gmail", MONDAY, deferred=number < 10_000)
    share = found.views()["gmail"][0].share
    assert share is not None
    assert share < 0.05


def test_a_day_of_a_zone_with_half_hours_is_learned_by_its_clock() -> None:
    found = Hours(HoursOptions(zone=ZoneInfo("Asia/Kolkata")))
    moment = datetime(2026, 3, 2, 12, 10, tzinfo=ZoneInfo("Asia/Kolkata"))
    found.note("gmail", moment.timestamp(), deferred=False)
    found.note("gmail", (moment + timedelta(minutes=55)).timestamp(), deferred=False)
    assert [one.tried for one in found.views()["gmail"]][12:14] == [1, 1]
