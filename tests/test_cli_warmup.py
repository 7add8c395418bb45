"""`ekiden warmup` without a daemon and through one, and warm-up in the running daemon."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from commands import Run, beside, runner
from ekiden import settings
from ekiden.config import BadConfigError, Config, load
from ekiden.control.pacing_service import PacingAnswers
from ekiden.control.server import ControlServer
from ekiden.control.service import Control
from ekiden.lists.suppression import Suppressions
from ekiden.queue.memory import Kind
from ekiden.queue.queue import Queue
from ekiden.shaping.hours import Hours
from ekiden.shaping.ramps import OTHER, Ramps
from ekiden.spool.formats import job_from_json
from ekiden.spool.jobspec import JobError
from ekiden.store.database import Database
from stage import Stage
from test_app_delivery import daemon, sent, until

TEXT = """
[queue]
path = "q.db"
[[source]]
name = "a1"
address = "127.0.0.2"
[[source]]
name = "new1"
address = "127.0.0.3"
[warmup]
time_zone = "Asia/Tokyo"
[[warmup.source]]
source = "new*"
plan = "mine"
[[warmup.plan]]
name = "mine"
days = [10, 20, 40]
"""


@pytest.fixture
def config(tmp_path: Path) -> Config:
    (tmp_path / "config.toml").write_text(TEXT, encoding="utf-8")
    return load(tmp_path / "config.toml")


@pytest.fixture
def command(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    config: Config,
) -> Run:
    async def make() -> None:
        await (await Database.open(config.queue.path)).close()

    asyncio.run(make())
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("EKIDEN_CONFIG", raising=False)
    return runner(monkeypatch, capsys)


def test_every_source_and_provider_is_shown(command: Run, config: Config) -> None:
    shown = command("warmup")
    assert shown.code == 0
    providers = set(settings.pacing_facts(config).providers)
    assert {row[1] for row in shown.rows} == providers >= {"gmail", OTHER}
    assert {row[0] for row in shown.rows} == {"new1"}
    assert shown.rows[0][2:7] == ["mine", "1/3", "10", "0", "new"]
    view = command("warmup", "--json").json[0]
    assert view.keys() >= {"stage", "allowance", "sent", "verdict", "ends", "reason", "days"}


def test_people_begin_hold_go_on_and_skip_without_a_daemon(command: Run) -> None:
    begun = command("warmup", "start", "a1", "gmail", "--plan", "sendgrid", "--json").json
    assert [(one["provider"], one["allowance"], one["reason"]) for one in begun] == [
        ("gmail", 50, "begun by hand")
    ]
    assert command("warmup", "hold", "a1", "gmail").rows[0][6] == "held"
    assert command("warmup", "start", "a1", "gmail").rows[0][6] == "again"
    assert command("warmup", "skip", "a1", "gmail", "--to", "4").rows[0][3:5] == ["4/17", "1000"]
    assert command("warmup", "skip", "a1", "gmail").rows[0][4:7] == ["-", "0", "warm"]
    rows = [row for row in command("warmup").rows if row[0] == "a1"]
    assert [row[1] for row in rows] == ["gmail"], "only where it was begun"


def test_a_source_is_begun_everywhere_at_once(command: Run, config: Config) -> None:
    command("warmup", "start", "a1")
    rows = [row for row in command("warmup").rows if row[0] == "a1"]
    assert len(rows) == len(settings.pacing_facts(config).providers)
    assert {row[2] for row in rows} == {"cautious"}


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("start", "b9"), 3, "no source 'b9'"),
        (("start", "a1", "gmial"), 3, "no provider 'gmial'"),
        (("start", "a1", "--plan", "fast"), 3, "no plan 'fast'"),
        (("hold", "a1"), 1, "nothing of the source 'a1' warms up"),
        (("skip", "a1", "gmail"), 1, "nothing of the source"),
    ],
)
def test_what_cannot_be_done_is_refused_with_a_remedy(
    command: Run, arguments: tuple[str, ...], code: int, words: str
) -> None:
    found = command("warmup", *arguments)
    assert found.code == code
    assert words in found.err


def test_plans_say_where_they_were_published(command: Run) -> None:
    rows = {row[0]: row for row in command("warmup", "plans").rows}
    assert rows.keys() == {"cautious", "sendgrid", "sparkpost", "ses", "mine"}
    assert rows["mine"][1:3] == ["3", "10, 20, 40"]
    assert "SendGrid" in rows["sendgrid"][3]


def test_through_a_running_daemon_its_own_ramps_move(command: Run, config: Config) -> None:
    facts = settings.pacing_facts(config)
    ramps = Ramps(facts.warmup)
    heard: list[str] = []

    @contextlib.asynccontextmanager
    async def serve() -> AsyncIterator[None]:
        database = await Database.open(config.queue.path)
        queue = Queue(database)
        pacing = PacingAnswers(
            queue, facts, lambda: 1e9, ramps=ramps, changed=lambda: heard.append("changed")
        )
        control = Control(queue, Suppressions(database), pacing=pacing)
        try:
            async with ControlServer(config.control.socket, control):
                yield
        finally:
            await database.close()

    with beside(serve):
        assert command("warmup", "skip", "new1", "gmail").code == 0
    ramp = ramps.of("new1", "gmail")
    assert ramp is not None
    assert not ramp.cold
    assert heard == ["changed"]


async def test_a_cold_source_sends_its_allowance_and_says_why_the_rest_waits(
    tmp_path: Path,
) -> None:
    # Two messages a day: the second may leave after half of the day.
    stage = Stage(
        tmp_path / "s",
        destinations=1,
        sites=1,
        extra='[[warmup.source]]\nsource = "*"\nplan = "mine"\n'
        '[[warmup.plan]]\nname = "mine"\ndays = [2, 4]\n',
    )
    stage.write()
    stage.drop("job", [f"success+{n}@d0.example" for n in range(6)])
    async with stage.receivers(), stage.dns():
        async with daemon(stage) as app:
            await until(lambda: sent(stage) >= 1)
            await until(lambda: "warm-up, stage 1 of 2" in app.live.why("d0.example"))
            ramp = app.duties.warming.ramps.of("default", OTHER)
            assert ramp is not None
            await until(lambda: ramp.evidence.tried == ramp.sent)
        before = sent(stage)
        async with daemon(stage) as app:
            await until(
                lambda: app.duties.warming.ramps.states().get("default to other") == ramp.state
            )
            app.duties.warming.ramps.skip(
                "default", (OTHER,), None, app.base.now(), everywhere=False
            )
            app.duties.ramps_changed()
            await until(stage.result("job").exists)
    assert before <= 2
    assert sent(stage) == 6


def test_hours_show_windows_and_what_was_learned(command: Run, config: Config) -> None:
    async def learn() -> None:
        hours = Hours()
        for number in range(100):
            hours.note("gmail", 1_772_452_800.0, deferred=number < 7)  # 12:00 UTC
        database = await Database.open(config.queue.path)
        kept = {name: msgspec.json.encode(one).decode() for name, one in hours.states().items()}
        await Queue(database).remember(Kind.HOURS, kept, 1_772_452_800.0)
        await database.close()

    asyncio.run(learn())
    rows = {row[0]: row for row in command("hours").rows}
    assert "*:00-*:05 (Asia/Tokyo) at docomo" in rows["docomo"][1]
    assert rows["gmail"][4:][12] == "7%"
    assert OTHER not in rows
    every = command("hours", "--all").rows
    assert len(every) == len(settings.pacing_facts(config).providers)
    view = next(one for one in command("hours", "--json").json if one["provider"] == "gmail")
    assert view["hours"][12] == {"hour": 12, "tried": 100, "deferred": 0.07}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('[hours]\nbulk = ["12-13"]', "expected times such as"),
        ('[hours]\nbulk = ["00:00-24:00"]', "leaves no minute of the day"),
        ('[hours]\ntime_zone = "Mars/Olympus"', "expected a time zone"),
        ('[warmup]\nhours = "22:00-07:00"', "one span within a day"),
        ("[warmup]\nhold_bounces = 0.2", "is below hold_bounces"),
        ('[[warmup.plan]]\nname = "p"\ndays = [5, 5]', "must rise"),
        ('[[warmup.plan]]\nname = "p"\nstart = 50\nend = 10', "less than the start"),
    ],
)
def test_wrong_settings_are_refused_by_their_line(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "config.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(BadConfigError, match=words):
        load(path)


def test_the_operators_windows_take_the_place_of_the_profiles(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text('[[hours.provider]]\nprovider = "yahoo"\n', encoding="utf-8")
    avoided = settings.hours(load(path)).avoided
    assert [one.provider for one in avoided if one.bulk] == ["icloud", "docomo"]


async def test_a_reload_lifts_a_window_and_the_mail_goes(tmp_path: Path) -> None:
    hour = datetime.now(UTC).hour
    window = f"{(hour - 1) % 24:02}:00-{(hour + 2) % 24:02}:00"
    stage = Stage(tmp_path / "s", destinations=1, sites=1)
    stage.write()
    text = stage.config.read_text()
    stage.config.write_text(text.replace("[hours]", f'[hours]\nbulk = ["{window}"]'))
    async with stage.receivers(), stage.dns(), daemon(stage) as app:
        stage.drop("job", ["success@d0.example"])
        await until((stage.spool / "done" / "job").exists)
        await asyncio.sleep(0.5)
        assert f"bulk mail avoids {window} (UTC)" in app.live.why("d0.example")
        assert not stage.result("job").exists()
        stage.config.write_text(text)
        app.reload()
        await until(stage.result("job").exists)
        assert sent(stage) == 1
        assert [one.tried for one in app.delivery.scheduler.hours.views()[OTHER]].count(1) == 1


def test_jobs_go_by_the_configured_column_unless_they_name_their_own(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text('[warmup]\nengaged_column = "last_open"\n', encoding="utf-8")
    config = load(path)
    job = b'{"from": "a@example.com", "subject": "s", "text": "t", "recipients": ["b@example.org"]'

    def column(more: bytes, config: Config = config) -> tuple[bool, str]:
        spec = job_from_json(job + more + b"}", "j.json", "j", now=0.0)
        done = settings.completed(config, spec)
        return done.engaged_first, done.engaged_column

    assert column(b"") == (True, "last_open")
    assert column(b', "engaged_column": "score"') == (True, "score")
    path.write_text("[warmup]\nengaged_first = false\n", encoding="utf-8")
    assert column(b', "engaged_column": "score"', load(path))[0] is False
    with pytest.raises(JobError, match="quote"):
        column(b', "engaged_column": "a\\"b"')
