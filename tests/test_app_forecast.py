"""The daemon's forecasts: a late job is refused or told of, and a running one says when it ends."""

import json
import time
from dataclasses import replace
from pathlib import Path

import httpx
import msgspec
import pytest

from ekiden.control.client import Client
from ekiden.control.token_requests import AddToken
from ekiden.queue.memory import Kind
from ekiden.queue.queue import Queue
from ekiden.shaping.volume import day_of
from ekiden.store.database import Database
from stage import Stage, free_port
from test_app_delivery import daemon, sent, until
from test_app_events import ekiden
from test_app_web import running

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
        assert "no start" not in words, "when it runs its start is not asked for"
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


async def test_over_http_the_verdict_is_the_answer(tmp_path: Path) -> None:
    port = free_port()
    admin = f'[web.admin]\nlisten = ["127.0.0.1:{port}"]\n'
    stage = Stage(tmp_path / "s", destinations=1, sites=1, extra=SLOW + admin)
    stage.write()
    today = day_of(time.time())
    database = await Database.open(stage.directory / "queue.db")
    counts = json.dumps(dict.fromkeys(range(today - 30, today), 100))
    await Queue(database).remember(Kind.VOLUME, {"default": counts}, time.time())
    await database.close()
    job = {
        "from": "news@stage.example",
        "subject": "x",
        "text": "x",
        "deliver_by": "+20s",
        "recipients": [{"address": f"success+{n}@d0.example"} for n in range(1200)],
    }
    async with (
        stage.receivers(),
        stage.dns(),
        running(stage) as app,
        httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=60.0
        ) as client,
    ):
        socket = await Client.connect(app.config.control.socket)
        assert socket is not None
        made = await socket.ask(AddToken(name="shop", scopes=("submit",)))
        await socket.close()
        ask = {"authorization": f"Bearer {made.secret}", "prefer": "wait=30"}
        refused = await client.post("/v1/jobs", json={**job, "on_late": "refuse"}, headers=ask)
        assert refused.status_code == 422
        assert "It would be late" in refused.json()["error"]
        assert await app.queue.jobs() == []

        answer = await client.post("/v1/jobs", json={**job, "on_late": "send"}, headers=ask)
        assert answer.status_code == 202
        taken = answer.json()["job"]
        assert "it had to start by" in taken["verdict"]
        assert "1,200 messages from default in one job are 12.0 times" in taken["volume"][0]
        shown = (await ekiden(stage, "job", "show", str(taken["id"])))[1]
        assert taken["verdict"] in shown
        await app.events.exporter.drain()
    events = (stage.directory / "events" / "events.jsonl").read_text(encoding="utf-8")
    assert "will be late" not in events  # on_late = "send" tells nobody
    assert "volume: 1,200 messages" in events  # a jump is always told


async def test_single_mails_with_a_deadline_do_not_wait_for_each_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each has its verdict, and no process is begun for it."""

    async def begun(question: bytes) -> None:
        raise AssertionError(question)

    monkeypatch.setattr("ekiden.forecast.estimates._answer", begun)
    stage = Stage(tmp_path / "s", destinations=3, sites=3)
    stage.write()
    async with stage.receivers(), stage.dns(), daemon(stage):
        for n in range(12):
            stage.drop(f"code{n}", [f"success+{n}@d{n % 3}.example"], deliver_by="+10m")
        for n in range(12):
            await until(stage.result(f"code{n}").exists)
    for n in range(12):
        result = msgspec.json.decode(stage.result(f"code{n}").read_bytes())
        assert result["counts"]["delivered"] == 1
        assert result["forecast"]["in_time"] == 1.0


async def test_the_quota_of_a_relay_is_foreseen_by_a_daemon_that_has_sent_nothing(
    tmp_path: Path,
) -> None:
    stage = Stage(tmp_path / "s", destinations=4, sites=1)
    relay = (
        f'[[route]]\npattern = "*"\nhost = "127.0.1.1"\nport = {stage.port}\n'
        'group = true\nrates = ["6/d"]\n'
    )
    stage = replace(stage, extra=relay)
    stage.write()
    people = [f"success+{n}@d{n % 4}.example" for n in range(18)]
    async with stage.receivers(), stage.dns(), running(stage) as app:
        stage.drop("late", people, deliver_by="+20h", on_late="refuse")
        error = stage.spool / "failed" / "late.error.txt"
        await until(error.exists)
        assert "33 % of it is there" in error.read_text(encoding="utf-8")

        stage.drop("news", people)
        await until(lambda: sent(stage) == 6)
        await app.live.estimates.refresh()
        job = json.loads((await ekiden(stage, "job", "show", "news", "--json"))[1])
        assert job["ends_at"] - time.time() == pytest.approx(2 * 86_400, rel=0.1)
        assert job["counts"]["ready"] == 12
        waits = (await ekiden(stage, "queue"))[1]
        assert "limited to 6 per day" in waits
    assert sent(stage) == 6
