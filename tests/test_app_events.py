"""The whole daemon with destinations of events: all of them, once each, whatever goes down."""

import asyncio
import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from ekiden.config import load
from ekiden.duties.destinations import plan
from ekiden.errors import ConfigError
from hook_world import hook, status
from stage import Stage, free_port
from test_app_delivery import daemon, until
from test_events_destinations import lines, program


def configuration(directory: Path, port: int, command: tuple[str, ...]) -> str:
    return f"""
[[events.webhook]]
name = "crm"
url = "http://127.0.0.1:{port}/hook"
secret_file = "{directory}/crm.secret"
private = true
batch = 7
types = ["accepted", "delivered", "bounced"]
[[events.webhook]]
name = "aws"
url = "http://127.0.0.1:{port}/hook"
secret_file = "{directory}/crm.secret"
private = true
format = "sns"
default = false
[[events.command]]
name = "program"
command = {json.dumps(list(command))}
acknowledges = true
[configuration_set.codes]
event_destinations = ["aws"]
"""


def stage_with(tmp_path: Path, port: int) -> Stage:
    say = 'print(json.loads(line)["id"], flush=True)'
    stage = Stage(
        tmp_path / "s",
        destinations=4,
        sites=2,
        extra=configuration(tmp_path, port, program(tmp_path, say=say)),
    )
    stage.write()
    secret = tmp_path / "crm.secret"
    secret.write_text("a secret of many bytes\n")
    secret.chmod(0o600)
    return stage


def log(stage: Stage) -> list[dict[str, Any]]:
    file = stage.directory / "events" / "events.jsonl"
    return [json.loads(line) for line in file.read_text().splitlines()]


async def test_a_receiver_that_is_down_gets_everything_later(tmp_path: Path) -> None:
    """Down before, in the middle and across a restart: every event comes, and in order."""
    port = free_port()
    stage = stage_with(tmp_path, port)
    people = [f"success+{n}@{stage.destination(n)}" for n in range(40)]
    gone = [f"bounce+{n}@{stage.destination(n)}" for n in range(5)]
    async with stage.receivers(), stage.dns():
        async with daemon(stage) as app:
            stage.drop("first", [*people, *gone])
            await until(stage.result("first").exists)
            await until(lambda: "crm" in app.events.destinations.troubles())
            measured = (await app.health.measured()).decode()
            assert 'ekiden_event_destination_failing{destination="crm"} 1.0' in measured
            assert 'ekiden_event_destination_failing{destination="program"} 0.0' in measured
            lags = {one.name: one for one in await app.queue.lags()}
            assert lags["crm"].rows > 0
        async with daemon(stage) as app, hook(port) as there:
            there.answers.extend([status(500), status(204), status(429), status(204)])
            stage.drop("second", people[:3])
            await until(stage.result("second").exists)
            kinds = {"accepted", "delivered", "bounced"}
            # The log is written beside the result.
            await until(lambda: sum(one["type"] in kinds for one in log(stage)) == 2 * (45 + 3))
            wanted = [one["id"] for one in log(stage) if one["type"] in kinds]
            await until(lambda: len({one["id"] for one in there.events}) == len(wanted))
            assert Counter(one["type"] for one in there.events) >= Counter(
                accepted=48, delivered=43, bounced=5
            )
            assert max(len(json.loads(body)) for _, body in there.requests) <= 7
            await until(lambda: app.events.destinations.troubles() == {})
            await until(lambda: {json.loads(line)["id"] for line in lines(tmp_path)} >= set(wanted))
    assert len(lines(tmp_path)) == len({json.loads(line)["id"] for line in lines(tmp_path)})


async def test_a_set_names_who_hears_of_its_mail(tmp_path: Path) -> None:
    port = free_port()
    stage = stage_with(tmp_path, port)
    async with stage.receivers(), stage.dns(), hook(port) as there, daemon(stage):
        people = [f"success+{n}@{stage.destination(n)}" for n in range(3)]
        stage.drop("codes", people, configuration_set="codes", subject="Your code")
        stage.drop("wrong", people, pool="none")
        await until(stage.result("codes").exists)
        failed = stage.spool / "failed" / "wrong.error.txt"
        await until(failed.exists)
        await until(lambda: len(there.events) >= 6 and bool(lines(tmp_path)))
    notes = [json.loads(str(one["Message"])) for one in there.events if "Message" in one]
    assert Counter(one["eventType"] for one in notes) == Counter(Send=3, Delivery=3)
    delivery = next(one for one in notes if one["eventType"] == "Delivery")
    assert delivery["mail"]["commonHeaders"]["subject"] == "Your code"
    assert delivery["mail"]["commonHeaders"]["from"] == ["Ekiden <news@stage.example>"]
    assert delivery["mail"]["tags"]["ses:configuration-set"] == ["codes"]
    assert delivery["delivery"]["smtpResponse"].startswith("250 ")
    # The program is a default destination: it hears of the refused file, not of the set's mail.
    told = [json.loads(line) for line in lines(tmp_path)]
    assert [(one["type"], one["scope"]) for one in told] == [("rejected", "spool:wrong")]
    assert "none" in told[0]["detail"]


