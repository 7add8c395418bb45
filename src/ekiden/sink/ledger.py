"""The ledger: what the simulated providers remember between conversations.

Concurrent sessions and rates are counted per site *and* client address, as receivers do; a site is
a provider, or one of the many small receivers that share the generic profile. The counts per
provider are kept beside them so that a test can see every instant. Times are UNIX seconds and are
arguments. Everything that grows with the outside is bounded.
"""

from collections import Counter, OrderedDict, deque
from dataclasses import dataclass, field
from typing import Final

REMEMBERED: Final = 200_000  # first tries (greylisting, tempfail-once); the oldest are forgotten


@dataclass(slots=True)
class Window:
    """A sliding window: at most `count` events in any `period` seconds."""

    count: int
    period: float
    _times: deque[float] = field(default_factory=deque)

    def admit(self, now: float) -> bool:
        """Count one event if it fits."""
        while self._times and now - self._times[0] >= self.period:
            self._times.popleft()
        if len(self._times) >= self.count:
            return False
        self._times.append(now)
        return True


def window_of(rate: float) -> Window:
    """Return the window that enforces `rate` events per second (a rate under 1 is 1 in 1/rate)."""
    return Window(max(1, int(rate)), 1.0 if rate >= 1 else 1.0 / rate)


@dataclass(slots=True)
class ProviderCount:
    """What one provider has seen.

    Args:
        open: Sessions open now.
        peak: The most there were at once.
        sessions: Sessions admitted.
        refused_sessions: Sessions over the cap.
        accepted: Recipients taken.
        rejected: Recipients refused, at any stage.
    """

    open: int = 0
    peak: int = 0
    sessions: int = 0
    refused_sessions: int = 0
    accepted: int = 0
    rejected: int = 0


class Ledger:
    """The memory of all providers of one sink."""

    def __init__(self) -> None:
        self.providers: dict[str, ProviderCount] = {}
        self.replies: Counter[int] = Counter()
        self._open: Counter[tuple[str, str]] = Counter()
        self._windows: dict[tuple[str, str], Window] = {}
        self._first: OrderedDict[tuple[str, ...], float] = OrderedDict()

    def count(self, provider: str) -> ProviderCount:
        """Return the provider's counts, made on first use."""
        return self.providers.setdefault(provider, ProviderCount())

    def open_at(self, site: str, peer: str) -> int:
        """Return how many sessions `peer` has open at `site`."""
        return self._open[site, peer]

    def enter(self, provider: str, site: str, peer: str, cap: int) -> bool:
        """Admit one more session of `peer` at `site`, unless it has `cap` there already."""
        counts = self.count(provider)
        if self._open[site, peer] >= cap:
            counts.refused_sessions += 1
            return False
        self._open[site, peer] += 1
        counts.open += 1
        counts.sessions += 1
        counts.peak = max(counts.peak, counts.open)
        return True

    def leave(self, provider: str, site: str, peer: str) -> None:
        """A session that was admitted has ended."""
        self._open[site, peer] -= 1
        if self._open[site, peer] <= 0:
            del self._open[site, peer]
        self.count(provider).open -= 1

    def admit(self, key: tuple[str, str], rate: float, now: float) -> bool:
        """Count one event against the rate named by `key`; a rate of 0 admits all."""
        if rate <= 0:
            return True
        window = self._windows.get(key)
        if window is None:
            window = self._windows[key] = window_of(rate)
        return window.admit(now)

    def first_seen(self, key: tuple[str, ...], now: float) -> tuple[float, bool]:
        """Return when `key` was first seen, and whether that is now."""
        seen = self._first.get(key)
        if seen is not None:
            return seen, False
        self._first[key] = now
        if len(self._first) > REMEMBERED:
            self._first.popitem(last=False)
        return now, True
