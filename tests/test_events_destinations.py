"""Publishers, programs, files and brokers: what is taken once, tried again, and never lost."""

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import aio_pika
import msgspec
import pytest

from ekiden.errors import UnavailableError
from ekiden.events import brokers
from ekiden.events.brokers import Amqp, AmqpOptions, Kafka, KafkaOptions
from ekiden.events.destination import Parcel, Wanted
from ekiden.events.files import Files
from ekiden.events.log import LogOptions
from ekiden.events.model import EventType
from ekiden.events.pipe import Pipe, PipeOptions
from ekiden.events.publisher import Publisher, PublisherOptions, RetryAfterError
from stage import free_port
from test_app_delivery import until
from test_events_exporter import Memory, record
from test_events_webhook import batch

ALL = frozenset(EventType)


class History(Memory):
    """An outbox in memory that new readers begin at the end of."""

    async def begin_mark(self, reader: str) -> None:
        ends = {
            "attempts": max((one.seq for one in self.records), default=0),
            "accepted": max((one.id for one in self.rows), default=0),
            "notices": 0,
            "reactions": 0,
        }
        for kind, end in ends.items():
            self.marks.setdefault(f"{reader}.{kind}", end)

    async def content(self, job_id: int) -> bytes:
        raise UnavailableError("folded away")


class Taker:
    """A sender that refuses as it is told to."""

    def __init__(self, refusals: Sequence[Exception] = ()) -> None:
        self.refusals = list(refusals)
        self.tried: list[str] = []
        self.taken: list[Parcel] = []

    async def send(self, parcel: Parcel) -> None:
        self.tried.append(parcel.id)
        if self.refusals:
            raise self.refusals.pop(0)
        self.taken.append(parcel)

    async def close(self) -> None:
        pass


def wanted(name: str = "crm", types: frozenset[EventType] = ALL, **more: Any) -> Wanted:
    return Wanted(name, types, more.get("default", True), more.get("sets", {}))


async def test_a_new_destination_begins_now_and_an_old_one_where_it_was() -> None:
    history = History([record(1)])
    taker = Taker()
    options = PublisherOptions(wanted(), poll=0.01)
    task = asyncio.create_task(Publisher(history, taker, options, dice=lambda: 0.0).run())
    await until(lambda: "to.crm.attempts" in history.marks)
    history.records.append(record(2))
    await until(lambda: len(taker.taken) == 1)
    task.cancel()
    history.records.append(record(3))
    task = asyncio.create_task(Publisher(history, taker, options, dice=lambda: 0.0).run())
    await until(lambda: len(taker.taken) == 2)
    task.cancel()
    assert [one.id for parcel in taker.taken for one in parcel.events] == ["a2", "a3"]


