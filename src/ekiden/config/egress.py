"""The sections about where mail leaves from and what it goes to instead of an MX.

`[[source]]` is an address of yours, `[[pool]]` a set of them, `[[route]]` a host of somebody's.
"""

from ipaddress import IPv6Address
from pathlib import Path
from typing import Annotated

import msgspec

from ekiden.config.keys import Key
from ekiden.config.places import Address
from ekiden.config.tls import TlsPolicy
from ekiden.config.units import Rate


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
