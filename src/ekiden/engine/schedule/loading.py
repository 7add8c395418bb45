"""Lanes on their way into memory and out of it: offered, read, given back, refused.

A lane is in memory while it has due ids, or some in a hand; a window of them is read at a time
(`Load`), further for a lane that drains. What can never be delivered is handed out to be refused.
"""

from collections.abc import Sequence
from typing import Final

from ekiden.engine.schedule.facts import (
    Action,
    Item,
    Load,
    Park,
    Refuse,
)
from ekiden.engine.schedule.state import SUSPENDED_PARK, State
from ekiden.engine.schedule.works import Job, Lane, Session
from ekiden.queue.model import LaneFacts, Waiting
from ekiden.shaping.window import NEVER

REFUSE_AT_ONCE: Final = 200  # ids of a dead destination in one `Refuse`


def offered(state: State, facts: LaneFacts, now: float) -> bool:
    """Take a lane that has due deliveries into memory; whether there was room for it."""
    if facts.id in state.lanes:
        return True
    job = state.jobs.get(facts.job_id)
    if job is None or not job.open() or job.facts.expires_at <= now:
        return True
    if len(state.lanes) >= state.options.lanes_max:
        state.crowded_until = now + state.options.park_after
        return False
    held = _held_until(state, job, facts.destination, now)
    if held > now + state.options.park_after:
        state.out.append(Park(facts.id, held))
        return True
    lane = _new_lane(state, facts, job, now)
    state.attach(lane, now)
    state.want_load(lane)
    return True


def _held_until(state: State, job: Job, name: str, now: float) -> float:
    """Return the time before which there is no use in holding a lane."""
    destination = state.destinations.get(name)
    suspended = NEVER if destination is None else destination.until
    not_found = state.trouble.get(name, (NEVER, ""))[0]
    return max(job.begins_at, not_found, min(suspended, now + SUSPENDED_PARK))


def _new_lane(state: State, facts: LaneFacts, job: Job, now: float) -> Lane:
    destination = state.destination(facts.destination)
    lane = Lane(facts, job, destination, state.options.lane_first)
    state.lanes[lane.id] = job.lanes[lane.id] = destination.lanes[lane.id] = lane
    if not destination.asked and destination.stale_at <= now:
        destination.asked = True
        state.unresolved.append(destination)
    return lane


def loaded(state: State, lane_id: int, items: Sequence[Waiting], more: bool, now: float) -> None:  # noqa: FBT001  the last two are never literals
    """Take ids of a lane that are due; see `Scheduler.loaded`."""
    state.requested -= state.requests.pop(lane_id, 0)
    lane = state.lanes.get(lane_id)
    if lane is None:
        return
    lane.loading = False
    due = [item for item in items if item.due_at <= now]
    lane.more = more and len(due) == len(items)
    if lane.after_id and state.waiting < state.options.waiting_max // 2:
        lane.quota = min(lane.quota * 2, state.options.lane_most)  # it drains: read further
    if items:
        lane.after_due, lane.after_id = items[-1].due_at, items[-1].id
    state.add(lane, due)
    refuse_dead(state, lane, now)
    if lane.items:
        state.lane_in_line(lane)
    state.want_load(lane)
    drop_if_drained(state, lane)


def drop_if_drained(state: State, lane: Lane) -> None:
    """Forget a lane that has nothing any more.

    Not before its last id is settled: only then does the queue know when it is due again.
    """
    if not (lane.items or lane.more or lane.loading or lane.hand):
        state.drop(lane, None)


def refuse_dead(state: State, lane: Lane, now: float) -> None:
    """Hand out everything of a lane that can never be delivered, to be refused."""
    destination = lane.destination
    outcome = destination.dead
    if outcome is None:
        return
    while lane.items and not lane.drained:
        many = min(len(lane.items), REFUSE_AT_ONCE)
        items = tuple(state.hand_out(lane, None, now) for _ in range(many))
        state.out.append(Refuse(destination.name, items, outcome))


def returned(state: State, lane_id: int, items: Sequence[Item], now: float) -> None:
    """Take back ids that were handed out and not tried."""
    back: list[Waiting] = []
    for item in items:
        held = state.put_down(item.id)
        if held is None:
            continue
        _refund(state, held, now)
        back.append(Waiting(item.id, item.due_at, item.source))
    if not back:
        return
    lane = state.lanes.get(lane_id)
    if lane is None:
        job = state.jobs.get(items[0].job_id)
        if job is None or not job.open():
            return
        job_facts = job.facts
        facts = LaneFacts(
            lane_id,
            job_facts.id,
            items[0].destination,
            job_facts.priority,
            len(back),
            back[0].due_at,
        )
        lane = _new_lane(state, facts, job, now)
        state.attach(lane, now)
        if lane.drained:
            return
    state.add(lane, back, front=True)
    state.lane_in_line(lane)
    state.want_load(lane)
    refuse_dead(state, lane, now)
    drop_if_drained(state, lane)


def _refund(state: State, held: tuple[Lane, Session | None, float], now: float) -> None:
    lane, session, at = held
    if session is None:
        return
    scopes = session.metered if session.free[1] else (*session.metered, lane.destination)
    for scope in scopes:
        if scope.messages is not None:
            scope.messages.refund(at)
    if not session.finishing and session.id in state.sessions:
        session.taken -= 1
    pace = lane.job.facts.pace
    if pace is not None and lane.job.round.sent > 0:
        lane.job.round.sent -= 1
        lane.job.paced -= 1
    if session.work.site.waiters:
        state.set_timer(session.work.site, now)


def ask(state: State, result: list[Action], budget: int) -> None:
    """Ask for ids of the lanes that want some, as far as memory has room."""
    while state.loads and len(result) < budget and state.may_load():
        lane_id = next(iter(state.loads))
        lane = state.loads.pop(lane_id)
        lane.loading = True
        limit = lane.quota - len(lane.items)
        state.requested += limit - state.requests.get(lane_id, 0)
        state.requests[lane_id] = limit
        result.append(Load(lane_id, limit, lane.after_due, lane.after_id))
