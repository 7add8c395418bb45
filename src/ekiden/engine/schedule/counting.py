"""What was counted against rates per hour and day, to be kept across restarts. Pure.

"500 a day" must not begin anew because the process did. The counts of every scope with such a rate
are given out when they have moved, and taken back before its first message; a scope that leaves
memory leaves its counts behind. Rates per second and minute are not kept: they are over before the
process is up again. `Scheduler.counting` is its face.
"""

from collections.abc import Iterator, Mapping

from ekiden.engine.schedule.facts import Counts
from ekiden.engine.schedule.gates import Scope
from ekiden.engine.schedule.places import counted, recount
from ekiden.engine.schedule.state import State


class Counting:
    """Gives the counts out and takes them back.

    Args:
        state: The scheduler's memory.
    """

    def __init__(self, state: State) -> None:
        self._state = state

    def moved(self) -> dict[str, Counts]:
        """Return the counts that have moved since the last call, by scope ("site mx.example")."""
        return dict(one for one in self.walk() if one is not None)

    def walk(self) -> Iterator[tuple[str, Counts] | None]:
        """Give the counts that have moved since they were last given; None for all that have not.

        There may be tens of thousands: the scheduler may go on between any two of them, and who
        ends early gets the rest the next time.
        """
        state = self._state
        while state.unsaved:
            yield state.unsaved.popitem()
        for scope in _scopes(state):
            meters = (scope.messages, scope.connections)
            if not any(one is not None and one.budgeted and one.moved for one in meters):
                yield None
                continue
            for meter in meters:
                if meter is not None:
                    meter.moved = False
            yield scope.key, counted(scope)

    def all(self) -> dict[str, Counts]:
        """Return the counts of every scope that has any."""
        state = self._state
        met = {scope.key: counts for scope in _scopes(state) if (counts := counted(scope))}
        return {**state.counts, **met}

    def recall(self, counts: Mapping[str, Counts]) -> None:
        """Continue from what was kept; scopes that nobody has met yet find theirs when they are."""
        state = self._state
        state.counts.update(counts)
        for scope in _scopes(state):
            if (scope.messages or scope.connections) and scope.key in state.counts:
                recount(scope, state.counts.pop(scope.key))


def _scopes(state: State) -> Iterator[Scope]:
    """Give every scope of a walk that others may change the tables under."""
    yield state.engine
    for source in list(state.sources.values()):
        yield source
        yield from list(source.roads.values())
    yield from list(state.providers.values())
    for site in list(state.sites.values()):
        yield site
        yield from [path.own for path in site.paths.values() if path.own is not None]
        yield from list(site.sets.values())
    yield from list(state.destinations.values())
