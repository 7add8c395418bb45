"""The section `[limits]`: the caps of destinations, sites and sources."""

from typing import Annotated, TypeAlias

import msgspec

from ekiden.config.keys import Key
from ekiden.config.units import Rate

_Sessions: TypeAlias = Annotated[
    int | None, Key("Sessions at once.", minimum=1, maximum=60_000, example="5")
]
_Messages: TypeAlias = Annotated[
    int | None, Key("Messages in one session.", minimum=1, maximum=1_000_000, example="20")
]
_Rates: TypeAlias = Annotated[
    tuple[Rate, ...] | None,
    Key("Message rates; several hold at once.", example='["10/s", "100000/d"]'),
]


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
    max_sessions: _Sessions = None
    messages_per_session: _Messages = None
    rates: _Rates = None


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
    max_sessions: _Sessions = None
    messages_per_session: _Messages = None
    rates: _Rates = None


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
