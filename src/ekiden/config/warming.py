"""The keys of `[warmup]` and `[hours]`: how cold sources begin, and when not to send."""

from typing import Annotated

import msgspec

from ekiden.config.keys import Key


class WarmupSource(msgspec.Struct, frozen=True, kw_only=True):
    """A source that warms up; the first that matches decides. Unmentioned sources are warm."""

    source: Annotated[str, Key("The source's name, or a pattern such as new*.", example='"a2"')]
    provider: Annotated[
        str,
        Key(
            "At which providers: a name of `ekiden shaping`, `other` for the rest, or a pattern.",
            why="Providers judge an address each for themselves.",
        ),
    ] = "*"
    plan: Annotated[
        str,
        Key(
            'The plan: "cautious", "sendgrid", "sparkpost", "ses", or one of your own.',
            why="Published plans differ by a factor of a hundred; a slow start costs days only.",
        ),
    ] = "cautious"


class WarmupPlan(msgspec.Struct, frozen=True, kw_only=True):
    """A plan of your own: a list of daily caps, or else a start, a factor and an end."""

    name: Annotated[str, Key("What sources name it by.", example='"mine"')]
    days: Annotated[
        tuple[int, ...],
        Key(
            "Messages a day, rising; without it they grow from start by factor to end.",
            minimum=1,
            example="[100, 200, 400]",
        ),
    ] = ()
    start: Annotated[int, Key("Messages on the first day.", minimum=1)] = 50
    factor: Annotated[
        float,
        Key(
            "What each day's messages are multiplied by.",
            why="Between Mailtrap's 1.3 and SendGrid's 1.4 an hour; slower is safer.",
            minimum=1.01,
            maximum=10.0,
        ),
    ] = 1.3
    end: Annotated[int, Key("Messages on the last day.", minimum=1)] = 50_000


class Warmup(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    rename={"sources": "source", "plans": "plan"},
):
    """How much a cold source may send to each provider, day after day (`ekiden warmup`)."""

    time_zone: Annotated[
        str, Key("Whose days are counted.", unit="zone", why="Your mail's, not the machine's.")
    ] = "UTC"
    hours: Annotated[
        str,
        Key(
            "The hours over which a day's allowance is spread; outside of them a cold source "
            "sends nothing.",
            why="An allowance that is gone in a minute is what a receiver calls a burst.",
            unit="span",
        ),
    ] = "00:00-24:00"
    silence: Annotated[
        float,
        Key(
            "After so long without mail to a provider a source begins again there.",
            why="SendGrid: 30 days without mail, and an address is cold.",
            unit="duration",
            minimum=86_400.0,
        ),
    ] = 30 * 86_400.0
    overflow: Annotated[
        bool,
        Key(
            "What exceeds the allowances of a pool's cold sources leaves from its warm ones.",
            why="With false it waits for the next day.",
        ),
    ] = True
    engaged_first: Annotated[
        bool,
        Key(
            "Recipients that reacted lately go first, within a job and destination.",
            why="The first mail from a new address should go to those who want it (SparkPost).",
        ),
    ] = True
    engaged_column: Annotated[
        str,
        Key(
            "The merge column with each recipient's last reaction: a date, or days since then. "
            "Jobs may name their own (`engaged_column`); jobs to a list go by the list.",
            example='"last_open"',
        ),
    ] = ""
    filled: Annotated[
        float,
        Key(
            "The share of a day's allowance that must have been sent for the day to count.",
            why="A stage that was not filled proves nothing (SparkPost advances only then).",
            minimum=0.0,
            maximum=1.0,
        ),
    ] = 0.8
    hold_deferrals: Annotated[
        float, Key("From this share of deferrals on the ramp holds.", minimum=0.0, maximum=1.0)
    ] = 0.10
    back_deferrals: Annotated[
        float, Key("From this share of deferrals on it steps back.", minimum=0.0, maximum=1.0)
    ] = 0.30
    hold_bounces: Annotated[
        float,
        Key(
            "From this share of mailboxes that do not exist on it holds.",
            why="Below 2 % is healthy, from 5 % an account is under review (Amazon SES).",
            minimum=0.0,
            maximum=1.0,
        ),
    ] = 0.02
    back_bounces: Annotated[
        float, Key("From this share of bounces on it steps back.", minimum=0.0, maximum=1.0)
    ] = 0.05
    hold_complaints: Annotated[
        float,
        Key(
            "From this share of complaints on, over the last seven days with mail, it holds.",
            why="Gmail: below 0.10 %, and never 0.30 %.",
            minimum=0.0,
            maximum=1.0,
        ),
    ] = 0.001
    back_complaints: Annotated[
        float, Key("From this share of complaints on it steps back.", minimum=0.0, maximum=1.0)
    ] = 0.003
    hold_blocks: Annotated[
        float,
        Key(
            "From this share of replies that refuse the source on it holds; 0: from the first.",
            why="A provider that blocks a cold address has made up its mind early.",
            minimum=0.0,
            maximum=1.0,
        ),
    ] = 0.0
    back_blocks: Annotated[
        float, Key("From this share of blocks on it steps back.", minimum=0.0, maximum=1.0)
    ] = 0.01
    sources: Annotated[tuple[WarmupSource, ...], Key("Who warms up.")] = ()
    plans: Annotated[tuple[WarmupPlan, ...], Key("Plans of your own.")] = ()


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
