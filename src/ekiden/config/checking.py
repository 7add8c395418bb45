"""The section about what receivers look up about you."""

from typing import Annotated

import msgspec

from ekiden.config.keys import Key


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """What DNS says about your sources and From domains (`ekiden check`, docs/check.md)."""

    watch: Annotated[
        bool,
        Key(
            "Check a minute after the start, and again every `interval`; what has become bad is an "
            "alert.",
            why="Records are lost in moves of DNS, and a list may take up an address any day.",
        ),
    ] = True
    interval: Annotated[
        float, Key("How long between two checks.", unit="duration", minimum=600.0)
    ] = 86_400.0
    blocklists: Annotated[
        tuple[str, ...],
        Key(
            "The DNS blocklists that are asked about your addresses; empty: none.",
            why="They want to be asked through a resolver of your own, and some by subscribers.",
            unit="host",
            example='["zen.spamhaus.org", "bl.spamcop.net", "b.barracudacentral.org"]',
        ),
    ] = ()
