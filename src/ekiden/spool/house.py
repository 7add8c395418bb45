"""What an installation adds to intake: its rules, and who is told. A plain one takes any job."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from ekiden.errors import EkidenError
from ekiden.queue.model import JobFacts, NewDelivery, NewJob
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


class Foresees(Protocol):
    """Says of a job with a deadline whether it will make it; `forecast.foresight` does."""

    async def foresee(self, job: NewJob, on_late: OnLate | None, lanes: Mapping[str, int]) -> Any:
        """Return a verdict, None for a job without a deadline; raise `EkidenError` to refuse it."""

    async def note(self, job: JobFacts, on_late: OnLate | None, found: Any) -> None:
        """Keep the verdict of a job that was taken."""


@dataclass(frozen=True, slots=True)
class House:
    """The rules of the house.

    Args:
        check: Raises `EkidenError` to refuse a job (an unknown pool).
        complete: Returns a job with what its configuration set adds; raises `EkidenError` to refuse
            it (an unverified sender).
        find: Finds a stored template by `name` or `name@3`; raises `EkidenError` if there is none.
        judge: Raises `EkidenError` to refuse a job for its content; it is given the first rows.
        foresight: Says whether jobs with a deadline will make it.
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
