"""The things the scheduler keeps: scopes that count, and the tree of waiting work.

```
Line (turn order) -> Work (site, pool) -> Share (job in that work) -> Lane -> ids
                       |                                                |
                       Site -> Provider                                 Destination
```

A `Scope` is anything with caps. A work, a share and a lane stand in line at the level above exactly
while they have something to offer; whatever cannot move steps out of line and waits at the gate
that holds it (a scope, a pool, a destination, a job), which puts it back. So nobody ever scans.
"""

from collections import deque
from collections.abc import Callable
from typing import Final

from ekiden.engine.schedule.facts import FOREVER, Learned
from ekiden.queue.model import JobFacts, JobState, LaneFacts, Waiting
from ekiden.shaping.caps import NO_CAPS, Caps
from ekiden.shaping.ramps import OTHER
from ekiden.shaping.rates import Limit, Meter
from ekiden.shaping.speed import Speed, SpeedOptions
from ekiden.shaping.warmup import Ramp
from ekiden.shaping.window import NEVER, Backoff, Window, WindowOptions
from ekiden.smtp.outcome import Outcome

PLACES: Final = 600.0  # seconds over which those who wait for a cold road are spread
CUTS: Final = 3  # sessions cut short after the same number of messages make it a limit,
CUT_FOR: Final = 3_600.0  # for so many seconds
BELOW: Final = 0.97  # of what was taken when sessions were too much: the rate may have been
SPEED: Final = "speed"  # the owner of the rate that a path has found


class Line:
    """Works in turn: transactional passes bulk, and bulk gets one turn in `bulk_turns`."""

    __slots__ = ("_bulk_turns", "_queues", "_turn")

    def __init__(self, bulk_turns: int) -> None:
        self._queues: tuple[deque[Work], deque[Work]] = (deque(), deque())
        self._bulk_turns = bulk_turns
        self._turn = 0

    def __len__(self) -> int:
        return len(self._queues[0]) + len(self._queues[1])

    def push(self, work: "Work", rank: int) -> None:
        """Let `work` stand in line on behalf of its mail of that rank."""
        self._queues[rank].append(work)

    def pop(self) -> "tuple[Work, int]":
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

    def queue(self, work: "Work", rank: int) -> int:
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
            at = max(at, self.messages.ready_at(now))
        return at

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
        for meter, what in ((self.connections, "connections"), (self.messages, "messages")):
            if meter is not None and (at := meter.ready_at(now)) > now:
                return f"{what} of {self} are limited to {meter.binding(now)}", at
        return None

    def __str__(self) -> str:
        return f"{self.layer} {self.name}".strip()


def _renewed(old: Meter | None, new: Meter | None) -> Meter | None:
    if old is not None and new is not None:
        new.restore(old.state())
        new.moved = old.moved
    return new


class Source(Scope):
    """An egress address."""

    __slots__ = ("path_caps", "pools", "roads")

    def __init__(self, name: str, caps: Caps, path_caps: Caps, bulk_turns: int) -> None:
        super().__init__("source", name, caps, bulk_turns)
        self.path_caps = path_caps
        self.pools: list[Pool] = []
        self.roads: dict[str, Road] = {}  # by provider


class Road(Scope):
    """(source, provider): all paths from one address to one provider's sites.

    A provider judges an address over all its sites together, so a warm-up ramp and a block belong
    here. Sites of nobody known have a road together, `OTHER`: a cold address is cold for them all.
    """

    __slots__ = ("_blocked_at", "_blocking", "place", "provider", "ramp", "refusals", "source")

    def __init__(self, source: str, provider: str, blocking: Backoff, bulk_turns: int) -> None:
        super().__init__("road", f"{source} to {provider}", NO_CAPS, bulk_turns)
        self.source = source
        self.provider = provider
        self.refusals = 0  # blocks in a row
        self.ramp: Ramp | None = None
        self.place = NEVER  # the time that was given to the last who was told to come back
        self._blocking = blocking
        self._blocked_at = NEVER

    def blocked(self, now: float, since: float, reason: str, jitter: float) -> bool:
        """Learn that the provider refuses this source; return whether that was news.

        Args:
            now: UNIX seconds.
            since: When what was refused was begun; before the last block it is the same one.
            reason: The reply in words.
            jitter: A number from 0 to 1.
        """
        if since <= self._blocked_at:
            return False
        self._blocked_at = now
        self.refusals += 1
        self.suspend(now + self._blocking.wait(self.refusals, jitter), reason)
        return True

    def warm_up(self, ramp: Ramp | None) -> None:
        """Be limited by a ramp, or no longer."""
        self.ramp = ramp
        self.limit_messages("warm-up", ramp)

    @property
    def cold(self) -> bool:
        """Whether a warm-up limits it."""
        return self.ramp is not None and self.ramp.cold

    def rationed(self, now: float) -> bool:
        """Whether its warm-up, or a rate that we have set ourselves, is used up for now."""
        if self.ramp is not None and self.ramp.ready_at(now) > now:
            return True
        return super().rationed(now)

    def later(self, at: float) -> float:
        """Return when one more may come back who finds it closed until `at`.

        A cold road opens for one message at a time: who waits for it is given a place in a row,
        as far apart as the messages, so that a thousand sites do not come back for each of them.
        """
        if self.ramp is None:
            return at
        self.place = min(max(self.place + self.ramp.interval, at), at + PLACES)
        return self.place

    def suspend(self, until: float, reason: str) -> None:
        """Begin nothing before `until`, unless something else holds it longer already."""
        if until > self.until:
            self.until, self.reason = until, reason

    def __str__(self) -> str:
        whom = f"provider {self.provider}" if self.provider != OTHER else "providers not known"
        return f"source {self.source} to {whom}"


