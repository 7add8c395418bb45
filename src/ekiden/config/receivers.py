"""The keys of `[provider.NAME]` and `[[reaction]]`: an operator's word over the profiles."""

from typing import Annotated, Literal

import msgspec

from ekiden.config.keys import Key
from ekiden.config.units import Rate


class ProviderSettings(msgspec.Struct, frozen=True, kw_only=True):
    """A provider that is not shipped, or other values for one that is; the rest stays as it is."""

    title: Annotated[str, Key("What people call it.", example='"Example Mail"')] = ""
    mx: Annotated[
        tuple[str, ...],
        Key(
            "Suffixes of its MX hosts, with their leading dot, or whole names.",
            why="Every MX host of a site must match: a backup elsewhere has limits of its own.",
            example='[".mx.example.net"]',
        ),
    ] = ()
    destinations: Annotated[
        tuple[str, ...],
        Key(
            "Recipient domains that are its own, whatever their MX says.", example='["example.net"]'
        ),
    ] = ()
    sessions: Annotated[
        int | None, Key("Sessions at once to one site.", minimum=1, maximum=60_000, example="5")
    ] = None
    messages: Annotated[
        tuple[Rate, ...] | None, Key("Message rates to one site.", example='["10/s"]')
    ] = None
    connections: Annotated[
        tuple[Rate, ...] | None, Key("Connection rates to one site.", example='["60/m"]')
    ] = None
    provider_sessions: Annotated[
        int | None, Key("Sessions to all its sites.", minimum=1, maximum=60_000, example="10")
    ] = None
    provider_messages: Annotated[
        tuple[Rate, ...] | None, Key("Message rates to all its sites.", example='["50000/d"]')
    ] = None
    provider_connections: Annotated[
        tuple[Rate, ...] | None, Key("Connection rates to all its sites.", example='["600/h"]')
    ] = None
    messages_per_session: Annotated[
        int | None, Key("Messages in one session.", minimum=1, maximum=1_000_000, example="20")
    ] = None
    tls: Annotated[
        Literal["off", "opportunistic", "required", "verified"] | None,
        Key("The TLS policy of its sites.", example='"required"'),
    ] = None
    size: Annotated[
        int | None,
        Key("The largest message it takes, in bytes.", minimum=1_000, example="10000000"),
    ] = None
    avoid: Annotated[
        tuple[str, ...] | None,
        Key(
            "Clock times at which bulk mail does not begin there, instead of the profile's; [] for "
            "none. Finer, and for transactional mail: [[hours.provider]].",
            unit="span",
            example='["*:00-*:05", "12:00-12:30"]',
        ),
    ] = None
    avoid_time_zone: Annotated[
        str,
        Key("Whose clock; empty: that of [hours].", unit="zone", example='"Asia/Tokyo"'),
    ] = ""


class ReactionSettings(
    msgspec.Struct, frozen=True, kw_only=True, rename={"klass": "class", "lasts": "for"}
):
    """What is done for a while about what receivers say; the shipped ones are in providers.toml."""

    name: Annotated[
        str,
        Key("Its name; that of a shipped one takes its place.", example='"yahoo-tss04"'),
    ]
    provider: Annotated[
        str, Key("Whose replies it reads; empty: everybody's.", example='"yahoo"')
    ] = ""
    match: Annotated[
        str,
        Key('A regular expression found in "CODE text".', example="'\\[TSS04\\]'"),
    ] = ""
    klass: Annotated[
        str,
        Key(
            "The class of the reply, or the cause of a broken connection.", example='"rate_limited"'
        ),
    ] = ""
    after: Annotated[
        str, Key("How many within which time; empty: at once.", example='"3 in 10m"')
    ] = ""
    scope: Annotated[
        Literal["path", "road", "source", "provider", "job"],
        Key("What it holds for; a path is a source to a site, a road a source to a provider."),
    ] = "path"
    action: Annotated[
        Literal["slow", "sessions", "suspend", "switch", "stop", "none"],
        Key(
            "What is done; `switch` lets other sources take over, `none` takes a shipped one away.",
            example='"suspend"',
        ),
    ]
    to: Annotated[
        str,
        Key("For `slow` a share or a rate, for `sessions` their number.", example='"0.5"'),
    ] = ""
    lasts: Annotated[
        str, Key("For how long; a stopped job is resumed by hand.", example='"2h"')
    ] = ""
