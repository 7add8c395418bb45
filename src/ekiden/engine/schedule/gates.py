"""What holds work back: lines in which works take turns, gates where they wait, scopes that count.

A work that cannot move steps out of its line and waits at the gate that holds it, which puts it
back when a slot is free or the time has come: so nobody ever scans. A `Scope` is a gate with caps;
everything that has caps is one: engine, source, provider, road, site, path, destination.
"""

from collections import deque
from collections.abc import Callable
from itertools import islice

from ekiden.engine.schedule.facts import FOREVER
from ekiden.shaping.caps import NO_CAPS, Caps
from ekiden.shaping.rates import Limit, Meter
from ekiden.shaping.window import NEVER


class Standing:
    """Who can stand in line: a work, for its mail of either rank."""

    __slots__ = ("gates", "in_line")

    def __init__(self) -> None:
        # By rank: whether it stands in a line, and at which gate (None: in the engine's own line).
        self.in_line = [False, False]
        self.gates: list[Gate | None] = [None, None]


class Line:
    """Works in turn: transactional passes bulk, and bulk gets one turn in `bulk_turns`."""

    __slots__ = ("_bulk_turns", "_queues", "_turn")

    def __init__(self, bulk_turns: int) -> None:
        self._queues: tuple[deque[Standing], deque[Standing]] = (deque(), deque())
        self._bulk_turns = bulk_turns
        self._turn = 0

    def __len__(self) -> int:
        return len(self._queues[0]) + len(self._queues[1])

    def push(self, work: Standing, rank: int) -> None:
        """Let `work` stand in line on behalf of its mail of that rank."""
        self._queues[rank].append(work)

    def leave(self, work: Standing, rank: int) -> bool:
        """Let `work` go out of the line; whether it stood there."""
        if work not in self._queues[rank]:
            return False
        self._queues[rank].remove(work)
        return True

    def prefer(self, value: Callable[[Standing], int], most: int) -> None:
        """Let the bulk of the least value stand first; the others keep their order.

        Args:
            value: Of a work; 0 is the least there is.
            most: So many are looked at.
        """
        bulk = self._queues[1]
        best, least = 0, -1
        for place, work in enumerate(islice(bulk, most)):
            found = value(work)
            if least < 0 or found < least:
                best, least = place, found
                if found == 0:
                    break
        if best:
            work = bulk[best]
            del bulk[best]
            bulk.appendleft(work)

    def pop(self) -> tuple[Standing, int]:
        """Return whose turn it is, and for which rank."""
        urgent, bulk = self._queues
        if urgent and (not bulk or self._turn < self._bulk_turns - 1):
            self._turn += bool(bulk)
            return urgent.popleft(), 0
        self._turn = 0
        return bulk.popleft(), 1


class Gate:
    """Where works wait until a slot is free or a time has come."""

    __slots__ = ("bulk_turns", "name", "timer", "turned_away", "waiters")

    def __init__(self, name: str, bulk_turns: int) -> None:
        self.name = name
        self.bulk_turns = bulk_turns
        self.waiters: Line | None = None  # made for the first to wait: most gates see nobody
        self.timer = FOREVER  # when it will be looked at again, if nothing happens before
        self.turned_away = 0  # works told to come back later, since the line was last short

    def queue(self, work: Standing, rank: int) -> int:
        """Let a work wait here; return how many wait."""
        if self.waiters is None:
            self.waiters = Line(self.bulk_turns)
        self.waiters.push(work, rank)
        return len(self.waiters)

    def open_at(self, now: float) -> float:  # noqa: ARG002  for those that override it
        """Return when one more session may begin: FOREVER while only another's end can help."""
        return FOREVER


