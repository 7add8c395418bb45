"""What a session does when it asks for more: end, wait, or stay open. The turns are in `turns`."""

from ekiden.engine.schedule import overflow, slots
from ekiden.engine.schedule.facts import (
    FOREVER,
    Finish,
    Idle,
)
from ekiden.engine.schedule.state import State
from ekiden.engine.schedule.ways import Path
from ekiden.engine.schedule.works import Session
from ekiden.shaping.ramps import OTHER
from ekiden.shaping.window import NEVER


def must_finish(state: State, session: Session, now: float) -> str:
    """Return why a session must end, "" when it need not."""
    path = session.path
    if path.sessions - path.leaving > path.limit():
        return f"the window of {path} is {path.limit()}"
    provider = session.work.site.provider
    if session.road.provider != (OTHER if provider is None else provider.name):
        return f"a new configuration gives {session.work.site.name} to another provider"
    if session.taken >= session.most:
        return f"{session.taken} messages on this connection"
    for scope in session.scopes:
        if scope.until > now:
            return scope.reason
        if scope is not session.work.site and scope.over():
            return f"{scope} allows {scope.most} sessions"
    if session.seat.over():
        return f"{session.seat} allows {session.seat.most} sessions"
    if overflow.must_leave(state, session, now):
        return "the rest is for the sources that warm up"
    options = state.options
    if (
        session.taken >= options.quantum or now - session.begun_at >= options.quantum_seconds
    ) and slots.crowded(state, session):
        return "others wait for its slot"
    return ""


def longest(state: State, path: Path) -> int:
    """Return the most that an open session of a path has carried, those that ask for it apart."""
    return max(
        (one.good for one in state.sessions.values() if one.path is path and not one.asks),
        default=0,
    )


def shorten(state: State, path: Path) -> None:
    """Keep the open sessions of a path to the length that its receiver has shown."""
    limit = path.length.limit
    for session in state.sessions.values():
        if session.path is path and not session.asks and limit is not None:
            session.most = min(session.most, limit)


def wait(state: State, session: Session, now: float) -> Idle | Finish | None:
    """Return how a session waits for a rate, None when it need not."""
    for scope in session.metered:
        meter = scope.messages
        if meter is None:
            continue
        if session.hand and meter.smooth:
            return Idle(FOREVER, f"one at a time: {scope} has a rate")
        at = meter.ready_at(now)
        if at > now:
            return _wait_for(
                state, session, at, f"messages of {scope} are limited to {meter.binding(now)}", now
            )
    return None


def _wait_for(state: State, session: Session, at: float, reason: str, now: float) -> Idle | Finish:
    if at - now <= state.options.idle or session.hand:
        return Idle(at, reason)
    state.finish(session, reason)
    return Finish(reason)


def nothing_left(state: State, session: Session, now: float) -> Idle | Finish:
    """Return what a session does that was given nothing: wait for its last, stay open, or end."""
    if session.hand:
        return Idle(FOREVER, "nothing more while its last is in hand")
    kept = session.idle_until
    if state.options.idle <= 0 or NEVER < kept <= now or slots.crowded(state, session):
        state.finish(session, "nothing left")
        return Finish("nothing left")
    if kept == NEVER:
        session.idle_until = now + state.options.idle
        state.idle[session.id] = session.work.idle[session.id] = session
    return Idle(session.idle_until, "kept open for more")
