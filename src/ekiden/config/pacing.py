"""The keys of `[paths]`: how a path's sessions are found, and how long it is left alone."""

from typing import Annotated

import msgspec

from ekiden.config.keys import Key


class Paths(msgspec.Struct, frozen=True, kw_only=True):
    """How each path (a source to a site) finds its pace. Trouble on a path is that path's alone."""

    window_start: Annotated[
        int,
        Key(
            "Sessions that a path may have before anything is known of it.",
            why="A receiver meets a stranger politely; two find its limit within a minute.",
            minimum=1,
            maximum=60_000,
        ),
    ] = 2
    window_interval: Annotated[
        float,
        Key(
            "The least time between two steps up, each of one session.",
            why="A receiver needs a moment to show that it has had enough.",
            unit="duration",
            minimum=0.0,
            maximum=3600.0,
        ),
    ] = 2.0
    window_probe: Annotated[
        float,
        Key(
            "How long after trouble before the size that caused it is tried again.",
            why="Limits rise, but not every minute.",
            unit="duration",
            minimum=0.0,
        ),
    ] = 120.0
    failing: Annotated[
        float,
        Key(
            "How long a path is left alone after a failed connection; doubled each time.",
            why="Most restarts and overloads are over within a minute or two.",
            unit="duration",
            minimum=0.1,
        ),
    ] = 30.0
    failing_ceiling: Annotated[
        float, Key("At most so long after failed connections.", unit="duration", minimum=0.1)
    ] = 1_800.0
    slowing: Annotated[
        float,
        Key(
            "How long, when it asks for less again and has taken nothing since; doubled each time.",
            why="Who counts per second is open again at once, who counts per minute soon.",
            unit="duration",
            minimum=0.1,
        ),
    ] = 10.0
    slowing_ceiling: Annotated[
        float, Key("At most so long when it asks for less.", unit="duration", minimum=0.1)
    ] = 600.0
    blocking: Annotated[
        float,
        Key(
            "How long, when it refuses the source or our authentication; doubled each time.",
            why="Blocks last hours, and knocking on prolongs them; other sources go on meanwhile.",
            unit="duration",
            minimum=0.1,
        ),
    ] = 900.0
    blocking_ceiling: Annotated[
        float, Key("At most so long when it refuses.", unit="duration", minimum=0.1)
    ] = 14_400.0
