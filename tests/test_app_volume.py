"""A job that departs from the usual is pointed out: planned, submitted, shown, in its result."""

import json
import time
from pathlib import Path

import msgspec

from ekiden.queue.memory import Kind
from ekiden.queue.queue import Queue
from ekiden.shaping.volume import day_of
from ekiden.store.database import Database
from stage import Stage
from test_app_delivery import daemon, until
from test_app_events import ekiden

USUAL = 100  # messages a day
SAYS = "1,200 messages from default in one job are 12.0 times its mean of 100 a day"


async def test_a_jump_is_told_before_it_starts_and_in_its_result(tmp_path: Path) -> None:
    stage = Stage(
        tmp_path / "s", destinations=1, sites=1, extra='[limits]\nrates_per_site = ["5/s"]\n'
    )
    stage.write()
    today = day_of(time.time())
    database = await Database.open(stage.directory / "queue.db")
    counts = json.dumps(dict.fromkeys(range(today - 30, today), USUAL))
    await Queue(database).remember(Kind.VOLUME, {"default": counts}, time.time())
    await database.close()
    people = [f"success+{n}@d0.example" for n in range(1200)]
    stage.drop("news", people)
    job = stage.directory / "news"
    (stage.spool / "new" / "news").rename(job)

    code, told = await ekiden(stage, "plan", str(job), "--no-dns")
    assert code == 0, told
    assert SAYS in told
    planned = json.loads((await ekiden(stage, "plan", str(job), "--no-dns", "--json"))[1])
    assert SAYS in planned["volume"][0]

    async with stage.receivers(), stage.dns(), daemon(stage):
        (submitted,) = json.loads((await ekiden(stage, "submit", str(job), "--json"))[1])
        assert SAYS in submitted["volume"][0]
        assert "taken over" in submitted["volume"][0]
        name = submitted["name"]
        await until((stage.spool / "done" / name).exists)
    async with stage.receivers(), stage.dns(), daemon(stage):  # it survives a restart
        shown = (await ekiden(stage, "job", "show", "news"))[1]
        assert SAYS in shown
        small = stage.directory / "small.eml"
        small.write_text("From: news@sender.example\nTo: a@d0.example\n\nx\n", encoding="utf-8")
        (usual,) = json.loads((await ekiden(stage, "submit", str(small), "--json"))[1])
        assert usual["volume"] == []
        assert (await ekiden(stage, "job", "cancel", "news", "--yes"))[0] == 0
        await until(stage.result(name).exists)
    result = msgspec.json.decode(stage.result(name).read_bytes())
    assert SAYS in result["volume"][0]
