"""Fewer, larger steps: what lets a million messages be simulated in seconds. Pure.

One id of the simulation stands for `weight` messages of a lane. It takes as long as they would and
counts as many against every rate, so limits are met where they would be. Destinations with less
than a few ids' worth are put together: those of one site where they come to more there, for they
share its paths anyhow; the rest provider by provider, into one lot that has the sessions of all of
them. A session of such a lot is dialled for every few messages, which is added to their time. A
site that something holds is kept apart, whatever its size: its paths are not like the others'.

The error: a window grows by transactions that went well, and there are fewer of them (but no more
often than an interval, which is not coarser); the last id of a lane may stand for fewer messages
than it takes time for. With the 30,000 steps of a plan that is below one in a hundred.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass
from typing import Final

STEPS: Final = 30_000
_FEW: Final = 4  # ids below which a destination is put together with others
_LOT: Final = 20  # ids of such a lot, about

# How many, the lot's number, whose they are, and the job: what no destination is called.
_NAME: Final = "\x1f{many}\x1f{number}\x1f{whose}\x1f{job}\x1f"
_NAMED: Final = re.compile(
    "(?:site |destination )?"
    + _NAME.format(many=r"(\d+)", number=r"\d+", whose="([^\x1f]*)", job="[^\x1f]*")
)


@dataclass(frozen=True, slots=True)
class Lot:
    """Messages that go one way.

    Args:
        name: The destination; of a lot of several, a name that no destination has (`told`).
        like: One of its destinations.
        messages: How many.
        many: Of how many destinations.
        site: The site that they share, "" where each has its own.
    """

    name: str
    like: str
    messages: int
    many: int = 1
    site: str = ""


def weight_for(total: int, steps: int = STEPS) -> int:
    """Return how many messages one id stands for."""
    return max(1, -(-total // steps))


def lots(
    counts: Mapping[str, int],
    place_of: Callable[[str], tuple[str, str]],
    weight: int,
    held: Container[str] = (),
    job: str = "",
) -> list[Lot]:
    """Return a job's lanes as lots.

    Args:
        counts: Messages by destination.
        place_of: The site and the provider of a destination; the provider "" for nobody known.
        weight: Messages that an id stands for.
        held: Sites that are kept apart.
        job: What tells its lots from those of other jobs.
    """
    if weight == 1:
        return [Lot(name, name, count) for name, count in counts.items()]
    found: list[Lot] = []
    small: defaultdict[tuple[str, str], list[tuple[str, int]]] = defaultdict(list)
    for name, count in counts.items():
        if count >= _FEW * weight:
            found.append(Lot(name, name, count))
        else:
            small[place_of(name)].append((name, count))
    smaller: defaultdict[str, list[tuple[str, int]]] = defaultdict(list)
    for (site, provider), members in small.items():
        if site in held or sum(count for _, count in members) >= _FEW * weight:
            found += _together(site, members, _LOT * weight, job, site=site)
        else:
            smaller[provider] += members
    for provider, members in smaller.items():
        found += _together(provider, members, _LOT * weight, job)
    return found


def told(words: str) -> str:
    """Return what was said of lots as people say it: how many destinations, and whose."""
    return _NAMED.sub(_several, words)


def _several(found: re.Match[str]) -> str:
    many, whose = found.groups()
    return f"{many} small destinations" + (f" of {whose}" if whose else "")


def _together(
    whose: str, members: list[tuple[str, int]], most: int, job: str, *, site: str = ""
) -> list[Lot]:
    found: list[Lot] = []
    taken: list[str] = []
    messages = 0
    for at, (name, count) in enumerate(members):
        taken.append(name)
        messages += count
        if messages >= most or at == len(members) - 1:
            lot = _NAME.format(many=len(taken), number=len(found), whose=whose, job=job)
            found.append(Lot(lot, taken[0], messages, len(taken), site))
            taken, messages = [], 0
    return found
