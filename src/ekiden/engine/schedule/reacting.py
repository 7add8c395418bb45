"""Reactions, applied to the scheduler's scopes and taken off again. Pure; `Scheduler.reacting`.

A reaction never loosens anything: it suspends, or adds a limit beside those that hold. What it adds
bears its number, so that its end takes off what it put on and nothing else.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

import msgspec

from ekiden.engine.schedule.gates import Scope
from ekiden.engine.schedule.state import State
from ekiden.engine.schedule.ways import Path, Road
from ekiden.engine.schedule.works import Site
from ekiden.shaping import reactions
from ekiden.shaping.caps import Rate
from ekiden.shaping.ramps import OTHER
from ekiden.shaping.rates import Bucket
from ekiden.shaping.reactions import Act, Reaction
from ekiden.shaping.window import NEVER

_NAME: Final = "reaction "  # how the reason of every suspension by a reaction begins
_SLOWEST: Final = 1 / 60  # messages a second: what a share of nothing comes to


class Reacting:
    """Applies reactions.

    Args:
        state: The scheduler's memory.
    """

    def __init__(self, state: State) -> None:
        self._state = state
        self._live: dict[int, Reaction] = {}
        state.made_path = self._made_path

    def begin_anew(self) -> None:
        """Forget suspensions by reactions that paths and roads remember of the last run.

        Those that still hold are applied again; one that was cancelled meanwhile is not.
        """
        state = self._state
        for name, path in state.learned.items():
            if path.reason.startswith(_NAME):
                state.learned[name] = replace(path, until=0.0, reason="")
        for name, road in state.roads_learned.items():
            if road.reason.startswith(_NAME):
                state.roads_learned[name] = replace(road, until=0.0, reason="")

    def apply(self, reaction: Reaction, now: float) -> Reaction | None:
        """Let a reaction hold; return it as it holds, None when it does not.

        One that switches does not where no other source could take the mail over, and one about a
        job is for others to apply. What a share comes to is settled once: after a restart, or for a
        path that comes back into memory, nothing was taken lately.
        """
        if reaction.act == Act.SWITCH and not self._others(reaction.source):
            return None
        if reaction.act == Act.SLOW and "/" not in reaction.to and not reaction.pace:
            reaction = msgspec.structs.replace(reaction, pace=self._pace(reaction, now))
        self._live[reaction.id] = reaction
        for scope in self._scopes(reaction):
            self._put_on(scope, reaction)
        return reaction

    def lift(self, reaction: Reaction, now: float) -> None:
        """End a reaction; what waited for it may go."""
        if self._live.pop(reaction.id, None) is None:
            return
        for scope in self._scopes(reaction):
            owner = _owner(reaction)
            if scope.extra and owner in scope.extra:
                scope.limit_messages(owner, None)
            scope.squeeze(owner, None)
            if scope.until == reaction.until and scope.reason == _reason(reaction):
                scope.until, scope.reason = NEVER, ""
        self._let_through(now)

    def _let_through(self, now: float) -> None:
        state = self._state
        for site in state.sites.values():
            for work in site.works.values():
                work.held_until = NEVER
            state.poke_all(site)
        for provider in state.providers.values():
            state.poke_all(provider)
        for source in state.sources.values():
            state.poke_all(source)
            for road in source.roads.values():
                state.poke_all(road)
        state.set_timer(state.engine, now)

    def _others(self, source: str) -> bool:
        found = self._state.sources.get(source)
        return found is not None and any(
            other is not found for pool in found.pools for other in pool.sources
        )

    def _scopes(self, reaction: Reaction) -> Iterator[Scope]:
        state = self._state
        match reaction.scope:
            case reactions.Scope.PATH:
                site = state.sites.get(reaction.site)
                path = site.paths.get(reaction.source) if site else None
                if path is not None:
                    yield path
            case reactions.Scope.ROAD:
                source = state.sources.get(reaction.source)
                if source is not None:
                    yield state.road_to(source, reaction.provider)
            case reactions.Scope.SOURCE:
                source = state.sources.get(reaction.source)
                if source is not None:
                    yield source
            case reactions.Scope.PROVIDER:
                yield state.provider(reaction.provider)
            case _:
                return

    def _made_path(self, path: Path) -> None:
        """Let what holds for a path hold for one that has come back into memory."""
        for one in self._live.values():
            if (
                one.scope == reactions.Scope.PATH
                and one.source == path.source.name
                and one.site == path.site.name
            ):
                self._put_on(path, one)

    def _put_on(self, scope: Scope, reaction: Reaction) -> None:
        owner = _owner(reaction)
        match reaction.act:
            case Act.SLOW:
                rate = _rate(reaction)
                scope.limit_messages(owner, Bucket(rate.limit, rate.seconds, f"{rate} ({owner})"))
            case Act.SESSIONS:
                scope.squeeze(owner, int(reaction.to))
            case Act.SUSPEND | Act.SWITCH if reaction.until > scope.until:
                scope.until, scope.reason = reaction.until, _reason(reaction)
            case _:
                pass

    def _pace(self, reaction: Reaction, now: float) -> float:
        """Return the messages a second that a share of what was taken lately comes to."""
        paths = [path for scope in self._scopes(reaction) for path in self._paths(scope)]
        return max(float(reaction.to) * sum(path.speed.taken(now) for path in paths), _SLOWEST)

    def _paths(self, scope: Scope) -> Iterator[Path]:
        if isinstance(scope, Path):
            yield scope
            return
        for site in self._state.sites.values():
            for path in site.paths.values():
                if path.source is scope or site.provider is scope or _is_road(scope, path, site):
                    yield path


def _is_road(scope: Scope, path: Path, site: Site) -> bool:
    provider = OTHER if site.provider is None else site.provider.name
    return (
        isinstance(scope, Road) and scope.source == path.source.name and scope.provider == provider
    )


def _rate(reaction: Reaction) -> Rate:
    return Rate(1, 1.0 / reaction.pace) if reaction.pace else Rate.parse(reaction.to)


def _owner(reaction: Reaction) -> str:
    return f"{_NAME}{reaction.id}"


def _reason(reaction: Reaction) -> str:
    return f"{_NAME}{reaction.id} ({reaction.rule}): {reaction.reply}"
