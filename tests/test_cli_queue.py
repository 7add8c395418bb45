"""Commands about the queue: offline against the database, and through a running daemon's socket."""

import asyncio
import contextlib
import io
import json
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from commands import Result, Run, beside, runner
from ekiden import settings
from ekiden.config import Config, load
from ekiden.control.insight_requests import ProviderView
from ekiden.control.requests import EngineView
from ekiden.control.server import ControlServer
from ekiden.control.service import Control
from ekiden.queue.model import (
    Attempt,
    JobFacts,
    NewDelivery,
    NewJob,
    Settlement,
    State,
)
from ekiden.queue.queue import Queue
from ekiden.store.database import Database

NOW = 1_700_000_000.0
RECIPIENTS = ["ann@a.example", "bob@a.example", "cat@b.example", "夏@xn--r8jz45g.jp"]


class Engine:
    """What a running engine tells and hears."""

    def __init__(self) -> None:
        self.heard: list[str] = []

    def engine(self) -> EngineView:
        return EngineView(
            pid=4321, version="9.9", started_at=NOW, sessions=3, max_sessions=10, destinations=2
        )

    def why(self, destination: str) -> str:
        return f"no session to {destination} is free"

    async def providers(self) -> list[ProviderView]:
        return []

    async def save_learned(self) -> None:
        pass

    def forecast(self, job_id: int) -> tuple[str, float | None]:
        return "", None

    def job_changed(self, job: JobFacts) -> None:
        self.heard.append(f"{job.uid} {job.state}")

    def scope_stopped(self, scope: str, reason: str) -> None:
        self.heard.append(f"stopped {scope}: {reason}")

    def destination_skipped(self) -> None:
        self.heard.append("skipped")

    def scope_resumed(self, scope: str) -> None:
        self.heard.append(f"resumed {scope}")

    def suspensions_changed(self) -> None:
        self.heard.append("suspensions")


async def fill(config: Config) -> None:
    """Put a job into the queue: one delivered, one deferred, one held, one ready."""
    database = await Database.open(config.queue.path)
    queue = Queue(database)
    job = NewJob(
        uid="sale-1",
        name="夏の\tセール",
        mail_from="bounce@example.com",
        from_domain="example.com",
        content=b"{}",
        created_at=NOW,
        expires_at=NOW + 86_400 * 365 * 100,
    )
    rows = [
        NewDelivery(address, address.split("@")[1], row=row)
        for row, address in enumerate(RECIPIENTS, start=1)
    ]
    await queue.submit_job(job, rows, NOW)
    claimed = (await queue.claim([1, 2, 3], 77, NOW)).claimed
    states = [(State.DELIVERED, 250, "2.0.0 ok"), (State.READY, 451, "later \\x1b[2J"),
              (State.HELD, 0, "")]  # fmt: skip
    await queue.settle(
        [
            Settlement(
                one,
                state,
                due_at=NOW + 86_400 * 365 * 50,
                in_doubt=state is State.HELD,
                attempt=Attempt(
                    at=NOW + 1, seconds=0.5, source="s", site="mx", host="mx.a.example",
                    stage="data", code=code, reply=reply, klass="", rule="",
                    outcome="accepted" if code == 250 else "rejected",
                ),
            )
            for one, (state, code, reply) in zip(claimed, states, strict=True)
        ],
        NOW + 1,
    )  # fmt: skip
    await database.close()


@pytest.fixture
def config(tmp_path: Path) -> Config:
    (tmp_path / "config.toml").write_text('[queue]\npath = "q.db"\n', encoding="utf-8")
    return load(tmp_path / "config.toml")


@pytest.fixture
def engine() -> Engine:
    return Engine()


@contextlib.asynccontextmanager
async def daemon(config: Config, engine: Engine) -> AsyncIterator[None]:
    database = await Database.open(config.queue.path)
    control = Control.over(database, live=engine, pacing=settings.pacing_facts(config))
    try:
        async with ControlServer(config.control.socket, control):
            yield
    finally:
        await database.close()


