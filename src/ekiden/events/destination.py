"""What a destination of events is, whatever is at its end: a filter, a form, and one verb.

A `Sender` takes a batch or says why not (`UnavailableError`); it never loses and never keeps one.
Whoever calls it (`publisher.py`) calls again with the same batch until it is taken.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Protocol

from ekiden.events.model import Event, EventType


@dataclass(frozen=True, slots=True)
class Parcel:
    """A batch on its way.

    Args:
        id: Names it: the same events in the same batch have the same id.
        events: The events.
        bodies: Each as a JSON document, in the form that the destination wants.
    """

    id: str
    events: tuple[Event, ...]
    bodies: tuple[bytes, ...]


class Sender(Protocol):
    """Hands parcels over."""

    async def send(self, parcel: Parcel) -> None:
        """Hand a parcel over; once this returns, its events are the other side's.

        Raises:
            UnavailableError: It was not taken, and why; `RetryAfter` says when to come again.
        """

    async def close(self) -> None:
        """Let go of connections, processes and files."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which events a destination gets.

    Args:
        name: The destination.
        types: The types.
        default: Whether it gets the events of sets that name no destinations.
        sets: The destinations that configuration sets name; sets that name none are left out.
    """

    name: str
    types: Collection[EventType]
    default: bool
    sets: Mapping[str, Collection[str]]

    def takes(self, event: Event) -> bool:
        """Whether it gets this event."""
        if event.type not in self.types:
            return False
        named = self.sets.get(event.configuration_set)
        return self.default if named is None else self.name in named
