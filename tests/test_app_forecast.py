"""The daemon's forecasts: a late job is refused or told of, and a running one says when it ends."""

from pathlib import Path

import msgspec

from stage import Stage
from test_app_delivery import daemon, until

SLOW = '[limits]\nrates_per_site = ["2/s"]\n'


async def test_a_late_job_is_refused_when_that_is_asked(tmp_path: Path) -> None:
    stage = Stage(tmp_path / "s", destinations=1, sites=1, extra=SLOW)
    stage.write()
    people = [f"success+{n}@d0.example" for n in range(400)]
    async with stage.receivers(), stage.dns(), daemon(stage):
        stage.drop("late", people, deliver_by="+20s", on_late="refuse")
        error = stage.spool / "failed" / "late.error.txt"
        await until(error.exists)
        told = error.read_text(encoding="utf-8")
    assert "It would be late" in told
    assert "it had to start by" in told
    assert 'on_late = "send"' in told


async def test_the_verdict_is_in_the_result_and_what_is_late_expires(tmp_path: Path) -> None:
    stage = Stage(tmp_path / "s", destinations=1, sites=1, extra=SLOW)
    stage.write()
    people = [f"success+{n}@d0.example" for n in range(60)]
    async with stage.receivers(), stage.dns(), daemon(stage) as app:
        stage.drop("news", people, deliver_by="+12s")
        await until((stage.spool / "done" / "news").exists)
        await app.live.estimates.refresh()
        words, end = app.live.forecast(1)
        assert "is there by" in words
        assert end is not None
        await until(stage.result("news").exists)
        await app.events.exporter.drain()
    result = msgspec.json.decode(stage.result("news").read_bytes())
    assert 0 < result["forecast"]["in_time"] < 0.9
    assert "it had to start by" in result["forecast"]["said"]
    assert result["counts"]["expired"] > 0
    assert result["counts"]["delivered"] > 0
    assert len(list(stage.transactions())) == result["counts"]["delivered"]
    events = (stage.directory / "events" / "events.jsonl").read_text(encoding="utf-8")
    assert "will be late" in events
