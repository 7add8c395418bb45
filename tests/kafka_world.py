"""A Kafka that nobody here wrote: librdkafka's mock cluster, in a process of its own.

In its own process it can be stopped and continued, which is what an outage looks like from outside:
connections stay and nothing answers.
"""

import contextlib
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

_CLUSTER = """
import sys
from confluent_kafka import Producer
cluster = Producer({"test.mock.num.brokers": 3, "bootstrap.servers": "ignored", "log_level": 0})
found = cluster.list_topics(timeout=10).brokers.values()
print(",".join(f"{one.host}:{one.port}" for one in found), flush=True)
sys.stdin.read()
"""


@dataclass
class Cluster:
    """Three brokers on loopback."""

    servers: list[str]
    process: "subprocess.Popen[str]"

    def stop(self) -> None:
        """Answer nothing more, and close nothing."""
        self.process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """Answer again."""
        self.process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """End it, with everything that it held."""
        self.process.kill()
        self.process.wait()

    @contextlib.contextmanager
    def reader(self, topic: str) -> Iterator[Any]:
        """Read a topic from its beginning, with a client that is not ours."""
        from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition  # noqa: PLC0415 - the tests are skipped without it

        consumer = Consumer(
            {
                "bootstrap.servers": ",".join(self.servers),
                "group.id": "readers",  # it must have one; to join it would take three seconds
                "enable.auto.commit": False,
                "log_level": 0,
            }
        )
        found: dict[int, Any] = {}
        until = time.monotonic() + 30
        while not found and time.monotonic() < until:  # nobody has written to it yet
            found = consumer.list_topics(topic, timeout=10).topics[topic].partitions
        consumer.assign([TopicPartition(topic, number, OFFSET_BEGINNING) for number in found])
        try:
            yield consumer
        finally:
            consumer.close()


@contextlib.contextmanager
def cluster() -> Iterator[Cluster]:
    """Run a cluster."""
    process = subprocess.Popen(
        [sys.executable, "-c", _CLUSTER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    try:
        yield Cluster(process.stdout.readline().strip().split(","), process)
    finally:
        process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                stream.close()
