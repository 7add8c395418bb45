"""The forecast: arithmetic that can be checked by hand, coarse against fine, deadlines."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from ekiden.config import loads
from ekiden.engine.schedule.facts import Learned
from ekiden.forecast.coarse import lots, told, weight_for
from ekiden.forecast.estimate import estimate
from ekiden.forecast.model import Facts, Found, Load
from ekiden.queue.model import Pace
from ekiden.shaping.reactions import Reaction

NOW = 1_800_000_000.0 - 1_800_000_000.0 % 3600 + 1200  # twenty past, away from the top of the hour
BASE = '[delivery]\nhostname = "mail.example.com"\n[hours]\nsmooth = "0s"\n'


def kept(**paths: Learned) -> dict[str, dict[str, str]]:
    """What an engine keeps of paths from the one source there is, by site."""
    return {
        "path": {
            f"default to {site}": msgspec.json.encode(one).decode() for site, one in paths.items()
        }
    }


def facts(sites: dict[str, str], memory: dict[str, dict[str, str]] | None = None) -> Facts:
    return Facts(
        now=NOW,
        memory=memory or {},
        sites={name: Found(site, (site,)) for name, site in sites.items()},
    )


def test_a_rate_sets_the_time() -> None:
    config = loads(BASE + '[limits]\nrates_per_site = ["10/s"]\n', Path("c.toml"))
    learned = Learned([9, -1, 0.0, 2.0], opening=0.1, each=0.01)
    found = estimate(
        config,
        facts({"a.example": "mx"}, kept(mx=learned)),
        Load(id=0, name="rate", lanes={"a.example": 3000}),
    )
    assert found.whole.end is not None
    assert found.whole.end - NOW == pytest.approx(300, rel=0.1)
    assert "10 per second" in found.providers[0].binds


def test_sessions_and_the_time_of_a_message_set_the_time() -> None:
    config = loads(
        BASE + "[limits]\nsessions_per_site = 4\nsessions_per_destination = 4\n"
        "messages_per_session = 100000\n",
        Path("c.toml"),
    )
    learned = Learned([4, -1, 0.0, 2.0], opening=0.2, each=0.5)
    found = estimate(
        config,
        facts({"a.example": "mx"}, kept(mx=learned)),
        Load(id=0, name="sessions", lanes={"a.example": 4000}),
    )
    assert found.whole.end is not None
    assert found.whole.end - NOW == pytest.approx(4000 * 0.5 / 4, rel=0.05)
    assert found.providers[0].binds == "sessions, and the time the receiver takes over a message"


def test_pace_and_start_set_the_time() -> None:
    config = loads(BASE, Path("c.toml"))
    load = Load(
        id=0,
        name="pace",
        send_at=NOW + 600,
        pace=Pace(100, 60.0),
        lanes={f"d{n}.example": 10 for n in range(100)},
    )
    found = estimate(config, facts({}), load)
    assert found.whole.end is not None
    assert found.whole.end - NOW == pytest.approx(600 + 9 * 60, rel=0.05)
    assert "pace" in found.providers[0].binds
    assert found.assumed == 100


def test_what_is_suspended_has_no_end() -> None:
    config = loads(BASE, Path("c.toml"))
    held = facts({"a.example": "mx"})
    held.suspensions["a.example"] = None
    found = estimate(config, held, Load(id=0, name="held", lanes={"a.example": 10}))
    assert found.whole.end is None
    assert "two months" in found.words


def test_jobs_that_wait_already_take_their_part() -> None:
    config = loads(BASE + '[limits]\nrates_per_site = ["10/s"]\n', Path("c.toml"))
    load = Load(id=0, name="second", lanes={"a.example": 1000})
    alone = estimate(config, facts({"a.example": "mx"}), load)
    with_other = facts({"a.example": "mx"})
    with_other.loads.append(Load(id=7, name="first", lanes={"a.example": 5000}))
    beside = estimate(config, with_other, load)
    assert alone.whole.end is not None
    assert beside.whole.end is not None
    assert (beside.whole.end - NOW) / (alone.whole.end - NOW) == pytest.approx(2, rel=0.15)


def test_a_deadline_names_the_share_and_the_latest_start() -> None:
    config = loads(BASE + '[limits]\nrates_per_site = ["10/s"]\n', Path("c.toml"))
    late = Load(
        id=0, name="late", send_at=NOW + 1800, deliver_by=NOW + 2250, lanes={"a.example": 9_000}
    )
    found = estimate(config, facts({"a.example": "mx"}), late)
    assert found.late
    assert found.whole.in_time == pytest.approx(0.5, rel=0.1)  # a quarter's worth in half of one
    assert found.latest_start is not None
    assert found.latest_start == pytest.approx(NOW + 2250 - 900, abs=75)
    assert "start by" in found.words
    early = msgspec.structs.replace(late, send_at=found.latest_start)
    assert not estimate(config, facts({"a.example": "mx"}), early, search=False).late


def test_a_start_that_has_passed_is_told_as_one() -> None:
    config = loads(BASE + '[limits]\nrates_per_site = ["10/s"]\n', Path("c.toml"))
    load = Load(id=0, name="too late", deliver_by=NOW + 225, lanes={"a.example": 9_000})
    found = estimate(config, facts({"a.example": "mx"}), load)
    assert found.latest_start is not None
    assert found.latest_start < NOW
    assert "it had to start by" in found.words


def test_deferrals_come_back_after_the_retry_schedule() -> None:
    config = loads(BASE.replace("[hours]", 'retry = ["10m"]\n[hours]'), Path("c.toml"))
    memory = {"hours": {"gmail": msgspec.json.encode([[100.0] * 24, [50.0] * 24]).decode()}}
    load = Load(id=0, name="grey", lanes={"gmail.com": 200})
    calm = estimate(config, Facts(now=NOW), load)
    deferring = estimate(config, Facts(now=NOW, memory=memory), load)
    assert calm.whole.end is not None
    assert deferring.whole.end is not None
    assert deferring.whole.end - calm.whole.end > 60


@pytest.mark.parametrize("seed", [1, 2])
def test_coarse_steps_end_when_fine_ones_do(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    config = loads(BASE, Path("c.toml"))
    lanes = {f"d{n}.example": 3 + (n * seed) % 40 for n in range(300)}
    lanes |= {"gmail.com": 3000, "yahoo.co.jp": 1500, "docomo.ne.jp": 2000}
    load = Load(id=0, name="mixed", lanes=lanes)
    fine = estimate(config, Facts(now=NOW), load)
    monkeypatch.setattr("ekiden.forecast.estimate.STEPS", 1500)
    coarse = estimate(config, Facts(now=NOW), load)
    assert (fine.coarse, coarse.coarse > 5) == (1, True)
    assert fine.whole.end is not None
    assert coarse.whole.end is not None
    assert coarse.whole.end - NOW == pytest.approx(fine.whole.end - NOW, rel=0.1)
    assert coarse.whole.messages == fine.whole.messages


def test_what_is_said_of_a_lot_names_how_many_and_whose() -> None:
    counts = {f"d{n}.example": 2 for n in range(90)}
    known = lots(counts, lambda name: (name, "gmail"), 4, job="7")
    assert len({one.name for one in known}) == len(known) > 1
    said = f"messages of site {known[0].name} are limited to 9 per minute"
    assert told(said) == (
        f"messages of {known[0].many} small destinations of gmail are limited to 9 per minute"
    )
    (nobodys, *_) = lots(counts, lambda name: (name, ""), 4)
    assert told(f"its turn comes next at {nobodys.name}") == (
        f"its turn comes next at {nobodys.many} small destinations"
    )


def test_lots_lose_no_message() -> None:
    counts = {f"d{n}": n % 17 + 1 for n in range(1000)} | {"big": 10_000}
    weight = weight_for(sum(counts.values()), 500)
    found = lots(counts, lambda name: (name, "p" if name < "d5" else ""), weight)
    assert sum(lot.messages for lot in found) == sum(counts.values())
    assert sum(lot.many for lot in found) == len(counts)
    assert max(lot.messages for lot in found if lot.many == 1) == 10_000


def test_facts_travel_as_json() -> None:
    meant = facts({"a.example": "mx"}, kept(mx=Learned([2, -1, 0.0, 2.0])))
    meant.loads.append(Load(id=1, name="名", pace=Pace(5, 1.0), lanes={"a.example": 1}))
    assert msgspec.json.decode(msgspec.json.encode(meant), type=Facts) == meant


def reacting(**given: Any) -> dict[str, dict[str, str]]:
    """What an engine keeps while a reaction holds for ten minutes more."""
    values = {
        "id": 3,
        "rule": "busy",
        "scope": "path",
        "act": "suspend",
        "to": "",
        "source": "default",
        "site": "mx",
        "provider": "",
        "job": 0,
        "since": NOW - 60,
        "until": NOW + 600,
        "reply": "421 come back later",
    }
    one = Reaction(**{**values, **given})
    return {"reaction": {"3": msgspec.json.encode(one).decode()}}


@pytest.mark.parametrize(
    ("given", "seconds", "binds"),
    [
        ({}, 660, "reaction 3 (busy): 421 come back later"),
        ({"scope": "source", "site": ""}, 660, "reaction 3 (busy)"),
        ({"act": "slow", "to": "60/m"}, 660, "60 per minute (reaction 3)"),
        ({"act": "slow", "to": "0.5", "pace": 1.0}, 660, "(reaction 3)"),
        ({"act": "sessions", "to": "1"}, 195, "sessions, and the time"),
        ({"until": NOW - 1}, 65, "10 per second"),
    ],
    ids=["suspended", "source", "rate", "share", "sessions", "over"],
)
def test_reactions_in_force_move_the_end_and_are_named(
    given: dict[str, Any], seconds: float, binds: str
) -> None:
    config = loads(BASE + '[limits]\nrates_per_site = ["10/s"]\n', Path("c.toml"))
    memory = kept(mx=Learned([9, -1, 0.0, 2.0], opening=0.1, each=0.3)) | reacting(**given)
    found = estimate(
        config,
        facts({"a.example": "mx"}, memory),
        Load(id=0, name="held", lanes={"a.example": 600}),
    )
    assert found.whole.end is not None
    assert found.whole.end - NOW == pytest.approx(seconds, rel=0.12)
    assert binds in found.providers[0].binds
    assert found.whole.binds == found.providers[0].binds


def test_a_small_site_that_is_held_is_not_lost_among_the_many(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("ekiden.forecast.estimate.STEPS", 500)
    config = loads(BASE, Path("c.toml"))
    lanes = {f"d{n}.example": 10 for n in range(500)}
    known = facts({name: name.partition(".")[0] for name in lanes}, reacting(site="d7"))
    free = msgspec.structs.replace(known, memory={})
    load = Load(id=0, name="many", lanes=lanes)
    held, calm = estimate(config, known, load), estimate(config, free, load)
    assert held.coarse > 1
    assert calm.whole.end is not None
    assert calm.whole.end < NOW + 300
    assert held.whole.end is not None
    assert held.whole.end == pytest.approx(NOW + 600, abs=60)


def test_small_destinations_of_one_site_share_its_sessions(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    limits = "[limits]\nsessions_per_site = 2\nsessions_per_destination = 2\n"
    config = loads(BASE + limits, Path("c.toml"))
    lanes = {f"d{n}.example": 10 for n in range(200)}
    known = facts(dict.fromkeys(lanes, "mx"), kept(mx=Learned([2, -1, 0.0, 2.0], each=0.5)))
    load = Load(id=0, name="hosted", lanes=lanes)
    fine = estimate(config, known, load)
    monkeypatch.setattr("ekiden.forecast.estimate.STEPS", 300)
    coarse = estimate(config, known, load)
    assert coarse.coarse > 1
    assert fine.whole.end is not None
    assert coarse.whole.end is not None
    assert coarse.whole.end - NOW == pytest.approx(fine.whole.end - NOW, rel=0.1)
