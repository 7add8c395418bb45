"""Whether all is well, in words for people and in figures for Prometheus."""

import asyncio
from typing import Final, Protocol

from ekiden.assembly.base import Base
from ekiden.assembly.delivery import Delivery
from ekiden.assembly.events import Events

_LAG_EVERY: Final = 0.1  # seconds


class Troubled(Protocol):
    """What can be in trouble."""

    @property
    def trouble(self) -> object:
        """Why it does nothing at present; nothing when all is well."""
        ...


class Health:
    """Looks at the groups.

    Args:
        base: What every group stands on.
        delivery: The engine.
        events: The event log and who reads it.

    Attributes:
        watched: What can be in trouble, the gravest first.
    """

    def __init__(self, base: Base, delivery: Delivery, events: Events) -> None:
        self._base = base
        self._delivery = delivery
        self._events = events
        self.watched: list[Troubled] = []

    def trouble(self) -> str:
        """Return why the daemon takes or sends nothing; "" when all is well."""
        return next((str(found) for one in self.watched if (found := one.trouble)), "")

    async def measured(self) -> bytes:
        """Return everything in Prometheus's text format."""
        counts = await self._base.queue.deliveries()
        depths = {str(state): number for state, number in counts.items()}
        events = self._events
        events.metrics.log_failing(failing=bool(events.exporter.trouble))
        events.metrics.destinations_failing(events.destinations.failing())
        return events.book.text(self._delivery.scheduler.snapshot(), depths)

    async def measure_lag(self) -> None:
        """Watch how late the loop is: what keeps it longest is everybody's delay."""
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + _LAG_EVERY
            await asyncio.sleep(_LAG_EVERY)
            self._events.metrics.loop_lag(max(0.0, loop.time() - due))
