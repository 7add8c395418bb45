"""Whose caps hold for a session at a site: its set's, else its source's, else the site's. Pure.

`default < provider < site < destination < source < configuration set`, key by key: what a later
layer says takes the place of what the earlier ones say, be it more or less. The first four meet in
the caps of the site and of the destination (`engine.capsbook`). What a source or a set says depends
on who sends, so each has a scope of its own at the site, and a session takes its seat, and counts
its messages, at the latest of the three that says something.

All else holds for every session: caps of the provider, the road, the source and the engine; what
receivers have shown (windows, found rates, reactions); what a person suspends.
"""

from typing import NamedTuple

from ekiden.engine.schedule.facts import FOREVER
from ekiden.engine.schedule.gates import Scope, closed_by_rate
from ekiden.engine.schedule.ways import Path
from ekiden.engine.schedule.works import Work


class Free(NamedTuple):
    """Of which caps of the site and the destination a session is free: others hold for it."""

    sessions: bool = False
    messages: bool = False


BOUND = Free()


def has_own(work: Work) -> bool:
    """Whether the set or any source of a work says something of its own about sites."""
    return work.own is not None or any(source.path_caps.said for source in work.pool.sources)


def seat_of(work: Work, path: Path) -> Scope:
    """Return the scope whose cap on sessions holds."""
    for scope in (work.own, path.own):
        if scope is not None and scope.caps.sessions is not None:
            return scope
    return work.site


def meter_of(work: Work, path: Path) -> Scope:
    """Return the scope whose message rates hold."""
    for scope in (work.own, path.own):
        if scope is not None and scope.caps.messages:
            return scope
    return work.site


def free_of(work: Work, path: Path) -> Free:
    """Return of what a session of a work on a path is free."""
    if work.own is None and path.own is None:
        return BOUND
    site = work.site
    return Free(seat_of(work, path) is not site, meter_of(work, path) is not site)


def messages_per_session(work: Work, path: Path) -> int | None:
    """Return the messages on one connection that the set or the source says, None if neither."""
    for scope in (work.own, path.own):
        if scope is not None and scope.caps.messages_per_session is not None:
            return scope.caps.messages_per_session
    return None


def open_at(work: Work, path: Path, now: float) -> float:
    """Return when the scopes that hold in the site's place let one more session begin."""
    if seat_of(work, path).full():
        return FOREVER
    meter = meter_of(work, path).messages
    if meter is None:
        return now
    return max(now, meter.opens_at(now, path.ahead, alone=path.staying == 0))


def closed_because(work: Work, path: Path, now: float) -> tuple[str, float] | None:
    """Return why they do not, in words, and until when; None if they do."""
    seat, rates = seat_of(work, path), meter_of(work, path)
    if seat.full():
        return f"{seat.staying} of {seat.most} sessions of {seat}", FOREVER
    return closed_by_rate(rates, path.ahead, now, alone=path.staying == 0)
