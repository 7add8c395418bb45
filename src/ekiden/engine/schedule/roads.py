"""Roads (source, provider) from outside: blocks, suspensions, limits, and what is kept of them.

A provider judges an address over all its sites together. When it blocks one, only this road is
closed: the other sources of the pool take the mail over, and the address goes on everywhere else.
Pure; `Scheduler.roads` is its face.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from ekiden.engine.schedule.facts import RoadLearned
from ekiden.engine.schedule.state import State
from ekiden.engine.schedule.ways import Road
from ekiden.engine.schedule.works import Site
from ekiden.shaping.ramps import OTHER, Ramps
from ekiden.shaping.rates import Limit
from ekiden.shaping.window import NEVER


@dataclass(frozen=True, slots=True)
class RoadView:
    """A road, for people. `until` is 0 when nothing holds it."""

    source: str
    provider: str
    sessions: int
    until: float
    reason: str


class Roads:
    """Acts on roads; those that no mail has used yet are made.

    Args:
        state: The scheduler's memory.
    """

    def __init__(self, state: State) -> None:
        self._state = state

    def suspend(self, source: str, provider: str, until: float, reason: str) -> None:
        """Begin and hand out nothing from a source to a provider until a time.

        Other sources of the pool take over; where there are none, the mail waits.

        Args:
            source: Its name; one that is not configured is left alone.
            provider: Its name, `OTHER` for the sites of nobody known.
            until: UNIX seconds, or FOREVER.
            reason: In words; `why` gives them back.
        """
        road = self._find(source, provider)
        if road is not None:
            road.suspend(until, reason)

    def resume(self, source: str, provider: str, now: float) -> None:
        """End a suspension or a block; what waited for it may go."""
        road = self._find(source, provider)
        if road is None:
            return
        road.until, road.reason, road.refusals = NEVER, "", 0
        self._let_through(provider, now)

    def blocked(self, source: str, site: str, now: float, since: float, reason: str) -> bool:
        """Learn that a site refuses a source; the road is closed, longer each time in a row.

        A site of nobody known speaks for itself alone, and its path is paused anyhow.

        Args:
            source: Its name.
            site: The site's name.
            now: UNIX seconds.
            since: When what was refused was begun: one block refuses many at once.
            reason: The reply in words.

        Returns:
            Whether that was news.
        """
        found = self._state.sites.get(site)
        if found is None or found.provider is None:
            return False
        road = self._find(source, found.provider.name)
        return road is not None and road.blocked(now, since, reason, self._state.jitter())

    def limit(
        self, source: str, provider: str, owner: str, limiter: Limit | None, now: float
    ) -> None:
        """Let a limit hold over the messages of a road beside its others, or no longer.

        Args:
            source: Its name.
            provider: Its name.
            owner: Who sets it: one limit each.
            limiter: The limit, kept by its owner; None to take it away.
            now: UNIX seconds.
        """
        road = self._find(source, provider)
        if road is not None:
            road.limit_messages(owner, limiter)
            self._let_through(provider, now)

    def warm_up(self, ramps: Ramps | None, now: float) -> None:
        """Let every road be limited by its ramp, if it has one; again after ramps came or went.

        Args:
            ramps: All warm-ups; they belong to the scheduler from now on.
            now: UNIX seconds.
        """
        self._state.ramps = ramps
        for road in self._every():
            ramp = None if ramps is None else ramps.of(road.source, road.provider)
            if ramp is not road.ramp:
                road.warm_up(ramp)
        for provider in {road.provider for road in self._every()}:
            self._let_through(provider, now)

    def provider_of(self, site: str) -> str | None:
        """Return the provider of a site, `OTHER` for nobody known; None if it is not in memory."""
        found = self._state.sites.get(site)
        return None if found is None else _provider(found)

    def views(self, now: float) -> list[RoadView]:
        """Return the roads that are in use or held up."""
        return [
            RoadView(
                road.source,
                road.provider,
                road.sessions,
                max(road.until, 0.0) if road.until > now else 0.0,
                road.reason if road.until > now else "",
            )
            for road in self._every()
            if road.sessions or road.until > now
        ]

    def learned(self) -> dict[str, RoadLearned]:
        """Return what is known of each road ("SOURCE to PROVIDER"), to be kept across restarts."""
        met = {
            road.name: RoadLearned(max(road.until, 0.0), road.reason, road.refusals)
            for road in self._every()
            if road.refusals or road.until > 0
        }
        return {**self._state.roads_learned, **met}

    def recall(self, learned: Mapping[str, RoadLearned]) -> None:
        """Continue from what was kept; for roads that have not been met yet."""
        self._state.roads_learned.update(learned)

    def _every(self) -> Iterator[Road]:
        for source in self._state.sources.values():
            yield from source.roads.values()

    def _find(self, source: str, provider: str) -> Road | None:
        found = self._state.sources.get(source)
        return None if found is None else self._state.road_to(found, provider)

    def _let_through(self, provider: str, now: float) -> None:
        """Let everything look for itself that waits for a road to a provider."""
        state = self._state
        state.unpark()
        for source in state.sources.values():
            road = source.roads.get(provider)
            if road is not None:
                road.place = NEVER
                state.poke_all(road)
                state.set_timer(road, now)
        for site in state.sites.values():
            if _provider(site) == provider:
                for work in site.works.values():
                    work.held_until = NEVER
                state.poke_all(site)


def _provider(site: Site) -> str:
    return OTHER if site.provider is None else site.provider.name
