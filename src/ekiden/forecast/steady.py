"""How far a job departs from what its sources usually send, before it is submitted.

The same judgement as the daemon's when the job comes in (`duties.volumes`), from the same counts.
"""

from collections.abc import Mapping

import msgspec

from ekiden import settings
from ekiden.config import Config
from ekiden.forecast.model import Load
from ekiden.shaping.volume import day_of, jumps, mean


def unusual(config: Config, load: Load, kept: Mapping[str, str], now: float) -> tuple[str, ...]:
    """Return what is to be said of a job's volume; () if it is as usual.

    Args:
        config: Its sources.
        load: The job, its siblings with it.
        kept: What each source sent by day, as JSON (`queue.memory.Kind.VOLUME`).
        now: UNIX seconds.
    """
    sources = settings.source_facts(config)
    parts = [
        (sum(one.lanes.values()), [it.name for it in sources if one.pool in it.pools])
        for one in load.members
    ]
    counts = {name: msgspec.json.decode(text, type=dict[int, int]) for name, text in kept.items()}
    return tuple(str(one) for one in jumps(parts, counts, day_of(now)))


def known(kept: Mapping[str, str], now: float) -> bool:
    """Whether of any source enough is known to call a volume unusual."""
    every = (msgspec.json.decode(text, type=dict[int, int]) for text in kept.values())
    return any(mean(counts, day_of(now)) is not None for counts in every)
