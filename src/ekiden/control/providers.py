"""How mail goes by provider: counted from events as they are written, shown with what waits now."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from ekiden.control.insight_requests import ProviderView
from ekiden.control.waiting import span
from ekiden.engine.schedule.explain import SiteView, Snapshot
from ekiden.events.metrics import Metrics
from ekiden.events.model import Event, EventType
from ekiden.slices import sliced

OTHER: Final = "other"
_COUNTED: Final = frozenset({EventType.DELIVERED, EventType.DEFERRED, EventType.BOUNCED})
_SOON: Final = 1e9


class ProviderBook:
    """Counts, for people and for Prometheus.

    Args:
        metrics: Hears every event, with its provider.
        provider_of: The provider of (MX host, destination); "" if not known.
    """

    def __init__(self, metrics: Metrics, provider_of: Callable[[str, str], str]) -> None:
        self._metrics = metrics
        self._provider_of = provider_of
        self._counts: Counter[tuple[str, EventType]] = Counter()

    def happened(self, event: Event) -> None:
        """Count an event."""
        known = self._provider_of(event.host, event.destination) if event.destination else ""
        provider = known or OTHER
        self._metrics.happened(event, provider)
        if event.type in _COUNTED:
            self._counts[provider, event.type] += 1

    async def views(self, every: Iterable[SiteView], now: float) -> list[ProviderView]:
        """Return how each provider stands, the longest queue first.

        Args:
            every: What each site is doing; the loop goes on meanwhile.
            now: The time for which they say it.
        """
        sites: dict[str, list[int]] = {}
        why: dict[str, str] = {}
        async for site in sliced(every):
            name = site.provider or OTHER
            figures = sites.setdefault(name, [0, 0, 0])
            figures[0] += 1
            figures[1] += site.waiting
            figures[2] += site.sessions
            if site.held and site.waiting and name not in why:
                left = site.until - now
                why[name] = f"{site.held}, {span(left)} more" if 0 < left < _SOON else site.held
        names = sites.keys() | {name for name, _ in self._counts}
        found = [
            ProviderView(
                provider=name,
                sites=sites.get(name, [0])[0],
                waiting=sites.get(name, [0, 0])[1],
                sessions=sites.get(name, [0, 0, 0])[2],
                delivered=self._counts[name, EventType.DELIVERED],
                deferred=self._counts[name, EventType.DEFERRED],
                bounced=self._counts[name, EventType.BOUNCED],
                why=why.get(name, ""),
            )
            for name in names
        ]
        return sorted(found, key=lambda one: (-one.waiting, -one.delivered, one.provider))

    def text(self, snapshot: Snapshot, depths: Mapping[str, int]) -> bytes:
        """Return everything that is measured, with the queue and the sessions as they are now."""
        self._metrics.sessions_open(
            {name or OTHER: number for name, number in snapshot.providers.items()}
        )
        self._metrics.queue_depth(depths)
        return self._metrics.text()
