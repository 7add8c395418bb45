"""A receiver that takes so many messages on a connection and says so, through the daemon."""

import asyncio
import sys
from collections import Counter
from pathlib import Path

from ekiden.sink.server import Place, Sink, SinkOptions
from stage import Stage
from test_app_delivery import daemon, until

TAKES = 20  # messages in a session, of the profile `yahoo`


class Yahoo(Stage):
    """One receiver that plays Yahoo, under a name that no profile of ours knows."""

    def destination(self, number: int) -> str:
        return "yahoo.stage.test"

    def site_of(self, destination: str) -> int:
        return 0

    def receivers(self, *, store: bool = False) -> Sink:
        place = Place(host="127.0.1.1", port=self.port, site="s0", profile="yahoo")
        return Sink(SinkOptions(places=[place], record=self.record, tls=False, connections=5000))


def refused(stage: Stage) -> int:
    return sum(line.reply.startswith("421") for line in stage.transactions())


async def ekiden(stage: Stage, *command: str) -> str:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "ekiden",
        *command,
        "--config",
        str(stage.config),
        stdout=asyncio.subprocess.PIPE,
    )
    out, _ = await process.communicate()
    return out.decode()


async def test_its_number_is_learned_from_its_words_and_kept(tmp_path: Path) -> None:
    stage = Yahoo(
        tmp_path / "s",
        destinations=1,
        sites=1,
        extra="[limits]\nsessions_per_site = 1\nsessions_per_destination = 1\n",
    )
    stage.write()
    async with stage.receivers(), stage.dns():
        async with daemon(stage) as app:
            stage.drop("one", [f"success+{n}@yahoo.stage.test" for n in range(50)])
            await until(stage.result("one").exists, 90)
            records = await app.queue.attempts_after(0, 500)
            (learned,) = app.delivery.scheduler.learned().values()
        assert refused(stage) == 1, "the first session was too long, and the last one"
        classes = Counter(one.attempt.klass for one in records if one.attempt)
        assert classes["session_limit"] == 1
        assert learned.length[0] == TAKES
        assert learned.refusals == 0
        explained = await ekiden(stage, "config", "explain", "yahoo.stage.test")
        status = await ekiden(stage, "status")
        async with daemon(stage):
            stage.drop("two", [f"success+{n}@yahoo.stage.test" for n in range(100, 150)])
            await until(stage.result("two").exists, 90)
    assert refused(stage) == 1, "it is known after a restart"
    assert {fate for job in ("one", "two") for _, fate, _ in stage.fates(job)} == {"delivered"}
    sessions = Counter(line.session for line in stage.transactions() if line.accepted)
    assert max(sessions.values()) == TAKES
    said = "learned by sending from default: the receiver said so"
    row = ["messages_per_session of default, found", "20", said]
    assert row in [line.split("\t")[:3] for line in explained.splitlines()], explained
    assert "20 messages a session (the receiver said so)" in status
