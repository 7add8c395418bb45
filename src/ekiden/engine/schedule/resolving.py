"""Where mail goes: asking for it, and what an answer changes."""

from typing import Final

from ekiden.engine.schedule import loading
from ekiden.engine.schedule.facts import (
    Action,
    Resolve,
    SiteFacts,
)
from ekiden.engine.schedule.state import State
from ekiden.engine.schedule.works import Destination, Site
from ekiden.shaping.ramps import OTHER
from ekiden.shaping.window import NEVER

RESOLVE_AGAIN: Final = 30.0  # the least seconds that an answer serves, whatever its life


def again(state: State, now: float) -> None:
    """Ask anew where every destination goes; what is known serves until the answer is there."""
    state.trouble.clear()
    state.unpark()
    for site in state.sites.values():
        for work in site.works.values():
            work.held_until = NEVER
        state.poke_all(site)
    for destination in state.destinations.values():
        destination.stale_at = min(destination.stale_at, now)
        state.wake_destination(destination, now)


def resolved(state: State, name: str, facts: SiteFacts, now: float) -> None:
    """Learn where a destination's mail goes; answers a `Resolve`, or renews it."""
    destination = state.destinations.get(name)
    if destination is None:
        return
    _answered(state, destination)
    state.trouble.pop(name, None)
    destination.dead = facts.dead
    destination.stale_at = max(facts.until, now + RESOLVE_AGAIN)
    state.set_caps(destination, facts.destination_caps)
    if facts.dead is not None:
        _leave(state, destination)
        for lane in list(destination.lanes.values()):
            loading.refuse_dead(state, lane, now)
        return
    _settle_in(state, destination, facts, now)
    state.set_timer(destination, destination.stale_at)
    state.rest(destination)


def _answered(state: State, destination: Destination) -> None:
    if destination.asked:
        destination.asked = False
        state.resolving = max(0, state.resolving - 1)


def _leave(state: State, destination: Destination) -> None:
    for lane in destination.lanes.values():
        state.detach(lane)
    state.leave_site(destination)


def _settle_in(state: State, destination: Destination, facts: SiteFacts, now: float) -> None:
    site = state.site(facts.name, facts.provider)
    if destination.site is not site:
        site.destinations += 1
        _leave(state, destination)
        destination.site = site
        for lane in list(destination.lanes.values()):
            state.attach(lane, now)
    site.hosts = facts.hosts
    _raise_caps(state, site, facts, now)
    state.unstick_destination(destination)


def _raise_caps(state: State, site: Site, facts: SiteFacts, now: float) -> None:
    if site.caps != facts.site_caps:
        state.set_caps(site, facts.site_caps)
        state.poke_all(site)
    provider = site.provider
    # While mail waits for it a site keeps its provider, whatever another of its destinations says.
    if provider is None or provider.name != facts.provider:
        return
    if provider.caps != facts.provider_caps:
        state.set_caps(provider, facts.provider_caps)
        state.poke(provider, now)


def belongs(state: State, name: str, provider: str, now: float) -> None:
    """Give a site another provider while mail waits for it: a new configuration says so.

    Sessions that are open count where they began, and take nothing more.

    Args:
        state: The scheduler's.
        name: The site.
        provider: Its provider, "" for nobody known.
        now: UNIX seconds.
    """
    site = state.sites.get(name)
    if site is None or (site.provider.name if site.provider else "") == provider:
        return
    before, site.provider = site.provider, state.provider(provider) if provider else None
    for source in state.sources.values():
        road = source.roads.get(OTHER if before is None else before.name)
        if road is not None:
            state.poke_all(road)
    if before is not None:
        state.poke_all(before)
    state.poke_all(site)
    state.set_timer(site, now)


def unresolved(state: State, name: str, until: float, reason: str, now: float) -> None:
    """Learn that a destination's site cannot be found before `until`; its lanes are parked."""
    destination = state.destinations.get(name)
    if destination is None:
        return
    _answered(state, destination)
    if destination.site is not None:
        # The old answer serves until there is a new one: DNS trouble must not stop mail.
        destination.stale_at = max(until, now + RESOLVE_AGAIN)
        state.set_timer(destination, destination.stale_at)
        state.rest(destination)
        return
    state.trouble[name] = (until, reason)
    while len(state.trouble) > state.options.resolved_max:
        state.trouble.popitem(last=False)
    for lane in list(destination.lanes.values()):
        state.drop(lane, until)
    state.rest(destination)


def ask(state: State, result: list[Action], budget: int) -> None:
    """Ask where destinations are, some at a time."""
    while (
        state.unresolved and state.resolving < state.options.resolving_max and len(result) < budget
    ):
        destination = state.unresolved.popleft()
        if not destination.lanes:
            destination.asked = False
            state.rest(destination)
            continue
        state.resolving += 1
        result.append(Resolve(destination.name))
