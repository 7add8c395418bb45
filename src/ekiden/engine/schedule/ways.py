"""Which way mail can go: sources and their pools, receivers, and what is learned between the two.

```
Source ──► Road (source, provider) ──► Path (source, site) ──► Receiver ──► its hosts
   └── Pool: sources that share work
```

A path learns what its receiver takes (window, rate, messages a session), a road what its provider
thinks of the address (warm-up, blocks).
"""

from typing import Final

from ekiden.engine.schedule.facts import Learned
from ekiden.engine.schedule.gates import Gate, Scope
from ekiden.shaping.caps import NO_CAPS, Caps
from ekiden.shaping.length import Length
from ekiden.shaping.ramps import OTHER
from ekiden.shaping.speed import Speed, SpeedOptions
from ekiden.shaping.warmup import Ramp
from ekiden.shaping.window import NEVER, Backoff, Window, WindowOptions

PLACES: Final = 600.0  # seconds over which those who wait for a cold road are spread
GONE: Final = "gone"  # the owner of the end of a scope that the configuration has no longer
SPEED: Final = "speed"  # the owner of the rate that a path has found


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


class Receiver(Scope):
    """MX hosts behind one or many destinations, and the paths to them: a site, without its work."""

    __slots__ = ("destinations", "guests", "hosts", "paths", "provider", "sets")

    def __init__(self, name: str, caps: Caps, provider: Scope | None, bulk_turns: int) -> None:
        super().__init__("site", name, caps, bulk_turns)
        self.guests = 0  # of its sessions, those whose source or set has a cap of its own
        self.provider = provider
        self.hosts: tuple[str, ...] = ()
        self.paths: dict[str, Path] = {}
        self.sets: dict[str, Scope] = {}  # what sets say in its place, by their names
        self.destinations = 0

    @property
    def staying(self) -> int:
        """Its sessions that count against its cap and have not been told to finish."""
        return self.sessions - self.leaving - self.guests

    def full(self) -> bool:
        """Whether its cap on sessions is reached by those that count against it."""
        most = self.most
        return most is not None and self.sessions - self.guests >= most

    def session_cap(self, own: int | None) -> int:
        """Return the most sessions it may ever have, all sources together.

        Args:
            own: What a source or a set says in its place.
        """
        site = self.caps.sessions if own is None else own
        caps = [site, self.provider.caps.sessions if self.provider else None]
        return min((cap for cap in caps if cap is not None), default=1_000_000)


class Path(Scope):
    """(source, site): what is learned by sending this way."""

    __slots__ = (
        "_blocking",
        "_failed_at",
        "_failing",
        "_slowing",
        "each",
        "failures",
        "length",
        "opening",
        "own",
        "proven",
        "raised",
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
        site: Receiver,
        learning: tuple[WindowOptions, SpeedOptions],
        waits: tuple[Backoff, Backoff, Backoff],
        bulk_turns: int,
    ) -> None:
        super().__init__("path", f"{source.name} to {site.name}", NO_CAPS, bulk_turns)
        self.source = source
        self.site = site
        self.window = Window(learning[0])
        self.speed = Speed(learning[1])
        self.length = Length()
        self._failing, self._slowing, self._blocking = waits
        self.failures = 0  # failed connections in a row; not 0: one probe at a time
        self.refusals = 0  # replies in a row that asked for less though there was one session
        self.own: Scope | None = None  # what the source says in place of the site
        self.raised: int | None = None  # the cap of the latest session that was not the site's
        self.proven = 0  # sessions that are open now
        self.seconds = 0.0  # that a message takes, the latest weighing most
        self.opening = 0.0  # likewise, that a session takes to open
        self.each = 0.0  # likewise, from one result of a session to the next
        self._failed_at = NEVER

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
        self.ahead = self.opening

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

    def allow(self, caps: Caps) -> None:
        """Take over what its source says in place of the site."""
        if not caps.said:
            if self.own is not None:
                self.own.squeeze(GONE, 0)  # who sits there has to come back by the site's caps
            self.own = None
        elif self.own is None:
            self.own = Scope("path", self.name, caps, self.bulk_turns)
        else:
            self.own.set_caps(caps)

    def _cap(self) -> int:
        cap = self.site.session_cap(self.raised)
        return cap if self.most is None else min(cap, self.most)

    def slow(self, now: float, since: float, reason: str, jitter: float) -> None:
        """Learn that the receiver asks for less.

        Sessions are halved, and the rate too. A rate that has been well for a while gives way by a
        tenth first, and sessions keep their number; when the window has grown since the rate rose,
        the rate comes down to what was taken. When it asks again though it has taken nothing since,
        it is left alone for a while that grows.
        """
        window, speed = self.window, self.speed
        if speed.in_run(now, since=since):
            return
        sized = speed.rate is None or window.grew_at > speed.rose_at
        if speed.calm(now):
            if sized:  # one session more was too much; or their rate, which is asked for by itself
                speed.limit_to_taken(now)
            else:
                speed.ease(now)
            return
        if not window.trouble(now, since=since, sized=sized):
            return
        self.refusals += 1
        if speed.trouble(now, since=since):
            if not (self.extra and SPEED in self.extra):
                self.limit_messages(SPEED, speed)
            return
        wait = max(self._slowing.wait(self.refusals, jitter), speed.patience(now))
        self.pause(now + wait, reason)

    def blocked(self, now: float, since: float, reason: str, jitter: float) -> None:
        """Learn that the receiver refuses this source."""
        if self.window.trouble(now, since=since):
            self.refusals += 1
            self.pause(now + self._blocking.wait(self.refusals, jitter), reason)

    def broke(self, now: float, since: float, reason: str, jitter: float, *, alive: bool) -> None:
        """Learn that a connection failed or broke.

        While other sessions are open, or this one had carried something, the receiver is there: it
        had enough of us, or one message broke it, and a smaller window answers that. Otherwise the
        path is left alone for a while.

        Args:
            now: UNIX seconds.
            since: When what broke was begun; before the last failure it is the same one.
            reason: The cause in words.
            jitter: A number from 0 to 1.
            alive: Whether the receiver is there, as `Session.alive` says.
        """
        self.window.trouble(now, since=since)
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
            self.length.state(),
        )

    def restore(self, learned: Learned) -> None:
        """Continue from what was kept."""
        self.window.restore(learned.window)
        self.failures, self.refusals = learned.failures, learned.refusals
        self.until, self.reason = learned.until, learned.reason
        self.opening, self.each = learned.opening, learned.each
        self.ahead = self.opening
        self.length.restore(learned.length)
        self.speed.restore(learned.speed)
        if self.speed.rate is not None:
            self.limit_messages(SPEED, self.speed)
