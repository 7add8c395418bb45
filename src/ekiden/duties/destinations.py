"""The destinations of events, built from the configuration and run together, apart from delivery.

`plan` says what there is (and refuses what cannot be used, before anything runs); `Destinations`
runs a publisher for each, and starts them anew when the configuration changes.
"""

import asyncio
import contextlib
import os
import random
import stat
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import structlog

from ekiden.config import (
    Config,
    EventAmqp,
    EventCommand,
    EventDestination,
    EventFile,
    EventKafka,
    EventWebhook,
)
from ekiden.errors import ConfigError, NotFoundError, UnavailableError
from ekiden.events.brokers import (
    Amqp,
    AmqpOptions,
    Kafka,
    KafkaOptions,
    amqp_client,
    kafka_client,
)
from ekiden.events.destination import Sender, Wanted
from ekiden.events.files import Files
from ekiden.events.log import LogOptions
from ekiden.events.model import EventType
from ekiden.events.pipe import Pipe, PipeOptions
from ekiden.events.publisher import READER, Publisher, PublisherOptions
from ekiden.queue.queue import Queue

_log = structlog.get_logger("ekiden.events")
_SECRETS_BYTES: Final = 4096
_AGAIN: Final = 60.0  # seconds after which a publisher that failed is run again
_LAST: Final = 3.0  # seconds that the end of a run waits for all destinations together


@dataclass(frozen=True, slots=True)
class Plan:
    """A destination that can be run.

    Args:
        kind: `webhook`, `file`, `command`, `kafka` or `amqp`.
        options: What it gets, and how.
        sender: Makes what hands over.
    """

    kind: str
    options: PublisherOptions
    sender: Callable[[], Sender]

    @property
    def name(self) -> str:
        """What the configuration calls it."""
        return self.options.wanted.name


def plan(config: Config) -> tuple[Plan, ...]:
    """Return the destinations.

    Raises:
        ConfigError: A secret cannot be read or is read by others, or a client is not installed.
    """
    sets = {
        name: frozenset(one.event_destinations)
        for name, one in config.configuration_sets.items()
        if one.event_destinations is not None
    }
    found = []
    for one in config.events.destinations:
        kind, sender = _sender(one)
        types = frozenset(map(EventType, one.types)) or frozenset(EventType)
        wanted = Wanted(one.name, types, one.default, sets)
        found.append(Plan(kind, PublisherOptions(wanted, one.format, one.batch), sender))
    return tuple(found)


def planned(config: Config, name: str) -> Plan:
    """Return one destination.

    Raises:
        NotFoundError: There is none of that name.
        ConfigError: As for `plan`.
    """
    plans = plan(config)
    for one in plans:
        if one.name == name:
            return one
    known = ", ".join(one.name for one in plans)
    remedy = f"known: {known}" if known else "add an [[events.webhook]] to the configuration"
    raise NotFoundError("there is no such destination", where=name[:100], remedy=remedy)


def _sender(one: EventDestination) -> tuple[str, Callable[[], Sender]]:
    if isinstance(one, EventFile):
        return "file", partial(Files, LogOptions(one.directory, one.rotate, one.keep))
    if isinstance(one, EventWebhook):
        # An HTTP client is much to load for those who have no webhook.
        from ekiden.events.webhook import (  # noqa: PLC0415 - see above
            Webhook,
            WebhookOptions,
            read_secrets,
        )

        secrets = read_secrets(_private(one.secret_file), str(one.secret_file))
        hook = WebhookOptions(
            one.url, secrets, one.timeout, one.private, one.batch == 1, one.format == "sns"
        )
        return "webhook", partial(Webhook, hook)
    if isinstance(one, EventCommand):
        return "command", partial(Pipe, PipeOptions(one.command, one.acknowledges, one.timeout))
    if isinstance(one, EventKafka):
        password = _password(one.password_file)
        kafka = KafkaOptions(one.servers, one.topic, one.tls, one.user, password)
        return "kafka", partial(Kafka, kafka, kafka_client())
    assert isinstance(one, EventAmqp)  # noqa: S101 - the last kind there is
    password = _password(one.password_file) or "guest"
    amqp = AmqpOptions(
        one.host, one.port, one.tls, one.vhost, one.user, password, one.exchange, one.routing_key
    )
    return "amqp", partial(Amqp, amqp, amqp_client())


def _password(path: Path | None) -> str:
    return _private(path).splitlines()[0] if path is not None else ""


def _private(path: Path) -> str:
    """Return the text of a file that only its owner may read.

    Raises:
        ConfigError: It cannot be read, is empty, or others may read it.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror}", where=str(path)) from error
    with os.fdopen(descriptor, "rb") as file:
        if stat.S_IMODE(os.fstat(descriptor).st_mode) & 0o077:
            raise ConfigError("others may read it", where=str(path), remedy=f"chmod 600 {path}")
        text = file.read(_SECRETS_BYTES).decode("utf-8", "replace")
    if not text.strip():
        raise ConfigError("is empty", where=str(path), remedy="write the secret into it")
    return text


class Destinations:
    """Runs the publishers.

    Args:
        queue: Whose history is told.
        plans: The destinations.
    """

    def __init__(self, queue: Queue, plans: Sequence[Plan]) -> None:
        self._queue = queue
        self._plans = tuple(plans)
        self._publishers: dict[str, Publisher] = {}
        self._anew = asyncio.Event()

    def troubles(self) -> Mapping[str, str]:
        """Return the destinations that take nothing at present, each with the reason."""
        return {name: one.trouble for name, one in self._publishers.items() if one.trouble}

    def failing(self) -> Mapping[str, bool]:
        """Return all destinations, and whether each takes nothing at present."""
        return {name: bool(one.trouble) for name, one in self._publishers.items()}

    def wake(self) -> None:
        """Say that there may be something new."""
        for one in self._publishers.values():
            one.wake()

    def reconfigure(self, plans: Sequence[Plan]) -> None:
        """Take over the destinations of a new configuration."""
        self._plans = tuple(plans)
        self.restart()

    def restart(self) -> None:
        """Start all publishers anew: a place was moved, or a secret changed."""
        self._anew.set()

    async def run(self) -> None:
        """Run until cancelled."""
        while True:
            self._anew.clear()
            with contextlib.suppress(UnavailableError):  # old marks do no harm but keep rows
                await self._queue.keep_marks([f"{READER}{one.name}" for one in self._plans])
            self._publishers = {one.name: self._publisher(one) for one in self._plans}
            tasks = [
                asyncio.create_task(self._publish(name, one), name=f"events to {name}")
                for name, one in self._publishers.items()
            ]
            try:
                await self._anew.wait()
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)

    async def drain(self) -> None:
        """At the end of a run: hand over what is there, as far as a moment allows."""
        with contextlib.suppress(TimeoutError, UnavailableError):
            async with asyncio.timeout(_LAST):
                await asyncio.gather(*(one.drain() for one in self._publishers.values()))

    def _publisher(self, one: Plan) -> Publisher:
        return Publisher(self._queue, one.sender(), one.options, dice=random.random)

    async def _publish(self, name: str, publisher: Publisher) -> None:
        while True:
            try:
                await publisher.run()
            except Exception:  # noqa: BLE001 - a fault here must not end the delivery of mail
                _log.exception("a destination of events has failed", destination=name)
                publisher.trouble = "it has failed: see the log"
                await asyncio.sleep(_AGAIN)
