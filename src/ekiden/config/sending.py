"""The sections that say how mail leaves; `schema.py` has the others and says how to read both."""

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from pathlib import Path
from typing import Annotated, Literal, TypeAlias

import msgspec

from ekiden.config.keys import Key
from ekiden.config.units import Rate

Address: TypeAlias = IPv4Address | IPv6Address
Network: TypeAlias = IPv4Network | IPv6Network
TlsPolicy: TypeAlias = Literal["off", "opportunistic", "required", "verified"]

_DAY = 86_400.0


@dataclass(frozen=True, slots=True)
class Nameserver:
    """A DNS server: "192.0.2.53", "192.0.2.53:5353" or "[2001:db8::53]:53"."""

    address: str
    port: int = 53


class Backoff(msgspec.Struct, frozen=True, kw_only=True):
    """Retry after `first`, then ever later by `factor`, never later than `ceiling`."""

    first: Annotated[float, Key("The delay after the first try.", unit="duration")] = 300.0
    factor: Annotated[
        float, Key("What each delay is multiplied by.", minimum=1.0, maximum=100.0)
    ] = 2.0
    ceiling: Annotated[float, Key("The longest delay.", unit="duration")] = 4 * 3600.0


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """How messages leave: connections, retries and what follows from doubt."""

    hostname: Annotated[
        str,
        Key(
            "The name given in EHLO by sources that have none of their own.",
            why="Empty means the machine's own full name; it should resolve to the source's IP.",
            unit="ehlo",
        ),
    ] = ""
    port: Annotated[
        int, Key("The port of mail exchangers (RFC 5321).", minimum=1, maximum=65_535)
    ] = 25
    lifetime: Annotated[
        float,
        Key(
            "How long a delivery is retried before it expires. Waiting for limits of your own (a "
            "quota, a warm-up, a job's pace) does not count; after it, the time begins anew.",
            why="RFC 5321 section 4.5.4.1 asks for 4 to 5 days; for campaigns 3 are customary.",
            unit="duration",
            minimum=1.0,
        ),
    ] = 3 * _DAY
    retry: Annotated[
        tuple[float, ...] | Backoff,
        Key(
            'The delays between tries: a list such as ["5m", "15m", "1h"], whose last one repeats, '
            "or a first delay, a factor and a ceiling.",
            why="Greylisting passes at the first or second retry; outages last hours.",
            unit="duration",
        ),
    ] = Backoff()
    jitter: Annotated[
        float,
        Key(
            "Each delay is lengthened by a random share of itself, at most this one.",
            why="What failed together must not come back together.",
            minimum=0.0,
            maximum=1.0,
        ),
    ] = 0.1
    in_doubt: Annotated[
        Literal["resend", "hold"],
        Key(
            "What to do when a connection broke after the final dot: send again, or hold for you.",
            why="A duplicate with the same Message-ID is a lesser evil than a lost message.",
        ),
    ] = "resend"
    in_doubt_resends: Annotated[
        int,
        Key(
            "How often a delivery in doubt is sent again before it is held.",
            why="A receiver that breaks three times after the dot will do so a fourth time.",
            minimum=0,
            maximum=100,
        ),
    ] = 3
    allow_networks: Annotated[
        tuple[Network, ...],
        Key(
            "Networks in which mail exchangers are accepted although they are private or local.",
            why="Anybody can publish an MX that points at 127.0.0.1 or into your network.",
            example='["10.0.0.0/8"]',
        ),
    ] = ()
    on_late: Annotated[
        Literal["send", "warn", "refuse"],
        Key(
            "What happens to a job that would miss its `deliver_by`, if the job does not say.",
            why="Late: less than 99 % would be there in time (docs/forecast.md).",
        ),
    ] = "warn"
    max_sessions: Annotated[
        int,
        Key(
            "The most SMTP sessions open at once, over all sources.",
            why="One file descriptor each; raise LimitNOFILE along with it.",
            minimum=1,
            maximum=100_000,
        ),
    ] = 1000
    idle: Annotated[
        float,
        Key(
            "How long a session without work is kept for the next delivery to the same site.",
            why="A new session costs several round trips and a TLS handshake.",
            unit="duration",
            maximum=300.0,
        ),
    ] = 5.0
    drain: Annotated[
        float,
        Key(
            "How long a stopping daemon lets open transactions finish.",
            why="Below the 90 s after which systemd kills; what is cut off is in doubt.",
            unit="duration",
        ),
    ] = 30.0
    chunking: Annotated[
        bool,
        Key(
            "Use BDAT (RFC 3030) where the receiver offers CHUNKING and PIPELINING.",
            why="A transaction then takes one round trip instead of two.",
        ),
    ] = True
    lookahead: Annotated[
        int,
        Key(
            "How many deliveries a session takes from the queue ahead of the one on the wire.",
            why="A claim waits for the disk; eight hide that. None of them repeats after a crash.",
            minimum=1,
            maximum=100,
        ),
    ] = 8


