"""Lines, gates and timers: whatever could go out is in a line, or at a gate that puts it back.

A lane is in its share's line, or stuck at its destination; a share in its work's ring, or stuck at
its job; a work in the engine's line, at a gate, or served by its sessions. Timers carry gates whose
opening is a matter of time; the end of a session opens those that were full.
"""

import heapq
from collections import deque

from ekiden.engine.schedule.engaged import most_engaged_first
from ekiden.engine.schedule.facts import (
    FOREVER,
    SchedulerOptions,
)
from ekiden.engine.schedule.gates import Gate, Line
from ekiden.engine.schedule.places import Places
from ekiden.engine.schedule.sticking import idle_session
from ekiden.engine.schedule.ways import Road, Source
from ekiden.engine.schedule.works import Destination, Jitter, Job, Lane, Share, Site, Work
from ekiden.shaping.window import NEVER


class Lines(Places):
    """The first floor of `state.State`: who stands where."""

    def __init__(self, options: SchedulerOptions, jitter: Jitter) -> None:
        super().__init__(options, jitter)
        self.line = Line(options.bulk_turns)
        self.short_until = NEVER  # works had to wait for the engine's slots lately
        self.unresolved: deque[Destination] = deque()
        self._timers: list[tuple[float, int, Gate | Job]] = []
        self._ticket = 0

    def lane_in_line(self, lane: Lane) -> None:
        """Let a lane with ids stand in line, and with it its share and its work."""
        share = lane.share
        if share is None or lane.drained or not lane.items:
            return
        if not lane.in_line:
            lane.in_line = True
            share.lanes.append(lane)
        self.share_in_line(share)

    def share_in_line(self, share: Share) -> None:
        """Let a share stand in its work's ring, and its work in the engine's line."""
        if not share.in_line and share.lanes:
            share.in_line = True
            share.work.rings[share.rank].append(share)
        self.work_in_line(share.work, share.rank)

    def work_in_line(self, work: Work, rank: int) -> None:
        """Let a work stand in the engine's line for its mail of that rank, once.

        One that waits at a gate until another session may begin leaves it for a session of its own
        that is open, has nothing to do, and may take something of it: else it would only go round
        to the same gate, for ever.
        """
        gate = work.gates[rank]
        if gate is not None and gate.waiters is not None and idle_session(work, rank, NEVER):
            work.in_line[rank] = not gate.waiters.leave(work, rank)
        if not work.in_line[rank] and work.rings[rank]:
            work.in_line[rank] = True
            work.gates[rank] = None
            self.line.push(work, rank)

    def work_at_gate(self, work: Work, rank: int, gate: Gate, at: float) -> None:
        """Let a work wait at a gate, which will be looked at again at `at` at the latest."""
        work.in_line[rank] = True
        work.gates[rank] = gate
        gate.queue(work, rank)
        self.set_timer(gate, at)

    # --- Gates ------------------------------------------------------------------------------------

    def poke(self, gate: Gate, now: float) -> None:
        """Let the first in line at an open gate through; the one after it when that has moved."""
        if not gate.waiters:
            return
        at = gate.open_at(now)
        if at <= now:
            self._through(gate.waiters)
        else:
            self.set_timer(gate, at)

    def poke_all(self, gate: Gate) -> None:
        """Let all in line at a gate through, to look for themselves."""
        while gate.waiters:
            self._through(gate.waiters)

    def _through(self, waiters: Line) -> None:
        work, rank = waiters.pop()
        work.gates[rank] = None
        self.line.push(work, rank)

    def poke_source(self, source: Source, now: float) -> None:
        """Let one through that wants this source, or would take it in place of another."""
        if source.waiters:
            self.poke(source, now)
            return
        for pool in source.pools:
            for other in pool.sources:
                if other.waiters:
                    self._through(other.waiters)
                    return

    def poke_road(self, road: Road, now: float) -> None:
        """Let one through that wants this road, or would take it in place of another's."""
        if road.waiters:
            if road.cold and road.open_at(now) <= now:
                most_engaged_first(road.waiters)
            self.poke(road, now)
            return
        for pool in self.sources[road.source].pools:
            for source in pool.sources:
                other = source.roads.get(road.provider)
                if other is not None and other.waiters:
                    self._through(other.waiters)
                    return

    def unstick_destination(self, destination: Destination) -> None:
        """Put the lanes that waited for a destination back in line."""
        stuck, destination.stuck = destination.stuck, []
        for lane in stuck:
            lane.in_line = False
            self.lane_in_line(lane)

    def unstick_job(self, job: Job) -> None:
        """Put the shares that waited for a job back in line."""
        stuck, job.stuck = job.stuck, []
        for share in stuck:
            share.in_line = False
            self.share_in_line(share)

    # --- Timers -----------------------------------------------------------------------------------

    def set_timer(self, gate: Gate | Job, at: float) -> None:
        """Look at a gate at `at`, unless it will be looked at before that."""
        if at < gate.timer:
            gate.timer = at
            self._ticket += 1
            heapq.heappush(self._timers, (at, self._ticket, gate))

    def next_timer(self) -> float:
        """Return the time of the first timer."""
        timers = self._timers
        while timers and timers[0][2].timer != timers[0][0]:
            heapq.heappop(timers)
        return timers[0][0] if timers else FOREVER

    def fire_timers(self, now: float, most: int) -> None:
        """Look at every gate whose time has come, so many at most."""
        while most > 0 and self.next_timer() <= now:
            most -= 1
            _, _, gate = heapq.heappop(self._timers)
            gate.timer = FOREVER
            match gate:
                case Job():
                    self.unstick_job(gate)
                case Destination():
                    self.wake_destination(gate, now)
                case Site():
                    self.poke_all(gate)
                case Source():
                    self.poke_source(gate, now)
                case Road():
                    self.poke_road(gate, now)
                case _:
                    self.poke(gate, now)

    def wake_destination(self, destination: Destination, now: float) -> None:
        """Look again at a destination: its caps, and whether its site must be found again."""
        self.unstick_destination(destination)
        if destination.lanes and destination.stale_at <= now and not destination.asked:
            destination.asked = True
            self.unresolved.append(destination)
