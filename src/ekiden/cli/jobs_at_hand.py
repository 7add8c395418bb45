"""A job where it lies, read for a command as intake would read it."""

from pathlib import Path

from ekiden import settings
from ekiden.cli.access import ask
from ekiden.config import Config
from ekiden.control.template_requests import ShowTemplate
from ekiden.preview.proofs import Draft, read_draft
from ekiden.spool.content import ContentRules
from ekiden.templates.model import StoredTemplate


def draft(
    config: Config, path: Path, given: Path | None, *, now: float, count: int, recipient: str = ""
) -> Draft:
    """Read a job; a stored template that it names is asked for.

    Args:
        config: The configuration.
        path: The job.
        given: The configuration's file as it was given to the command.
        now: UNIX seconds.
        count: How many recipients to take.
        recipient: Take this one instead.

    Raises:
        EkidenError: The job is wrong.
    """

    def find(reference: str) -> StoredTemplate:
        return ask(given, ShowTemplate(reference=reference))

    rules = ContentRules(settings.intake(config).on_missing, config.content.inline_css, find)
    return read_draft(config, path, now=now, rules=rules, count=count, recipient=recipient)