class Dns(msgspec.Struct, frozen=True, kw_only=True):
    """Where destinations are looked up."""

    nameservers: Annotated[
        tuple[Nameserver, ...],
        Key(
            "The DNS servers to ask; none means those of /etc/resolv.conf.",
            why="A bulk sender should have a caching, validating resolver on the same machine.",
            example='["127.0.0.1:53", "[::1]:53"]',
        ),
    ] = ()
    timeout: Annotated[
        float,
        Key(
            "How long one question may take, its repetitions included.",
            why="A lookup that fails is retried with the delivery: patience only holds up a slot.",
            unit="duration",
            minimum=0.1,
            maximum=60.0,
        ),
    ] = 10.0


class TlsDestination(msgspec.Struct, frozen=True, kw_only=True):
    """Another TLS policy for some destinations; the first pattern that matches decides."""

    pattern: Annotated[
        str,
        Key(
            "The destinations: a domain, or *.domain for those below it.",
            unit="pattern",
            example='"bank.example"',
        ),
    ]
    policy: Annotated[TlsPolicy, Key("Their policy.", example='"verified"')]


class TlsSite(msgspec.Struct, frozen=True, kw_only=True):
    """Another TLS policy for the mail exchangers of some sites; the first that matches decides."""

    mx: Annotated[
        str,
        Key(
            "The mail exchangers: a host, or *.domain for those below it.",
            unit="pattern",
            example='"*.mx.example"',
        ),
    ]
    policy: Annotated[TlsPolicy, Key("Their policy.", example='"required"')]


class Tls(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    rename={"destinations": "destination", "sites": "site"},
):
    """Encryption towards the receivers (STARTTLS, RFC 3207)."""

    policy: Annotated[
        TlsPolicy,
        Key(
            '"off"; "opportunistic": when offered; "required": or the delivery waits; "verified": '
            "required, with a certificate that is valid for the host.",
            why="Most receivers offer TLS with certificates that name something else.",
        ),
    ] = "opportunistic"
    ca_file: Annotated[
        Path | None,
        Key(
            "The certificate authorities that verified sessions trust; unset: the system's.",
            example='"/etc/ssl/certs/ca-certificates.crt"',
        ),
    ] = None
    destinations: Annotated[
        tuple[TlsDestination, ...], Key("Policies by destination; they pass those by site.")
    ] = ()
    sites: Annotated[tuple[TlsSite, ...], Key("Policies by mail exchanger.")] = ()


class DkimKey(msgspec.Struct, frozen=True, kw_only=True):
    """A key that signs; `ekiden dkim keygen` makes one. Several of one domain all sign."""

    domain: Annotated[
        str,
        Key(
            "The signing domain (d=): that of the From header.",
            unit="host",
            example='"example.com"',
        ),
    ]
    selector: Annotated[
        str,
        Key("The selector (s=) its record is published under.", unit="host", example='"mail2025"'),
    ]
    file: Annotated[
        Path,
        Key(
            "The private key (PEM, RSA or Ed25519), readable by the daemon's user alone.",
            example='"dkim/example.com.mail2025.pem"',
        ),
    ]
    expire: Annotated[
        float | None,
        Key(
            "How long a signature is valid (x=); unset: for ever.",
            why="A limit bounds replay (RFC 6376 section 8.6), but must outlast delayed mail.",
            unit="duration",
            minimum=3600.0,
            example='"14d"',
        ),
    ] = None