async def test_a_destination_changes_under_a_running_daemon(tmp_path: Path) -> None:
    port, other = free_port(), free_port()
    stage = stage_with(tmp_path, port)
    people = [f"success+{n}@{stage.destination(n)}" for n in range(3)]
    async with stage.receivers(), stage.dns(), hook(other) as there, daemon(stage) as app:
        stage.drop("first", people)
        await until(stage.result("first").exists)
        await until(lambda: "crm" in app.events.destinations.troubles())
        text = stage.config.read_text().replace(f":{port}/hook", f":{other}/hook")
        stage.config.write_text(text)
        app.reload()
        await until(lambda: len(there.events) == 6)


async def ekiden(stage: Stage, *words: str) -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "ekiden", *words, "--config", str(stage.config)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, output.decode()


async def test_commands_about_events(tmp_path: Path) -> None:
    port = free_port()
    stage = stage_with(tmp_path, port)
    people = [f"success+{n}@{stage.destination(n)}" for n in range(3)]
    async with stage.receivers(), stage.dns(), daemon(stage) as app:
        stage.drop("first", people)
        await until(stage.result("first").exists)
        await until(lambda: "crm" in app.events.destinations.troubles())
        code, told = await ekiden(stage, "events", "list")
        assert code == 0, told
        rows = {row.split("\t")[0]: row.split("\t") for row in told.splitlines()}
        assert int(rows["crm"][3]) > 0
        assert rows["crm"][5] != "-"
        assert (await ekiden(stage, "status"))[1].count("events to crm") == 1
        assert (await ekiden(stage, "events", "test", "crm"))[0] == 4
        assert (await ekiden(stage, "events", "test", "none"))[0] == 3
        assert (await ekiden(stage, "events", "skip", "crm"))[0] == 0
        await until(lambda: app.events.destinations.troubles() == {})
        async with hook(port) as there:
            code, told = await ekiden(stage, "events", "test", "crm")
            assert (code, len(there.events)) == (0, 1), told
            code, told = await ekiden(
                *(stage, "events", "replay", "crm", "--since", "2020-01-01T00:00:00Z"),
                *("--type", "delivered"),
            )
            assert (code, told) == (0, "crm took 3 events\n")
            assert [one["type"] for one in there.events[1:]] == ["delivered"] * 3
        code, told = await ekiden(stage, "events", "tail", "--once", "-n", "99", "-t", "delivered")
        assert code == 0, told
        assert [line.split("\t")[1] for line in told.splitlines()] == ["delivered"] * 3
        assert (await ekiden(stage, "events", "tail", "--once", "-t", "no"))[0] == 1


def test_a_secret_that_others_read_is_refused(tmp_path: Path) -> None:
    stage = stage_with(tmp_path, 1)
    (tmp_path / "crm.secret").chmod(0o644)
    with pytest.raises(ConfigError, match="others may read it"):
        plan(load(stage.config))


async def test_a_refused_row_is_an_event(tmp_path: Path) -> None:
    """Whoever reads events joins it with what was submitted: job, row, address, reason."""
    stage = Stage(tmp_path / "s", destinations=2, sites=1)
    stage.write()
    job = {
        "from": "a@stage.example",
        "subject": "s",
        "text": "{{ name }}",
        "id": "order-1",
        "recipients": [
            {"address": "success@d0.example", "name": "A"},
            {"address": "nobody", "name": "B"},
            {"address": "success+2@d0.example"},
            {"address": "success+3@D1.example", "name": "C", "configuration_set": "none"},
            *({"address": f"wrong{n}", "name": "D"} for n in range(1100)),
        ],
    }
    async with stage.receivers(), stage.dns(), daemon(stage):
        spool = stage.spool
        (spool / "tmp" / "news.json").write_text(json.dumps(job))
        (spool / "tmp" / "news.json").rename(spool / "new" / "news.json")
        await until(stage.result("news").exists)
        await until(lambda: sum(1 for one in log(stage) if one["id"].startswith("n")) == 1001)
    told = [one for one in log(stage) if one["id"].startswith("n")]
    assert {(one["job"], one["job_uid"]) for one in told} == {("news", "order-1")}
    facts = [(one["type"], one.get("row"), one["recipient"], one["detail"]) for one in told]
    assert sorted(facts[:4], key=lambda one: one[1] or 0)[:2] == [
        ("rejected", 2, "nobody", "there is no @"),
        (
            "rendering_failure",
            3,
            "success+2@d0.example",
            "`name` is missing, and a template needs it",
        ),
    ]
    # The first thousand; then how many more there are. The report has them all.
    assert facts[-1][:3] == ("rejected", None, "")
    assert facts[-1][3] == "103 more rows were refused; news.report.jsonl has them all"
    refused = [fate for _, fate, _ in stage.fates("news") if fate == "refused"]
    assert len(refused) == 1103
    counts = json.loads(stage.result("news").read_text())["counts"]
    assert (counts["refused"], counts["delivered"]) == (1103, 1)
