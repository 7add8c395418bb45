"""All warm-ups: which source warms up at which provider, by which plan. Pure.

The configuration says it by patterns; a person says it by hand, for one provider or for all of a
source's, and what was said by hand holds. A source that neither mentions is taken for warm. States
of sources that are gone are kept: whoever comes back under the same name goes on, or begins again
after the silence.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from typing import Final

from ekiden.errors import NotFoundError, RefusedError
from ekiden.shaping.evidence import Evidence, Verdict
from ekiden.shaping.plans import Plan, shipped
from ekiden.shaping.warmup import Ramp, RampOptions, RampState, RampView, Turn

OTHER: Final = "other"  # the provider of the sites that belong to nobody known
ALL: Final = "*"  # the provider of what was said by hand for all providers of a source


@dataclass(frozen=True, slots=True)
class Assigned:
    """What the configuration says: these sources warm up at these providers by this plan."""

    source: str  # with the wildcards of fnmatch, as is provider
    provider: str
    plan: str


@dataclass(frozen=True, slots=True)
class WarmupOptions:
    """How sources are warmed up.

    Args:
        assigned: Who warms up; the first that matches decides.
        plans: By name.
        ramp: How days are counted and judged.
        overflow: What exceeds the allowances of a pool's cold sources leaves from its warm ones.
    """

    assigned: tuple[Assigned, ...] = ()
    plans: Mapping[str, Plan] = field(default_factory=shipped)
    ramp: RampOptions = field(default_factory=RampOptions)
    overflow: bool = True


class Ramps:
    """Makes and keeps the ramps.

    Args:
        options: From the configuration.
    """

    def __init__(self, options: WarmupOptions | None = None) -> None:
        self.options = options or WarmupOptions()
        self._ramps: dict[tuple[str, str], Ramp] = {}
        self._kept: dict[tuple[str, str], RampState] = {}  # of roads not met yet; ALL by hand

    @property
    def any(self) -> bool:
        """Whether there is a ramp at all."""
        return bool(self._ramps)

    def of(self, source: str, provider: str) -> Ramp | None:
        """Return the ramp of a road; None when the source is warm and always was."""
        key = (source, provider)
        found = self._ramps.get(key)
        if found is not None:
            return found
        state = self._kept.pop(key, None)
        if state is None:
            state = self._new(source, provider)
        if state is None:
            return None
        plan = self._plan_of(key, state)
        ramp = self._ramps[key] = Ramp(source, provider, plan, self.options.ramp, state)
        return ramp

    def _new(self, source: str, provider: str) -> RampState | None:
        said = self._kept.get((source, ALL))
        if said is not None:
            return RampState(said.plan, held=said.held, done=said.done, verdict=said.verdict)
        name = self._assigned(source, provider)
        return RampState(name) if name else None

    def _assigned(self, source: str, provider: str) -> str:
        for one in self.options.assigned:
            if fnmatchcase(source, one.source) and fnmatchcase(provider, one.provider):
                return one.plan
        return ""

    def _plan_of(self, key: tuple[str, str], state: RampState) -> Plan:
        """Return the plan of a state; one that is no longer there gives way to the assigned one."""
        plans = self.options.plans
        name = state.plan if state.plan in plans else self._assigned(*key)
        return plans.get(name) or plans["cautious"]

    def reconfigure(self, options: WarmupOptions) -> None:
        """Take over a new configuration; stages and counts stay."""
        before, self.options = self.options, options
        for key, ramp in list(self._ramps.items()):
            old = next((one.plan for one in before.assigned if _is(one, key)), "")
            name = self._assigned(*key)
            state = ramp.state
            if not name and old == state.plan and not state.last:
                del self._ramps[key]  # the configuration no longer asks for it, and it sent nothing
                continue
            # What was said by hand holds; what the configuration said follows the configuration.
            plan = name if name and state.plan == old else state.plan
            ramp.reconfigure(self._plan_of(key, replace(state, plan=plan)), options.ramp)

    def note(self, source: str, provider: str, evidence: Evidence) -> None:
        """Learn what came back from a road."""
        ramp = self.of(source, provider)
        if ramp is not None:
            ramp.note(evidence)

    def came_back(self, totals: Mapping[str, tuple[int, int]]) -> None:
        """Learn of bounces and complaints that came later.

        Args:
            totals: How many of each have ever come, by road ("SOURCE to PROVIDER").
        """
        for road, (bounced, complained) in totals.items():
            source, _, provider = road.rpartition(" to ")
            ramp = self.of(source, provider)
            if ramp is not None:
                ramp.came_back(bounced, complained)

    # --- people -----------------------------------------------------------------------------------

    def start(
        self, source: str, providers: Sequence[str], plan: str, now: float, *, everywhere: bool
    ) -> None:
        """Begin a warm-up, or let one that is held go on.

        Args:
            source: The source.
            providers: At which providers.
            plan: Its name; "" for the one that it has, or "cautious".
            now: UNIX seconds.
            everywhere: Providers that are met later are meant, too.

        Raises:
            NotFoundError: There is no such plan.
        """
        plans = self.options.plans
        if plan and plan not in plans:
            raise NotFoundError(
                f"there is no plan {plan!r}", where="warm-up", remedy=f"use {', '.join(plans)}"
            )
        for provider in providers:
            ramp = self.of(source, provider)
            if ramp is not None and ramp.state.held and not plan:
                ramp.hold(now, held=False)
                continue
            name = plan or self._assigned(source, provider) or "cautious"
            if ramp is None:
                key = (source, provider)
                ramp = Ramp(source, provider, plans[name], self.options.ramp)
                self._ramps[key] = ramp
            ramp.start(now, plans[plan] if plan else None)
        if everywhere:
            name = plan or self._assigned(source, ALL) or "cautious"
            self._kept[source, ALL] = RampState(name, verdict=Verdict.AGAIN)

    def hold(self, source: str, providers: Sequence[str], now: float, *, everywhere: bool) -> None:
        """Pass no day of a warm-up until it is started again.

        Raises:
            RefusedError: Nothing of it warms up.
        """
        found = [ramp for ramp in self._those(source, providers) if ramp.cold]
        if not found:
            raise _warm(source)
        for ramp in found:
            ramp.hold(now, held=True)
        said = self._kept.get((source, ALL))
        if everywhere and said is not None:
            self._kept[source, ALL] = replace(said, held=True)

    def skip(
        self,
        source: str,
        providers: Sequence[str],
        stage: int | None,
        now: float,
        *,
        everywhere: bool,
    ) -> None:
        """Go on at another day of the plan, or end the warm-up.

        Args:
            source: The source.
            providers: At which providers.
            stage: From 0; None when it is warm.
            now: UNIX seconds.
            everywhere: Providers that are met later are meant, too.

        Raises:
            RefusedError: Nothing of it warms up.
        """
        found = self._those(source, providers)
        if not found:
            raise _warm(source)
        for ramp in found:
            ramp.skip(now, stage)
        if everywhere and stage is None:
            self._kept[source, ALL] = RampState("cautious", done=True, verdict=Verdict.WARM)

    def _those(self, source: str, providers: Iterable[str]) -> list[Ramp]:
        found = (self.of(source, provider) for provider in providers)
        return [ramp for ramp in found if ramp is not None]

    # --- views and state --------------------------------------------------------------------------

    def views(self, sources: Iterable[str], providers: Sequence[str], now: float) -> list[RampView]:
        """Return the ramp of every source at every provider that has one."""
        return [ramp.view(now) for source in sources for ramp in self._those(source, providers)]

    def turns(self) -> list[Turn]:
        """Return the days that have ended since the last call, and take them away."""
        found = [turn for ramp in self._ramps.values() for turn in ramp.turns]
        for ramp in self._ramps.values():
            ramp.turns.clear()
        return found

    def tick(self, now: float) -> None:
        """Let the calendar go on for ramps that carry nothing now."""
        for ramp in self._ramps.values():
            ramp.turn(now)

    def moved(self) -> dict[str, RampState]:
        """Return the states that have changed since the last call, by road."""
        found = {}
        for (source, provider), ramp in self._ramps.items():
            if ramp.moved:
                ramp.moved = False
                found[_name(source, provider)] = ramp.state
        for (source, provider), state in self._kept.items():
            if provider == ALL:
                found[_name(source, provider)] = state
        return found

    def states(self) -> dict[str, RampState]:
        """Return every state, by road ("SOURCE to PROVIDER")."""
        kept = {_name(*key): state for key, state in self._kept.items()}
        return kept | {_name(*key): ramp.state for key, ramp in self._ramps.items()}

    def recall(self, states: Mapping[str, RampState]) -> None:
        """Continue from what was kept, whatever was known of these roads before."""
        for name, state in states.items():
            source, _, provider = name.rpartition(" to ")
            self._ramps.pop((source, provider), None)
            self._kept[source, provider] = state


def _is(one: Assigned, key: tuple[str, str]) -> bool:
    return fnmatchcase(key[0], one.source) and fnmatchcase(key[1], one.provider)


def _name(source: str, provider: str) -> str:
    return f"{source} to {provider}"


def _warm(source: str) -> RefusedError:
    return RefusedError(
        f"nothing of the source {source!r} warms up",
        where="warm-up",
        remedy=f"begin it: ekiden warmup start {source}",
    )
