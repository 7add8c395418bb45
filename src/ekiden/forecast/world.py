"""The world of a forecast: where destinations are, what is allowed there, how paths answer.

What is not known is assumed: a destination that was not looked up goes to the provider that its
name matches, or to a site of its own; a path that was never used answers like the others do.
"""

from collections.abc import Mapping
from dataclasses import replace
from statistics import fmean
from typing import Any, Final

import msgspec

from ekiden import settings
from ekiden.config import Config
from ekiden.engine.capsbook import CapsBook, profiles
from ekiden.engine.routes import RouteTable
from ekiden.engine.schedule.facts import FOREVER, Learned, SiteFacts
from ekiden.engine.sites import MxHost, Site
from ekiden.forecast.coarse import Lot, lots
from ekiden.forecast.model import Facts, Load
from ekiden.forecast.simulate import Timing
from ekiden.queue.memory import Kind
from ekiden.shaping.caps import NO_CAPS, Caps, Rate
from ekiden.shaping.ramps import OTHER
from ekiden.shaping.reactions import Reaction
from ekiden.shaping.retries import Deferrals

_FEW_TRIES: Final = 10.0  # later tries below which they are taken to go like first ones
UNMEASURED: Final = Timing(opening=0.5, seconds=0.2)  # ours: a far receiver in good health


def decoded(memory: Mapping[str, Mapping[str, str]], kind: Kind, shape: Any) -> dict[str, Any]:
    """Return what the engine keeps of a kind, by name."""
    kept = memory.get(kind, {})
    return {name: msgspec.json.decode(text, type=shape) for name, text in kept.items()}


class Map:
    """Where the mail of destinations goes: looked up once, for all runs of an estimate."""

    def __init__(self, config: Config, facts: Facts) -> None:
        self.config = config
        self.facts = facts
        self.book = CapsBook(config, profiles(config))
        self.provider_at: dict[str, str] = {}  # by site
        self._routes = RouteTable(settings.routes_without_passwords(config))
        self._found: dict[str, tuple[Site, str]] = {}

    def site(self, destination: str) -> tuple[Site, str]:
        """Return where a destination's mail goes, and the provider there, "" for nobody known."""
        found = self._found.get(destination)
        if found is None:
            said = self.facts.sites.get(destination)
            route = None if said is not None else self._routes.find(destination)
            if route is not None:
                site = route.site(destination)
            elif said is None:
                site = Site(destination, ())
            else:
                hosts = tuple(MxHost(0, host) for host in said.hosts)
                site = Site(said.name, hosts, said.port, said.route)
            provider = self.book.provider(destination, site)
            found = self._found[destination] = (site, provider)
            self.provider_at[site.name] = provider
        return found


