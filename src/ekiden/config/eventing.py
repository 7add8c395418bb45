"""The sections about events: the log, and the destinations that are sent them as they happen."""

from pathlib import Path
from typing import Annotated, Literal, TypeAlias, get_args

import msgspec

from ekiden.config.keys import Key

EventType: TypeAlias = Literal[
    "accepted",
    "delivered",
    "deferred",
    "bounced",
    "expired",
    "suppressed",
    "cancelled",
    "in_doubt",
    "held",
    "rendering_failure",
    "rejected",
    "complaint",
    "open",
    "click",
    "unsubscribe",
    "subscription",
    "alert",
]
EventFormat: TypeAlias = Literal["ekiden", "ses", "sns"]

_DAY = 86_400.0


def _name(example: str) -> Key:
    return Key(
        "What commands, status and configuration sets call it; its place is kept under it.",
        why="Under a new name it begins with what happens from then on.",
        example=f'"{example}"',
    )


class EventDestination(msgspec.Struct, frozen=True, kw_only=True):
    """What every destination of events has."""

    name: Annotated[str, _name("crm")]
    types: Annotated[
        tuple[EventType, ...],
        Key("The types of events it gets; empty: all.", example='["bounced", "complaint"]'),
    ] = ()
    default: Annotated[
        bool,
        Key(
            "Whether it gets the events of mail whose set names no destinations of its own.",
            why="Alerts, which are about no mail, go to these destinations as well.",
        ),
    ] = True
    format: Annotated[
        EventFormat,
        Key(
            "Ekiden's own events; those of Amazon SES; or these inside an SNS notification.",
            why="What reads SES events now goes on unchanged (docs/events.md).",
        ),
    ] = "ekiden"
    batch: Annotated[
        int,
        Key(
            "The most events that are handed over at once; 1 sends each on its own.",
            why="A hundred are some 60 KB.",
            minimum=1,
            maximum=1000,
        ),
    ] = 100


class EventFile(EventDestination, frozen=True, kw_only=True):
    """A directory with files of events, one JSON object a line, like the event log's own."""

    name: Annotated[str, _name("archive")]
    directory: Annotated[
        Path, Key("Where the files are written; made when missing.", example='"events-archive"')
    ]
    rotate: Annotated[
        int,
        Key(
            "The size at which a file is closed and the next one begun.",
            unit="size",
            minimum=4096,
        ),
    ] = 100_000_000
    keep: Annotated[
        float,
        Key("How long closed files are kept; 0s keeps them for ever.", unit="duration"),
    ] = 90 * _DAY


class EventWebhook(EventDestination, frozen=True, kw_only=True):
    """An address on the web that batches are posted to, signed, until it takes them."""

    url: Annotated[
        str, Key("Where batches are posted.", example='"https://hooks.example.com/ekiden"')
    ]
    secret_file: Annotated[
        Path,
        Key(
            "A file with a secret in each line, readable by the daemon alone; each one signs.",
            why="To change it, add the new one, teach it to the receiver, remove the old one.",
            example='"crm.secret"',
        ),
    ]
    timeout: Annotated[
        float,
        Key(
            "How long one request may take, all of it.",
            why="A receiver that needs longer should take the batch first and read it then.",
            unit="duration",
            minimum=1.0,
            maximum=300.0,
        ),
    ] = 15.0
    private: Annotated[
        bool,
        Key(
            "Let it lead to this machine and into private networks.",
            why="Whoever may change the URL, or its DNS, could otherwise reach what only you can.",
        ),
    ] = False


class EventCommand(EventDestination, frozen=True, kw_only=True):
    """A program that runs beside the daemon and reads events on its standard input."""

    name: Annotated[str, _name("warehouse")]
    command: Annotated[
        tuple[str, ...],
        Key(
            "The program and its arguments; no shell reads them.",
            example='["/usr/local/bin/take-events", "--crm"]',
        ),
    ]
    acknowledges: Annotated[
        bool,
        Key(
            "Wait until it has printed the id of the last event of a batch on a line.",
            why="Without it, what lies in the pipe when the program dies (64 KiB) is lost.",
        ),
    ] = False
    timeout: Annotated[
        float,
        Key(
            "How long it may take over one batch before it is ended and started again.",
            unit="duration",
            minimum=1.0,
            maximum=3600.0,
        ),
    ] = 60.0


