"""Every key of the configuration: its type, default, unit, meaning and reason, in one place.

The sections stand in files by what they are about; the small ones about what is kept are here.

```
sending.py    [delivery] [dns]                  returning.py  [inbound] [reputation]
limits.py     [limits]                          receivers.py  [provider.NAME] [[reaction]]
pacing.py     [paths]                           sets.py       [configuration_set.NAME]
egress.py     [[source]] [[pool]] [[route]]     content.py    [content] [lint]
warming.py    [warmup]                          web.py        [web] [tracking]
hours.py      [hours]                           eventing.py   [events]
tls.py        [tls]                             checking.py   [check]
signing.py    [dkim]                            places.py     addresses with ports
```

`config.toml` and `docs/configuration.md` are generated from here (`python -m ekiden.config`), and
`load` reads a file against it. A section's docstring is its introduction in both. To add a key, add
a field with its `Key`; a test fails until `config.toml` has been generated again.

Durations are float seconds and sizes int bytes in the program, strings with units in the file.
`None` means "not set": the wider default applies.
"""

from pathlib import Path
from typing import Annotated, Literal

import msgspec

from ekiden.config.checking import Check
from ekiden.config.content import ContentSettings, LintSettings
from ekiden.config.egress import Pool, Route, Source
from ekiden.config.eventing import Events
from ekiden.config.hours import HoursSettings
from ekiden.config.keys import Key
from ekiden.config.limits import Limits
from ekiden.config.pacing import Paths
from ekiden.config.receivers import ProviderSettings, ReactionSettings
from ekiden.config.returning import Inbound, Reputation
from ekiden.config.sending import Delivery, Dns
from ekiden.config.sets import ConfigurationSet
from ekiden.config.signing import Dkim
from ekiden.config.tls import Tls
from ekiden.config.warming import Warmup
from ekiden.config.web import TrackingSettings, Web

_DAY = 86_400.0


class Spool(msgspec.Struct, frozen=True, kw_only=True):
    """The directory through which mail comes in and answers go out."""

    directory: Annotated[
        Path,
        Key(
            "Holds tmp/, new/, cur/, done/ and failed/; made when missing, on one filesystem.",
            why="Relative paths, here and below, start at the directory of this file.",
        ),
    ] = Path("spool")
    owners: Annotated[
        tuple[str, ...],
        Key(
            "Users (names or numbers) whose files are taken, besides the daemon's own.",
            why="A file in the spool is sent in your name: nobody else's is taken unasked.",
            example='["www-data"]',
        ),
    ] = ()
    rest: Annotated[
        float,
        Key(
            "How long a file written directly into new/ must not change before it is taken.",
            why="Writers should rename into new/; this protects those that do not.",
            unit="duration",
        ),
    ] = 2.0
    keep: Annotated[
        float,
        Key(
            "How long finished jobs stay in done/ and failed/; 0s keeps them for ever.",
            why="A month answers the questions that come after a campaign.",
            unit="duration",
        ),
    ] = 30 * _DAY


class QueueSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The database that holds jobs, deliveries, attempts and suppressions."""

    path: Annotated[
        Path,
        Key("The SQLite file; it needs a local disk, because network filesystems break its locks."),
    ] = Path("ekiden.db")
    group_time: Annotated[
        float,
        Key(
            "The longest time that writes wait to be committed together.",
            why="What a crash can send twice is what waits here: keep it small.",
            unit="duration",
            minimum=0.0,
            maximum=1.0,
        ),
    ] = 0.01
    group_rows: Annotated[
        int,
        Key(
            "The most writes that are committed together.",
            why="As for group_time; beyond 200 the sync no longer dominates.",
            minimum=1,
            maximum=10_000,
        ),
    ] = 200
    keep: Annotated[
        float,
        Key(
            "How long the deliveries of finished jobs stay in the database.",
            why="A year of rows would slow nothing but backups; reports and events outlive them.",
            unit="duration",
        ),
    ] = 30 * _DAY


class Bounce(msgspec.Struct, frozen=True, kw_only=True):
    """What replies mean, and when an address is no longer mailed."""

    soft_count: Annotated[
        int,
        Key(
            "Soft bounces in a row after which an address is suppressed.",
            why="Together with soft_span: a mailbox that was full once comes back.",
            minimum=1,
            maximum=1_000_000,
        ),
    ] = 5
    soft_span: Annotated[
        float,
        Key(
            "The least time between the first and the last of them.",
            why="Five retries in one bad night are one event, not five.",
            unit="duration",
        ),
    ] = 7 * _DAY
    rules: Annotated[
        tuple[Path, ...],
        Key(
            "Files with your own rules; they are asked before the shipped ones.",
            example='["bounce-rules.toml"]',
        ),
    ] = ()


class Control(msgspec.Struct, frozen=True, kw_only=True):
    """How commands reach the running daemon."""

    socket: Annotated[
        Path,
        Key(
            "The Unix socket; only the daemon's own user and root may use it.",
            why="Whoever reaches it can read addresses and stop mail.",
        ),
    ] = Path("ekiden.sock")


class Log(msgspec.Struct, frozen=True, kw_only=True):
    """What the daemon says on standard error."""

    level: Annotated[
        Literal["debug", "info", "warning", "error"],
        Key("The least important line that is shown.", why="Deliveries are events, not log lines."),
    ] = "info"
    format: Annotated[
        Literal["auto", "console", "json"],
        Key("Lines for people or JSON; auto: for people on a terminal, JSON elsewhere."),
    ] = "auto"


class Identities(msgspec.Struct, frozen=True, kw_only=True):
    """The From addresses and domains that are yours (`ekiden identities`)."""

    require: Annotated[
        bool,
        Key(
            "Refuse jobs whose From address no verified identity covers.",
            why="On a machine that several people send from, nobody sends as another.",
        ),
    ] = False
    sender: Annotated[
        str,
        Key(
            "The From address of confirmation mails; empty means postmaster at delivery.hostname.",
            example='"postmaster@example.com"',
        ),
    ] = ""


class Config(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    rename={
        "sources": "source",
        "pools": "pool",
        "routes": "route",
        "providers": "provider",
        "reactions": "reaction",
        "configuration_sets": "configuration_set",
    },
):
    """The whole configuration; its paths are absolute once it has been loaded."""

    spool: Annotated[Spool, Key("Where mail comes in.")] = Spool()
    queue: Annotated[QueueSettings, Key("Where it waits.")] = QueueSettings()
    delivery: Annotated[Delivery, Key("How it leaves.")] = Delivery()
    limits: Annotated[Limits, Key("How much at once.")] = Limits()
    paths: Annotated[Paths, Key("How each path finds its pace.")] = Paths()
    warmup: Annotated[Warmup, Key("How cold sources begin.")] = Warmup()
    hours: Annotated[HoursSettings, Key("When not to send.")] = HoursSettings()
    sources: Annotated[tuple[Source, ...], Key("Addresses it leaves from.")] = ()
    pools: Annotated[tuple[Pool, ...], Key("Sets of sources.")] = ()
    routes: Annotated[tuple[Route, ...], Key("Where it goes instead of the MX.")] = ()
    providers: Annotated[
        dict[str, ProviderSettings], Key("What receivers ask, in your words.", example="example")
    ] = msgspec.field(default_factory=dict)
    reactions: Annotated[
        tuple[ReactionSettings, ...], Key("What is done about their replies.")
    ] = ()
    dns: Annotated[Dns, Key("Lookups.")] = Dns()
    tls: Annotated[Tls, Key("Encryption.")] = Tls()
    dkim: Annotated[Dkim, Key("Signatures.")] = Dkim()
    bounce: Annotated[Bounce, Key("Replies and suppression.")] = Bounce()
    inbound: Annotated[Inbound, Key("Mail that comes back.")] = Inbound()
    reputation: Annotated[Reputation, Key("Rates that stop sending.")] = Reputation()
    identities: Annotated[Identities, Key("Senders that are yours.")] = Identities()
    configuration_sets: Annotated[
        dict[str, ConfigurationSet], Key("Named settings.", example="newsletter")
    ] = msgspec.field(default_factory=dict)
    web: Annotated[Web, Key("HTTP.")] = Web()
    content: Annotated[ContentSettings, Key("Content of jobs that do not say.")] = ContentSettings()
    lint: Annotated[LintSettings, Key("What content is checked for.")] = LintSettings()
    tracking: Annotated[TrackingSettings, Key("Opens and clicks.")] = TrackingSettings()
    events: Annotated[Events, Key("The event log.")] = Events()
    check: Annotated[Check, Key("What receivers find.")] = Check()
    control: Annotated[Control, Key("The control socket.")] = Control()
    log: Annotated[Log, Key("The daemon's log.")] = Log()
