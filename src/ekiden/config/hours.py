"""The keys of `[hours]`: when not to send."""

from typing import Annotated

import msgspec

from ekiden.config.keys import Key


class HoursProvider(msgspec.Struct, frozen=True, kw_only=True):
    """Windows at one provider, instead of those of its profile and beside those for all."""

    provider: Annotated[
        str, Key("The provider: a name of `ekiden shaping`, or a pattern.", example='"docomo"')
    ]
    bulk: Annotated[
        tuple[str, ...],
        Key("When bulk mail does not begin there.", unit="span", example='["12:00-13:00"]'),
    ] = ()
    transactional: Annotated[
        tuple[str, ...],
        Key("The same for transactional mail.", unit="span", example='["03:00-03:15"]'),
    ] = ()
    time_zone: Annotated[
        str, Key("Whose clock; empty means hours.time_zone.", unit="zone", example='"Asia/Tokyo"')
    ] = ""


class HoursSettings(msgspec.Struct, frozen=True, kw_only=True, rename={"providers": "provider"}):
    """When mail does not begin, and what is learned of the hours of the day (`ekiden hours`)."""

    time_zone: Annotated[
        str, Key("Whose clock the windows are read off.", unit="zone", why="Your recipients'.")
    ] = "UTC"
    bulk: Annotated[
        tuple[str, ...],
        Key(
            "When bulk mail does not begin anywhere. Open sessions send what they have in hand.",
            why='Such as "22:00-07:00": a phone that rings at night makes complaints.',
            unit="span",
            example='["22:00-07:00"]',
        ),
    ] = ()
    transactional: Annotated[
        tuple[str, ...],
        Key("The same for transactional mail.", unit="span", example='["03:00-03:15"]'),
    ] = ()
    smooth: Annotated[
        float,
        Key(
            "At the top of each hour, the bulk of a site without a session begins within so long, "
            "each site at its own moment. 0s: at once.",
            why="Everybody's scheduled mail begins at :00 (docomo and Yahoo name it).",
            unit="duration",
            maximum=1800.0,
        ),
    ] = 120.0
    jitter: Annotated[
        float,
        Key(
            "Scheduled bulk jobs (send_at) begin up to so much later, each at its own moment.",
            why="Jobs for the same minute need not begin in the same second.",
            unit="duration",
            maximum=3600.0,
        ),
    ] = 60.0
    prefer: Annotated[
        bool,
        Key(
            "Bulk jobs with a deadline wait for an hour with fewer deferrals when there is time.",
            why="At most a third of the time that is left, and only when this hour is clearly bad.",
        ),
    ] = True
    providers: Annotated[tuple[HoursProvider, ...], Key("Windows by provider.")] = ()
