"""The keys of `[warmup]`: how cold sources begin."""

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
