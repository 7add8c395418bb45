"""The sections `[delivery]` and `[dns]`: how messages leave, and where destinations are looked up.

Where they leave from is `egress.py`'s, how much at once `limits.py`'s.
"""

from typing import Annotated, Literal

import msgspec

from ekiden.config.keys import Key
from ekiden.config.places import Nameserver, Network

_DAY = 86_400.0


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
            why="A claim waits for the disk; eight hide that. A session whose receiver is faster "
            "takes up to four times as many. None of them repeats after a crash.",
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
