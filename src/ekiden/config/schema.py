"""Every key of the configuration: its type, default, unit, meaning and reason, in one place.

This file has the sections about what is kept, `sending.py` those about how mail leaves,
`returning.py` those about what comes back, `web.py` those about HTTP, `content.py` those about what
mail says, `eventing.py` those about events and where they go.

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
from ekiden.config.eventing import Events
from ekiden.config.keys import Key
from ekiden.config.pacing import Paths
from ekiden.config.receivers import ProviderSettings, ReactionSettings
from ekiden.config.returning import Inbound, Reputation
from ekiden.config.sending import (
    Delivery,
    Dkim,
    Dns,
    Limits,
    Pool,
    Route,
    Source,
    Tls,
)
from ekiden.config.units import Rate
from ekiden.config.warming import HoursSettings, Warmup
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


class ConfigurationSet(msgspec.Struct, frozen=True, kw_only=True, rename={"contact_list": "list"}):
    """Named settings that a job picks with `configuration_set`; what is unset stays as it is."""

    pool: Annotated[str, Key("The pool its mail leaves through.", example='"news"')] = ""
    priority: Annotated[
        Literal["transactional", "bulk"] | None,
        Key("The priority of jobs that state none.", example='"bulk"'),
    ] = None
    dkim: Annotated[
        tuple[str, ...],
        Key(
            "The domains whose keys sign, instead of the From header's.", example='["example.com"]'
        ),
    ] = ()
    return_domain: Annotated[
        str,
        Key(
            "The domain of its signed return addresses; its MX is the listener. Empty: "
            "inbound.return_domain.",
            why="SPF and DMARC alignment go by it: one for each From domain.",
            unit="host",
            example='"bounces.shop.example"',
        ),
    ] = ""
    tls: Annotated[
        Literal["required", "verified"] | None,
        Key(
            'Its mail waits for a session with TLS; with "verified", for one with a host whose'
            " certificate is valid for its name.",
            why="What holds for all mail to a receiver is said by destination ([tls]).",
            example='"required"',
        ),
    ] = None
    sessions_per_site: Annotated[
        int | None,
        Key(
            "Sessions at once of its mail to one site, in place of what the site, the destination "
            "and the source allow, be it more or less.",
            why="A digest may trickle; a code must not wait behind it.",
            minimum=1,
            maximum=60_000,
            example="2",
        ),
    ] = None
    rates_per_site: Annotated[
        tuple[Rate, ...] | None,
        Key("Message rates of its mail to one site, likewise.", example='["5/s"]'),
    ] = None
    messages_per_session: Annotated[
        int | None,
        Key(
            "Messages in one session of its mail, likewise.",
            minimum=1,
            maximum=1_000_000,
            example="20",
        ),
    ] = None
    lifetime: Annotated[
        float | None,
        Key(
            "How long its deliveries live before they expire; waiting for your own limits counts.",
            why="A one-time code is worthless after minutes.",
            unit="duration",
            minimum=1.0,
            example='"12h"',
        ),
    ] = None
    contact_list: Annotated[
        str, Key("The contact list of jobs that name none.", example='"customers"')
    ] = ""
    topic: Annotated[
        str,
        Key("The topic of its jobs that name none; they need a list.", example='"offers"'),
    ] = ""
    suppression: Annotated[
        tuple[Literal["hard_bounce", "soft_bounces", "complaint", "unengaged"], ...] | None,
        Key(
            "Which of these suppressions hold for its mail; [] for none. Unset: all of them.",
            why="Unsubscriptions and what you suppress yourself hold always.",
            example='["hard_bounce", "complaint"]',
        ),
    ] = None
    warn_bounces: Annotated[
        float | None,
        Key(
            "As reputation.warn_bounces, for the rate of this set.",
            minimum=0.0,
            maximum=1.0,
            example="0.03",
        ),
    ] = None
    warn_complaints: Annotated[
        float | None,
        Key(
            "As reputation.warn_complaints, for the rate of this set.",
            minimum=0.0,
            maximum=1.0,
            example="0.0005",
        ),
    ] = None
    stop_bounces: Annotated[
        float | None,
        Key(
            "As reputation.stop_bounces, for the rate of this set.",
            why="A set that only writes to customers can be held to less than the rest.",
            minimum=0.0,
            maximum=1.0,
            example="0.05",
        ),
    ] = None
    stop_complaints: Annotated[
        float | None,
        Key(
            "As reputation.stop_complaints, for the rate of this set.",
            minimum=0.0,
            maximum=1.0,
            example="0.002",
        ),
    ] = None
    track_opens: Annotated[
        bool | None, Key("Whether opens of its mail are tracked.", example="false")
    ] = None
    track_clicks: Annotated[
        bool | None, Key("Whether clicks in its mail are tracked.", example="false")
    ] = None
    track_privacy: Annotated[
        Literal["persons", "totals"] | None,
        Key("Whether it is kept who opened and clicked, or only how often.", example='"totals"'),
    ] = None
    event_destinations: Annotated[
        tuple[str, ...] | None,
        Key(
            "The destinations that get the events of its mail; unset: those with `default`.",
            example='["crm"]',
        ),
    ] = None


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
