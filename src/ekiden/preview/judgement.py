"""Lint for jobs: their first messages are made and looked at; errors may refuse the job."""

from collections.abc import Sequence

from ekiden.config import Config
from ekiden.errors import RefusedError
from ekiden.message.lint.check import has_errors, lint, merged
from ekiden.message.lint.model import Finding, LintOptions, Purpose, Severity
from ekiden.preview.proofs import proofs
from ekiden.queue.model import NewDelivery, NewJob, Priority
from ekiden.settings import lint_options

_TOLD = 5  # findings in a refusal


async def findings(
    config: Config, job: NewJob, rows: Sequence[NewDelivery], *, now: float
) -> list[Finding]:
    """Return what lint finds in a job's messages to `rows`.

    Raises:
        EkidenError: The content cannot be compiled.
    """
    options = lint_options(config)
    purpose = Purpose(bulk=job.priority is Priority.BULK)
    made = await proofs(config, job, rows[: config.lint.rows], now=now)
    return merged([(one.row, _of(one.message, one.reason, options, purpose)) for one in made])


def _of(message: bytes, reason: str, options: LintOptions, purpose: Purpose) -> list[Finding]:
    if message:
        return lint(message, options, purpose)
    remedy = "mend the row, or the template (docs/templates.md)"
    what = f"There is no message: {reason}."
    return [Finding("rendering", Severity.ERROR, "message", what, remedy, "docs/templates.md")]


async def judge(config: Config, job: NewJob, rows: Sequence[NewDelivery], *, now: float) -> None:
    """Refuse a job for the errors of its content (`lint.refuse`).

    Raises:
        RefusedError: It has errors.
    """
    if not rows:
        return
    found = await findings(config, job, rows, now=now)
    if not has_errors(found):
        return
    errors = [one for one in found if one.severity is Severity.ERROR]
    told = "; ".join(f"{one.code}: {one.what} ({one.where})" for one in errors[:_TOLD])
    more = f"; and {len(errors) - _TOLD} more" if len(errors) > _TOLD else ""
    raise RefusedError(
        f"lint finds {len(errors)} errors: {told}{more}",
        where=job.spool_name or job.name,
        remedy="correct the content (ekiden lint shows all of it), or set lint.refuse",
    )
