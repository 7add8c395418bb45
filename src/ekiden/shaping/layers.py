"""Limits in layers: which value holds, and who said so.

`default < provider < site < destination < source < configuration set`: each layer says what it
knows, the later one wins, key by key. A key names its own scope (`provider_sessions` is for all
sites of the provider together), so a value never changes its meaning by where it was set. When two
destinations of one site say different things about the site, the one looked up last counts.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Final

from ekiden.shaping.caps import Caps, Rate

ORDER: Final = ("default", "provider", "site", "destination", "source", "configuration set")


@dataclass(frozen=True, slots=True)
class LimitSet:
    """What one layer says; None where it says nothing.

    Args:
        destination_sessions: Concurrent sessions of one destination.
        destination_messages: Message rates of one destination.
        destination_connections: Connection rates of one destination.
        sessions: Concurrent sessions of one site.
        messages: Message rates of one site.
        connections: Connection rates of one site.
        provider_sessions: Concurrent sessions of all the provider's sites together.
        provider_messages: Message rates of all the provider's sites together.
        provider_connections: Connection rates of all the provider's sites together.
        messages_per_session: Transactions on one connection.
        tls: "opportunistic", "required" or "off".
        size: The largest message, in bytes.
    """

    destination_sessions: int | None = None
    destination_messages: tuple[Rate, ...] | None = None
    destination_connections: tuple[Rate, ...] | None = None
    sessions: int | None = None
    messages: tuple[Rate, ...] | None = None
    connections: tuple[Rate, ...] | None = None
    provider_sessions: int | None = None
    provider_messages: tuple[Rate, ...] | None = None
    provider_connections: tuple[Rate, ...] | None = None
    messages_per_session: int | None = None
    tls: str | None = None
    size: int | None = None


KEYS: Final = tuple(item.name for item in fields(LimitSet))


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer's word.

    Args:
        kind: One of `ORDER`.
        name: Which one of that kind ("gmail"), "" when there is only one.
        limits: What it says.
    """

    kind: str
    name: str
    limits: LimitSet

    def __str__(self) -> str:
        return f"{self.kind} {self.name}".strip()


@dataclass(frozen=True, slots=True)
class Effective:
    """The limits that hold, and which layer said each.

    Args:
        limits: The values.
        said_by: The layer of each key that has a value.
    """

    limits: LimitSet
    said_by: dict[str, Layer]

    def destination_caps(self) -> Caps:
        """Return the caps of the destination itself."""
        said = self.limits
        return Caps(
            sessions=said.destination_sessions,
            messages=said.destination_messages or (),
            connections=said.destination_connections or (),
        )

    def site_caps(self) -> Caps:
        """Return the caps of the site."""
        said = self.limits
        return Caps(
            sessions=said.sessions,
            messages_per_session=said.messages_per_session,
            messages=said.messages or (),
            connections=said.connections or (),
        )

    def provider_caps(self) -> Caps:
        """Return the caps of the provider, over all its sites."""
        said = self.limits
        return Caps(
            sessions=said.provider_sessions,
            messages=said.provider_messages or (),
            connections=said.provider_connections or (),
        )

    def explain(self) -> list[tuple[str, str, str]]:
        """Return (key, value, layer) of every key, in words; "no limit" where nobody said one."""
        return [
            (key, _words(getattr(self.limits, key)), str(self.said_by.get(key, ""))) for key in KEYS
        ]


def _words(value: object) -> str:
    match value:
        case None | ():
            return "no limit"
        case tuple():
            return ", ".join(str(rate) for rate in value)
        case int():
            return f"{value:,}"
        case _:
            return str(value)


def effective(layers: Sequence[Layer]) -> Effective:
    """Return what holds when `layers` are laid over each other.

    Args:
        layers: In any order; `ORDER` decides, and among equals the later one.

    Raises:
        ValueError: A layer is of no known kind.
    """
    for layer in layers:
        if layer.kind not in ORDER:
            raise ValueError(f"{layer.kind!r} is no layer: {', '.join(ORDER)}")
    values: dict[str, object] = {}
    said_by: dict[str, Layer] = {}
    for layer in sorted(layers, key=lambda layer: ORDER.index(layer.kind)):
        for key in KEYS:
            value = getattr(layer.limits, key)
            if value is not None:
                values[key] = value
                said_by[key] = layer
    return Effective(LimitSet(**values), said_by)  # type: ignore[arg-type]  # copied field by field
