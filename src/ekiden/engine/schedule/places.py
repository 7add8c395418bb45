"""Everything that has a name: made when it is first met, remembered when it is forgotten.

Sources, pools, sites, providers, destinations, paths and roads. What nobody uses leaves memory, the
one unused the longest first; what was learned and counted of it stays, and is given back to the
next of that name.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterable
from fnmatch import fnmatchcase

from ekiden.engine.schedule.facts import (
    Counts,
    Learned,
    RoadLearned,
    SchedulerOptions,
    SourceFacts,
)
from ekiden.engine.schedule.gates import Scope
from ekiden.engine.schedule.ways import Path, Pool, Road, Source
from ekiden.engine.schedule.works import Destination, Jitter, Job, Round, Site, Work
from ekiden.shaping.caps import NO_CAPS, Caps
from ekiden.shaping.hours import Hours
from ekiden.shaping.ramps import OTHER, Ramps


class Places:
    """The ground floor of `state.State`: what there is, by name.

    Args:
        options: How the scheduler behaves.
        jitter: Draws a number from 0 to 1.
    """

    def __init__(self, options: SchedulerOptions, jitter: Jitter) -> None:
        self.options = options
        self.jitter = jitter
        self.engine = Scope("engine", "", options.caps, options.bulk_turns)
        self.jobs: dict[int, Job] = {}
        self.rounds: dict[int, Round] = {}  # of jobs with siblings and a pace, by the job's id
        self.destinations: dict[str, Destination] = {}
        self.resting: OrderedDict[str, Destination] = OrderedDict()  # resolved, without lanes
        self.sites: dict[str, Site] = {}
        self.providers: dict[str, Scope] = {}
        self.sources: dict[str, Source] = {}
        self.pools: dict[str, Pool] = {}
        self.sets: dict[str, Caps] = dict(options.sets)  # what sets say in place of sites
        self.suspensions: dict[str, tuple[float, str]] = {}
        self.learned: OrderedDict[str, Learned] = OrderedDict()  # of paths not in memory
        self.ramps: Ramps | None = None  # all warm-ups
        self.hours = Hours()
        self.roads_learned: dict[str, RoadLearned] = {}  # of roads not in memory
        self.counts: OrderedDict[str, Counts] = OrderedDict()  # of scopes not in memory
        self.unsaved: dict[str, Counts] = {}  # of which, those that nobody has written down
        self.made_path: Callable[[Path], None] = lambda _: None
        self.set_sources(options.sources)

    # --- Sources ----------------------------------------------------------------------------------

    def set_sources(self, facts: Iterable[SourceFacts]) -> None:
        """Take over the sources; those that are gone begin no more sessions."""
        turns = self.options.bulk_turns
        for pool in self.pools.values():
            pool.sources.clear()
        for fact in facts:
            source = self.sources.get(fact.name)
            if source is None:
                source = Source(fact.name, fact.caps, fact.path_caps, turns)
                self.sources[fact.name] = source
            self.set_caps(source, fact.caps)
            source.path_caps = fact.path_caps
            source.pools = [self.pool(name) for name in fact.pools]
            for pool in source.pools:
                pool.sources.append(source)
        for site in self.sites.values():
            for path in site.paths.values():
                path.allow(path.source.path_caps)

    def set_caps(self, scope: Scope, caps: Caps) -> None:
        """Give a scope its caps, and what was counted of its hours and days before."""
        scope.set_caps(caps)
        self._find_counts(scope)

    def _find_counts(self, scope: Scope) -> None:
        if self.counts and (scope.messages or scope.connections):
            kept = self.counts.pop(scope.key, None)
            if kept is not None:
                recount(scope, kept)

    # --- By name ----------------------------------------------------------------------------------

    def pool(self, name: str) -> Pool:
        """Return the pool of that name; one that no source serves holds what is sent to it."""
        found = self.pools.get(name)
        if found is None:
            found = self.pools[name] = Pool(name, self.options.bulk_turns)
        return found

    def destination(self, name: str) -> Destination:
        """Return the destination, new ones asking to be resolved."""
        found = self.destinations.get(name)
        if found is None:
            found = self.destinations[name] = Destination(name, self.options.bulk_turns)
            self._suspend_by_name(found)
        self.resting.pop(name, None)
        return found

    def site(self, name: str, provider: str) -> Site:
        """Return the site; its provider is that of the latest answer."""
        family = self.provider(provider) if provider else None
        found = self.sites.get(name)
        if found is None:
            options = self.options
            found = self.sites[name] = Site(name, NO_CAPS, family, options.bulk_turns)
            self._suspend_by_name(found)
        if not found.works:
            found.provider = family
        return found

    def provider(self, name: str) -> Scope:
        """Return the provider."""
        found = self.providers.get(name)
        if found is None:
            found = Scope("provider", name, NO_CAPS, self.options.bulk_turns)
            self.providers[name] = found
            self._suspend_by_name(found)
        return found

    def path(self, source: Source, site: Site) -> Path:
        """Return the path, with what was learned of it before."""
        found = site.paths.get(source.name)
        if found is None:
            options = self.options
            waits = (options.failing, options.slowing, options.blocking)
            learning = (options.window, options.speed)
            found = Path(source, site, learning, waits, options.bulk_turns)
            found.allow(source.path_caps)
            if found.own is not None:
                self._find_counts(found.own)
            learned = self.learned.pop(found.name, None)
            if learned is not None:
                found.restore(learned)
            site.paths[source.name] = found
            self.made_path(found)
        return found

    def road(self, source: Source, site: Site) -> Road:
        """Return the road from a source to a site's provider."""
        return self.road_to(source, OTHER if site.provider is None else site.provider.name)

    def road_to(self, source: Source, provider: str) -> Road:
        """Return the road, with what was learned of it before."""
        found = source.roads.get(provider)
        if found is None:
            options = self.options
            found = Road(source.name, provider, options.blocking, options.bulk_turns)
            source.roads[provider] = found
            learned = self.roads_learned.pop(found.name, None)
            if learned is not None:
                found.refusals = learned.refusals
                found.suspend(learned.until, learned.reason)
            ramp = None if self.ramps is None else self.ramps.of(source.name, provider)
            if ramp is not None:
                found.warm_up(ramp)
        return found

    def work(self, site: Site, pool: Pool, configuration_set: str) -> Work:
        """Return the work of that site and pool; of the set, if it has caps of its own."""
        caps = self.sets.get(configuration_set)
        key = pool.name if caps is None else f"{pool.name} of {configuration_set}"
        found = site.works.get(key)
        if found is None:
            said = None if caps is None else self._own_of_set(site, configuration_set, caps)
            found = site.works[key] = Work(site, pool, key, said)
        return found

    def _own_of_set(self, site: Site, name: str, caps: Caps) -> Scope:
        """Return what a set says in place of a site: one scope for all pools."""
        found = site.sets.get(name)
        if found is None:
            whole = f"{name} to {site.name}"
            found = site.sets[name] = Scope("set", whole, caps, self.options.bulk_turns)
            self._find_counts(found)
        return found

    def rest(self, destination: Destination) -> None:
        """Remember a destination without lanes for a while; forget the one unused the longest."""
        if destination.lanes or destination.sessions or destination.asked:
            return
        if destination.site is None or destination.dead is not None:
            self.destinations.pop(destination.name, None)
            self._keep_counts(destination)
            return
        self.resting[destination.name] = destination
        self.resting.move_to_end(destination.name)
        while len(self.resting) > self.options.resolved_max:
            _, oldest = self.resting.popitem(last=False)
            self.destinations.pop(oldest.name, None)
            self._keep_counts(oldest)
            self.leave_site(oldest)

    def leave_site(self, destination: Destination) -> None:
        """Take a destination off its site; a site without any is forgotten, its lessons kept."""
        site, destination.site = destination.site, None
        if site is None:
            return
        site.destinations -= 1
        self._forget_site(site)

    def _forget_site(self, site: Site) -> None:
        if site.destinations or site.sessions:
            return
        self.sites.pop(site.name, None)
        self._keep_counts(site)
        for scope in site.sets.values():
            self._keep_counts(scope)
        for path in site.paths.values():
            if path.own is not None:
                self._keep_counts(path.own)
            self.learned[path.name] = path.state()
        while len(self.learned) > self.options.resolved_max:
            self.learned.popitem(last=False)

    def _keep_counts(self, scope: Scope) -> None:
        """Remember what a scope that is forgotten has counted of its hours and days."""
        counts = counted(scope)
        if not counts:
            return
        self.counts[scope.key] = self.unsaved[scope.key] = counts
        while len(self.counts) > self.options.resolved_max:
            self.counts.popitem(last=False)

    # --- Suspensions ------------------------------------------------------------------------------

    def _suspend_by_name(self, scope: Scope) -> None:
        for pattern, (until, reason) in self.suspensions.items():
            if fnmatchcase(scope.name, pattern):
                scope.until, scope.reason = until, reason

    def scopes_named(self, pattern: str) -> list[Scope]:
        """Return the destinations, sites and providers whose name matches."""
        every: list[dict[str, Scope]] = [{**self.destinations}, {**self.sites}, self.providers]
        return [
            scope for kind in every for scope in kind.values() if fnmatchcase(scope.name, pattern)
        ]


def counted(scope: Scope) -> Counts:
    """Return what a scope has counted, if it has a rate per hour or day; else nothing."""
    meters = (("messages", scope.messages), ("connections", scope.connections))
    return {
        what: state
        for what, meter in meters
        if meter is not None and meter.budgeted and (state := meter.state())
    }


def recount(scope: Scope, counts: Counts) -> None:
    """Let a scope continue from what it had counted."""
    for what, meter in (("messages", scope.messages), ("connections", scope.connections)):
        if meter is not None and what in counts:
            meter.restore(counts[what])