@pytest.fixture
def command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Run:
    """Run commands where there is a configuration, but no queue yet."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("EKIDEN_CONFIG", raising=False)
    return runner(monkeypatch, capsys)


@pytest.fixture(params=["offline", "daemon"])
def ekiden(
    request: pytest.FixtureRequest, config: Config, engine: Engine, command: Run
) -> Iterator[Run]:
    """Run commands against a filled queue: without a daemon, and with one."""
    asyncio.run(fill(config))
    around: AbstractContextManager[None] = contextlib.nullcontext()
    if request.param == "daemon":
        around = beside(lambda: daemon(config, engine))
    with around:
        yield command


def test_status(ekiden: Run, request: pytest.FixtureRequest) -> None:
    result = ekiden("status")
    facts = dict(result.rows)
    running = "daemon]" in request.node.name
    assert facts["daemon"] == ("running" if running else "not running")
    assert facts.get("sessions") == ("3/10" if running else None)
    told = {name: facts[name] for name in ("ready", "held", "delivered", "jobs open")}
    assert told == {"ready": "2", "held": "1", "delivered": "1", "jobs open": "1"}
    view = ekiden("status", "--json").json
    assert view["deliveries"]["ready"] == 2
    assert (view["engine"] is None) is not running


def test_jobs(ekiden: Run) -> None:
    row = ekiden("jobs").rows[0]
    assert row[:7] == ["1", "open", "bulk", "4", "3", "1", "0"]
    assert row[8] == "夏の\\tセール"
    assert ekiden("jobs", "--state", "paused").out == ""
    assert ekiden("jobs", "--json").json[0]["counts"]["held"] == 1
    wrong = ekiden("jobs", "--state", "gone")
    assert wrong.code == 1
    assert "use receiving, open, paused, done, cancelled" in wrong.err


def test_a_job_is_paused_resumed_and_cancelled(ekiden: Run, engine: Engine) -> None:
    assert dict(ekiden("job", "show", "sale-1").rows)["state"] == "open"
    assert dict(ekiden("job", "pause", "1").rows)["state"] == "paused"
    assert ekiden("job", "pause", "1").code == 1
    assert ekiden("job", "resume", "sale-1", "--json").json["state"] == "open"
    result = ekiden("job", "cancel", "1", "--yes")
    assert dict(result.rows)["state"] == "cancelled"
    assert dict(result.rows)["cancelled"] == "3"
    if engine.heard:
        assert engine.heard == ["sale-1 paused", "sale-1 open", "sale-1 cancelled"]


def test_held_deliveries_are_released_or_dropped(ekiden: Run) -> None:
    assert ekiden("job", "release", "1", "--json").json["counts"]["ready"] == 3
    again = ekiden("job", "release", "1", "--drop")
    assert (again.code, again.err) == (1, "ekiden: job 1: nothing of this job is held\n")


def test_a_job_that_does_not_exist(ekiden: Run) -> None:
    result = ekiden("job", "show", "nothing")
    assert (result.code, result.out) == (3, "")
    assert result.err == ("ekiden: nothing: there is no such job -- list them with: ekiden jobs\n")


def test_what_waits_and_why(ekiden: Run, request: pytest.FixtureRequest) -> None:
    running = "daemon]" in request.node.name
    rows = {row[0]: row[1:] for row in ekiden("queue").rows}
    assert rows["a.example"][:4] == ["0", "1", "0", "0"]
    assert rows["b.example"][:4] == ["0", "0", "0", "1"]
    assert rows["a.example"][6].startswith("tried, and its next try is later")
    waits = ekiden("queue", "*.jp", "--json").json[0]
    assert waits["why"] == ("no session to xn--r8jz45g.jp is free" if running else "no daemon runs")
    assert [row[0] for row in ekiden("queue", "*.jp").rows] == ["xn--r8jz45g.jp"]
    assert ekiden("queue", "a.*").code == 1
    assert ekiden("queue", "--json", "--limit", "1").json[0]["destination"] == "a.example"


def test_suspending(ekiden: Run, engine: Engine) -> None:
    result = ekiden("suspend", "*.EXAMPLE", "--for", "2h", "--reason", "they asked\x07")
    assert result.rows[0][0] == "*.example"
    assert result.rows[0][3] == "they asked\\x07"
    assert {row[7] for row in ekiden("queue", "*.example").rows} == {"suspended: they asked\\x07"}
    listed = ekiden("suspend", "--json").json
    assert listed[0]["until"] - listed[0]["since"] == pytest.approx(7200, abs=5)
    assert ekiden("resume", "*.example").out == "*.example is resumed\n"
    result = ekiden("resume", "*.example")
    assert result.code == 3
    assert result.err.startswith('ekiden: "*.example" is not suspended')
    assert ekiden("suspend").out == ""
    if engine.heard:
        assert engine.heard == ["suspensions", "suspensions"]


def test_a_recipients_deliveries_with_every_reply(ekiden: Run) -> None:
    rows = ekiden("delivery", "BOB@a.example").rows
    assert [row[2] for row in rows] == ["ready", "deferred"]
    assert rows[0][:2] == ["2", "夏の\\tセール"]
    assert rows[1][4:] == ["data", "mx.a.example", "later \\x1b[2J"]
    held = ekiden("delivery", "cat@b.example").rows
    assert held[1][2] == "held in doubt"
    attempt = ekiden("delivery", "ann@a.example", "--json").json[0]["attempts"][0]
    assert (attempt["code"], attempt["fate"], attempt["outcome"]) == (250, "delivered", "accepted")
    assert ekiden("delivery", "夏@例え.jp").rows[0][2] == "ready"
    assert ekiden("delivery", "dan@a.example").code == 3
    assert ekiden("delivery", "nobody").code == 1


def test_suppressions_by_hand(ekiden: Run) -> None:
    result = ekiden(
        "suppressions", "add", "Eve@A.example", "夏@例え.jp", "--note", "asked by phone"
    )
    assert result.rows == [["2", "0", "0"]]
    assert ekiden("suppressions", "add", "eve@a.example").rows == [["0", "1", "0"]]
    rows = ekiden("suppressions", "list").rows
    assert [(row[0], row[1], row[2], row[4]) for row in rows] == [
        ("eve@a.example", "manual", "all", "asked by phone"),
        ("夏@xn--r8jz45g.jp", "manual", "all", "asked by phone"),
    ]
    assert len(ekiden("suppressions", "list", "a.ex").rows) == 1
    assert ekiden("suppressions", "list", "--reason", "complaint", "--json").json == []
    removed = ekiden("suppressions", "remove", "EVE@a.example", "dan@a.example")
    assert removed.code == 3
    assert removed.rows == [
        ["EVE@a.example", "mailed again"],
        ["dan@a.example", "was not suppressed"],
    ]
    wrong = ekiden("suppressions", "add", "nobody")
    assert wrong.code == 1
    assert "no mail address" in wrong.err


def test_suppressions_travel_as_csv(ekiden: Run, tmp_path: Path) -> None:
    path = tmp_path / "in.csv"
    path.write_bytes(
        b"\xef\xbb\xbfReason,EmailAddress,at\r\n"
        b"BOUNCE,One@x.example,2024-05-06T07:08:09Z\r\n"
        b"complaint,two@x.example,\r\n"
        b"\r\n"
        b"complaint,not an address,\r\n"
        b'unsubscribe,"three@x.example",whenever\r\n'
    )
    result = ekiden("suppressions", "import", path)
    assert result.code == 1
    assert result.rows == [["3", "0", "1"]]
    assert "not an address: this is no mail address" in result.err
    out = tmp_path / "out.csv"
    assert ekiden("suppressions", "export", out).code == 0
    assert out.stat().st_mode & 0o777 == 0o600
    lines = out.read_text(encoding="utf-8").splitlines()
    assert lines[0] == "address,reason,scope,at,note"
    assert lines[1] == "one@x.example,hard_bounce,all,2024-05-06T07:08:09.000+00:00,BOUNCE"
    assert [line.split(",")[1] for line in lines[2:]] == ["unsubscribe", "complaint"]
    assert ekiden("suppressions", "export").out.splitlines() == lines
    assert ekiden("suppressions", "import", out).rows == [["0", "3", "0"]]
    assert ekiden("suppressions", "import", tmp_path / "none.csv").code == 3


def test_a_plain_list_of_many_addresses(ekiden: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "".join(f"u{number}@x.example\n" for number in range(1, 1001))
    monkeypatch.setattr(sys, "stdin", io.StringIO(text))
    result: Result = ekiden("suppressions", "import", "-", "--reason", "unsubscribe", "--json")
    assert result.json == {"added": 1000, "known": 0, "refused": []}
    listed = ekiden("suppressions", "list", "--limit", "3", "--json").json
    assert [one["reason"] for one in listed] == ["unsubscribe"] * 3


def test_without_a_queue(config: Config, command: Run) -> None:
    result = command("jobs")
    assert result.code == 4
    assert "there is no queue here yet" in result.err
    assert not config.queue.path.exists()
    assert command("suppressions", "add", "a@x.example").code == 0  # this may come before all else
    assert command("jobs", "--json").json == []


def test_a_queue_that_is_in_use(
    config: Config, command: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ekiden.cli.access.PATIENCE", 0.2)

    @contextlib.asynccontextmanager
    async def held() -> AsyncIterator[None]:
        database = await Database.open(config.queue.path)
        yield
        await database.close()

    with beside(held):
        result = command("jobs")
    assert result.code == 4
    assert "uses this queue" in result.err


def test_json_is_one_document(ekiden: Run) -> None:
    for command in (["status"], ["jobs"], ["queue"], ["suspend"], ["suppressions", "list"]):
        json.loads(ekiden(*command, "--json").out)
