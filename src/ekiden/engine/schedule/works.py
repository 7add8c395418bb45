"""What waits, and who carries it: destinations, jobs, and the tree of waiting work.

```
Line (turn order) -> Work (site, pool) -> Share (job in that work) -> Lane -> ids
                       |                                                |
                       Site -> Provider                                 Destination
```

A work, a share and a lane stand in line at the level above exactly while they have something to
offer; whatever cannot move steps out of line and waits at what holds it: a gate, a destination, a
job. A `Session` serves one work on one path.
"""

from collections import deque
from collections.abc import Callable
from typing import Final

from ekiden.engine.schedule.facts import FOREVER
from ekiden.engine.schedule.gates import Gate, Scope, Standing
from ekiden.engine.schedule.ways import Path, Pool, Receiver, Road
from ekiden.queue.model import JobFacts, JobState, LaneFacts, Waiting
from ekiden.shaping.caps import NO_CAPS, Caps
from ekiden.shaping.window import NEVER
from ekiden.smtp.outcome import Outcome

UNFORESEEN: Final = 0.5  # seconds: a message so far from its place is in another second


class Site(Receiver):
    """A receiver with the work that waits for it."""

    __slots__ = ("served_at", "works")

    def __init__(self, name: str, caps: Caps, provider: Scope | None, bulk_turns: int) -> None:
        super().__init__(name, caps, provider, bulk_turns)
        # By pool, and by set where that has caps of its own.
        self.works: dict[str, Work] = {}
        self.served_at = NEVER  # when its latest session that had opened ended

    def begins(self, now: float, between: float) -> bool:
        """Whether its mail begins with the next session, and does not only go on.

        Args:
            now: UNIX seconds.
            between: Seconds that may lie between two sessions of which the second goes on.
        """
        return self.sessions == self.leaving and now - self.served_at > between


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


BEHIND: Final = 2.0  # seconds in which a sibling that is behind may open a session


class Round:
    """How far a job is in its pace (at most N, then wait T); its siblings share it."""

    __slots__ = ("jobs", "sent", "until")

    def __init__(self) -> None:
        self.jobs: list[Job] = []
        self.sent = 0
        self.until = NEVER


class Job:
    """One submission: when it may send, and its lanes."""

    __slots__ = (
        "delay",
        "facts",
        "from_at",
        "lanes",
        "paced",
        "rank",
        "round",
        "stuck",
        "timer",
    )

    def __init__(self, facts: JobFacts) -> None:
        self.facts = facts
        self.rank = 0 if facts.priority == 0 else 1
        self.lanes: dict[int, Lane] = {}
        self.stuck: list[Share] = []  # shares waiting for this job's time
        self.paced = 0  # handed out at its pace, as against its siblings
        self.join(Round())
        self.from_at = facts.send_at  # not before; the later of send_at and the pace
        self.delay = 0.0  # seconds by which a scheduled start is put off
        self.timer = FOREVER

    def change(self, facts: JobFacts, delay: float) -> None:
        """Take over new facts, and how far its scheduled start is put off."""
        if facts.pace != self.facts.pace:
            self.round.sent, self.round.until = 0, NEVER
        self.facts = facts
        self.delay = delay
        self.rank = 0 if facts.priority == 0 else 1
        self.from_at = max(self.begins_at, self.round.until)

    def join(self, shared: Round) -> None:
        """Share a pace with the jobs of a round."""
        self.round = shared
        self.paced = min((one.paced for one in shared.jobs), default=0)
        shared.jobs.append(self)

    @property
    def begins_at(self) -> float:
        """When it begins at the earliest."""
        return self.facts.send_at + self.delay

    def open(self) -> bool:
        """Whether people want it sent at all."""
        return self.facts.state is JobState.OPEN

    def spend(self, now: float) -> None:
        """Count one handed out against the pace: at most N, then wait T.

        Who is a round ahead of a sibling that waits comes a moment later than that one: it has
        sessions open, and would take every round before the other has one.
        """
        pace = self.facts.pace
        if pace is None:
            return
        shared = self.round
        self.paced += 1
        shared.sent += 1
        if shared.sent >= pace.messages:
            shared.sent = 0
            shared.until = now + pace.seconds
            for job in shared.jobs:
                later = min(BEHIND, pace.seconds) if job.ahead(pace.messages) else 0.0
                job.from_at = max(job.begins_at, shared.until + later)

    def ahead(self, messages: int) -> bool:
        """Whether it has had so many more than a sibling that waits; who waits not has no claim."""
        found = False
        for one in self.round.jobs:
            if not one.lanes:
                one.paced = max(one.paced, self.paced - messages)
            elif self.paced - one.paced >= messages:
                found = True
        return found


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
        "kept_until",
        "loading",
        "more",
        "quota",
        "share",
        "sticking",
    )

    def __init__(self, facts: LaneFacts, job: Job, destination: Destination, quota: int) -> None:
        self.id = facts.id
        self.job = job
        self.destination = destination
        self.items: deque[Waiting] = deque()
        self.more = True  # the queue holds due ids beyond the window
        self.sticking = 0  # of these, those that were greylisted and keep to a source
        self.loading = False
        self.hand = 0  # of its ids, those that are handed out
        self.ahead = facts.ready  # ids that the queue held ready, less those done or in hand; about
        self.quota = quota
        self.after_due, self.after_id = 0.0, 0
        self.share: Share | None = None
        self.in_line = False  # in its share, or in its destination's `stuck`
        self.drained = False  # it has left memory
        self.kept_until = NEVER  # limits of our own held it until then, as the queue has heard


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