class World:
    """Sites, caps and times of destinations and lots."""

    def __init__(self, places: Map) -> None:
        config, facts = places.config, places.facts
        self._book = places.book
        self._site = places.site
        self._lots: dict[str, Lot] = {}
        self._merged: dict[str, float] = {}  # lots of several: messages for one of their sessions
        self.learned: dict[str, Learned] = decoded(facts.memory, Kind.PATH, Learned)
        self._held = _held_sites(facts, self.learned)
        self._window = settings.scheduling(config).window
        self._sources = [one.name for one in settings.source_facts(config)]
        self._provider = places.provider_at
        self._deferred = _deferred(facts.memory)
        tries = decoded(facts.memory, Kind.RETRIES, Deferrals)
        self._tries: dict[str, Deferrals] = {_known(name): one for name, one in tries.items()}
        self._common = _common([one for one in self.learned.values() if one.each > 0])
        self._of_provider: dict[str, Timing] = {}

    def lots_of(self, load: Load, weight: int, job: str) -> dict[str, tuple[str, int]]:
        """Return a job's lanes, small ones put together: by name, the provider and the number."""
        made = {}
        for lot in lots(load.lanes, self._place, weight, self._held, job):
            self._lots[lot.name] = lot
            made[lot.name] = (self._site(lot.like)[1], lot.messages)
            if lot.many > 1 and not lot.site:
                self._merge(lot.name, lot)
        return made

    def _place(self, destination: str) -> tuple[str, str]:
        site, provider = self._site(destination)
        return site.name, provider

    def _merge(self, name: str, lot: Lot) -> None:
        """Give a lot of several destinations the windows of all their paths together."""
        size = float(lot.many * self._window.start)
        for source in self._sources:
            self.learned[f"{source} to {name}"] = Learned([size, -1, 0.0, self._window.interval])
        self._provider[name] = self._site(lot.like)[1]

    def facts_of(self, name: str) -> SiteFacts:
        """Return what the scheduler is told of a destination or a lot."""
        lot = self._lots.get(name) or Lot(name, name, 1)
        found = self._book.facts(lot.like, self._site(lot.like)[0])
        if lot.site:
            caps = _widened(found.destination_caps, lot.many)
            return replace(found, destination_caps=caps, until=FOREVER)
        if lot.many == 1:
            return replace(found, until=FOREVER)
        per_session = found.site_caps.messages_per_session or lot.messages
        self._merged[name] = max(1.0, min(lot.messages / lot.many, per_session))
        return replace(
            found,
            name=name,
            destination_caps=NO_CAPS,
            site_caps=_widened(found.site_caps, lot.many),
            until=FOREVER,
            hosts=(),
        )

    def timing_of(self, source: str, site: str) -> Timing:
        """Return how a path answers."""
        provider = self._provider.get(site, "")
        one = self.learned.get(f"{source} to {site}")
        if one is not None and one.each > 0:
            timing = Timing(one.opening or self._common.opening, one.each)
        else:
            timing = self._like(provider)
        timing = self._with_deferrals(timing, provider)
        each = self._merged.get(site)
        if each is not None:  # a session there stands for several, each dialled
            timing = replace(timing, opening=0.0, seconds=timing.seconds + timing.opening / each)
        return timing

    def _with_deferrals(self, timing: Timing, provider: str) -> Timing:
        tries = self._tries.get(provider)
        if tries is None or not tries.known:
            share = self._deferred.get(provider, 0.0)
            return replace(timing, deferred=share, again=share)
        first, later = tries.first, tries.later
        again = later.share if later.tried >= _FEW_TRIES else first.share
        waits = first.wait, later.wait
        return replace(timing, deferred=first.share, again=again, waits=waits, brief=tries.brief)

    def _like(self, provider: str) -> Timing:
        """Return how the paths to a provider answer, or all paths."""
        found = self._of_provider.get(provider)
        if found is None:
            mine = [
                one
                for name, one in self.learned.items()
                if one.each > 0 and provider and self._is(name, provider)
            ]
            found = self._of_provider[provider] = _common(mine) if mine else self._common
        return found

    def _is(self, path: str, provider: str) -> bool:
        return self._provider.get(path.partition(" to ")[2]) == provider


def _held_sites(facts: Facts, learned: Mapping[str, Learned]) -> frozenset[str]:
    """Return the sites of which a path is paused, slowed by what it found, or under a reaction."""
    paths = {name for name, one in learned.items() if one.until > facts.now or one.speed}
    reactions = decoded(facts.memory, Kind.REACTION, Reaction).values()
    sites = {one.site for one in reactions if one.site}
    return frozenset({*sites, *(name.partition(" to ")[2] for name in paths)})


def _widened(caps: Caps, many: int) -> Caps:
    """Return what several sites allow together."""
    return Caps(
        sessions=None if caps.sessions is None else caps.sessions * many,
        messages=tuple(Rate(rate.limit * many, rate.seconds) for rate in caps.messages),
        connections=tuple(Rate(rate.limit * many, rate.seconds) for rate in caps.connections),
    )


def _common(learned: list[Learned]) -> Timing:
    if not learned:
        return UNMEASURED
    openings = [one.opening for one in learned if one.opening > 0]
    return Timing(
        fmean(openings) if openings else UNMEASURED.opening,
        fmean(one.each for one in learned),
    )


def _deferred(memory: Mapping[str, Mapping[str, str]]) -> dict[str, float]:
    """Return the share of attempts that each provider deferred lately."""
    found = {}
    for provider, (tried, deferred) in decoded(memory, Kind.HOURS, list[list[float]]).items():
        if sum(tried) > 0:
            found[_known(provider)] = sum(deferred) / sum(tried)
    return found


def _known(provider: str) -> str:
    """Return the name that the forecast has for a provider: "" for nobody known."""
    return "" if provider == OTHER else provider