class Dkim(msgspec.Struct, frozen=True, kw_only=True, rename={"keys": "key"}):
    """Signatures (RFC 6376, RFC 8463)."""

    threads: Annotated[
        int,
        Key(
            "Threads that sign beside the event loop; 0 means one per core. When two or more are "
            "busy, the loop signs too; with 1 it never does.",
            why="An RSA-2048 signature takes most of a millisecond and does not hold the GIL.",
            minimum=0,
            maximum=256,
        ),
    ] = 0
    keys: Annotated[tuple[DkimKey, ...], Key("The keys.")] = ()


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """An IP address that mail leaves from. Without any, the system chooses the address."""

    name: Annotated[str, Key("What pools, commands and events call it.", example='"a1"')]
    address: Annotated[Address, Key("The address, IPv4 or IPv6.", example='"192.0.2.10"')]
    address6: Annotated[
        IPv6Address | None,
        Key(
            "Its IPv6 address, when `address` is IPv4 and it has both.",
            why="Without an IPv6 address of its own a source does not speak IPv6.",
            example='"2001:db8::10"',
        ),
    ] = None
    ehlo: Annotated[
        str,
        Key(
            "The name given in EHLO; empty means delivery.hostname.",
            why="Receivers compare it with the address's PTR record.",
            unit="ehlo",
            example='"a1.mail.example.com"',
        ),
    ] = ""
    max_sessions: Annotated[
        int | None,
        Key(
            "Its own cap; unset: limits.sessions_per_source.",
            minimum=1,
            maximum=60_000,
            example="200",
        ),
    ] = None
    rates: Annotated[
        tuple[Rate, ...] | None,
        Key("Its own rates; unset: limits.rates_per_source.", example='["50/s"]'),
    ] = None
    sessions_per_site: Annotated[
        int | None,
        Key(
            "Sessions at once from it to one site, in place of what the site and the destination "
            "allow, be it more or less.",
            why="Some addresses are better liked than others.",
            minimum=1,
            maximum=60_000,
            example="2",
        ),
    ] = None
    rates_per_site: Annotated[
        tuple[Rate, ...] | None,
        Key("Message rates from it to one site, likewise.", example='["5/s"]'),
    ] = None
    messages_per_session: Annotated[
        int | None,
        Key("Messages in one session of it, likewise.", minimum=1, maximum=1_000_000, example="20"),
    ] = None


class Pool(msgspec.Struct, frozen=True, kw_only=True):
    """A named set of sources that share the work."""

    name: Annotated[str, Key("What jobs and configuration sets call it.", example='"news"')]
    sources: Annotated[tuple[str, ...], Key("The names of its sources.", example='["a1"]')]
    default: Annotated[
        bool,
        Key(
            "Whether mail that names no pool leaves through it.",
            why="With no default pool, such mail leaves from all sources.",
        ),
    ] = False


class Route(msgspec.Struct, frozen=True, kw_only=True):
    """A host that some destinations' mail goes to instead of their MX; the first match decides."""

    pattern: Annotated[
        str,
        Key(
            "The destinations: a domain, *.domain for those below it, or * for all.",
            unit="pattern",
            example='"*.corp.example"',
        ),
    ]
    host: Annotated[
        str, Key("The host's name or address.", unit="host", example='"relay.corp.example"')
    ]
    port: Annotated[
        int, Key("Its port; 465 means TLS from the start.", minimum=1, maximum=65_535)
    ] = 25
    user: Annotated[str, Key("The user for AUTH; empty: no AUTH.", example='"mailer"')] = ""
    password_file: Annotated[
        Path | None,
        Key(
            "A file that holds the password in its first line, readable by you alone.",
            why="A password in this file would be shown, copied and committed with it.",
            example='"relay.password"',
        ),
    ] = None
    tls: Annotated[
        TlsPolicy | None,
        Key(
            "Its TLS policy; unset: by destination, then tls.policy.",
            why='AUTH needs "required" or "verified", unless the host is this machine.',
            example='"verified"',
        ),
    ] = None
    group: Annotated[
        bool,
        Key(
            "Whether all its destinations are one site, with the caps of one.",
            why="A smarthost is one receiver; a gateway to many is not.",
        ),
    ] = False
    max_sessions: Annotated[
        int | None, Key("Sessions at once, as for a site.", minimum=1, maximum=60_000, example="4")
    ] = None
    messages_per_session: Annotated[
        int | None, Key("Messages in one session.", minimum=1, maximum=1_000_000, example="50")
    ] = None
    rates: Annotated[
        tuple[Rate, ...] | None,
        Key(
            'Message rates; several hold at once. "50 then 10m" is a pace: so many, then a rest.',
            why="What is over a day's rate waits for the next day; it is not tried meanwhile.",
            example='["1/s", "500/d", "50 then 10m"]',
        ),
    ] = None


class DestinationLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Other caps for some destinations; the first pattern that matches decides."""

    pattern: Annotated[
        str,
        Key(
            "The destinations: a domain, or *.domain for those below it.",
            unit="pattern",
            example='"*.example.org"',
        ),
    ]
    max_sessions: Annotated[
        int | None, Key("Sessions at once.", minimum=1, maximum=60_000, example="5")
    ] = None
    messages_per_session: Annotated[
        int | None, Key("Messages in one session.", minimum=1, maximum=1_000_000, example="20")
    ] = None
    rates: Annotated[
        tuple[Rate, ...] | None, Key("Message rates; several hold at once.", example='["10/s"]')
    ] = None


class SiteLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Other caps for the sites behind some mail exchangers; the first that matches decides."""

    mx: Annotated[
        str,
        Key(
            "The mail exchangers: a host, or *.domain for those below it.",
            unit="pattern",
            example='"*.mx.example.net"',
        ),
    ]
    max_sessions: Annotated[
        int | None, Key("Sessions at once.", minimum=1, maximum=60_000, example="10")
    ] = None
    messages_per_session: Annotated[
        int | None, Key("Messages in one session.", minimum=1, maximum=1_000_000, example="50")
    ] = None
    rates: Annotated[
        tuple[Rate, ...] | None,
        Key("Message rates; several hold at once.", example='["20/s", "100000/d"]'),
    ] = None


class Limits(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    rename={"destinations": "destination", "sites": "site"},
):
    """The caps that hold where nothing narrower is said. They are never exceeded, only adjusted."""

    sessions_per_destination: Annotated[
        int,
        Key(
            "Sessions open at once to one destination.",
            why="Most receivers tolerate a handful; small ones fewer.",
            minimum=1,
            maximum=60_000,
        ),
    ] = 5
    sessions_per_site: Annotated[
        int,
        Key(
            "Sessions open at once to one site, from all sources together.",
            why="Many destinations share one site's mail exchangers and their patience.",
            minimum=1,
            maximum=60_000,
        ),
    ] = 10
    sessions_per_source: Annotated[
        int,
        Key(
            "Sessions open at once from one source.",
            why="An address has about 28,000 ports towards one host; far fewer look normal.",
            minimum=1,
            maximum=60_000,
        ),
    ] = 500
    messages_per_session: Annotated[
        int,
        Key(
            "Messages in one session before it is closed.",
            why="Receivers that publish a number say 20 to 100.",
            minimum=1,
            maximum=1_000_000,
        ),
    ] = 50
    rates_per_destination: Annotated[
        tuple[Rate, ...],
        Key("Message rates to one destination; several hold at once.", example='["50/s"]'),
    ] = ()
    rates_per_site: Annotated[
        tuple[Rate, ...],
        Key("Message rates to one site.", example='["100/s", "200000/d"]'),
    ] = ()
    rates_per_source: Annotated[
        tuple[Rate, ...], Key("Message rates from one source.", example='["500/s"]')
    ] = ()
    destinations: Annotated[tuple[DestinationLimits, ...], Key("Caps by destination.")] = ()
    sites: Annotated[tuple[SiteLimits, ...], Key("Caps by mail exchanger.")] = ()
