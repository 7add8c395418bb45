"""Events to a Kafka that nobody here wrote: nothing is lost, nothing waits for it."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from ekiden.events import brokers
from kafka_world import Cluster, cluster
from stage import Stage
from test_app_delivery import daemon, until
from test_app_events import log

pytest.importorskip("confluent_kafka", reason="pip install confluent-kafka")

TOPIC = "ekiden.events"


def configuration(servers: list[str]) -> str:
    return f"""
[[events.kafka]]
name = "stream"
servers = {json.dumps(servers)}
topic = "{TOPIC}"
tls = false
batch = 5
types = ["accepted", "delivered", "bounced"]
"""


def read(there: Cluster, wanted: set[str]) -> list[Any]:
    """Read until all the events have come; the messages in order."""
    got: list[Any] = []
    with there.reader(TOPIC) as reader:
        for _ in range(300):
            message = reader.poll(0.1)
            if message is not None and message.error() is None:
                got.append(message)
            if {json.loads(one.value())["id"] for one in got} >= wanted:
                return got
    missing = wanted - {json.loads(one.value())["id"] for one in got}
    pytest.fail(f"{len(missing)} events did not come")


def ids(stage: Stage) -> set[str]:
    return {one["id"] for one in log(stage) if one["type"] in {"accepted", "delivered", "bounced"}}


async def test_delivery_an_outage_and_another_cluster(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(brokers, "_TIMEOUT", 2.0)
    with cluster() as first, cluster() as second:
        stage = Stage(tmp_path / "s", destinations=4, sites=2, extra=configuration(first.servers))
        stage.write()
        people = [f"success+{n}@{stage.destination(n)}" for n in range(20)]
        async with stage.receivers(), stage.dns(), daemon(stage) as app:
            troubles = app.events.destinations.troubles
            stage.drop("one", [*people, "bounce@d0.example"])
            await until(stage.result("one").exists)
            got = await asyncio.to_thread(read, first, ids(stage))
            assert len(got) == 2 * 21
            # The key is the recipient; the id and the type are headers.
            for one in got:
                event = json.loads(one.value())
                assert one.key().decode() == event["recipient"]
                assert dict(one.headers()) == {
                    "id": event["id"].encode(),
                    "type": event["type"].encode(),
                }

            # It hangs: mail goes on, and what happened waits for it.
            first.stop()
            stage.drop("two", people[:7])
            await until(stage.result("two").exists)
            await until(lambda: "stream" in troubles())
            assert "the broker does not take events" in troubles()["stream"]
            (lag,) = await app.queue.lags()
            assert lag.rows > 0
            first.go_on()
            await until(lambda: troubles() == {})
            await asyncio.to_thread(read, first, ids(stage))

            # It is gone, and there is another one: the rest goes there.
            before = ids(stage)
            first.kill()
            stage.drop("three", people[:9])
            await until(stage.result("three").exists)
            await until(lambda: "stream" in troubles())
            text = stage.config.read_text()
            stage.config.write_text(
                text.replace(configuration(first.servers), configuration(second.servers))
            )
            app.reload()
            await until(lambda: troubles() == {})
            await asyncio.to_thread(read, second, ids(stage) - before)