class Scope(Gate):
    """A gate with caps: the engine, a source, a provider, a road, a site, a destination, a path."""

    __slots__ = (
        "ahead",
        "caps",
        "connections",
        "extra",
        "layer",
        "leaving",
        "messages",
        "reason",
        "sessions",
        "squeezed",
        "until",
    )

    def __init__(self, layer: str, name: str, caps: Caps, bulk_turns: int) -> None:
        super().__init__(name, bulk_turns)
        self.layer = layer
        self.sessions = 0
        self.leaving = 0  # of these, the ones that have been told to finish
        self.until = NEVER  # suspended until then
        self.reason = ""
        self.ahead = 0.0  # seconds from a session's begin to its first message
        self.caps = NO_CAPS
        self.messages: Meter | None = None
        self.connections: Meter | None = None
        self.extra: dict[str, Limit] | None = None  # beside the rates, by who set them
        self.squeezed: dict[str, int] | None = None  # caps on sessions beside its own, likewise
        self.set_caps(caps)

    def set_caps(self, caps: Caps) -> None:
        """Take over new caps; what was counted over a span goes on counting."""
        if caps is self.caps or caps == self.caps:
            return
        if caps.messages != self.caps.messages:
            self._renew_messages(caps)
        if caps.connections != self.caps.connections:
            self.connections = _renewed(self.connections, Meter.of(caps.connections))
        self.caps = caps

    def limit_messages(self, owner: str, limiter: Limit | None) -> None:
        """Let a limit of somebody else's hold beside the rates, or no longer.

        Args:
            owner: Who sets it ("warm-up"): one limit each, the latest.
            limiter: The limit, which its owner keeps across restarts; None to take it away.
        """
        extra = {key: one for key, one in (self.extra or {}).items() if key != owner}
        if limiter is not None:
            extra[owner] = limiter
        self.extra = extra or None
        self._renew_messages(self.caps)

    def squeeze(self, owner: str, sessions: int | None) -> None:
        """Let a cap on sessions of somebody else's hold beside the own one, or no longer."""
        squeezed = {key: one for key, one in (self.squeezed or {}).items() if key != owner}
        if sessions is not None:
            squeezed[owner] = sessions
        self.squeezed = squeezed or None

    @property
    def most(self) -> int | None:
        """The most sessions it may have now; None for no cap."""
        own = self.caps.sessions
        if self.squeezed is None:
            return own
        least = min(self.squeezed.values())
        return least if own is None else min(own, least)

    def _renew_messages(self, caps: Caps) -> None:
        extra = tuple(self.extra.values()) if self.extra else ()
        self.messages = _renewed(self.messages, Meter.of(caps.messages, extra))

    @property
    def key(self) -> str:
        """What its counts are kept under."""
        return f"{self.layer} {self.name}".strip()

    @property
    def staying(self) -> int:
        """Its sessions that count against its cap and have not been told to finish."""
        return self.sessions - self.leaving

    def over(self) -> bool:
        """Whether more sessions stay than its cap allows: it was lowered."""
        most = self.most
        return most is not None and self.staying > most

    def full(self) -> bool:
        """Whether its cap on sessions is reached."""
        most = self.most
        return most is not None and self.sessions >= most

    def open_at(self, now: float) -> float:
        """Return when one more session may begin here."""
        if self.full():
            return FOREVER
        at = max(self.until, now)
        if self.connections is not None:
            at = max(at, self.connections.ready_at(now))
        if self.messages is not None:
            at = max(at, self.messages.opens_at(now, self.ahead, alone=self.staying == 0))
        return at

    def connections_at(self, now: float) -> float:
        """Return when its rates allow one more connection."""
        return now if self.connections is None else max(now, self.connections.ready_at(now))

    def rationed(self, now: float) -> bool:
        """Whether a rate that we have set ourselves is used up for now."""
        meters = (self.messages, self.connections)
        return any(meter is not None and meter.used_up(now) for meter in meters)

    def closed_because(self, now: float) -> tuple[str, float] | None:
        """Return why no session may begin here now, in words, and until when; None if one may."""
        if self.until > now:
            return self.reason, self.until
        if self.full():
            return f"{self.sessions} of {self.most} sessions of {self}", FOREVER
        if (at := self.connections_at(now)) > now and self.connections is not None:
            return f"connections of {self} are limited to {self.connections.binding(now)}", at
        return closed_by_rate(self, self.ahead, now, alone=self.staying == 0)

    def __str__(self) -> str:
        return f"{self.layer} {self.name}".strip()


def closed_by_rate(
    scope: Scope, ahead: float, now: float, *, alone: bool
) -> tuple[str, float] | None:
    """Return which message rate of a scope lets no session begin, in words, and until when.

    Args:
        scope: The scope.
        ahead: Seconds from the session's begin to its first message.
        now: UNIX seconds.
        alone: Whether there is no other session that starts anything meanwhile.
    """
    if scope.messages is None:
        return None
    at, label = scope.messages.opening(now, ahead, alone=alone)
    return (f"messages of {scope} are limited to {label}", at) if at > now else None


def _renewed(old: Meter | None, new: Meter | None) -> Meter | None:
    if old is not None and new is not None:
        new.restore(old.state())
        new.moved = old.moved
    return new