class EventKafka(EventDestination, frozen=True, kw_only=True):
    """A topic of a Kafka cluster; needs `pip install ekiden[kafka]`."""

    name: Annotated[str, _name("stream")]
    servers: Annotated[
        tuple[str, ...], Key("Where the cluster is first met.", example='["kafka1.example:9092"]')
    ]
    topic: Annotated[str, Key("The topic.", example='"ekiden.events"')]
    tls: Annotated[bool, Key("Use TLS, verified with the system's authorities.")] = True
    user: Annotated[
        str, Key("The user for SASL (SCRAM-SHA-512); empty: none.", example='"ekiden"')
    ] = ""
    password_file: Annotated[
        Path | None,
        Key("A file that holds the password in its first line.", example='"kafka.password"'),
    ] = None


class EventAmqp(EventDestination, frozen=True, kw_only=True):
    """An exchange of an AMQP 0-9-1 broker such as RabbitMQ; needs `pip install ekiden[amqp]`."""

    name: Annotated[str, _name("rabbit")]
    host: Annotated[str, Key("The broker.", unit="host", example='"rabbit.example"')]
    port: Annotated[int, Key("Its port.", minimum=1, maximum=65_535)] = 5671
    tls: Annotated[bool, Key("Use TLS, verified with the system's authorities.")] = True
    vhost: Annotated[str, Key("The virtual host.")] = "/"
    user: Annotated[str, Key("The user.")] = "guest"
    password_file: Annotated[
        Path | None,
        Key(
            'A file that holds the password in its first line; unset: "guest".',
            example='"amqp.password"',
        ),
    ] = None
    exchange: Annotated[
        str,
        Key(
            "The exchange, which must exist; empty: the default one, which routes to queues.",
            example='"ekiden"',
        ),
    ] = ""
    routing_key: Annotated[
        str,
        Key(
            "The routing key; {type} and {set} are replaced by those of the event.",
            example='"mail.{type}"',
        ),
    ] = "ekiden"


class Events(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    rename={
        "files": "file",
        "webhooks": "webhook",
        "commands": "command",
        "kafkas": "kafka",
        "amqps": "amqp",
    },
):
    """The event log: every delivery's fate as one JSON object per line (docs/events.md)."""

    directory: Annotated[Path, Key("Where the files are written; made when missing.")] = Path(
        "events"
    )
    types: Annotated[
        tuple[EventType, ...],
        Key("The types of events that are written.", why="Drop those that nobody reads."),
    ] = get_args(EventType)
    rotate: Annotated[
        int,
        Key(
            "The size at which a file is closed and the next one begun.",
            why="About 150,000 events: still opened by any tool.",
            unit="size",
            minimum=4096,
        ),
    ] = 100_000_000
    keep: Annotated[
        float,
        Key(
            "How long closed files are kept; 0s keeps them for ever.",
            why="They hold addresses: keep them as long as your privacy notice says.",
            unit="duration",
        ),
    ] = 90 * _DAY
    files: Annotated[tuple[EventFile, ...], Key("Files beside the log.")] = ()
    webhooks: Annotated[tuple[EventWebhook, ...], Key("Addresses on the web.")] = ()
    commands: Annotated[tuple[EventCommand, ...], Key("Programs.")] = ()
    kafkas: Annotated[tuple[EventKafka, ...], Key("Kafka topics.")] = ()
    amqps: Annotated[tuple[EventAmqp, ...], Key("AMQP exchanges.")] = ()

    @property
    def destinations(self) -> tuple[EventDestination, ...]:
        """All destinations, whatever their kind."""
        return (*self.files, *self.webhooks, *self.commands, *self.kafkas, *self.amqps)
