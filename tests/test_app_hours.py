"""Hours in the running daemon: what was learned is shown, and waited for with a deadline."""

import json
import time
from datetime import UTC, datetime
from pathlib import Path

from ekiden.queue.memory import Kind
from ekiden.queue.queue import Queue
from ekiden.store.database import Database
from stage import Stage
from test_app_delivery import daemon, sent, until
from test_app_events import ekiden

BIG = """
[hours]
smooth = "0s"
jitter = "1h"
[provider.big]
mx = ["mx.s0.example"]
"""


async def test_better_hours_are_shown_and_waited_for_with_a_deadline(tmp_path: Path) -> None:
    stage = Stage(tmp_path / "s", destinations=1, sites=1, extra=BIG)
    stage.write()
    now = datetime.now(UTC).hour
    deferred = [0.0] * 24
    deferred[now] = deferred[(now + 1) % 24] = 40.0  # the next one too, should it begin meanwhile
    database = await Database.open(stage.directory / "queue.db")
    learned = json.dumps([[100.0] * 24, deferred])
    await Queue(database).remember(Kind.HOURS, {"big": learned}, time.time())
    await database.close()
    people = [f"success+{n}@d0.example" for n in range(5)]
    async with stage.receivers(), stage.dns(), daemon(stage) as app:
        (big,) = [
            one
            for one in json.loads((await ekiden(stage, "hours", "--json"))[1])
            if one["provider"] == "big"
        ]
        assert {one["hour"]: one["deferred"] for one in big["hours"]}[now] == 0.4

        stage.drop("in time", people, deliver_by="+24h")
        why = "40% are deferred at big at this hour; a better one comes in time"
        await until(lambda: why in app.live.why("d0.example"))
        assert why in (await ekiden(stage, "queue"))[1]
        assert sent(stage) == 0

        stage.drop("soon", people, deliver_by="+1h")  # leaves no time to wait
        await until(stage.result("soon").exists)
        stage.drop("whenever", people)  # and nothing waits without a deadline
        await until(stage.result("whenever").exists)
        assert sent(stage) == 2 * len(people)

        stage.drop("later", people, send_at="+1s")
        stage.drop("urgent", people, send_at="+1s", priority="transactional")
        await until(stage.result("urgent").exists)
        job = app.delivery.scheduler._state.jobs[(await app.queue.job("later")).id]
        assert 0 < job.delay < 3600, "the start of scheduled bulk is put off by its identity"
        assert not stage.result("in time").exists()
        assert not stage.result("later").exists()
