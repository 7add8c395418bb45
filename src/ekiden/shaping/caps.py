"""Caps: how much at once, and how much per unit of time. Values only; `rates` counts.

A cap of None is no cap. One shape serves every scope (destination, site, provider, source, and the
whole engine), because the scheduler asks each of them the same question: may one more start now?
"""

from dataclasses import dataclass, fields
from typing import Final

SECONDS: Final = {
    "per_second": 1.0,
    "per_minute": 60.0,
    "per_hour": 3_600.0,
    "per_day": 86_400.0,
}


@dataclass(frozen=True, slots=True)
class Rates:
    """At most so many in any span of the unit's length, wherever the span begins.

    Args:
        per_second: In any second.
        per_minute: In any 60 seconds.
        per_hour: In any 3,600 seconds.
        per_day: In any 86,400 seconds.
    """

    per_second: int | None = None
    per_minute: int | None = None
    per_hour: int | None = None
    per_day: int | None = None

    def __post_init__(self) -> None:
        for name, limit in self.limits():
            if limit < 1:
                raise ValueError(f"{name} must be at least 1, not {limit}: suspend it instead")

    def limits(self) -> list[tuple[str, int]]:
        """Return the limits that are set, by name, shortest unit first."""
        every = [(item.name, getattr(self, item.name)) for item in fields(self)]
        return [(name, limit) for name, limit in every if limit is not None]

    def __bool__(self) -> bool:
        return bool(self.limits())


NO_RATES: Final = Rates()


@dataclass(frozen=True, slots=True)
class Caps:
    """What one scope allows.

    Args:
        sessions: Concurrent SMTP sessions, those being dialled included.
        messages_per_session: Transactions on one connection before it is closed.
        messages: Transactions handed out per unit of time.
        connections: Sessions begun per unit of time, failed ones included.
    """

    sessions: int | None = None
    messages_per_session: int | None = None
    messages: Rates = NO_RATES
    connections: Rates = NO_RATES

    def __post_init__(self) -> None:
        for name in ("sessions", "messages_per_session"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name} must be at least 1, not {value}: suspend it instead")


NO_CAPS: Final = Caps()
