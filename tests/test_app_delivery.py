"""The whole daemon against a small world: delivery, caps, suppression, HUP, and kill -9."""

import asyncio
import os
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from dkim_oracle import verdicts
from ekiden import app as ekiden_app
from ekiden.config import load
from ekiden.duties.keeper import COUNTS_EVERY
from ekiden.queue.model import JobState, State
from ekiden.sink.record import read_record
from stage import Stage, longest_run


@asynccontextmanager
async def daemon(stage: Stage) -> AsyncIterator[ekiden_app.App]:
    """The daemon in this loop; ended as TERM ends it."""
    stop = asyncio.Event()
    async with ekiden_app.build(load(stage.config), stage.config) as app:
        task = asyncio.create_task(app.run(stop))
        try:
            yield app
        finally:
            stop.set()
            await task


async def until(condition: Callable[[], bool | Awaitable[bool]], seconds: float = 60) -> None:
    """Wait for a condition; the time is a bound for a hung test, not a measure."""
    async with asyncio.timeout(seconds):
        while True:
            holds = condition()
            if holds if isinstance(holds, bool) else await holds:
                return
            await asyncio.sleep(0.02)


def sent(stage: Stage) -> int:
    return sum(1 for _ in stage.transactions())


async def test_a_campaign_arrives_signed_once_and_under_its_caps(tmp_path: Path) -> None:
    stage = Stage(
        tmp_path / "s",
        extra="[limits]\nsessions_per_destination = 2\nsessions_per_site = 3\n"
        "messages_per_session = 5\n",
    )
    stage.write()
    people = [f"success+{n}@{stage.destination(n)}" for n in range(600)]
    stage.drop("news", people)
    async with stage.receivers(store=True), stage.dns(), daemon(stage):
        await until(stage.result("news").exists)
    assert stage.disagreements("news") == []
    took = Counter(line.recipient for line in stage.transactions() if line.accepted)
    assert took == Counter(people)

    # Caps, at every instant of the receivers' own record.
    sessions: dict[str, set[str]] = {}
    carried: Counter[str] = Counter()
    for line in read_record(stage.record):
        at = sessions.setdefault(line.local, set())
        if line.kind == "open":
            at.add(line.session)
        elif line.kind == "close":
            at.discard(line.session)
        elif line.kind == "transaction":
            carried[line.session] += 1
        assert len(at) <= 3, line
    assert max(carried.values()) <= 5

    # Nobody is served in runs while others wait.
    order = [line.recipient.rpartition("@")[2] for line in stage.transactions()]
    assert longest_run(order[: len(order) * 3 // 4]) <= 10

    messages = sorted(stage.store.glob("*.eml"))
    assert len(messages) == len(people)
    ids = set()
    for file in messages[::20]:
        raw = file.read_bytes()
        assert verdicts(raw, stage.keys()) == [True, True]
        ids.add(next(line for line in raw.splitlines() if line.startswith(b"Message-ID:")))
    assert len(ids) == len(messages[::20])


async def test_replies_become_fates_and_suppressions(tmp_path: Path) -> None:
    stage = Stage(tmp_path / "s", destinations=6, sites=3)
    stage.write()
    people = [
        "success@d0.example",
        "bounce@d1.example",
        "greylist@d2.example",
        "success@d3.example",
    ]
    stage.drop("first", people)
    async with stage.receivers(), stage.dns(), daemon(stage) as app:
        await until(stage.result("first").exists)
        assert {one: fate for one, fate, _ in stage.fates("first")} == {
            "success@d0.example": "delivered",
            "bounce@d1.example": "bounced",
            "greylist@d2.example": "delivered",
            "success@d3.example": "delivered",
        }
        assert await app.base.suppressions.contains("bounce@d1.example")
        stage.drop("second", ["bounce@d1.example", "success@d4.example", "x@nowhere.example"])
        await until(stage.result("second").exists)
    assert {one: fate for one, fate, _ in stage.fates("second")} == {
        "bounce@d1.example": "suppressed",
        "success@d4.example": "delivered",
        "x@nowhere.example": "bounced",  # no such domain
    }
    tried = Counter(line.recipient for line in stage.transactions())
    assert tried["bounce@d1.example"] == 1, "a suppressed address was mailed again"


async def test_a_reload_takes_what_is_right_and_refuses_what_is_wrong(tmp_path: Path) -> None:
    stage = Stage(tmp_path / "s", destinations=3, sites=3)
    stage.write()
    async with stage.receivers(), stage.dns(), daemon(stage) as app:
        text = stage.config.read_text()
        stage.config.write_text(text.replace("[delivery]", "[delivery]\nlookahed = 3"))
        before = app.config
        app.reload()
        assert app.config is before
        stage.config.write_text(text.replace("[delivery]", "[delivery]\nlookahead = 3"))
        app.reload()
        assert app.config.delivery.lookahead == 3
        stage.drop("after", ["success@d1.example"])
        await until(stage.result("after").exists)
    assert [fate for _, fate, _ in stage.fates("after")] == ["delivered"]


async def test_a_reload_is_whole_or_not_at_all(tmp_path: Path) -> None:
    stage = Stage(tmp_path / "s", destinations=1, sites=1)
    stage.write()
    async with stage.receivers(), stage.dns(), daemon(stage) as app:
        before = app.config
        with stage.config.open("a") as file:
            file.write('[[reaction]]\nname = "x"\nmatch = "("\nscope = "path"\n')
            file.write('action = "suspend"\nfor = "1h"\n')
        app.reload()
        assert app.config is before
        stage.drop("after", ["success@d0.example"])
        await until(stage.result("after").exists)
    assert [fate for _, fate, _ in stage.fates("after")] == ["delivered"]


async def test_a_suspension_that_is_lifted_lets_the_mail_go_at_once(tmp_path: Path) -> None:
    stage = Stage(tmp_path / "s", destinations=2, sites=2)
    stage.write()
    async with stage.receivers(), stage.dns(), daemon(stage) as app:
        stage.drop("one", ["success@d0.example", "success@d1.example"])
        await until(stage.result("one").exists)
        await app.queue.suspend("d1.*", None, "they asked", app.base.now())
        app.live.suspensions_changed()
        await until(lambda: app.live.why("d1.example") == "they asked")
        stage.drop("two", ["success+2@d0.example", "success+2@d1.example"])
        await until(lambda: sent(stage) == 3)
        # The other's result may still be on its way to the disk.
        waiting = await app.queue.backlog(app.base.now())
        row = next(one for one in waiting if one.destination == "d1.example")
        assert (row.ready, row.suspended) == (1, "they asked")
        # Put aside for minutes, as the scheduler does with lanes that it cannot move.
        await app.queue.park(dict.fromkeys(range(1, 9), app.base.now() + 300))
        assert await app.queue.unsuspend("d1.*")
        app.live.suspensions_changed()
        await until(stage.result("two").exists, 20)
    assert [fate for _, fate, _ in stage.fates("two")] == ["delivered"] * 2


async def test_a_reload_raises_caps_at_once(tmp_path: Path) -> None:
    stage = Stage(
        tmp_path / "s", destinations=1, sites=1, extra='[limits]\nrates_per_site = ["2/h"]\n'
    )
    stage.write()
    async with stage.receivers(), stage.dns(), daemon(stage) as app:
        stage.drop("news", [f"success+{n}@d0.example" for n in range(9)])
        await until(lambda: sent(stage) == 2)
        await until(lambda: "are limited to 2 per hour" in app.live.why("d0.example"))
        stage.config.write_text(stage.config.read_text().replace('"2/h"', '"900/h"'))
        app.reload()
        await until(stage.result("news").exists)
    assert [fate for _, fate, _ in stage.fates("news")] == ["delivered"] * 9


async def test_pause_resume_and_cancel(tmp_path: Path) -> None:
    stage = Stage(tmp_path / "s", destinations=4, sites=2)
    stage.write()
    stage.drop("slow", [f"success+{n}@{stage.destination(n)}" for n in range(80)], pace="5 per 1s")
    async with stage.receivers(), stage.dns(), daemon(stage) as app:
        await until((tmp_path / "s/spool/done/slow").exists)
        job = await app.queue.job("slow")
        await until(lambda: app.delivery.scheduler.snapshot().sessions > 0)
        app.live.job_changed(await app.queue.pause_job(job.id))
        await until(lambda: quiet(app, job.id))
        paused = (await app.queue.job(job.id)).counts
        await asyncio.sleep(0.5)
        assert (await app.queue.job(job.id)).counts == paused
        app.live.job_changed(await app.queue.resume_job(job.id))
        await until(lambda: more(app, job.id, paused))
        await app.queue.cancel_job(job.id, app.base.now())
        app.live.job_changed(await app.queue.job(job.id))
        await until(stage.result("slow").exists)
        assert (await app.queue.job(job.id)).state is JobState.CANCELLED
    fates = Counter(fate for _, fate, _ in stage.fates("slow"))
    assert fates["cancelled"] > 0
    assert fates["delivered"] > 0
    assert fates.total() == 80
    assert stage.disagreements("slow") == []


async def quiet(app: ekiden_app.App, job_id: int) -> bool:
    return not (await app.queue.job(job_id)).counts[State.SENDING]


async def more(app: ekiden_app.App, job_id: int, before: object) -> bool:
    return (await app.queue.job(job_id)).counts != before


@pytest.mark.parametrize("kills", [3])
async def test_kill_9_loses_nothing(tmp_path: Path, kills: int) -> None:
    stage = Stage(tmp_path / "s", extra='[log]\nlevel = "warning"\n')
    stage.write()
    people = [f"success+{n}@{stage.destination(n)}" for n in range(900)]
    stage.drop("job", people)

    def taken() -> int:
        return sum(1 for _ in stage.transactions()) if stage.record.exists() else 0

    async with stage.receivers(), stage.dns():
        for kill in range(kills):
            process = await start(stage)
            goal = len(people) * (kill + 1) // (kills + 2)
            await until(lambda goal=goal: taken() >= goal or stage.result("job").exists())  # type: ignore[misc]
            os.kill(process.pid, signal.SIGKILL)
            await process.wait()
        process = await start(stage)
        await until(stage.result("job").exists)
        process.terminate()
        assert await process.wait() == 0
    assert stage.disagreements("job") == []
    took = Counter(line.recipient for line in stage.transactions() if line.accepted)
    assert set(took) == set(people)
    doubtful = {recipient for recipient, _, doubts in stage.fates("job") if doubts}
    twice = {recipient for recipient, times in took.items() if times > 1}
    assert twice <= doubtful, "a duplicate that nobody was told of"
    assert all(times <= 1 + kills for times in took.values())


async def test_kill_9_begins_no_day_anew(tmp_path: Path) -> None:
    stage = Stage(
        tmp_path / "s",
        destinations=1,
        sites=1,
        extra='[limits]\nrates_per_site = ["20/d"]\n',
    )
    stage.write()
    stage.drop("job", [f"success+{n}@d0.example" for n in range(60)])

    async with stage.receivers(), stage.dns():
        process = await start(stage)
        await until(lambda: stage.record.exists() and sent(stage) == 20)
        await asyncio.sleep(COUNTS_EVERY + 1)
        os.kill(process.pid, signal.SIGKILL)
        await process.wait()
        async with daemon(stage) as app:
            await until(lambda: "20 per day" in app.live.why("d0.example"))
            await asyncio.sleep(0.5)
    assert sent(stage) == 20


async def start(stage: Stage) -> asyncio.subprocess.Process:
    with (stage.directory / "daemon.log").open("ab") as log:
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "ekiden", "run", "--config", str(stage.config)),
            stderr=log,
            stdout=log,
        )
