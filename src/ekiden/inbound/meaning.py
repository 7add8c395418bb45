"""What a mail that came back says: its report, and which of our marks it brought. Pure.

`read` is what runs on a thread: it takes time and changes nothing. `about` then answers, once the
identifier has said whom the report may be about, what it says of that recipient.

A report about somebody other than the recipient that its identifier names is not believed at all:
no mail system makes such a report of a message that had one recipient. The one exception are
feedback reports whose recipient is redacted (RFC 6590): there the identifier alone tells.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from ekiden import limits
from ekiden.bounce import mime
from ekiden.bounce.arf import summary
from ekiden.bounce.classes import CLASSES
from ekiden.bounce.classify import Classifier
from ekiden.bounce.identifiers import Echo
from ekiden.bounce.mail import Kind, Report, ReportedRecipient, read_report
from ekiden.bounce.model import Action, Verdict
from ekiden.errors import RefusedError
from ekiden.lists.suppression import address_key
from ekiden.queue.reports import ReportKind

# Where the address that a mail was delivered to is kept by Postfix, Exim, qmail, Exchange, Gmail.
_DELIVERED_TO: Final = (
    *("delivered-to", "x-original-to", "envelope-to", "x-envelope-to", "x-delivered-to"),
    *("x-rcpt-to", "x-forwarded-to", "apparently-to", "to", "cc"),
)
_ADDRESS: Final = re.compile(r"[^\s<>,;:\"()]{1,64}@[^\s<>,;:\"()]{1,255}")
_REDACTED: Final = re.compile(
    r"redact|remov|hidden|anonym|unknown|private|undisclosed|^[x*]+$|[*]{2}", re.IGNORECASE
)
_HASHED: Final = re.compile(r"[0-9a-fA-F]{16,}|[A-Za-z0-9+/_-]{20,}={0,2}")
# What a report says of the mailbox; the rest is about the sender or the message.
_OF_MAILBOX: Final = frozenset({Action.MAILBOX_FULL_RETRY, Action.RETRY_LATER, Action.OTHER})
_SILENT: Final = frozenset({"not_spam", "delivered"})


@dataclass(frozen=True, slots=True)
class Returned:
    """A mail that came back, read.

    Args:
        report: What it is.
        echo: Our marks in it.
    """

    report: Report
    echo: Echo


def read(raw: bytes, rcpt: str, classifier: Classifier) -> Returned:
    """Read a mail that came back; never raises.

    Args:
        raw: Header and body; its first `limits.INBOUND_KEPT_BYTES` are read.
        rcpt: The address it was delivered to, "" if only its header tells.
        classifier: The rules for diagnostics.
    """
    raw = raw[: limits.INBOUND_KEPT_BYTES]
    report = read_report(raw, classifier)
    found = [rcpt, *_delivered_to(outer_headers(raw)), report.original.mail_from]
    if report.feedback is not None:
        found.append(report.feedback.mail_from)
    addresses = tuple(dict.fromkeys(filter(None, found)))[: limits.INBOUND_ADDRESSES]
    references = tuple(filter(None, [report.original.ekiden_ref]))
    return Returned(report, Echo(addresses, references))


def outer_headers(raw: bytes) -> mime.Headers:
    """Return the header of a mail, however its lines end."""
    head = raw[: mime.HEADER_CAP].replace(b"\r\n", b"\n").lstrip(b"\n").partition(b"\n\n")[0]
    return mime.headers_of(head.decode("utf-8", "replace"))


def _delivered_to(headers: mime.Headers) -> Iterator[str]:
    for name, value in headers.fields:
        if name in _DELIVERED_TO:
            yield from _ADDRESS.findall(value)[: limits.INBOUND_RECIPIENTS]


def about(report: Report, address: str) -> ReportedRecipient | None:
    """Return what a report says of a recipient; None if it is about somebody else.

    Args:
        report: A bounce or a feedback report.
        address: The key of the recipient that its identifier names.
    """
    found = _found(report, address)
    if found is None or report.feedback is None:
        return found
    return replace(found, diagnostic=summary(report.feedback))


def _found(report: Report, address: str) -> ReportedRecipient | None:
    for one in report.recipients:
        if not one.address or _key(one.address) == address:
            return one
    if report.feedback is None:
        return None
    named = [one for one in report.recipients if not _is_redacted(one.address)]
    if named:
        return None
    known = CLASSES[report.feedback.klass]
    verdict = Verdict(known.name, known.action, "arf.type", "", known.meaning)
    told = report.recipients[0] if report.recipients else None
    return told or ReportedRecipient(address, "", "feedback", None, "", verdict)


def _key(address: str) -> str:
    try:
        return address_key(address)
    except RefusedError:
        return ""


def _is_redacted(address: str) -> bool:
    local, _, domain = address.rpartition("@")
    return bool(
        not local or _REDACTED.search(local) or _REDACTED.search(domain) or _HASHED.fullmatch(local)
    )


def kind_of(one: ReportedRecipient) -> ReportKind | None:
    """Return what a report means for its recipient; None if nothing."""
    verdict = one.verdict
    if verdict.klass == "complaint":
        return ReportKind.COMPLAINT
    if verdict.klass in _SILENT:
        return None
    if verdict.action is Action.SUPPRESS_RECIPIENT:
        # As for live replies: what is called temporary never suppresses at once.
        return ReportKind.SOFT if one.status.startswith("4") else ReportKind.HARD
    if verdict.action in _OF_MAILBOX and verdict.klass != "greylisted":
        return ReportKind.SOFT
    return ReportKind.OTHER


__all__ = ["Kind", "Returned", "about", "kind_of", "outer_headers", "read"]
