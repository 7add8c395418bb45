"""Ids that stand for several messages: how the forecast runs the scheduler in larger steps. Pure.

The scheduler hands out ids, and each counts as one message. What an id stands for besides is
counted here, against every limit that the id itself was counted against.
"""

from ekiden.engine.schedule.facts import Item
from ekiden.engine.schedule.state import State


def weigh(state: State, session_id: int, item: Item, more: int, now: float) -> None:
    """Count `more` messages for an id that a session was given.

    Args:
        state: The scheduler's memory.
        session_id: The session.
        item: The id.
        more: Messages it stands for besides itself.
        now: UNIX seconds, as when it was handed out.
    """
    session = state.sessions[session_id]
    session.taken += more
    scopes = [scope for scope in session.metered if scope.messages is not None]
    destination = state.destinations.get(item.destination)
    if destination is not None and destination.messages is not None and not session.free[1]:
        scopes.append(destination)
    job = state.jobs.get(item.job_id)
    paced = job is not None and job.facts.pace is not None
    if not scopes and not paced:
        return
    for _ in range(more):
        for scope in scopes:
            if scope.messages is not None:
                scope.messages.spend(now)
        if job is not None and paced:
            job.spend(now)
