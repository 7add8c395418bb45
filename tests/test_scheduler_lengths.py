"""Sessions of the length that a receiver shows, on the clock that jumps."""

from itertools import pairwise

import pytest

from ekiden.engine.schedule.facts import SchedulerOptions, SiteFacts
from ekiden.shaping.caps import Caps
from ekiden.shaping.length import ALIKE
from ekiden.shaping.speed import Speed, SpeedOptions
from ekiden.shaping.window import WindowOptions
from limited_world import LimitedWorld, Regime, world_of
from scheduler_world import START, job

HOUR = 3_600.0
TOP = START + 800.0  # 14:00:00


def sending(regime: Regime) -> LimitedWorld:
    world = world_of({"mx.example": regime}, SchedulerOptions(caps=Caps(sessions=500)))
    world.add(job(1), {"mx.example": 100_000})
    return world


def longest(world: LimitedWorld) -> int:
    """Return the most messages that went out on one session, since `keep_log` is set."""
    carried: dict[int, int] = {}
    for _, _, _, session in world.handed:
        carried[session] = carried.get(session, 0) + 1
    return max(carried.values())


@pytest.mark.parametrize("many", [1, 20])
def test_a_limit_on_messages_costs_a_few_refusals_however_many_sessions_there_are(
    many: int,
) -> None:
    regime = Regime(sessions=many, per_session=20, enough="")  # without a word
    world = sending(regime)
    world.run(HOUR)
    asked = HOUR / 300
    assert ALIKE <= regime.no["session"] <= ALIKE + many + asked
    settled = regime.no["session"]
    world.run(HOUR)
    assert regime.no["session"] - settled <= asked, "one session asks for all"


@pytest.mark.parametrize("many", [1, 20])
@pytest.mark.parametrize(
    "words",
    [
        "421 too many messages in this connection",
        "421 Max message per connection reached, closing transmission channel",
        "421 #4.x.2 Too many messages for this session",
    ],
)
def test_words_about_the_session_teach_its_length_and_slow_nothing(many: int, words: str) -> None:
    regime = Regime(sessions=100, per_session=20, enough=words)
    world = world_of({"mx.example": regime}, SchedulerOptions(window=WindowOptions(start=many)))
    world.add(job(1), {"mx.example": 100_000})
    world.run(120.0)
    assert regime.no["session"] <= many, "once at most for each session that was open"
    learned = world.scheduler.learned()["default to mx.example"]
    assert learned.length[0] == 20
    assert learned.speed in ([], Speed(SpeedOptions()).state()), "no rate was found: none was asked"
    assert learned.refusals == 0
    assert learned.window[0] >= many
    # After a restart it is known.
    again = Regime(sessions=100, per_session=20, enough=words)
    other = sending(again)
    other.scheduler.recall(world.scheduler.learned())
    other.run(60.0)
    assert len(again.taken) > 100
    assert again.no["session"] == 0


def test_words_to_the_first_message_of_a_session_ask_for_less() -> None:
    regime = Regime(per_session=0, enough="421 too many messages in this connection")
    world = sending(regime)
    world.run(600.0)
    learned = world.scheduler.learned()["default to mx.example"]
    assert learned.length == []
    assert learned.refusals > 0
    assert regime.no["session"] < 60, "it is left alone for longer and longer"


def test_a_limit_on_messages_that_is_gone_is_found_out() -> None:
    regime = Regime(sessions=5, per_session=20)
    world = sending(regime)
    world.run(600.0)
    regime.per_session = 1_000
    world.keep_log = True
    world.run(600.0)
    assert longest(world) > 500


def test_who_hangs_up_on_what_is_too_fast_has_no_limit_on_messages() -> None:
    """Each refusal of a rate ends a session too, after any number of messages."""
    regime = Regime(rates=((2, 1.0),), hang_up=True, sessions=1)
    world = sending(regime)
    world.run(HOUR)
    world.keep_log = True
    world.run(HOUR)
    assert longest(world) > 60


def test_the_top_of_the_hour_does_not_part_two_sessions_of_a_site() -> None:
    regime = Regime(sessions=1, per_session=10)
    world = sending(regime)
    world.run(1_000.0)
    about = [at for at in regime.taken if TOP - 60 < at < TOP + 120]
    assert max(later - at for at, later in pairwise(about)) < 5.0


def test_what_hangs_up_on_many_at_once_shows_no_length() -> None:
    """Short sessions side by side meet its limit after the same number, while others carry more."""
    regime = Regime(sessions=10, rates=((32, 1.0),), hang_up=True, dial=0.3, send=0.25)
    facts = SiteFacts("mx.example", site_caps=Caps(sessions=10, messages_per_session=5))
    world = world_of({"mx.example": regime}, SchedulerOptions(), lambda _: facts)
    world.add(job(1), {"mx.example": 200_000})
    for _ in range(40):
        world.run(60.0)
        (path,) = world.scheduler._state.sites["mx.example"].paths.values()
        assert path.length.limit is None
