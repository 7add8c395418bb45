"""Ten weeks of warm-up over five sources and six providers, through the real scheduler."""

import pytest

from ekiden.shaping.evidence import Verdict
from warmup_world import Silent, Weeks, bad_days

CAUSES = ("blocked", "complained about", "bounced", "deferred")


@pytest.fixture(scope="module")
def weeks() -> Weeks:
    plain = Weeks()
    found = Weeks(
        bad=bad_days(7, plain.days, plain.sources, plain.providers),
        silent=(Silent(20, 21), Silent(27, 28)),
        restarts=(10, 33, 50),
    )
    found.run()
    return found


def test_no_day_is_above_its_cap(weeks: Weeks) -> None:
    assert weeks.over() == []
    assert len(weeks.sent) > 1700, "days of (source, provider) with mail"


def test_every_hold_and_step_back_is_explained(weeks: Weeks) -> None:
    words = {
        "blocks": ("blocked", "blocked"),
        "complaints": ("complained about", "complained"),
        "bounces": ("bounced", "bounced"),
        "deferrals": ("deferred", "deferred"),
        "many deferrals": ("deferred", "deferred"),
    }
    told = [turn for turn in weeks.turns if turn.verdict in {Verdict.HOLDS, Verdict.BACK}]
    assert told
    assert all(
        turn.reason.partition(" (")[0].endswith(CAUSES) or "were sent" in turn.reason
        for turn in told
    )
    # Every bad day that was bad enough, seen from the receivers, holds or goes back for its cause.
    ends = {(weeks.day_of(turn.at), turn.source, turn.provider): turn for turn in weeks.turns}
    judged = 0
    for bad in weeks.bad:
        key = (bad.day, bad.source, bad.provider)
        word, count = words[bad.kind]
        seen = weeks.seen.get(key)
        if seen is None or getattr(seen, count) < max(2, 0.1 * seen.tried):
            continue
        if weeks.caps[key] == 1 << 60:
            continue
        turn = next(
            ends[later, *key[1:]] for later in range(bad.day + 1, 99) if (later, *key[1:]) in ends
        )
        assert turn.verdict in {Verdict.HOLDS, Verdict.BACK}, (bad, turn)
        assert word in turn.reason, (bad, turn)
        judged += 1
    assert judged >= 20


def test_every_road_gets_warm_in_the_end(weeks: Weeks) -> None:
    views = weeks.ramps.views(weeks.sources, weeks.providers, weeks.world.now)
    assert len(views) == 30
    assert sum(view.done for view in views) >= 27
    assert all(view.stage > 1 for view in views)


def test_the_day_is_spread_over_its_hours(weeks: Weeks) -> None:
    for key, hours in weeks.hourly.items():
        if weeks.caps[key] == 1 << 60 or weeks.sent[key] < 20:
            continue
        # 12 sending hours; the least part of them that a day may take is three.
        assert max(hours.values()) <= weeks.caps[key] / 3 + 2, key