class Pool(Gate):
    """Sources that share work. As a gate it holds the work of a pool that has no source."""

    __slots__ = ("sources",)

    def __init__(self, name: str, bulk_turns: int) -> None:
        super().__init__(name, bulk_turns)
        self.sources: list[Source] = []


class Site(Scope):
    """MX hosts behind one or many destinations."""

    __slots__ = ("destinations", "hosts", "paths", "provider", "works")

    def __init__(self, name: str, caps: Caps, provider: Scope | None, bulk_turns: int) -> None:
        super().__init__("site", name, caps, bulk_turns)
        self.provider = provider
        self.hosts: tuple[str, ...] = ()
        self.paths: dict[str, Path] = {}
        self.works: dict[str, Work] = {}  # by pool
        self.destinations = 0

    def session_cap(self) -> int:
        """Return the most sessions it may ever have, all sources together."""
        caps = [self.caps.sessions, self.provider.caps.sessions if self.provider else None]
        return min((cap for cap in caps if cap is not None), default=1_000_000)


class Path(Scope):
    """(source, site): what is learned by sending this way."""

    __slots__ = (
        "_blocking",
        "_cut",
        "_cut_until",
        "_cuts",
        "_failed_at",
        "_failing",
        "_slowing",
        "each",
        "failures",
        "opening",
        "proven",
        "refusals",
        "seconds",
        "site",
        "source",
        "speed",
        "window",
    )

    def __init__(
        self,
        source: Source,
        site: Site,
        learning: tuple[WindowOptions, SpeedOptions],
        waits: tuple[Backoff, Backoff, Backoff],
        bulk_turns: int,
    ) -> None:
        super().__init__("path", f"{source.name} to {site.name}", source.path_caps, bulk_turns)
        self.source = source
        self.site = site
        self.window = Window(learning[0])
        self.speed = Speed(learning[1])
        self._failing, self._slowing, self._blocking = waits
        self.failures = 0  # failed connections in a row; not 0: one probe at a time
        self.refusals = 0  # replies in a row that asked for less though there was one session
        self.proven = 0  # sessions that are open now
        self.seconds = 0.0  # that a message takes, the latest weighing most
        self.opening = 0.0  # likewise, that a session takes to open
        self.each = 0.0  # likewise, from one result of a session to the next
        self._failed_at = NEVER
        self._cut, self._cuts = 0, 0  # messages after which sessions were cut short, how often
        self._cut_until = NEVER

    def messages_per_session(self, now: float) -> int | None:
        """Return after how many messages the receiver ends sessions, if that has shown."""
        return self._cut if now < self._cut_until else None

    def cut_short(self, carried: int, now: float) -> None:
        """Learn that the receiver ended a session of its own accord after so many messages.

        Three times the same number in a row is a limit, for an hour: then it is asked again.
        """
        self._cuts = self._cuts + 1 if carried == self._cut else 1
        self._cut = carried
        if self._cuts >= CUTS:
            self._cut_until = now + CUT_FOR

    def limit(self) -> int:
        """Return how many sessions it may have now."""
        if self.failures:
            return 1
        cap = self.most
        return self.window.size if cap is None else min(self.window.size, cap)

    def room(self) -> bool:
        """Whether one more session fits into the window."""
        return self.sessions < self.limit()

    def pause(self, until: float, reason: str) -> None:
        """Begin nothing before `until`, unless something else holds it longer already."""
        if until > self.until:
            self.until = until
            self.reason = reason

    def opened_in(self, seconds: float) -> None:
        """Learn how long a session took to open."""
        self.opening += (seconds - self.opening) * (0.3 if self.opening else 1.0)

    def took(self, seconds: float) -> None:
        """Learn how long a session took from one result to the next."""
        self.each += (seconds - self.each) * (0.1 if self.each else 1.0)

    def good(self, now: float, since: float) -> bool:
        """Learn that a transaction went well that was handed out at `since`.

        Returns:
            Whether there is room for more.
        """
        window, speed = self.window, self.speed
        self.failures = 0
        if since > window.stepped_at:
            self.refusals = 0
        faster = speed.good(now, since=since)
        # A window that is not full does not grow, whatever its cap; most are not.
        cap = self._cap() if self.sessions >= window.size else 0
        if cap and speed.binds(now):
            cap = min(cap, window.knee or window.size)  # more sessions would wait for the rate
        return window.good(now, busy=self.sessions, cap=cap) or faster

    def _cap(self) -> int:
        cap = self.site.session_cap()
        return cap if self.most is None else min(cap, self.most)

    def slow(self, now: float, since: float, reason: str, jitter: float) -> None:
        """Learn that the receiver asks for less.

        Sessions are halved, and the rate too, unless the window has grown since the rate rose: then
        it was the sessions that were too much. When it asks again though it has taken nothing
        since, it is left alone for a while that grows.
        """
        window, speed = self.window, self.speed
        sized = speed.rate is None or window.grew_at > speed.rose_at
        if not window.trouble(now, since=since, sized=sized):
            return
        self.refusals += 1
        if sized and speed.rate is not None and self.refusals == 1:
            speed.limit(speed.taken(now) * BELOW, now)  # or their rate: it is asked for by itself
            return
        if speed.trouble(now, since=since):
            if not (self.extra and SPEED in self.extra):
                self.limit_messages(SPEED, speed)
            return
        self.pause(now + self._slowing.wait(self.refusals, jitter), reason)

    def blocked(self, now: float, since: float, reason: str, jitter: float) -> None:
        """Learn that the receiver refuses this source."""
        if self.window.trouble(now, since=since):
            self.refusals += 1
            self.pause(now + self._blocking.wait(self.refusals, jitter), reason)

    def broke(
        self, session: "Session", now: float, since: float, reason: str, jitter: float
    ) -> None:
        """Learn that a connection failed or broke.

        While other sessions are open, or this one had carried something, the receiver is there: it
        had enough of us, or one message broke it, and a smaller window answers that. Otherwise the
        path is left alone for a while.
        """
        self.window.trouble(now, since=since)
        alive = self.proven - session.open > 0 or session.good > 0
        if alive or since <= self._failed_at:
            return
        self.failures += 1
        self._failed_at = now
        self.pause(now + self._failing.wait(self.failures, jitter), reason)

    def state(self) -> Learned:
        """Return what must be kept to continue after a restart."""
        until = max(self.until, 0.0)
        return Learned(
            self.window.state(),
            self.failures,
            self.refusals,
            until,
            self.reason,
            self.speed.state(),
            round(self.opening, 4),
            round(self.each, 4),
        )

    def restore(self, learned: Learned) -> None:
        """Continue from what was kept."""
        self.window.restore(learned.window)
        self.failures, self.refusals = learned.failures, learned.refusals
        self.until, self.reason = learned.until, learned.reason
        self.opening, self.each = learned.opening, learned.each
        self.speed.restore(learned.speed)
        if self.speed.rate is not None:
            self.limit_messages(SPEED, self.speed)


