"""Who reacted lately goes first: classes of engagement, as milliseconds within a lane.

A lane is read in the order (due_at, id). While a job comes in, recipients whose last reaction is
older are made due a few milliseconds later, so the order within the lane is that of engagement, and
nothing else changes: no column, no index, no cost when mail is read. The classes are those that
SparkPost publishes for warming up: within 30 days, 60, 90, and longer ago or unknown.

The reaction is a merge column (a date, or the days since then) or, for jobs to a list, what the
list knows of the contact.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from ekiden.queue.model import NewJob
from ekiden.queue.part import sql
from ekiden.queue.rows import ms
from ekiden.store.transaction import Tx

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class EngagedFirst:
    """By what a job's recipients are ordered.

    Args:
        column: The merge column with the last reaction, without quotes or backslashes in its
            name; "" for none.
        contact_list: The list, where there is no column; "" for none.
        at: What days count back from, in stored milliseconds.
    """

    column: str
    contact_list: str
    at: int

    @classmethod
    def of(cls, job: NewJob) -> "EngagedFirst | None":
        """Return how a new job orders its recipients; None when it does not."""
        if not job.engaged_first or not (job.engaged_column or job.contact_list):
            return None
        return cls(job.engaged_column, job.contact_list, ms(job.created_at))


def in_order(tx: Tx, order: EngagedFirst | None, add: Callable[[], T]) -> T:
    """Add deliveries, and order them.

    Args:
        tx: The transaction.
        order: What to go by; None for the order they come in.
        add: Adds them; its result is returned.
    """
    if order is None:
        return add()
    before = tx.rows(sql("last_delivery"))[0][0]
    result = add()
    last = tx.rows(sql("last_delivery"))[0][0]
    if order.column:
        path = f'$."{order.column}"'
        tx.execute(sql("order_by_column"), (before + 1, last, path, order.at))
    else:
        tx.execute(sql("order_by_list"), (before + 1, last, order.contact_list, order.at))
    return result
