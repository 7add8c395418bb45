"""Why a destination's mail waits, in words: what the queue knows, and what the engine adds.

The scheduler answers for what it has in memory. What it has put aside until later, and what people
hold back (a suspension, a paused job, `send_at`), stands in the queue, where a command finds it
also when no daemon runs.
"""

from collections.abc import Callable
from typing import Final

from ekiden.queue.shown import Backlog

_UNITS: Final = ((86_400, "d"), (3_600, "h"), (60, "min"))


def span(seconds: float) -> str:
    """Return a length of time as people say it: 45 s, 12 min, 3 h, 2 d."""
    for size, unit in _UNITS:
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{max(seconds, 1):.0f} s"


def why(one: Backlog, now: float, live: Callable[[str], str] | None) -> str:
    """Return why a destination waits.

    Args:
        one: What the queue knows of it.
        now: UNIX seconds.
        live: Asks the running engine about a destination, which says "" when it has nothing of it
            in memory; None when no daemon runs.
    """
    return (
        _held_back(one, now) or (live(one.destination) if live else "") or _not_here(one, now, live)
    )


def _held_back(one: Backlog, now: float) -> str:
    """Return what people have decided, or the delivery's own time; "" when neither holds it."""
    if one.suspended is not None:
        return f"suspended: {one.suspended}" if one.suspended else "suspended"
    if one.paused:
        return f"job {one.paused} is paused"
    if one.begins is not None and one.begins > now:
        return f"its job begins later (send_at), {span(one.begins - now)} more"
    if not one.ready:
        return (
            "" if one.sending or not one.held else "held: it may have arrived; release or drop it"
        )
    if one.next_due is not None and one.next_due > now and not one.sending:
        return f"tried, and its next try is later, {span(one.next_due - now)} more"
    return ""


def _not_here(one: Backlog, now: float, live: Callable[[str], str] | None) -> str:
    if live is None:
        return "no daemon runs"
    if one.aside is not None and one.aside > now:
        return f"put aside while its receiver takes no more, {span(one.aside - now)} more"
    return "its turn comes after others" if one.ready else ""
