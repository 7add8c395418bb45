"""Plans of jobs whose rows choose configuration sets: each under its own limits, told as one."""

import time
from pathlib import Path

import pytest

from ekiden.config import Config, loads
from ekiden.engine.schedule.facts import Learned
from ekiden.errors import RefusedError
from ekiden.forecast.drafts import read_load
from ekiden.forecast.estimate import estimate
from ekiden.forecast.model import Facts, Load
from ekiden.queue.model import Pace
from test_forecast_estimate import BASE, NOW, facts, kept

CONFIG = (
    BASE
    + """
[[source]]
name = "a"
address = "127.0.0.1"
[[source]]
name = "b"
address = "127.0.0.2"
[[pool]]
name = "bulk"
sources = ["a"]
[[pool]]
name = "fast"
sources = ["b"]
[configuration_set.codes]
pool = "fast"
priority = "transactional"
[configuration_set.slow]
pool = "bulk"
rates_per_site = ["5/s"]
"""
)
QUICK = Learned([9, -1, 0.0, 2.0], opening=0.1, each=0.01)


def config() -> Config:
    return loads(CONFIG, Path("c.toml"))


def world() -> Facts:
    known = kept(mx=QUICK)["path"]["default to mx"]
    memory = {"path": {"a to mx": known, "b to mx": known}}
    return facts({"a.example": "mx"}, memory)


def three(**more: object) -> Load:
    """1,000 rows of the default set, 500 of a fast one, 1,500 of one that takes 5 a second."""
    base: dict[str, object] = {"id": 0, "name": "mixed", "pool": "bulk", **more}

    def part(number: int, **own: object) -> Load:
        return Load(**{**base, "lanes": {"a.example": number}, **own})  # type: ignore[arg-type]  # test data

    siblings = (
        part(500, configuration_set="codes", pool="fast", bulk=False),
        part(1500, configuration_set="slow"),
    )
    return part(1000, siblings=siblings)


def test_each_set_is_planned_under_its_own_limits() -> None:
    found = estimate(config(), world(), three())
    assert found.whole.messages == 3000
    plain, codes, slow = found.sets
    assert [one.name for one in found.sets] == ["", "codes", "slow"]
    assert [one.messages for one in found.sets] == [1000, 500, 1500]
    assert plain.end is not None
    assert codes.end is not None
    assert slow.end is not None
    assert codes.end - NOW < 30
    assert plain.end - NOW < 60
    assert slow.end - NOW == pytest.approx(300, rel=0.1)
    assert found.whole.end == slow.end
    assert "set slow" in slow.binds
    assert not any("set slow" in one.binds for one in (plain, codes))
    assert "5 per second" in found.whole.binds
    (provider,) = found.providers
    assert provider.messages == 3000
    assert provider.end == slow.end


def test_a_deadline_is_that_of_the_worst_set() -> None:
    many = three(deliver_by=NOW + 120)
    found = estimate(config(), world(), many)
    shares = [one.in_time for one in found.sets]
    assert shares[:2] == [1.0, 1.0]
    assert shares[2] == pytest.approx(0.4, abs=0.03)
    assert found.late
    assert "of set slow)" in found.words
    assert found.latest_start is not None
    assert found.latest_start == pytest.approx(NOW + 120 - 300, abs=45)


def test_a_pace_is_shared_by_all_sets() -> None:
    """3,000 rows of three sets, 300 a minute: ten rounds of all, and not five of the largest."""
    quick = CONFIG.replace('rates_per_site = ["5/s"]\n', "")
    paced = three(pace=Pace(300, 60.0))
    found = estimate(loads(quick, Path("c.toml")), world(), paced)
    assert found.whole.end is not None
    assert found.whole.end - NOW == pytest.approx(9 * 60, rel=0.1)


def test_a_sibling_that_waits_shares_its_pace_with_the_one_that_is_foretold() -> None:
    pace = Pace(300, 60.0)
    head = Load(id=5, name="n", pool="bulk", pace=pace, lanes={"a.example": 1500})
    other = Load(id=6, name="n", pool="bulk", pace=pace, lanes={"b.example": 1500}, head=5)
    for mine, rest in ((head, other), (other, head)):
        there = world()
        alone = estimate(config(), there, mine)
        there.loads = [rest]
        found = estimate(config(), there, mine)
        assert alone.whole.end is not None
        assert found.whole.end is not None
        assert alone.whole.end - NOW == pytest.approx(4 * 60, rel=0.1)
        assert found.whole.end - NOW > 1.7 * (alone.whole.end - NOW)
        assert found.sets == ()


def test_coarse_plans_of_sets_end_when_fine_ones_do(monkeypatch: pytest.MonkeyPatch) -> None:
    fine = estimate(config(), world(), three())
    monkeypatch.setattr("ekiden.forecast.estimate.STEPS", 300)
    coarse = estimate(config(), world(), three())
    assert coarse.coarse == 10
    for one, other in zip(fine.sets, coarse.sets, strict=True):
        assert one.messages == other.messages
        assert one.end is not None
        assert other.end == pytest.approx(one.end, abs=max(8.0, 0.05 * (one.end - NOW)))


def test_rows_are_read_with_the_sets_that_they_choose(tmp_path: Path) -> None:
    job = tmp_path / "job"
    job.mkdir()
    (job / "job.toml").write_text(
        'from = "news@sender.example"\nsubject = "x"\ntext = "b.txt"\nrecipients = "r.csv"\n'
        'configuration_set = "slow"\n'
    )
    (job / "b.txt").write_text("x\n")
    rows = ["email,configuration_set", "a@a.example,", "b@a.example,codes", "c@b.example,slow"]
    rows += ["d@b.example,none", "e@b.example,codes", "no address,codes"]
    (job / "r.csv").write_text("\n".join(rows) + "\n")
    found = read_load(config(), job, now=time.time())
    assert found.load.lanes == {"a.example": 1, "b.example": 1}
    assert (found.load.pool, found.load.bulk) == ("bulk", True)
    (codes,) = found.load.siblings
    assert codes.lanes == {"a.example": 1, "b.example": 1}
    assert (codes.pool, codes.bulk, codes.configuration_set) == ("fast", False, "codes")
    assert found.load.total == 4
    assert found.refused == 2
    assert found.why == {"none": "there is no configuration_set 'none'"}
    with pytest.raises(RefusedError, match="--start"):
        read_load(config(), job, start="whenever", now=time.time())