class Work(Standing):
    """What waits for one site and may leave from one pool.

    Args:
        site: The site.
        pool: The pool.
        key: Under which the site has it.
        own: What the configuration set of its jobs says in place of the site; None for nothing.
    """

    __slots__ = (
        "engagement",
        "held_by_own",
        "held_until",
        "idle",
        "key",
        "own",
        "pool",
        "rings",
        "sessions",
        "shares",
        "site",
        "turn",
        "waiting",
    )

    def __init__(self, site: Site, pool: Pool, key: str = "", own: Scope | None = None) -> None:
        super().__init__()
        self.site = site
        self.pool = pool
        self.key = key or pool.name
        self.own = own
        self.shares: dict[int, Share] = {}  # by job
        self.rings: tuple[deque[Share], deque[Share]] = (deque(), deque())  # by rank
        self.turn = 0
        self.waiting = 0  # ids in memory, not yet handed out
        self.sessions = 0  # that serve it; those told to finish are not counted
        self.idle: dict[int, Session] = {}
        self.held_until = NEVER  # its lanes have been parked until then,
        self.engagement = 0  # the class of its most engaged recipient when it was last looked at
        self.held_by_own = False  # by nothing but limits of our own

    def standing_at(self, gate: Gate | None) -> int:
        """Return how many places this work has in that line itself."""
        return sum(
            standing and where is gate
            for standing, where in zip(self.in_line, self.gates, strict=True)
        )


class Session:
    """One SMTP connection, from the decision to open it to its end."""

    __slots__ = (
        "answered",
        "asks",
        "begun_at",
        "cut",
        "destination",
        "destinations",
        "due_at",
        "finishing",
        "free",
        "full",
        "good",
        "hand",
        "id",
        "idle_until",
        "metered",
        "most",
        "open",
        "path",
        "probe",
        "road",
        "scopes",
        "seat",
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
        self.scopes = scopes  # where it counts, destinations apart
        self.metered = scopes  # whose message rates hold for it
        self.seat: Scope = work.site  # whose cap on sessions holds for it
        self.free = (False, False)  # of which caps of the destination: `own.Free`
        self.begun_at = now
        # When its first message is counted for; NEVER while nobody knows how long opening takes.
        self.due_at = now + path.ahead if path.ahead else NEVER
        self.most = 1_000_000  # messages on this connection
        self.taken = 0
        self.hand = 0  # handed out, not yet settled or returned
        self.destination: Destination | None = None  # the latest
        self.destinations: dict[Destination, int] = {}  # held, with what is in hand of each
        self.open = False
        self.good = 0  # transactions on it that went well
        self.asks = False  # it goes on where the receiver has ended sessions before,
        self.answered = False  # and has been refused there
        self.full = 0  # after so many the receiver said in words that it takes no more
        self.cut = False  # the latest one did not, so that an end now would be the receiver's
        self.probe = False  # of a path that failed or drags
        self.finishing = ""
        self.idle_until = NEVER
        self.served_at = NEVER  # its latest result, or when it was ready for the first

    @property
    def tried(self) -> int:
        """Its transactions that have ended."""
        return self.taken - self.hand

    def fills_up(self, now: float) -> bool:
        """Learn that its receiver takes no more on it, in words; whether that is about its length.

        Said to the first message it is not: that would be a receiver who takes none. A session that
        is left open takes no more, and what was on its way is refused for the same reason.
        """
        carried = self.full or self.tried - 1
        if carried < 1:
            return False
        if not self.full:
            self.full = carried
            self.path.length.said(carried, now, rate=self.path.speed.rate)
            self.most = min(self.most, self.taken)
        return True

    def meets_its_end(self) -> bool:
        """Whether the refusal that it met is about its length: expected, or asked for."""
        length, carried = self.path.length, self.tried - 1
        if length.expects(carried):
            return True
        beyond = self.asks and length.limit is not None and carried > length.limit
        answer, self.answered = beyond and not self.answered, self.answered or beyond
        return answer

    def opened(self, now: float) -> None:
        """Learn that it is ready for transactions."""
        self.open = True
        self.served_at = now
        self.path.proven += 1
        self.path.opened_in(now - self.begun_at)
        destinations = () if self.free[1] else tuple(self.destinations)
        for scope in (*self.metered, *destinations):
            if scope.messages is None:
                continue
            scope.ahead = self.path.ahead
            if abs(now - self.due_at) > UNFORESEEN:
                scope.messages.unforeseen(now)

    @property
    def alive(self) -> bool:
        """Whether its receiver is there: it carried something, or other sessions are open."""
        return self.path.proven - self.open > 0 or self.good > 0


Jitter = Callable[[], float]