async def test_a_refused_batch_comes_again_under_its_id(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    refusals: list[Exception] = [UnavailableError("down") for _ in range(12)]
    refusals.append(RetryAfterError("busy", where="", seconds=2000))
    history, taker = History(), Taker(refusals)
    await history.begin_mark("to.crm")
    history.records += [record(1), record(2)]
    publisher = Publisher(history, taker, PublisherOptions(wanted()), dice=lambda: 0.5)
    monkeypatch.setattr("ekiden.events.publisher.asyncio.sleep", sleep)
    await publisher.drain()
    assert len(taker.tried) == 14
    assert len(set(taker.tried)) == 1
    assert pauses == [
        *(1.25 * 2**n for n in range(10)),
        *(900 * 1.25,) * 2,
        900,  # it asked for 2000 s
    ]
    assert history.marks["to.crm.attempts"] == 2
    assert publisher.trouble == ""


async def test_a_place_does_not_move_before_the_batch_is_taken() -> None:
    history, taker = History(), Taker([UnavailableError("down")] * 100)
    await history.begin_mark("to.crm")
    history.records.append(record(1))
    publisher = Publisher(history, taker, PublisherOptions(wanted()), dice=lambda: 0.0)
    task = asyncio.create_task(publisher.run())
    await until(lambda: publisher.trouble != "")
    task.cancel()
    assert history.marks["to.crm.attempts"] == 0


def test_who_gets_what() -> None:
    sets = {"news": {"crm"}, "codes": set[str]()}
    event = batch(1).events[0]
    of = {name: _of_set(event, name) for name in ("", "news", "codes", "other")}
    crm = wanted(default=False, sets=sets)
    assert [name for name, one in of.items() if crm.takes(one)] == ["news"]
    wide = wanted("wide", sets=sets)
    assert [name for name, one in of.items() if wide.takes(one)] == ["", "other"]
    assert not wanted(types=frozenset({EventType.OPEN})).takes(event)


def _of_set(event: Any, name: str) -> Any:
    return msgspec.structs.replace(event, configuration_set=name)


# --- programs ---------------------------------------------------------------------------------

TAKE = """
import json, sys
with open({out!r}, "ab") as file:
    for count, line in enumerate(sys.stdin.buffer, 1):
        file.write(line)
        file.flush()
        {extra}
        {say}
"""


def program(tmp_path: Path, extra: str = "pass", say: str = "pass") -> tuple[str, ...]:
    script = tmp_path / "take.py"
    script.write_text(TAKE.format(out=str(tmp_path / "out"), extra=extra, say=say))
    return (sys.executable, str(script))


def lines(tmp_path: Path) -> list[bytes]:
    file = tmp_path / "out"
    return file.read_bytes().splitlines() if file.exists() else []


async def test_a_program_reads_json_lines(tmp_path: Path) -> None:
    pipe = Pipe(PipeOptions(program(tmp_path)))
    await pipe.send(batch(3))
    await pipe.send(batch(2))
    await pipe.close()
    assert lines(tmp_path) == [*batch(3).bodies, *batch(2).bodies]


async def test_a_program_that_acknowledges_loses_nothing_by_dying(tmp_path: Path) -> None:
    say = 'print(json.loads(line)["id"], flush=True)'
    pipe = Pipe(PipeOptions(program(tmp_path, "sys.exit(9) if count == 2 else 0", say), True))
    with pytest.raises(UnavailableError, match=r"ended \(status 9\)"):
        await pipe.send(batch(3))
    await pipe.send(batch(1))  # started again
    await pipe.close()


async def test_a_program_that_hangs_or_is_missing_is_said(tmp_path: Path) -> None:
    pipe = Pipe(PipeOptions(program(tmp_path), True, 0.5))
    with pytest.raises(UnavailableError, match="took nothing within"):
        await pipe.send(batch(1))
    await pipe.close()
    with pytest.raises(UnavailableError, match="No such file"):
        await Pipe(PipeOptions(("/no/such/program",))).send(batch(1))


async def test_nothing_of_our_environment_is_handed_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EKIDEN_SECRET", "x")
    extra = "file.write(repr(sorted(__import__('os').environ)).encode())"
    pipe = Pipe(PipeOptions(program(tmp_path, extra)))
    await pipe.send(batch(1))
    await pipe.close()
    assert b"EKIDEN_SECRET" not in (tmp_path / "out").read_bytes()
    assert b"PATH" in (tmp_path / "out").read_bytes()


# --- files and brokers --------------------------------------------------------------------------


async def test_files(tmp_path: Path) -> None:
    files = Files(LogOptions(tmp_path))
    await files.send(batch(3))
    with pytest.raises(UnavailableError, match="Another process"):
        await Files(LogOptions(tmp_path)).send(batch(1))
    await files.close()
    assert (tmp_path / "events.jsonl").read_bytes().splitlines() == list(batch(3).bodies)


class Producer:
    """Stands for aiokafka's producer."""

    made: list["Producer"] = []  # noqa: RUF012 - one list for the test
    fail_first = False

    def __init__(self, **options: Any) -> None:
        self.options = options
        self.sent: list[tuple[str, bytes, bytes]] = []
        self.stopped = False
        Producer.made.append(self)

    async def start(self) -> None:
        pass

    async def stop(self) -> None:
        self.stopped = True

    async def send(self, topic: str, body: bytes, *, key: bytes, headers: Any) -> Any:
        future = asyncio.get_running_loop().create_future()
        if Producer.fail_first and len(Producer.made) == 1:
            future.set_exception(KafkaError("NotLeaderForPartition"))
        else:
            self.sent.append((topic, body, key))
            future.set_result(None)
        return future


class KafkaError(Exception):
    pass


async def test_kafka_waits_for_every_replica_and_comes_again() -> None:
    Producer.made, Producer.fail_first = [], True
    client = SimpleNamespace(
        AIOKafkaProducer=Producer, errors=SimpleNamespace(KafkaError=KafkaError)
    )
    kafka = Kafka(KafkaOptions(("k:9092",), "t", True, "user", "word"), client)
    with pytest.raises(UnavailableError, match="NotLeaderForPartition"):
        await kafka.send(batch(2))
    await kafka.send(batch(2))
    await kafka.close()
    first, second = Producer.made
    assert first.stopped
    assert second.stopped
    assert [(topic, key) for topic, _, key in second.sent] == [
        ("t", b"r1@x.test"),
        ("t", b"r2@x.test"),
    ]
    assert second.options["acks"] == "all"
    assert second.options["enable_idempotence"] is True
    assert second.options["security_protocol"] == "SASL_SSL"


async def test_amqp_without_a_broker_is_told() -> None:
    amqp = Amqp(AmqpOptions("127.0.0.1", 1, tls=False), aio_pika)
    with pytest.raises(UnavailableError, match="the broker does not take events"):
        await amqp.send(batch(1))


RABBIT = sorted(Path("/usr/lib/rabbitmq/lib").glob("rabbitmq_server-*/sbin/rabbitmq-server"))


@pytest.fixture(scope="module")
def rabbit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, int]]:
    """A RabbitMQ of our own on loopback; its port, and its process group."""
    home = tmp_path_factory.mktemp("rabbit")
    port, epmd = free_port(), free_port()
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "RABBITMQ_NODENAME": f"ekiden{port}@localhost",
        "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
        "RABBITMQ_NODE_PORT": str(port),
        "RABBITMQ_DIST_PORT": str(free_port()),
        "RABBITMQ_MNESIA_BASE": str(home / "mnesia"),
        "RABBITMQ_LOG_BASE": str(home / "log"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(home / "plugins"),
        "RABBITMQ_CONF_ENV_FILE": "/dev/null",
        "ERL_EPMD_ADDRESS": "127.0.0.1",
        "ERL_EPMD_PORT": str(epmd),
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-start_epmd false",
    }
    # Erlang's port mapper would stay behind as a daemon: here it is a child, and ends with us.
    mapper = subprocess.Popen(["epmd", "-port", str(epmd)], env=environment)
    with (home / "output").open("wb") as output:
        process = subprocess.Popen(
            [RABBIT[0]], env=environment, stdout=output, stderr=output, start_new_session=True
        )
    try:
        for _ in range(600):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            assert process.poll() is None, (home / "output").read_text()
            time.sleep(0.1)
        else:
            pytest.fail((home / "output").read_text())
        yield port, process.pid
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        mapper.kill()
        mapper.wait()