class Destination(Scope):
    """A recipient domain: its lanes, and the site it was found at."""

    __slots__ = ("asked", "dead", "lanes", "site", "stale_at", "stuck")

    def __init__(self, name: str, bulk_turns: int) -> None:
        super().__init__("destination", name, NO_CAPS, bulk_turns)
        self.site: Site | None = None
        self.dead: Outcome | None = None
        self.asked = False  # a Resolve is out
        self.stale_at = NEVER  # the answer's end of life
        self.lanes: dict[int, Lane] = {}
        self.stuck: list[Lane] = []  # lanes waiting for this destination's own caps


class Job:
    """One submission: when it may send, and its lanes."""

    __slots__ = (
        "delay",
        "facts",
        "from_at",
        "lanes",
        "paced_until",
        "rank",
        "sent",
        "stuck",
        "timer",
    )

    def __init__(self, facts: JobFacts) -> None:
        self.facts = facts
        self.rank = 0 if facts.priority == 0 else 1
        self.lanes: dict[int, Lane] = {}
        self.stuck: list[Share] = []  # shares waiting for this job's time
        self.sent = 0  # in the present round of its pace
        self.paced_until = NEVER
        self.from_at = facts.send_at  # not before; the later of send_at and the pace
        self.delay = 0.0  # seconds by which a scheduled start is put off
        self.timer = FOREVER

    def change(self, facts: JobFacts, delay: float) -> None:
        """Take over new facts, and how far its scheduled start is put off."""
        if facts.pace != self.facts.pace:
            self.sent, self.paced_until = 0, NEVER
        self.facts = facts
        self.delay = delay
        self.rank = 0 if facts.priority == 0 else 1
        self.from_at = max(self.begins_at, self.paced_until)

    @property
    def begins_at(self) -> float:
        """When it begins at the earliest."""
        return self.facts.send_at + self.delay

    def open(self) -> bool:
        """Whether people want it sent at all."""
        return self.facts.state is JobState.OPEN

    def spend(self, now: float) -> None:
        """Count one handed out against the pace: at most N, then wait T."""
        pace = self.facts.pace
        if pace is None:
            return
        self.sent += 1
        if self.sent >= pace.messages:
            self.sent = 0
            self.paced_until = now + pace.seconds
            self.from_at = max(self.begins_at, self.paced_until)


