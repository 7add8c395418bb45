"""What an installation adds to intake: its rules, and who is told. A plain one takes any job."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from ekiden.errors import EkidenError
from ekiden.queue.model import Foretold, JobFacts, NewDelivery, NewJob
from ekiden.spool.content import no_templates
from ekiden.spool.jobspec import JobSpec, OnLate
from ekiden.templates.model import StoredTemplate


def _accept_any(_: JobSpec) -> None:
    """The check of an installation without rules of its own."""


async def _as_written(spec: JobSpec) -> JobSpec:
    """The completion of an installation that adds nothing to a job."""
    return spec


async def _find_none(reference: str) -> StoredTemplate:
    """The stored templates of an installation without any."""
    return no_templates(reference)


async def _judge_none(job: NewJob, rows: Sequence[NewDelivery]) -> None:
    """The judgement of an installation that takes every content."""


@dataclass(frozen=True, slots=True)
class Draft:
    """A job that has come in whole and is not open yet.

    Args:
        job: What the queue was given.
        on_late: What is to happen if it would be late; None for what the house says.
        lanes: Messages that are to be sent, by destination.
    """

    job: NewJob
    on_late: OnLate | None
    lanes: Mapping[str, int]


class Foresees(Protocol):
    """Says what is to be expected of a job before it is opened; `forecast.foresight` does."""

    async def foresee(self, drafts: Sequence[Draft]) -> Foretold:
        """Return what is to be said of a job and its siblings; raise `EkidenError` to refuse it."""

    def opened(self, job: JobFacts, told: Foretold) -> None:
        """Hear that the job was opened."""


@dataclass(frozen=True, slots=True)
class House:
    """The rules of the house.

    Args:
        check: Raises `EkidenError` to refuse a job (an unknown pool).
        complete: Returns a job with what its configuration set adds; raises `EkidenError` to refuse
            it (an unverified sender).
        find: Finds a stored template by `name` or `name@3`; raises `EkidenError` if there is none.
        judge: Raises `EkidenError` to refuse a job for its content; it is given the first rows.
        foresight: Says what is to be expected of a job before it is opened.
        opened: Is told of every accepted job.
        refused: Is told of every entry that is refused: its name and why.
    """

    check: Callable[[JobSpec], None] = _accept_any
    complete: Callable[[JobSpec], Awaitable[JobSpec]] = _as_written
    find: Callable[[str], Awaitable[StoredTemplate]] = _find_none
    judge: Callable[[NewJob, Sequence[NewDelivery]], Awaitable[None]] = _judge_none
    foresight: Foresees | None = None
    opened: Callable[[JobFacts], None] | None = None
    refused: Callable[[str, EkidenError], Awaitable[None]] | None = None
