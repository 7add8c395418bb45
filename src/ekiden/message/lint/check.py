"""`lint`: a message in, findings out. Pure.

Contract. Whatever the bytes are, a list of findings comes back and nothing is raised: what cannot
be read is itself a finding. The cost is linear in the message.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from ekiden.message.lint.content import body_of, check_content
from ekiden.message.lint.fields import check_fields, mailboxes_of
from ekiden.message.lint.found import Found
from ekiden.message.lint.law import check_law, check_leaving, opt_out_urls
from ekiden.message.lint.links import check_links
from ekiden.message.lint.model import RANK, Finding, LintOptions, Purpose, Severity
from ekiden.message.lint.source import parse
from ekiden.message.lint.wire import check_lines, check_parts


def lint(
    message: bytes, options: LintOptions | None = None, purpose: Purpose | None = None
) -> list[Finding]:
    """Return what is wrong with a message, errors first.

    Args:
        message: The message, any line ends.
        options: What is looked for.
        purpose: What it is for; bulk mail as it will be sent, unless it is said.
    """
    found = Found(options or LintOptions())
    purpose = purpose or Purpose()
    root = parse(message)
    check_lines(message, found)
    check_fields(root, found, purpose)
    check_parts(root, found)
    body = body_of(root)
    check_content(root, body, found)
    check_links(body, found)
    if purpose.bulk:
        check_leaving(root, found, purpose)
        check_law(root, body, found)
    return ordered(found.all())


def sender_domain(message: bytes) -> str:
    """Return the domain of a message's From field, "" if it has none."""
    boxes = mailboxes_of(parse(message).get("from"))
    return boxes[0].address.domain if boxes else ""


def ways_out(message: bytes) -> list[str]:
    """Return the web addresses by which a message says that people leave."""
    root = parse(message)
    return opt_out_urls(root, body_of(root))


def looks_bulk(message: bytes) -> bool:
    """Whether a message itself says that it goes to many: List- fields, Precedence, an option."""
    root = parse(message)
    if any(root.get(name) for name in ("list-unsubscribe", "list-id", "list-unsubscribe-post")):
        return True
    said = [root.get(name) for name in ("precedence", "x-ekiden-priority")]
    return any(one is not None and one.text.lower() in {"bulk", "list"} for one in said)


def merged(by_row: Sequence[tuple[int, Iterable[Finding]]]) -> list[Finding]:
    """Join the findings of several recipients' messages: those of all of them lose their row.

    Args:
        by_row: Each recipient's row and findings.
    """
    rows: dict[Finding, list[int]] = {}
    for row, findings in by_row:
        for one in findings:
            rows.setdefault(one, []).append(row)
    everybody = len(by_row)
    return ordered(
        one if len(where) == everybody else replace(one, row=where[0])
        for one, where in rows.items()
    )


def ordered(findings: Iterable[Finding]) -> list[Finding]:
    """Return findings with errors first, and otherwise in their order."""
    return sorted(findings, key=lambda one: RANK[one.severity])


def has_errors(findings: Iterable[Finding]) -> bool:
    """Whether any finding is an error."""
    return any(one.severity is Severity.ERROR for one in findings)