class Lane:
    """One job's deliveries to one destination: a window of due ids, in order."""

    __slots__ = (
        "after_due",
        "after_id",
        "ahead",
        "destination",
        "drained",
        "hand",
        "id",
        "in_line",
        "items",
        "job",
        "loading",
        "more",
        "quota",
        "share",
    )

    def __init__(self, facts: LaneFacts, job: Job, destination: Destination, quota: int) -> None:
        self.id = facts.id
        self.job = job
        self.destination = destination
        self.items: deque[Waiting] = deque()
        self.more = True  # the queue holds due ids beyond the window
        self.loading = False
        self.hand = 0  # of its ids, those that are handed out
        self.ahead = facts.ready  # ids that the queue held ready, less those handed out; about
        self.quota = quota
        self.after_due, self.after_id = 0.0, 0
        self.share: Share | None = None
        self.in_line = False  # in its share, or in its destination's `stuck`
        self.drained = False  # it has left memory


class Share:
    """One job's part of a work: its lanes in turn."""

    __slots__ = ("in_line", "job", "lanes", "members", "rank", "work")

    def __init__(self, job: Job, work: "Work") -> None:
        self.job = job
        self.work = work
        self.rank = job.rank
        self.members: dict[int, Lane] = {}
        self.lanes: deque[Lane] = deque()  # the members in line, and some that have left
        self.in_line = False  # in its work, or in its job's `stuck`


class Work:
    """What waits for one site and may leave from one pool."""

    __slots__ = (
        "gates",
        "held_by_own",
        "held_until",
        "idle",
        "in_line",
        "pool",
        "rings",
        "sessions",
        "shares",
        "site",
        "turn",
        "waiting",
    )

    def __init__(self, site: Site, pool: Pool) -> None:
        self.site = site
        self.pool = pool
        self.shares: dict[int, Share] = {}  # by job
        self.rings: tuple[deque[Share], deque[Share]] = (deque(), deque())  # by rank
        self.turn = 0
        self.waiting = 0  # ids in memory, not yet handed out
        self.sessions = 0  # that serve it; those told to finish are not counted
        self.idle: dict[int, Session] = {}
        self.held_until = NEVER  # its lanes have been parked until then,
        self.held_by_own = False  # by nothing but limits of our own
        # By rank: whether it stands in a line, and at which gate (None: in the engine's own line).
        self.in_line = [False, False]
        self.gates: list[Gate | None] = [None, None]

    def standing_at(self, gate: Gate | None) -> int:
        """Return how many places this work has in that line itself."""
        return sum(
            standing and where is gate
            for standing, where in zip(self.in_line, self.gates, strict=True)
        )


class Session:
    """One SMTP connection, from the decision to open it to its end."""

    __slots__ = (
        "begun_at",
        "cut",
        "destination",
        "destinations",
        "finishing",
        "good",
        "hand",
        "id",
        "idle_until",
        "most",
        "open",
        "path",
        "probe",
        "road",
        "scopes",
        "served_at",
        "taken",
        "work",
    )

    def __init__(
        self,
        number: int,
        work: Work,
        path: Path,
        *,
        road: Road,
        scopes: tuple[Scope, ...],
        now: float,
    ) -> None:
        self.id = number
        self.work = work
        self.path = path
        self.road = road
        self.scopes = scopes  # whose caps on messages apply, destinations apart
        self.begun_at = now
        self.most = 1_000_000  # messages on this connection
        self.taken = 0
        self.hand = 0  # handed out, not yet settled or returned
        self.destination: Destination | None = None  # the latest
        self.destinations: dict[Destination, int] = {}  # held, with what is in hand of each
        self.open = False
        self.good = 0  # transactions on it that went well
        self.cut = False  # the latest one did not, so that an end now would be the receiver's
        self.probe = False  # of a path that failed or drags
        self.finishing = ""
        self.idle_until = NEVER
        self.served_at = NEVER  # its latest result, or when it was ready for the first


Jitter = Callable[[], float]
