"""Who was greylisted comes back from the same source. Pure.

A receiver that greylists remembers (address, sender, recipient) and lets the triplet wait (RFC 6647
section 2.1): from another source the retry would be a first try, and wait anew. So a delivery keeps
to the source that its last attempt was greylisted from, as long as the pool has that source, and
for `STICKS` after it is due; then any source is better than none. What keeps to another source
does not stand in the way: a session takes what comes after it.
"""

from itertools import islice
from typing import Final

from ekiden.engine.schedule.works import Lane, Session, Work
from ekiden.queue.model import Waiting

STICKS: Final = 600.0  # seconds after it is due for which a delivery waits for its source
LOOK: Final = 5.0  # seconds until it is looked again whether that source has a session to give
AMONG: Final = 64  # lanes among which a session looks for what it may take,
IDS: Final = 256  # and ids of a lane


def keeps(waiting: Waiting, work: Work, now: float) -> str:
    """Return the source that a delivery keeps to, "" when it may leave from any."""
    source = waiting.source
    if not source or now >= waiting.due_at + STICKS:
        return ""
    return source if any(one.name == source for one in work.pool.sources) else ""


def place(lane: Lane, source: str, now: float) -> int:
    """Return where the first id stands in a lane that may leave from a source; -1 for nowhere."""
    work = None if lane.share is None else lane.share.work
    if not lane.sticking or work is None:
        return 0 if lane.items else -1
    for at, waiting in enumerate(islice(lane.items, IDS)):
        if keeps(waiting, work, now) in ("", source):
            return at
    return -1


def because(lane: Lane, now: float) -> tuple[str, float] | None:
    """Return for which source a lane's next waits, in words, and until when; None for none."""
    if lane.share is None or not lane.sticking or not lane.items:
        return None
    source = keeps(lane.items[0], lane.share.work, now)
    if not source:
        return None
    return f"greylisted when it came from {source}: waits for it", lane.items[0].due_at + STICKS


def wanted(work: Work, rank: int, now: float) -> str:
    """Return the source that a work's next delivery keeps to, "" for any."""
    ring = work.rings[rank]
    lane = ring[0].lanes[0] if ring and ring[0].lanes else None
    if lane is None or not lane.sticking or not lane.items:
        return ""
    return keeps(lane.items[0], work, now)


def idle_session(work: Work, rank: int, now: float) -> Session | None:
    """Return a session of a work that is kept open and may take something of it."""
    every = work.idle.values()
    return next((one for one in every if _serves(work, rank, one.path.source.name, now)), None)


def _serves(work: Work, rank: int, source: str, now: float) -> bool:
    """Whether something of a work may leave from a source."""
    return any(
        not lane.sticking or place(lane, source, now) >= 0
        for share in work.rings[rank]
        for lane in islice(share.lanes, AMONG)
    )


def lacks_session(work: Work, rank: int, now: float) -> bool:
    """Whether a work's next delivery keeps to a source that no session of its site is from."""
    source = wanted(work, rank, now)
    path = work.site.paths.get(source) if source else None
    return bool(source) and (path is None or path.sessions == path.leaving)
