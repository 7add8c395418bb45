"""Events to message brokers: a Kafka topic, an AMQP exchange; through aiokafka and aio-pika.

Both clients are extras (`pip install ekiden[kafka]`, `ekiden[amqp]`), imported when a destination
needs them. A parcel counts as taken once the broker has confirmed every event in it: `acks=all`
with an idempotent producer, publisher confirms with `mandatory`. A connection that broke is made
anew with the next try; what the broker had taken before comes again under the same ids.
"""

import asyncio
import contextlib
import ssl
from dataclasses import dataclass
from typing import Any, Final

from ekiden.errors import ConfigError, UnavailableError
from ekiden.events.destination import Parcel
from ekiden.text import printable

_TIMEOUT: Final = 30.0


@dataclass(frozen=True, slots=True)
class KafkaOptions:
    """Where the topic is.

    Args:
        servers: Where the cluster is first met.
        topic: The topic.
        tls: Use TLS.
        user: For SASL; "" for none.
        password: Likewise.
    """

    servers: tuple[str, ...]
    topic: str
    tls: bool = True
    user: str = ""
    password: str = ""


@dataclass(frozen=True, slots=True)
class AmqpOptions:
    """Where the exchange is.

    Args:
        host: The broker.
        port: Its port.
        tls: Use TLS.
        vhost: The virtual host.
        user: The user.
        password: Their password.
        exchange: The exchange; "" for the default one.
        routing_key: With {type} and {set} for those of the event.
    """

    host: str
    port: int = 5671
    tls: bool = True
    vhost: str = "/"
    user: str = "guest"
    password: str = "guest"  # noqa: S105 - what a new RabbitMQ has, for loopback alone
    exchange: str = ""
    routing_key: str = "ekiden"


def kafka_client() -> Any:
    """Return the module aiokafka.

    Raises:
        ConfigError: It is not installed.
    """
    try:
        import aiokafka  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise _missing("aiokafka", "kafka") from error
    return aiokafka


def amqp_client() -> Any:
    """Return the module aio_pika.

    Raises:
        ConfigError: It is not installed.
    """
    try:
        import aio_pika  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise _missing("aio-pika", "amqp") from error
    return aio_pika


def _missing(package: str, extra: str) -> ConfigError:
    return ConfigError(
        f"events go to {extra} with {package}, which is not installed",
        where=f"events.{extra}",
        remedy=f"pip install 'ekiden[{extra}]'",
    )


class Kafka:
    """Sends parcels to a topic; the recipient is the key: one person's events stay in order.

    Args:
        options: Where.
        client: The module aiokafka.
    """

    def __init__(self, options: KafkaOptions, client: Any) -> None:
        self._options = options
        self._client = client
        self._producer: Any = None

    async def send(self, parcel: Parcel) -> None:
        """Send a parcel and wait until all replicas have it."""
        try:
            async with asyncio.timeout(_TIMEOUT):
                producer = await self._ready()
                waiting = [
                    await producer.send(
                        self._options.topic,
                        body,
                        key=event.recipient.encode(),
                        headers=[("id", event.id.encode()), ("type", event.type.encode())],
                    )
                    for event, body in zip(parcel.events, parcel.bodies, strict=True)
                ]
                await asyncio.gather(*waiting)
        except (TimeoutError, OSError, self._client.errors.KafkaError) as error:
            await self.close()
            raise _refused(error, ",".join(self._options.servers)) from error

    async def _ready(self) -> Any:
        if self._producer is None:
            one = self._options
            protocol = ("SASL_" if one.user else "") + ("SSL" if one.tls else "PLAINTEXT")
            sasl = {}
            if one.user:
                sasl = {
                    "sasl_mechanism": "SCRAM-SHA-512",
                    "sasl_plain_username": one.user,
                    "sasl_plain_password": one.password,
                }
            producer = self._client.AIOKafkaProducer(
                bootstrap_servers=list(one.servers),
                acks="all",
                enable_idempotence=True,
                # What hangs is given up before we give up, or it would go on sending beside us.
                request_timeout_ms=round(1000 * _TIMEOUT / 3),
                security_protocol=protocol,
                ssl_context=ssl.create_default_context() if one.tls else None,
                **sasl,
            )
            self._producer = producer
            await producer.start()
        return self._producer

    async def close(self) -> None:
        """Close the connection."""
        producer, self._producer = self._producer, None
        if producer is not None:
            with contextlib.suppress(Exception):  # it is gone either way
                async with asyncio.timeout(_TIMEOUT):
                    await producer.stop()


class Amqp:
    """Publishes parcels to an exchange: persistent messages, each confirmed.

    Args:
        options: Where.
        client: The module aio_pika.
    """

    def __init__(self, options: AmqpOptions, client: Any) -> None:
        self._options = options
        self._client = client
        self._connection: Any = None
        self._exchange: Any = None

    async def send(self, parcel: Parcel) -> None:
        """Publish a parcel and wait until the broker has confirmed all of it."""
        try:
            async with asyncio.timeout(_TIMEOUT):
                exchange = await self._ready()
                async with asyncio.TaskGroup() as group:
                    for event, body in zip(parcel.events, parcel.bodies, strict=True):
                        group.create_task(self._publish(exchange, event, body))
        except ExceptionGroup as group_error:
            error = group_error.exceptions[0]
            await self.close()
            if not self._foreign(error):
                raise
            raise _refused(error, self._options.host) from error
        except Exception as error:
            await self.close()
            if not self._foreign(error):
                raise
            raise _refused(error, self._options.host) from error

    def _foreign(self, error: BaseException) -> bool:
        known = (TimeoutError, OSError, self._client.exceptions.AMQPError, RuntimeError)
        return isinstance(error, known)

    async def _publish(self, exchange: Any, event: Any, body: bytes) -> None:
        message = self._client.Message(
            body,
            content_type="application/json",
            message_id=event.id,
            type=str(event.type),
            app_id="ekiden",
            delivery_mode=self._client.DeliveryMode.PERSISTENT,
        )
        key = self._options.routing_key.replace("{type}", event.type)
        key = key.replace("{set}", event.configuration_set or "default")
        await exchange.publish(message, key, mandatory=True)

    async def _ready(self) -> Any:
        if self._exchange is None:
            one = self._options
            self._connection = await self._client.connect(
                host=one.host,
                port=one.port,
                login=one.user,
                password=one.password,
                virtualhost=one.vhost,
                ssl=one.tls,
                ssl_context=ssl.create_default_context() if one.tls else None,
                timeout=_TIMEOUT,
            )
            channel = await self._connection.channel(publisher_confirms=True, on_return_raises=True)
            exchange = channel.default_exchange
            if one.exchange:
                exchange = await channel.get_exchange(one.exchange, ensure=True)
            self._exchange = exchange
        return self._exchange

    async def close(self) -> None:
        """Close the connection."""
        connection, self._connection, self._exchange = self._connection, None, None
        if connection is not None:
            with contextlib.suppress(Exception):  # it is gone either way
                async with asyncio.timeout(_TIMEOUT):
                    await connection.close()


def _refused(error: BaseException, where: str) -> UnavailableError:
    told = str(error) or type(error).__name__
    return UnavailableError(f"the broker does not take events: {printable(told, 300)}", where=where)
