"""What is watched in a simulation: the mail of some jobs as it arrives, and what holds it up."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from ekiden.engine.schedule.explain import NOTHING_DUE
from ekiden.engine.scheduler import Scheduler
from ekiden.queue.model import LaneFacts

_LOOKS: Final = 40  # how often it is asked what holds a provider's mail up, by what has arrived,
_LEAP: Final = 30.0  # and whenever the clock goes on by as many seconds at once
_LEAPS: Final = 500  # of which so many are looked at; beyond, only leaps twice as long, and again
_TAIL: Final = 0.05  # of a provider's mail: what holds up the last of it is not what binds it
_INSTANT: Final = 1e-3  # seconds that a look counts at least

IN_LINE: Final = "more destinations wait than are served at once"
TO_BE_TRIED: Final = "deferrals: the rest waits for its next try"

Part = tuple[int, str]  # a job's mail to a provider


@dataclass(slots=True)
class SimLane:
    """A lane of the simulated queue: ids from `first` on, each for `weight` messages."""

    facts: LaneFacts
    part: Part
    weight: int
    last: int  # messages that its last id stands for
    rows: dict[int, float]  # ready id -> due
    final: int  # its last id

    def messages(self, number: int) -> int:
        """Return for how many messages an id stands."""
        return self.last if number == self.final else self.weight


@dataclass(slots=True)
class Course:
    """What became of the watched jobs, by job and provider.

    Args:
        arrivals: (time, messages) of what has become final, in order.
        held_up: The reasons that were seen, and for how many seconds.
        ended: Whether all of it became final within the time looked at.
        now: The virtual time at the end.
    """

    arrivals: dict[Part, list[tuple[float, int]]] = field(default_factory=dict)
    held_up: dict[Part, dict[str, float]] = field(default_factory=dict)
    ended: bool = False
    now: float = 0.0


class Watch:
    """Follows the lanes of some jobs.

    Args:
        lanes: Theirs, with everything that is to come.
        scheduler: Says what holds a destination up.
        begins: From when on something can hold it up, UNIX seconds.
    """

    def __init__(self, lanes: Sequence[SimLane], scheduler: Scheduler, begins: float) -> None:
        self.course = Course()
        self.left = sum(len(lane.rows) for lane in lanes)  # ids
        self._lanes = {lane.facts.id: lane for lane in lanes}
        self._scheduler = scheduler
        self._left_of: Counter[Part] = Counter()  # messages
        for lane in lanes:
            self.course.arrivals.setdefault(lane.part, [])
            self._left_of[lane.part] += lane.weight * (len(lane.rows) - 1) + lane.last
        self._tail = {part: _TAIL * number for part, number in self._left_of.items()}
        self._look_every = max(1, self.left // _LOOKS)
        self._look_at = self.left
        self._looked_at = begins
        self._leap = _LEAP
        self._leaps = 0

    def final(self, lane: SimLane, number: int, now: float) -> None:
        """Note that an id of a lane has arrived, if the lane is watched."""
        if lane.facts.id not in self._lanes:
            return
        messages = lane.messages(number)
        self.course.arrivals[lane.part].append((now, messages))
        self._left_of[lane.part] -= messages
        self.left -= 1
        if self.left <= self._look_at:
            self._look_at = self.left - self._look_every
            self._look(now, now)

    def leapt(self, now: float, at: float) -> None:
        """Look what holds the mail up while the clock goes on at once from `now` until `at`."""
        if at - max(now, self._looked_at) < self._leap:
            return
        self._look(now, at)
        self._leaps += 1
        if self._leaps == _LEAPS:
            self._leap, self._leaps = self._leap * 2, 0

    def _look(self, now: float, until: float) -> None:
        """Ask of each job and provider what holds up the largest of what is left.

        What is seen now counts from the last look until `until`.
        """
        seconds = until - self._looked_at
        if seconds < 0:
            return
        self._looked_at = until
        largest: dict[Part, SimLane] = {}
        for lane in self._lanes.values():
            if not lane.rows or self._left_of[lane.part] <= self._tail[lane.part]:
                continue
            other = largest.get(lane.part)
            if other is None or len(lane.rows) > len(other.rows):
                largest[lane.part] = lane
        for part, lane in largest.items():
            reason, _ = self._scheduler.why(lane.facts.destination, now, part[0])
            if reason == NOTHING_DUE:  # of what the scheduler has in memory
                due = any(at <= now for at in lane.rows.values())
                reason = IN_LINE if due else TO_BE_TRIED
            seen = self.course.held_up.setdefault(part, {})
            seen[reason] = seen.get(reason, 0.0) + max(seconds, _INSTANT)
