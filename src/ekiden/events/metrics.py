"""Metrics for Prometheus, in a registry of their own: two apps in one process do not mix.

The names follow Prometheus's rules (base units, `_total`). Labels are bounded: providers are the
profiles' names or `other`, classes are those of `bounce/`, never a domain or an address.
"""

from collections.abc import Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from ekiden.events.model import Event, EventType

_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
_LAG = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 1.0)
_SIGN = (0.00005, 0.0001, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.05, 0.25)


class Metrics:
    """The engine's metrics.

    Args:
        registry: Where they are registered; a new one by default.
    """

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.registry = registry if registry is not None else CollectorRegistry()
        where = self.registry
        self._events = Counter(
            "ekiden_events",
            "Events, by type, bounce class and provider.",
            ("type", "bounce_class", "provider"),
            registry=where,
        )
        self._octets = Counter(
            "ekiden_delivered_octets", "Octets of delivered messages.", registry=where
        )
        self._attempt_seconds = Histogram(
            "ekiden_attempt_seconds",
            "Time of an attempt, from its first command to its outcome.",
            ("type",),
            buckets=_SECONDS,
            registry=where,
        )
        self._queue = Gauge("ekiden_queue", "Deliveries, by state.", ("state",), registry=where)
        self._sessions = Gauge(
            "ekiden_sessions_open",
            "SMTP sessions open, by provider.",
            ("provider",),
            registry=where,
        )
        self._lag = Histogram(
            "ekiden_loop_lag_seconds",
            "How late the event loop ran a timer.",
            buckets=_LAG,
            registry=where,
        )
        self._sign = Histogram(
            "ekiden_sign_seconds", "Time of one DKIM signature.", buckets=_SIGN, registry=where
        )
        self._inbound = Counter(
            "ekiden_inbound_mails",
            "Mail that came back, by what became of it.",
            ("outcome",),
            registry=where,
        )
        self._children: dict[tuple[EventType, str, str], Counter] = {}
        self._timed: dict[EventType, Histogram] = {}
        self._behind = Gauge(
            "ekiden_event_log_failing", "1 while the event log cannot be written.", registry=where
        )
        self._destinations = Gauge(
            "ekiden_event_destination_failing",
            "1 while a destination takes no events.",
            ("destination",),
            registry=where,
        )

    def happened(self, event: Event, provider: str = "other") -> None:
        """Count an event."""
        kind = event.type
        key = (kind, event.bounce_class, provider)
        child = self._children.get(key)  # `labels` checks and locks each time
        if child is None:
            child = self._children[key] = self._events.labels(*key)
        child.inc()
        if event.size and kind is EventType.DELIVERED:
            self._octets.inc(event.size)
        if event.seconds:
            timed = self._timed.get(kind)
            if timed is None:
                timed = self._timed[kind] = self._attempt_seconds.labels(kind)
            timed.observe(event.seconds)

    def queue_depth(self, states: Mapping[str, int]) -> None:
        """Set how many deliveries are in each state."""
        for state, count in states.items():
            self._queue.labels(state).set(count)

    def sessions_open(self, counts: Mapping[str, int]) -> None:
        """Set how many sessions are open per provider; those not named are gone."""
        self._sessions.clear()
        for provider, count in counts.items():
            self._sessions.labels(provider).set(count)

    def loop_lag(self, seconds: float) -> None:
        """Note how late the loop was, in seconds."""
        self._lag.observe(seconds)

    def signed(self, seconds: float) -> None:
        """Note how long one signature took, in seconds."""
        self._sign.observe(seconds)

    def returned(self, outcome: str) -> None:
        """Count a mail that came back, by one of the names of `inbound.intake.Outcome`."""
        self._inbound.labels(outcome).inc()

    def log_failing(self, *, failing: bool) -> None:
        """Say whether the event log can be written."""
        self._behind.set(int(failing))

    def destinations_failing(self, failing: Mapping[str, bool]) -> None:
        """Say which destinations take no events; those not named are gone."""
        self._destinations.clear()
        for name, one in failing.items():
            self._destinations.labels(name).set(int(one))

    def text(self) -> bytes:
        """Return everything in Prometheus's text format."""
        return generate_latest(self.registry)
