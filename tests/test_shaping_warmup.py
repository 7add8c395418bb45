"""Ramps: days, judgement, spreading, silence, people, clocks. All on numbers."""

from datetime import UTC, datetime
from itertools import pairwise
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ekiden.errors import NotFoundError, RefusedError
from ekiden.localtime import Span, day
from ekiden.shaping.evidence import DayRecord, Evidence, Thresholds, Verdict, judge
from ekiden.shaping.plans import Plan, geometric, shipped
from ekiden.shaping.ramps import OTHER, Assigned, Ramps, WarmupOptions
from ekiden.shaping.warmup import Ramp, RampOptions, RampState

MONDAY = datetime(2026, 3, 2, tzinfo=UTC).timestamp()
HOUR, DAY = 3600.0, 86_400.0
PLAN = Plan("ours", (10, 20, 40))
GOOD = Evidence(tried=100)


def ramp(options: RampOptions | None = None, state: RampState | None = None) -> Ramp:
    return Ramp("a1", "gmail", PLAN, options or RampOptions(), state)


def use(one: Ramp, begin: float, number: int, end: float | None = None) -> list[float]:
    """Send as fast as the ramp allows; return when."""
    now = begin
    at: list[float] = []
    while len(at) < number:
        ready = one.ready_at(now)
        if ready >= (end if end is not None else begin // DAY * DAY + DAY):
            return at
        now = max(now, ready)
        one.spend(now)
        at.append(now)
    return at


# --- judgement --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sent", "seen", "verdict", "words"),
    [
        (80, GOOD, Verdict.PASSED, "80 of 100 were sent"),
        (79, GOOD, Verdict.HOLDS, "79 of 100 were sent; 80% make a full day"),
        (100, Evidence(100, deferred=10), Verdict.HOLDS, "10 of 100 deferred (10 %"),
        (100, Evidence(100, deferred=9), Verdict.PASSED, ""),
        (100, Evidence(100, deferred=30), Verdict.BACK, "steps back"),
        (100, Evidence(100, bounced=2), Verdict.HOLDS, "2 of 100 bounced"),
        (100, Evidence(100, bounced=5), Verdict.BACK, "5 of 100 bounced"),
        (100, Evidence(100, complained=1), Verdict.PASSED, ""),  # one person is no rate
        (100, Evidence(100, complained=2), Verdict.BACK, "2 of 100 complained about"),
        (1000, Evidence(1000, complained=2), Verdict.HOLDS, "2 of 1,000 complained about (0.2 %"),
        (100, Evidence(100, blocked=1), Verdict.HOLDS, "1 of 100 blocked"),
        (100, Evidence(100, blocked=2), Verdict.BACK, "2 of 100 blocked"),
        (10, Evidence(10, deferred=9), Verdict.BACK, "9 of 10 deferred"),  # the worst is told
    ],
)
def test_a_day_is_judged_by_what_came_back(
    sent: int, seen: Evidence, verdict: Verdict, words: str
) -> None:
    found, reason = judge(100, sent, seen, (), Thresholds())
    assert found is verdict
    assert words in reason


def test_complaints_count_over_the_last_days() -> None:
    earlier = [
        DayRecord(n, 0, 500, 500, Evidence(500, complained=1), Verdict.PASSED, "")
        for n in range(20)
    ]
    verdict, reason = judge(500, 500, Evidence(500), earlier, Thresholds())
    assert verdict is Verdict.HOLDS
    assert "6 of 3,500 complained about" in reason  # six days before it, and itself
    assert judge(500, 500, Evidence(500), earlier[:0], Thresholds())[0] is Verdict.PASSED


# --- days -------------------------------------------------------------------------------------


def test_days_that_are_filled_and_good_are_passed_to_the_end() -> None:
    one = ramp()
    caps = []
    for number in range(4):
        begin = MONDAY + number * DAY
        use(one, begin, 1000)
        caps.append(one.sent)
        one.note(Evidence(tried=one.sent))
    assert caps == [10, 20, 40, 1000]
    assert [(turn.verdict, turn.before, turn.after) for turn in one.turns] == [
        (Verdict.PASSED, 10, 20),
        (Verdict.PASSED, 20, 40),
        (Verdict.WARM, 40, 0),
    ]
    assert one.view(MONDAY + 3 * DAY).done


