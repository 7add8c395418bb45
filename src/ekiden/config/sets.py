"""The keys of `[configuration_set.NAME]`: what a job gets by naming a set."""

from typing import Annotated, Literal

import msgspec

from ekiden.config.keys import Key
from ekiden.config.units import Rate


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