@pytest.mark.skipif(not RABBIT, reason="rabbitmq-server is not installed")
async def test_amqp_with_a_real_broker(rabbit: tuple[int, int]) -> None:
    port, _ = rabbit
    queue_name = f"ekiden-{uuid.uuid4()}"
    connection = await aio_pika.connect(host="127.0.0.1", port=port)
    async with connection:
        channel = await connection.channel()
        queue = await channel.declare_queue(queue_name, exclusive=True)
        options = AmqpOptions("127.0.0.1", port, tls=False, routing_key=queue_name)
        amqp = Amqp(options, aio_pika)
        await amqp.send(batch(3))
        got = [await queue.get(timeout=5) for _ in range(3)]
        assert {one.message_id for one in got if one} == {"a1", "a2", "a3"}
        assert {one.body for one in got if one} == set(batch(3).bodies)
        assert all(one.delivery_mode == aio_pika.DeliveryMode.PERSISTENT for one in got if one)
        await amqp.close()
        nowhere = Amqp(AmqpOptions("127.0.0.1", port, tls=False, routing_key="none"), aio_pika)
        with pytest.raises(UnavailableError):  # returned: no queue is bound there
            await nowhere.send(batch(1))
        await nowhere.close()


@pytest.mark.skipif(not RABBIT, reason="rabbitmq-server is not installed")
async def test_amqp_through_an_outage(
    rabbit: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It hangs in the middle: the batch is not taken, and comes whole when it answers again."""
    monkeypatch.setattr(brokers, "_TIMEOUT", 2.0)
    port, group = rabbit
    name = f"ekiden-{uuid.uuid4()}"
    connection = await aio_pika.connect(host="127.0.0.1", port=port)
    async with connection:
        channel = await connection.channel()
        queue = await channel.declare_queue(name, exclusive=True)
        amqp = Amqp(AmqpOptions("127.0.0.1", port, tls=False, routing_key=name), aio_pika)
        await amqp.send(batch(2))
        os.killpg(group, signal.SIGSTOP)
        try:
            for _ in range(2):
                with pytest.raises(UnavailableError, match="the broker does not take events"):
                    await amqp.send(batch(5))
        finally:
            os.killpg(group, signal.SIGCONT)
        await amqp.send(batch(5))
        await amqp.close()
        got = []
        while one := await queue.get(timeout=5, fail=False):
            got.append(one.message_id)
        assert set(got[2:]) >= {"a1", "a2", "a3", "a4", "a5"}
        assert got[:2] == ["a1", "a2"]
