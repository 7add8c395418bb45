"""Sites: the sets of MX hosts behind destinations, and the names they are known by.

Two destinations belong to one site exactly when the same hosts take their mail, so a site's name is
made of nothing but its hosts: `(alt1|alt2)?.mx.example.net` reads as the set it stands for. The
common suffix is written once, as KumoMTA does it, but the alternatives are whole prefixes, never
label by label: `(a|b).(x|y).net` could be two different sets, and two sites must not share caps by
accident. Host names hold none of `( | ) ? ,`, so the set can be read back from the name.
"""

import hashlib
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter
from typing import Final

from ekiden.smtp.outcome import Broke

_NAME_CHARACTERS: Final = 200  # of a site's name; a longer one ends in a digest
_SUFFIX_LABELS: Final = 2  # `.com` alone is no family


@dataclass(frozen=True, slots=True, order=True)
class MxHost:
    """One host that takes mail; lower preference is tried first."""

    preference: int
    name: str


@dataclass(frozen=True, slots=True)
class Site:
    """Where a destination's mail goes.

    Args:
        name: The same for destinations with the same set of hosts, port and route.
        hosts: Best first; those of equal preference in an order that changes from answer to answer
            (RFC 5321 section 5.1).
        port: TCP port.
        route: The pattern of the static route that led here, "" for DNS.
        until: When to ask again, UNIX seconds; infinity for a route.
    """

    name: str
    hosts: tuple[MxHost, ...]
    port: int = 25
    route: str = ""
    until: float = float("inf")


@dataclass(frozen=True, slots=True)
class Unresolved:
    """No host takes the mail, or none could be found.

    Args:
        outcome: Why; its stage is RESOLVE.
        until: When to ask again, UNIX seconds.
    """

    outcome: Broke
    until: float


def site_name(hosts: Iterable[str], port: int = 25) -> str:
    """Return the name of the site that these hosts make, whatever their order."""
    name = _folded(sorted(set(hosts)))
    if len(name) > _NAME_CHARACTERS:
        digest = hashlib.sha256(name.encode("ascii", "backslashreplace")).hexdigest()[:32]
        name = f"{name[: _NAME_CHARACTERS - 33]}~{digest}"
    return name if port == 25 else f"{name}:{port}"


def given(hosts: Sequence[str]) -> Site:
    """Return the site that hosts make which somebody names, without a look-up.

    Args:
        hosts: Their names, the best first; a dot at the end and capitals do not count.
    """
    names = [host.lower().rstrip(".") for host in hosts]
    return Site(site_name(names), tuple(MxHost(at, name) for at, name in enumerate(names)))


def _folded(hosts: Sequence[str]) -> str:
    if len(hosts) == 1:
        return hosts[0]
    labels = [host.split(".")[::-1] for host in hosts]
    common = 0
    for column in zip(*labels, strict=False):
        if len(set(column)) > 1:
            break
        common += 1
    if common < _SUFFIX_LABELS:
        return f"({'|'.join(hosts)})"
    suffix = ".".join(labels[0][:common][::-1])
    prefixes = [".".join(parts[common:][::-1]) for parts in labels]
    bare = "?" if "" in prefixes else ""  # the suffix is itself a host
    return f"({'|'.join(prefix for prefix in prefixes if prefix)}){bare}.{suffix}"


def shuffled(hosts: Sequence[MxHost], rng: random.Random) -> tuple[MxHost, ...]:
    """Return `hosts`, best first, those of equal preference in random order (RFC 5321 5.1)."""
    mixed: list[MxHost] = []
    for _, equals in groupby(sorted(hosts), key=attrgetter("preference")):
        group = list(equals)
        rng.shuffle(group)
        mixed.extend(group)
    return tuple(mixed)
