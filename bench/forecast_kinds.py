"""The kinds of jobs that `bench.forecast` foretells: five, and five that nothing was tuned to."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from ekiden.queue.model import Pace

Lanes = dict[str, int]


@dataclass(frozen=True)
class Kind:
    """A kind of job, and the receivers that it meets.

    Args:
        name: What it is called.
        step: The receivers' delay, in seconds.
        limits: Configuration, within `[limits]`.
        lanes: Recipients by destination.
        pace: Of the job.
        begins_in: Seconds until its `send_at`.
        config: More configuration: whole tables.
        hours: Within `[hours]`.
        retry: The retry schedule; "" for the default.
        grey: Seconds for which receivers greylist.
        most: Messages a second that each of them takes.
        sets: The recipients of each set that rows choose; `lanes` are those that choose none.
        before: Recipients of each destination in the job from which the engine learns.
    """

    name: str
    step: float
    limits: str
    lanes: Lanes
    pace: Pace | None = None
    begins_in: float = 0.0
    config: str = ""
    hours: str = ""
    retry: str = ""
    grey: float = 0.0
    most: float = 0.0
    sets: Mapping[str, Lanes] = field(default_factory=dict)
    before: int = 60

    @property
    def every(self) -> set[str]:
        """All destinations."""
        return set(self.lanes).union(*self.sets.values())


def _many(number: int, each: float) -> Lanes:
    return {f"d{n}.example": max(1, round(each)) for n in range(number)}


def kinds(scale: float) -> list[Kind]:
    """Return the first five."""
    return [
        Kind(
            "few sessions",
            0.05,
            "sessions_per_site = 3\nsessions_per_destination = 3",
            _many(2, 900 * scale),
        ),
        Kind("a rate", 0.02, 'rates_per_site = ["20/s"]', _many(4, 500 * scale)),
        Kind("many small", 0.1, "sessions_per_source = 40", _many(400, 6 * scale)),
        Kind("pace and start", 0.05, "", _many(50, 20 * scale), Pace(round(100 * scale), 3.0), 5.0),
        Kind(
            "large and small",
            0.05,
            "sessions_per_site = 4",
            _many(100, 5 * scale) | _many(3, 900 * scale),
        ),
    ]


def unlike(scale: float) -> list[Kind]:
    """Return five that are unlike them."""
    begin = ((time.time() + 20) // 60 + 1) * 60  # a minute that begins within the job
    window = time.strftime("%H:%M", time.gmtime(begin))
    ends = time.strftime("%H:%M", time.gmtime(begin + 60))
    return [
        Kind(
            "greylisting",
            0.05,
            "sessions_per_site = 5",
            _many(60, 4 * scale) | {"d0.example": round(1500 * scale)},
            retry='["5s", "10s", "20s"]',
            grey=3.0,
        ),
        Kind(
            "a closed minute",
            0.05,
            'rates_per_site = ["3/s"]',
            _many(3, 900 * scale),
            before=10,
            hours=f'bulk = ["{window}-{ends}"]',
        ),
        Kind(
            "two sources",
            0.05,
            "",
            _many(4, 700 * scale),
            config='[[source]]\nname = "a"\naddress = "127.0.0.1"\nrates_per_site = ["5/s"]\n'
            '[[source]]\nname = "b"\naddress = "127.0.0.2"\nrates_per_site = ["15/s"]\n'
            '[[pool]]\nname = "default"\nsources = ["a", "b"]\n',
        ),
        Kind(
            "slow and throttled",
            0.3,
            "",
            _many(3, 500 * scale),
            most=15.0,
            before=round(400 * scale),
        ),
        Kind(
            "a set for each row",
            0.05,
            "sessions_per_site = 5",
            _many(4, 300 * scale),
            config='[configuration_set.codes]\npriority = "transactional"\n'
            '[configuration_set.slow]\nrates_per_site = ["8/s"]\n',
            sets={"codes": _many(4, 150 * scale), "slow": _many(4, 250 * scale)},
        ),
    ]
