"""What a check says: how it stands, about what, what to publish, and who asks for it."""

from enum import StrEnum

import msgspec


class Level(StrEnum):
    """How a check came out; from good to bad, with what DNS could not say at the end."""

    PASS = "pass"  # noqa: S105 - a verdict
    INFO = "info"  # may be, need not be
    WARN = "warn"  # some receivers mind
    FAIL = "fail"  # receivers refuse or filter
    UNKNOWN = "unknown"  # DNS did not answer


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One check of one subject.

    Args:
        check: Its name: `ptr`, `spf`, ...
        subject: The source, or the domain.
        level: How it came out.
        what: What was found.
        remedy: What to publish or to ask for; "" when nothing is to be done.
        source: Who asks for it.
    """

    check: str
    subject: str
    level: Level
    what: str
    remedy: str = ""
    source: str = ""


def finding(  # noqa: PLR0917 - the columns of a table, written as its rows are
    check: str, subject: str, level: Level, what: str, remedy: str = "", source: str = ""
) -> Finding:
    """Return a finding."""
    return Finding(
        check=check, subject=subject, level=level, what=what, remedy=remedy, source=source
    )


def unanswered(check: str, subject: str, why: str) -> Finding:
    """Return the finding that DNS did not say."""
    remedy = "try again, or set dns.nameservers"
    return finding(check, subject, Level.UNKNOWN, f"DNS does not answer: {why}", remedy)


GMAIL = "Gmail, support.google.com/a/answer/81126"
YAHOO = "Yahoo, senders.yahooinc.com/best-practices"
OUTLOOK = "Outlook.com, 550 5.7.515 (over 5,000 a day)"
DOCOMO = "docomo: SPF, A or MX of the From header's domain"