def test_only_days_with_mail_count() -> None:
    one = ramp()
    use(one, MONDAY, 10)
    one.note(Evidence(tried=10))
    use(one, MONDAY + 5 * DAY, 20)
    assert one.state.stage == 1
    assert one.sent == 20
    one.turn(MONDAY + 6 * DAY)
    assert [record.number for record in one.state.days] == [
        day(MONDAY, UTC).number, day(MONDAY + 5 * DAY, UTC).number,
    ]  # fmt: skip


def test_bad_days_hold_and_step_back_never_below_the_first() -> None:
    one = ramp(state=RampState("ours", stage=1))
    stages = []
    for number in range(4):
        use(one, MONDAY + number * DAY, 20)
        one.note(Evidence(tried=one.sent, deferred=one.sent // 2))
        one.turn(MONDAY + (number + 1) * DAY)
        stages.append(one.state.stage)
    assert stages == [0, 0, 0, 0]
    assert all("deferred" in turn.reason for turn in one.turns)


def test_what_comes_back_on_a_silent_day_counts_for_the_next() -> None:
    one = ramp(state=RampState("ours", stage=1))
    use(one, MONDAY, 20)
    one.note(Evidence(tried=20))
    one.turn(MONDAY + DAY)
    one.note(Evidence(complained=3))
    use(one, MONDAY + 2 * DAY, 40)
    one.note(Evidence(tried=40))
    one.turn(MONDAY + 3 * DAY)
    assert one.turns[-1].verdict is Verdict.BACK
    assert "complained" in one.turns[-1].reason


def test_thirty_silent_days_begin_again_also_when_it_was_warm() -> None:
    for state in (RampState("ours", stage=2), RampState("ours", stage=2, done=True)):
        one = ramp(state=state)
        use(one, MONDAY, 5)
        assert one.ready_at(MONDAY + 29 * DAY) < MONDAY + 30 * DAY
        assert one.state.stage == 2
        one.turn(MONDAY + 30 * DAY)
        assert (one.state.stage, one.state.done) == (0, False)
        assert one.turns[-1].verdict is Verdict.AGAIN
        assert "30 days" in one.turns[-1].reason


# --- within a day ------------------------------------------------------------------------------


def test_the_allowance_is_spread_over_the_sending_hours() -> None:
    options = RampOptions(hours=Span.parse("08:00-18:00"))
    one = Ramp("a1", "gmail", Plan("p", (100,)), options)
    at = use(one, MONDAY, 1000)
    assert len(at) == 100
    assert at[0] == MONDAY + 8 * HOUR
    assert max(b - a for a, b in pairwise(at)) < 400
    by_hour = [sum(h <= (t - MONDAY) / HOUR < h + 1 for t in at) for h in range(24)]
    assert by_hour[:8] == [0] * 8
    assert by_hour[18:] == [0] * 6
    assert all(9 <= number <= 11 for number in by_hour[8:18])


def test_who_comes_late_does_not_make_up_for_the_morning() -> None:
    one = Ramp("a1", "gmail", Plan("p", (100,)), RampOptions(hours=Span.parse("08:00-18:00")))
    at = use(one, MONDAY + 17 * HOUR, 1000)
    assert 35 <= len(at) <= 41  # an hour holds two fifths: a quarter of the hours for all
    assert at[-1] < MONDAY + 18 * HOUR


def test_what_was_not_sent_is_given_back() -> None:
    one = ramp()
    at = use(one, MONDAY, 10)
    assert one.ready_at(at[-1]) == MONDAY + DAY
    one.refund(at[-1])
    assert one.ready_at(at[-1]) == at[-1]
    one.refund(MONDAY - 5)  # yesterday's: ignored
    assert one.sent == 9


@given(
    st.lists(
        st.tuples(st.floats(0, 40 * HOUR), st.integers(1, 30), st.integers(0, 10)), max_size=20
    )
)
def test_no_day_is_above_its_cap_whatever_the_clock_does(
    steps: list[tuple[float, int, int]],
) -> None:
    zone = ZoneInfo("Asia/Kolkata")  # half an hour off
    one = ramp(RampOptions(zone=zone))
    now = MONDAY
    sent: dict[int, int] = {}
    caps: dict[int, int] = {}
    for ahead, number, back in steps:
        now += ahead - back * HOUR
        for _ in range(number):
            if one.ready_at(now) <= now and one.cold:
                one.spend(now)
                today = one.state.number
                sent[today] = sent.get(today, 0) + 1
                caps[today] = one.cap
            now += 600
        one.note(Evidence(tried=number))
    assert all(sent[today] <= caps[today] for today in sent)


def test_a_clock_that_steps_back_goes_on_in_the_same_day() -> None:
    one = ramp()
    use(one, MONDAY, 10)
    assert one.ready_at(MONDAY - 3 * HOUR) > MONDAY - 3 * HOUR, "yesterday does not come again"
    assert one.ready_at(MONDAY + 5 * HOUR) == MONDAY + DAY
    assert one.turns == []


def test_a_clock_that_was_a_year_ahead_does_not_close_the_road_for_a_year() -> None:
    one = ramp()
    use(one, MONDAY + 365 * DAY, 3)
    at = use(one, MONDAY, 20)
    assert len(at) == 7
    assert one.ready_at(MONDAY + DAY) < MONDAY + 2 * DAY


@pytest.mark.parametrize(
    ("zone", "date", "hours"),
    [("Europe/Berlin", (2026, 3, 29), 23), ("Europe/Berlin", (2026, 10, 25), 25),
     ("Australia/Lord_Howe", (2026, 4, 5), 24.5), ("Asia/Kolkata", (2026, 3, 29), 24),
     ("Asia/Beirut", (2026, 3, 29), 23)],
)  # fmt: skip
def test_days_are_as_long_as_the_calendar_says(
    zone: str, date: tuple[int, int, int], hours: float
) -> None:
    info = ZoneInfo(zone)
    noon = datetime(*date, 12, tzinfo=info).timestamp()
    today = day(noon, info)
    assert today.ends - today.begins == hours * HOUR
    assert day(today.begins, info) == day(today.ends - 1, info) == today
    assert day(today.ends, info).number == today.number + 1
    assert day(today.begins - 1, info).number == today.number - 1


# --- plans ------------------------------------------------------------------------------------


def test_every_shipped_plan_says_where_it_was_read() -> None:
    plans = shipped()
    assert {"cautious", "sendgrid", "sparkpost", "ses"} <= plans.keys()
    assert all(plan.origin and plan.title for plan in plans.values())
    assert plans["sendgrid"].days[:8] == (50, 100, 500, 1000, 5000, 10_000, 20_000, 40_000)
    assert plans["sparkpost"].days[:8] == (200, 500, 1000, 2000, 5000, 10_000, 20_000, 40_000)
    assert len(plans["ses"].days) == 45
    assert plans["ses"].days[-1] == 50_000


def test_geometric_plans_reach_their_end() -> None:
    assert geometric(100, 2.0, 1000) == (100, 200, 400, 800, 1000)
    assert geometric(1, 1.1, 5) == (1, 2, 3, 4, 5)
    assert geometric(7, 1.5, 7) == (7,)
    for wrong in ((0, 2.0, 5), (5, 1.0, 50), (10, 2.0, 5), (1, 1.001, 10_000_000)):
        with pytest.raises(ValueError, match=r"factor|start|days"):
            geometric(*wrong)


@pytest.mark.parametrize("caps", [(), (0, 1), (5, 5), (10, 5)])
def test_a_plan_that_does_not_rise_is_none(caps: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="plan"):
        Plan("p", caps)


# --- all of them ------------------------------------------------------------------------------


OPTIONS = WarmupOptions(assigned=(Assigned("new*", "*", "ours"),), plans={
    "ours": PLAN, "slow": Plan("slow", (5, 15, 30, 60)), "cautious": PLAN,
})  # fmt: skip
ALL_PROVIDERS = ("gmail", "yahoo", OTHER)


def test_sources_that_nobody_mentions_are_warm() -> None:
    ramps = Ramps(OPTIONS)
    assert ramps.of("a1", "gmail") is None
    assert ramps.of("new1", OTHER) is not None
    assert [view.provider for view in ramps.views(("a1", "new1"), ALL_PROVIDERS, MONDAY)] == [
        "gmail", "yahoo", OTHER,
    ]  # fmt: skip


def test_people_begin_hold_and_end() -> None:
    ramps = Ramps(OPTIONS)
    with pytest.raises(RefusedError, match="nothing of the source"):
        ramps.hold("a1", ALL_PROVIDERS, MONDAY, everywhere=True)
    with pytest.raises(NotFoundError, match="no plan"):
        ramps.start("a1", ALL_PROVIDERS, "fast", MONDAY, everywhere=True)
    ramps.start("a1", ALL_PROVIDERS, "slow", MONDAY, everywhere=True)
    one = ramps.of("a1", "gmail")
    later = ramps.of("a1", "docomo")
    assert one is not None
    assert later is not None
    assert (one.cap, later.cap) == (5, 5)
    ramps.hold("a1", ("gmail",), MONDAY, everywhere=False)
    use(one, MONDAY, 5)
    one.note(Evidence(tried=5))
    one.turn(MONDAY + DAY)
    assert (one.cap, one.turns[-1].reason) == (5, "held by hand")
    ramps.start("a1", ("gmail",), "", MONDAY + DAY, everywhere=False)
    assert not one.state.held
    ramps.skip("a1", ("gmail",), 2, MONDAY + DAY, everywhere=False)
    assert one.cap == 30
    ramps.skip("a1", ("gmail", "yahoo"), None, MONDAY + DAY, everywhere=True)
    assert not one.cold
    unmet = ramps.of("a1", "au")
    assert unmet is not None
    assert not unmet.cold


def test_beginning_again_does_not_give_today_twice() -> None:
    ramps = Ramps(OPTIONS)
    one = ramps.of("new1", "gmail")
    assert one is not None
    use(one, MONDAY, 10)
    ramps.start("new1", ("gmail",), "", MONDAY + 20 * HOUR, everywhere=False)
    assert one.ready_at(MONDAY + 20 * HOUR) == MONDAY + DAY


def test_states_are_plain_and_go_on_after_a_restart() -> None:
    ramps = Ramps(OPTIONS)
    one = ramps.of("new1", "gmail")
    assert one is not None
    use(one, MONDAY, 10)
    one.note(Evidence(tried=10, complained=1))
    one.turn(MONDAY + DAY)
    use(one, MONDAY + DAY, 7)
    ramps.came_back({"new1 to gmail": (2, 1)})
    kept = {name: msgspec.json.encode(state) for name, state in ramps.moved().items()}
    assert ramps.moved() == {}

    again = Ramps(OPTIONS)
    again.recall({name: msgspec.json.decode(raw, type=RampState) for name, raw in kept.items()})
    other = again.of("new1", "gmail")
    assert other is not None
    assert other.state == one.state
    again.came_back({"new1 to gmail": (2, 1)})
    assert other.state == one.state, "what was counted is not counted again"
    again.came_back({"new1 to gmail": (3, 1)})
    assert other.evidence.bounced == one.evidence.bounced + 1
    now = MONDAY + DAY + 20 * HOUR
    assert other.ready_at(now) == one.ready_at(now)


def test_a_source_that_is_renamed_begins_and_the_old_name_is_kept() -> None:
    ramps = Ramps(OPTIONS)
    one = ramps.of("new1", "gmail")
    assert one is not None
    use(one, MONDAY, 10)
    views = ramps.views(("new2",), ("gmail",), MONDAY)
    assert [(view.source, view.sent) for view in views] == [("new2", 0)]
    assert ramps.states()["new1 to gmail"].sent == 10


def test_another_plan_goes_on_at_the_same_cap() -> None:
    ramps = Ramps(OPTIONS)
    one = ramps.of("new1", "gmail")
    assert one is not None
    use(one, MONDAY, 10)
    one.note(Evidence(tried=10))
    use(one, MONDAY + DAY, 20)
    changed = WarmupOptions(assigned=(Assigned("new*", "*", "slow"),), plans=OPTIONS.plans)
    ramps.reconfigure(changed)
    assert one.state.plan == "slow"
    assert one.cap == 15  # the last that is not over 20
    ramps.reconfigure(WarmupOptions(plans=OPTIONS.plans))
    assert ramps.of("new1", "gmail") is one, "what has sent stays until a person ends it"


def test_the_end_is_expected_at_the_pace_so_far() -> None:
    one = ramp()
    assert one.view(MONDAY).ends == "2026-03-05"
    use(one, MONDAY, 10)
    one.note(Evidence(tried=10))
    use(one, MONDAY + 3 * DAY, 20)  # a stage took three days
    assert one.view(MONDAY + 3 * DAY).ends == "2026-03-11"
    one.skip(MONDAY + 3 * DAY)
    assert one.view(MONDAY + 3 * DAY).ends == ""


def test_a_first_stage_that_holds_puts_the_end_off() -> None:
    one = ramp()
    for number in range(4):
        use(one, MONDAY + number * DAY, 10)
        one.note(Evidence(tried=one.sent, deferred=one.sent // 5))
    view = one.view(MONDAY + 4 * DAY)
    assert (view.stage, view.verdict) == (1, Verdict.HOLDS)
    assert view.ends == "2026-03-18"  # four days for a stage, and three stages are left
