"""Small jobs with a deadline: answered without an estimate where nothing holds them up."""

from collections.abc import Collection

import msgspec
import pytest

from ekiden.engine.sites import Site
from ekiden.forecast.at_once import FEW, KEPT, AtOnce
from ekiden.forecast.model import Finish, Forecast, Load
from ekiden.queue.model import Pace

NOW = 1_800_000_000.0
CODE = Load(id=0, name="code", bulk=False, deliver_by=NOW + 300, lanes={"a.example": 1})


def at_once(held: Collection[str] = ()) -> AtOnce:
    located = {name: Site("mx.big", ()) for name in ("a.example", "b.example")}
    return AtOnce(lambda name, rank: name in held and rank == 0, lambda: located)


def estimated(load: Load, seconds: float | None) -> Forecast:
    end = None if seconds is None else NOW + seconds
    whole = Finish(name="*", messages=load.total, half=end, most=end, end=end)
    return Forecast(
        job=load.name,
        at=NOW,
        start=NOW,
        deliver_by=load.deliver_by,
        whole=whole,
        providers=(),
        curve=(),
    )


def test_what_nothing_holds_up_is_in_time() -> None:
    found = at_once().of(CODE, NOW)
    assert found is not None
    assert not found.late
    assert found.whole.end is not None
    assert 0 < found.whole.end - NOW < 5
    assert "100 % of it is there by" in found.words


def test_a_deadline_that_has_all_but_come_is_missed() -> None:
    soon = msgspec.structs.replace(CODE, deliver_by=NOW + 0.1)
    found = at_once().of(soon, NOW)
    assert found is not None
    assert found.late


@pytest.mark.parametrize(
    "change",
    [
        {"lanes": {"a.example": FEW + 1}},
        {"lanes": {}},
        {"send_at": NOW + 60},
        {"lanes": {"a.example": 5}, "pace": Pace(4, 60.0)},
        {"siblings": (CODE,)},
    ],
)
def test_what_is_not_small_is_estimated(change: dict[str, object]) -> None:
    assert at_once().of(msgspec.structs.replace(CODE, **change), NOW) is None


def test_what_is_held_up_is_estimated_once_for_all_of_its_kind() -> None:
    there = at_once(held={"a.example", "b.example"})
    assert there.of(CODE, NOW) is None
    there.note(CODE, estimated(CODE, 120.0))
    other = msgspec.structs.replace(CODE, lanes={"b.example": 1})  # of the same site
    found = there.of(other, NOW + KEPT)
    assert found is not None
    assert found.whole.end == NOW + KEPT + 120.0
    assert not found.late
    late = there.of(msgspec.structs.replace(other, deliver_by=NOW + 90), NOW)
    assert late is not None
    assert late.late
    assert late.latest_start == NOW - 30
    assert there.of(other, NOW + KEPT + 1) is None, "after a minute it is asked anew"
    assert there.of(msgspec.structs.replace(other, pool="else"), NOW) is None
    assert there.of(msgspec.structs.replace(other, configuration_set="else"), NOW) is None
    bulk = there.of(msgspec.structs.replace(other, bulk=True), NOW)
    assert bulk is not None, "it is not bulk that is held up"


def test_what_has_no_end_in_sight_is_late() -> None:
    there = at_once(held={"a.example"})
    there.note(CODE, estimated(CODE, None))
    found = there.of(CODE, NOW)
    assert found is not None
    assert found.late
    assert found.whole.end is None
    assert msgspec.json.decode(msgspec.json.encode(found), type=Forecast) == found
