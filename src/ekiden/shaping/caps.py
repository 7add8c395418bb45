"""Caps: how much at once, and how much per unit of time. Values only; `rates` counts.

A cap of None is no cap. One shape serves every scope (destination, site, provider, source, and the
whole engine), because the scheduler asks each of them the same question: may one more start now?
"""

import re
from dataclasses import dataclass
from typing import Final

UNITS: Final = {"s": 1.0, "m": 60.0, "h": 3_600.0, "d": 86_400.0}
_NAMES: Final = {1.0: "second", 60.0: "minute", 3_600.0: "hour", 86_400.0: "day"}
_RATE: Final = re.compile(r"(\d+)/([smhd])")


@dataclass(frozen=True, slots=True)
class Rate:
    """At most `limit` in any span of `seconds`, wherever the span begins.

    With `rest` it is a pace instead: `limit`, one after the other, and then nothing for `seconds`.
    """

    limit: int
    seconds: float
    rest: bool = False

    def __post_init__(self) -> None:
        if self.limit < 1 or self.seconds <= 0:
            raise ValueError(f"a rate lets through at least 1, not {self}: suspend it instead")

    @classmethod
    def parse(cls, text: str) -> "Rate":
        """Return the rate that `text` says: "10/s", "100/m", "1000/h", "50000/d".

        Raises:
            ValueError: It says no rate.
        """
        found = _RATE.fullmatch(text)
        if found is None:
            raise ValueError(f'{text!r} is no rate: write "10/s", "100/m", "1000/h" or "50000/d"')
        return cls(int(found.group(1)), UNITS[found.group(2)])

    def __str__(self) -> str:
        if self.rest:
            return f"{self.limit:,}, then wait {self.seconds:g} seconds"
        unit = _NAMES.get(self.seconds, f"{self.seconds:g} seconds")
        return f"{self.limit:,} per {unit}"


@dataclass(frozen=True, slots=True)
class Caps:
    """What one scope allows.

    Args:
        sessions: Concurrent SMTP sessions, those being dialled included.
        messages_per_session: Transactions on one connection before it is closed.
        messages: Transactions handed out per unit of time; all of them hold at once.
        connections: Sessions begun per unit of time, failed ones included.
    """

    sessions: int | None = None
    messages_per_session: int | None = None
    messages: tuple[Rate, ...] = ()
    connections: tuple[Rate, ...] = ()

    @property
    def said(self) -> bool:
        """Whether it says anything."""
        return self != NO_CAPS

    def __post_init__(self) -> None:
        for name in ("sessions", "messages_per_session"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name} must be at least 1, not {value}: suspend it instead")


NO_CAPS: Final = Caps()
