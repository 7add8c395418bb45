"""Engaged recipients first, over the sites of a provider that a source warms up at. Pure.

Within a lane the queue has the classes of engagement in order, as milliseconds that the less
engaged are due later (`queue.engaged`); among the lanes of a job at a site, the scheduler takes the
best first (`turns`). Sites wait in the line of their road, and when a cold road opens for one more
message, the one goes whose next recipient is the most engaged: of those that have waited longest,
`SITES` at most. That is decided when a road opens, never for a message of a warm one. An open
session goes on with its own site as long as the road lets it; and when more waits than memory
holds, it is among those in memory.
"""

from itertools import islice
from typing import Final

from ekiden.engine.schedule.gates import Line, Standing
from ekiden.engine.schedule.works import Lane, Work

CLASSES: Final = 4  # the best is 0
SITES: Final = 256  # that are looked at when a cold road opens,
_SHARES: Final = 8  # jobs of each,
_LANES: Final = 64  # and lanes of each of those


def most_engaged_first(line: Line) -> None:
    """Let the site come first in a line whose next bulk recipient is the most engaged.

    Among equals the order stays.
    """
    line.prefer(engagement, SITES)


def engagement(work: Standing) -> int:
    """Return the class of the most engaged bulk recipient at a site; 0 is the best.

    Mail whose recipients nobody has ordered, and mail that was tried before, stand with the best.
    Of a site that has nothing in memory it is what it was before.
    """
    if not isinstance(work, Work):
        return 0
    found = CLASSES
    for share in islice(work.rings[1], _SHARES):
        for lane in islice(share.lanes, _LANES):
            if lane.items:
                found = min(found, _class(lane))
                if found == 0:
                    break
    if found < CLASSES:
        work.engagement = found
    return work.engagement


def _class(lane: Lane) -> int:
    """Return the class of a lane's next recipient; 0 where nobody has ordered, or at a retry."""
    facts = lane.job.facts
    later = round((lane.items[0].due_at - max(facts.created_at, facts.send_at)) * 1000)
    return later if 0 < later < CLASSES else 0
