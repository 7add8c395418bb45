"""Whether a job with a deadline has time to wait for a better hour. Pure.

`shaping.hours` knows which hours are better, and lets waiting take a third of the time until the
deadline. That is the time of a job whose mail goes out in no time; of a large one a part of it is
spoken for: what waits for the provider, at the rates and sessions it has, half as long again. What
is left counts. A job that needs all of its time never waits.
"""

from collections import Counter
from typing import Final

from ekiden.engine.schedule.gates import Scope
from ekiden.engine.schedule.overflow import COUNT_AGAIN
from ekiden.engine.schedule.state import State
from ekiden.engine.schedule.works import Job, Site

_SPARE: Final = 1.5  # times what the rest takes that are kept for it
_EACH: Final = 0.2  # seconds a message, where that was not measured
_KEPT_MOST: Final = 1_000  # answers


def better_at(state: State, site: Site, job: Job, now: float) -> float:
    """Return when the better hour begins that a job's mail to a site waits for; `now` for none."""
    provider, deadline = site.provider, job.facts.deliver_by
    if provider is None or deadline is None:
        return now
    at = state.hours.better_at(provider.name, now, deadline)
    if at <= now:
        return now
    return state.hours.better_at(
        provider.name, now, deadline - _SPARE * _takes(state, site, job, now)
    )


def _takes(state: State, site: Site, job: Job, now: float) -> float:
    """Return the seconds that a job's mail to a site's provider takes, about."""
    assert site.provider is not None  # noqa: S101 - asked by who calls
    key = job.facts.id, site.provider.name
    kept = state.takes.get(key)
    if kept is not None and kept[0] <= now < kept[0] + COUNT_AGAIN:
        return kept[1]
    if len(state.takes) >= _KEPT_MOST:
        state.takes.clear()
    found = _counted(state, site, job, now)
    state.takes[key] = now, found
    return found


def _counted(state: State, site: Site, job: Job, now: float) -> float:
    waiting: Counter[Site] = Counter()
    for lane in job.lanes.values():
        there = lane.destination.site
        if there is not None and there.provider is site.provider:
            waiting[there] += max(lane.ahead, len(lane.items))
    total = sum(waiting.values())
    if now < state.crowded_until:  # more lies in the queue than is known here
        total = max(total, job.facts.total)
    pool = state.pool(job.facts.pool).sources
    rates = [_rate(source) for source in pool]
    takes = total / sum(rates) if rates else 0.0
    takes = max(takes, total / _rate(site.provider), total / _pace(job))
    for one, messages in waiting.items():
        takes = max(takes, messages / _rate(one), messages / _speed(one))
    return takes


def _rate(scope: Scope | None) -> float:
    """Return the messages a second that a scope's own rates let through."""
    if scope is None:
        return float("inf")
    return min((one.limit / one.seconds for one in scope.caps.messages), default=float("inf"))


def _pace(job: Job) -> float:
    pace = job.facts.pace
    return float("inf") if pace is None else pace.messages / pace.seconds


def _speed(site: Site) -> float:
    """Return the messages a second that a site's sessions take, as far as they were measured."""
    found = 0.0
    for path in site.paths.values():
        speed = path.limit() / (path.each or _EACH)
        found += speed if path.speed.rate is None else min(speed, path.speed.rate)
    return found or 1 / _EACH
