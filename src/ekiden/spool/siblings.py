"""One file, several configuration sets: the jobs that a file becomes.

A configuration set gives a pool, a priority, a lifetime, a list, reasons of suppression and limits,
and all of these are a job's. So the rows that choose a set make a job of their own: a *sibling* of
the job that the other rows make, its *head*. A sibling has the head's name, content and times, is
opened with it in one transaction, and ends with it: one report, one result. A file whose rows
choose nothing never gets here.

**Contract.** An address is mailed once, whichever sets its rows choose: the first row counts. A set
that is not there, or that cannot take the job, refuses the rows that choose it and no others.
"""

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Protocol

from ekiden.errors import EkidenError, UnavailableError
from ekiden.queue.model import SIBLING, NewDelivery, NewJob, RefusedRow
from ekiden.queue.rows import address_key
from ekiden.queue.sheaf import Sheaf
from ekiden.spool.jobspec import JobSpec, shown

_REMEMBERED: Final = 1000  # names of sets; each further wrong one is looked at anew
_REASON: Final = 300  # characters

Piece = tuple[str, Sheaf]  # rows, and the set that they choose: "" for the job's


class Adds(Protocol):
    """What is needed of the queue."""

    async def add_job(self, job: NewJob) -> int:
        """Begin to receive a job."""


@dataclass(slots=True)
class Member:
    """A job that is being received.

    Args:
        id: Its number in the queue.
        job: What the queue was given.
        spec: What its file says, and its set adds.
        lanes: Recipients so far, by destination.
    """

    id: int
    job: NewJob
    spec: JobSpec
    lanes: Counter[str] = field(default_factory=Counter)


def by_set(
    rows: list[NewDelivery], chosen: Mapping[int, str]
) -> list[tuple[str, list[NewDelivery]]]:
    """Part a batch by the sets that its rows choose.

    A second row of an address goes where the first one does, and is a duplicate there.

    Args:
        rows: The batch, in the order of the file.
        chosen: The set that a row names, by row.
    """
    if not chosen:
        return [("", rows)]
    parted: dict[str, list[NewDelivery]] = {}
    homes: dict[str, str] = {}
    for row in rows:
        key = address_key(row.recipient, row.destination)
        home = homes.setdefault(key, chosen.get(row.row, ""))
        parted.setdefault(home, []).append(row)
    return list(parted.items())


class Family:
    """A job that is being received, and its siblings as rows ask for them.

    Args:
        head: The job of the rows that choose nothing.
        plain: What the file says, before any set.
        queue: Where siblings are added.
        complete: Returns a job with what its set adds; raises `EkidenError` if it cannot be taken.
        make: Returns what the queue is given of a job.
    """

    def __init__(
        self,
        head: Member,
        plain: JobSpec,
        queue: Adds,
        *,
        complete: Callable[[JobSpec], Awaitable[JobSpec]],
        make: Callable[[JobSpec], NewJob],
    ) -> None:
        self.head = head
        self._plain = plain
        self._queue = queue
        self._complete = complete
        self._make = make
        self._known: dict[str, Member | str] = {"": head, head.job.configuration_set: head}

    @property
    def members(self) -> list[Member]:
        """The jobs, the head first."""
        known = self._known.values()
        siblings = [one for one in known if isinstance(one, Member) and one is not self.head]
        return [self.head, *siblings]

    async def of(self, chosen: str) -> Member | str:
        """Return the job of the rows that choose a set, or why there is none.

        Raises:
            UnavailableError: The queue cannot take it now.
        """
        known = self._known.get(chosen)
        if known is not None:
            return known
        found: Member | str
        try:
            found = await self._join(chosen)
        except UnavailableError:
            raise
        except EkidenError as error:
            found = shown(error.what, _REASON)
        if isinstance(found, Member) or len(self._known) < _REMEMBERED:
            self._known[chosen] = found
        return found

    async def _join(self, chosen: str) -> Member:
        spec = await self._complete(replace(self._plain, configuration_set=chosen))
        made = self._make(spec)
        uid = f"{made.uid}{SIBLING}{chosen}"
        job = replace(made, uid=uid, content=b"", spool_name="", head=self.head.id)
        return Member(await self._queue.add_job(job), job, spec)


def refusals(rows: Sequence[NewDelivery], reason: str) -> list[RefusedRow]:
    """Return the rows of a batch as refused."""
    return [RefusedRow(row.row, shown(row.recipient, 254), reason) for row in rows]
