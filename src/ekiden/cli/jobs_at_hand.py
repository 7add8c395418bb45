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
    rules = content_rules(config, given)
    return read_draft(config, path, now=now, rules=rules, count=count, recipient=recipient)


def content_rules(config: Config, given: Path | None) -> ContentRules:
    """Return what holds for the content of a job, with stored templates asked for.

    Args:
        config: The configuration.
        given: Its file as it was given to the command.
    """

    def find(reference: str) -> StoredTemplate:
        return ask(given, ShowTemplate(reference=reference))

    return ContentRules(settings.intake(config).on_missing, config.content.inline_css, find)
