"""The queue: jobs, lanes and deliveries in the one database.

Its parts, each with its theory at its head: `intake` (rows come in), `jobs` (jobs as a whole),
`feeding` (the timeline that the scheduler reads), `sending` (claims and results), `recovery` (after
a kill), `views` (questions), `history` (the outbox, folding), `memory` (what was learned of paths),
`reports` (what came back), `reputation` (rates by scope), `forgetting` (people who were erased),
`insight` (what went wrong).
docs/queue.md has the tables, the states and what a crash means at each point.

**Contract.** Every method is one named transition or question. A transition says which state it
expects; rows in another state are left alone and reported. What a method returns is on disk.
"""

from ekiden.queue.feeding import Feeding
from ekiden.queue.forgetting import Forgetting
from ekiden.queue.history import History
from ekiden.queue.insight import Insight
from ekiden.queue.intake import Intake
from ekiden.queue.jobs import Jobs
from ekiden.queue.memory import Memory
from ekiden.queue.part import QueueOptions
from ekiden.queue.reactions import Reactions
from ekiden.queue.recovery import Recovery
from ekiden.queue.reports import Reports
from ekiden.queue.reputation import Reputations
from ekiden.queue.views import Views

__all__ = ["Queue", "QueueOptions"]


class Queue(
    Intake,
    Jobs,
    Feeding,
    Recovery,
    Views,
    History,
    Memory,
    Reports,
    Reputations,
    Forgetting,
    Reactions,
    Insight,
):
    """All of it: `Queue(database)` or `Queue(database, QueueOptions(...))`."""
