"""What goes into the scheduler and what comes out, as values.

Facts come in (a site was found, a session failed), decisions go out (open a session, load ids).
Nothing here acts; the dispatcher does, and reports back with the next fact.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import msgspec

from ekiden.shaping.caps import NO_CAPS, Caps
from ekiden.shaping.speed import SpeedOptions
from ekiden.shaping.window import Backoff, WindowOptions
from ekiden.smtp.outcome import Outcome

FOREVER: Final = float("inf")


# --- Facts in -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SourceFacts:
    """An egress address, as far as the scheduler cares.

    Args:
        name: Its name in the configuration.
        pools: The pools it serves; "" is the pool of jobs that name none.
        caps: Over everything that leaves from it.
        path_caps: Over what goes from it to any one site, in place of what is said of the site and
            the destination.
    """

    name: str
    pools: tuple[str, ...] = ("",)
    caps: Caps = NO_CAPS
    path_caps: Caps = NO_CAPS


@dataclass(frozen=True, slots=True)
class SiteFacts:
    """Where a destination's mail goes, and what may be asked of it.

    Args:
        name: The site: equal for destinations with equal MX sets.
        provider: The named family it belongs to, "" for none.
        destination_caps: Over this destination alone.
        site_caps: Over the site. Of two destinations' answers the later one counts.
        provider_caps: Over all sites of the provider together.
        dead: Set when no mail can ever be delivered there (no such domain, null MX): every
            delivery comes back in a `Refuse` with this outcome.
        until: When to ask again (the end of the DNS answer's life); UNIX seconds.
        hosts: The names of its MX hosts, for people to read.
        size: The largest message it takes, in bytes; None when it is not said.
    """

    name: str
    provider: str = ""
    destination_caps: Caps = NO_CAPS
    site_caps: Caps = NO_CAPS
    provider_caps: Caps = NO_CAPS
    dead: Outcome | None = None
    until: float = FOREVER
    hosts: tuple[str, ...] = ()
    size: int | None = None


@dataclass(frozen=True, slots=True)
class SchedulerOptions:
    """How the scheduler behaves. Times are seconds.

    Args:
        sources: The egress addresses.
        caps: Over everything the engine does.
        sets: By configuration set that says something: over what its jobs send to any one site, in
            place of what is said of the site, the destination and the source.
        lanes_max: Lanes held at once; the rest of the queue is not in memory.
        lane_first: Ids asked for when a lane's window is filled for the first time.
        lane_most: Ids asked for at once, at most, for a lane that drains fast.
        waiting_max: Ids held at once in all lanes together.
        resolving_max: Destinations being looked up at once.
        resolved_max: Destinations and sites without work that are remembered.
        session_share: Waiting messages that each session of a site should find, before another
            session is worth opening.
        quantum: Messages after which a session yields its slot while others wait for one.
        quantum_seconds: Likewise, its time.
        idle: How long a session without work is kept for more.
        bulk_turns: Out of so many turns one is bulk's while transactional mail waits too.
        probes_share: The share of all sessions that may be probes of paths that failed, or,
            while slots are short, of paths that drag.
        dragging: A path drags when a message takes longer than this on it: it holds slots that
            others would use many times.
        park_after: A lane that cannot move for longer leaves its place to others.
        window: How the sessions of a path are found.
        speed: How a rate is found for a path that is throttled.
        failing: How long a path is left alone after failed connections.
        slowing: Likewise, when it asks for less again and has taken nothing since.
        blocking: Likewise, when it refuses the source.
    """

    sources: tuple[SourceFacts, ...] = (SourceFacts("default"),)
    caps: Caps = field(default_factory=lambda: Caps(sessions=200))
    sets: Mapping[str, Caps] = field(default_factory=dict)
    lanes_max: int = 4_096
    lane_first: int = 16
    lane_most: int = 256
    waiting_max: int = 131_072
    resolving_max: int = 64
    resolved_max: int = 20_000
    session_share: int = 4
    quantum: int = 10
    quantum_seconds: float = 10.0
    idle: float = 3.0
    bulk_turns: int = 5
    probes_share: float = 0.05
    dragging: float = 5.0
    park_after: float = 15.0
    window: WindowOptions = field(default_factory=WindowOptions)
    speed: SpeedOptions = field(default_factory=SpeedOptions)
    failing: Backoff = field(default_factory=lambda: Backoff(30.0, 1_800.0))
    slowing: Backoff = field(default_factory=lambda: Backoff(10.0, 600.0))
    blocking: Backoff = field(default_factory=lambda: Backoff(900.0, 14_400.0))


@dataclass(frozen=True, slots=True)
class Learned:
    """What a path has learned; plain values, to be kept across restarts.

    Args:
        window: `Window.state()`.
        failures: Failed connections in a row.
        refusals: Replies in a row that asked for less.
        until: Nothing is begun before.
        reason: Why.
        speed: `Speed.state()`.
        opening: Seconds that a session takes to open; 0 while none has.
        each: Seconds from one result of a session to the next; 0 while there is none.
        length: `Length.state()`.
    """

    window: list[float]
    failures: int = 0
    refusals: int = 0
    until: float = 0.0
    reason: str = ""
    speed: list[float] = field(default_factory=list)
    opening: float = 0.0
    each: float = 0.0
    length: list[float] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class RoadLearned:
    """What is known of a road (source, provider); plain values, to be kept across restarts.

    Args:
        until: Nothing is begun before.
        reason: Why.
        refusals: Blocks in a row.
    """

    until: float = 0.0
    reason: str = ""
    refusals: int = 0


Counts = dict[str, dict[str, list[float]]]  # "messages", "connections" -> Meter.state()


# --- Decisions out ------------------------------------------------------------------------------


class Item(NamedTuple):
    """A delivery handed out: to be claimed, sent, and settled or returned.

    `source`: as it waited (`queue.model.Waiting`).
    """

    id: int
    lane_id: int
    job_id: int
    destination: str
    due_at: float
    source: str = ""


@dataclass(frozen=True, slots=True)
class Load:
    """Read up to `limit` due ids of a lane, after (`after_due`, `after_id`), then say `loaded`."""

    lane_id: int
    limit: int
    after_due: float
    after_id: int


@dataclass(frozen=True, slots=True)
class Resolve:
    """Find the destination's site, then say `resolved` or `unresolved`."""

    destination: str


@dataclass(frozen=True, slots=True)
class Open:
    """Claim `first`, dial, then say `session_opened` or `session_failed`.

    The slot is taken from now on. `first` is in the session's hand already, as if taken.
    """

    session_id: int
    source: str
    site: str
    destination: str
    first: tuple[Item, ...]


@dataclass(frozen=True, slots=True)
class Wake:
    """An idle session has work again: `take` for it now."""

    session_id: int


@dataclass(frozen=True, slots=True)
class Close:
    """An idle session's slot is needed elsewhere: quit it, then say `session_closed`."""

    session_id: int


@dataclass(frozen=True, slots=True)
class Refuse:
    """Claim `items` and settle them by `outcome`: there is no one to deliver them to.

    Report each with `settled(0, id, Lesson.NONE, now)`.
    """

    destination: str
    items: tuple[Item, ...]
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class Park:
    """The lane has left memory: offer it again at `until`.

    With None it is drained: offer it again when its next delivery is due, which the queue knows.
    `own` is its job when it waits for nothing but limits of our own, else 0; then the lane may also
    have stayed, and an offer at `until` is met by the one that is here.
    """

    lane_id: int
    until: float | None
    own: int = 0


Action = Load | Resolve | Open | Wake | Close | Refuse | Park


class Take(msgspec.Struct, frozen=True, gc=False):
    """The session's next transactions, in this order."""

    items: tuple[Item, ...]


class Idle(msgspec.Struct, frozen=True, gc=False):
    """Nothing now. Ask again at `until`, on a `Wake`, or when what is in hand has been settled."""

    until: float
    reason: str


class Finish(msgspec.Struct, frozen=True, gc=False):
    """The session is over: quit it (when its hand is empty), then say `session_closed`."""

    reason: str


Answer = Take | Idle | Finish
