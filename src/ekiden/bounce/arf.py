"""RFC 5965 feedback reports, and the complaints that come without one. Pure."""

import contextlib
import re
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Final

from ekiden.bounce.dsn import address_in
from ekiden.bounce.mime import Headers, Part, headers_of, walk
from ekiden.text import printable

_TYPES: Final = {
    "abuse": "complaint",
    "fraud": "complaint",
    "opt-out": "complaint",
    "opt-out-list": "complaint",
    "complaint": "complaint",
    "miscategorized": "complaint",
    "other": "complaint",
    "virus": "virus",
    "not-spam": "not_spam",
    "auth-failure": "auth_report",
    "dkim": "auth_report",
}
# A report that lost its parts on the way: its fields stand in the text (RFC 5965 section 3.1).
_INLINE: Final = re.compile(
    rb"^[ \t>]*Feedback-Type:[^\n]*\n(?:[ \t>]*[A-Za-z-]{2,40}:[^\n]*\n){0,20}?"
    rb"[ \t>]*(?:User-Agent|Version|Original-Mail-From|Original-Rcpt-To|Source-IP|Arrival-Date):",
    re.IGNORECASE | re.MULTILINE,
)
_INLINE_WITHIN: Final = 16_384  # bytes
_QUOTE: Final = re.compile(rb"^[ \t>]+", re.MULTILINE)
# Microsoft's JMRP sends the message itself under this subject, its recipient in its own header.
_JMRP: Final = re.compile(r"complaint about message from", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Feedback:
    """What a feedback report says.

    Args:
        feedback_type: As written: `abuse`, `fraud`, `not-spam`, `auth-failure`, ...
        klass: The class it means.
        recipients: The original recipients, possibly redacted; often none.
        source_ip: The address the message came from.
        user_agent: The program that reports.
        mail_from: The envelope sender of the message.
        arrival: When the message arrived, as written.
        reported_domain: The domain that is complained about.
    """

    feedback_type: str
    klass: str
    recipients: tuple[str, ...] = ()
    source_ip: str = ""
    user_agent: str = ""
    mail_from: str = ""
    arrival: str = ""
    reported_domain: str = ""


@dataclass(frozen=True, slots=True)
class Heard:
    """What is kept of a feedback report in the queue's history.

    Args:
        feedback_type: As written; "" where a complaint came without a report.
        user_agent: The program that reports.
        arrived: When the message arrived (UNIX seconds), 0 if that is not told.
    """

    feedback_type: str = ""
    user_agent: str = ""
    arrived: float = 0.0


_HEARD: Final = re.compile(r"(\S+) report(?: by (.+?))?(?:; arrived (.+))?")


def summary(feedback: Feedback) -> str:
    """Return a report in one line for people, which `heard` reads again."""
    by = f" by {printable(feedback.user_agent, 200)}" if feedback.user_agent else ""
    arrived = f"; arrived {printable(feedback.arrival, 60)}" if feedback.arrival else ""
    return f"{printable(feedback.feedback_type, 40) or 'abuse'} report{by}{arrived}"


def heard(line: str) -> Heard:
    """Return what `summary` wrote; nothing of anything else."""
    found = _HEARD.fullmatch(line)
    if found is None:
        return Heard()
    arrived = 0.0
    with contextlib.suppress(ValueError, TypeError, OverflowError):
        arrived = parsedate_to_datetime(found[3] or "").timestamp()
    return Heard(found[1], found[2] or "", arrived)


def find(mail: Part) -> Feedback | None:
    """Return the feedback that `mail` reports; None if it is no such report."""
    for part in walk(mail):
        if part.kind == "message/feedback-report" or (
            part is not mail and part.body[:2048].lower().startswith(b"feedback-type:")
        ):
            return _of_fields(headers_of(part.payload().decode("utf-8", "replace").lstrip("\n")))
    if _JMRP.search(mail.headers.get("subject")):
        return _of_jmrp(mail)
    if mail.headers.get("x-apple-unsubscribe").strip().lower() == "true":
        # What Apple's mail programs send to a List-Unsubscribe address for who taps "Unsubscribe".
        who = address_in(mail.headers.get("from"))
        return Feedback("opt-out", "complaint", (who,) if who else ())
    return _inline(mail)


def _inline(mail: Part) -> Feedback | None:
    if not mail.kind.startswith("text/"):
        return None
    text = mail.payload()[:_INLINE_WITHIN]
    found = _INLINE.search(text)
    if found is None:
        return None
    fields = _QUOTE.sub(b"", text[found.start() :]).partition(b"\n\n")[0]
    return _of_fields(headers_of(fields.decode("utf-8", "replace")))


def _of_fields(fields: Headers) -> Feedback:
    named = fields.get("feedback-type").strip().lower() or "abuse"
    addresses = [
        address
        for name, value in fields.fields
        if name in {"original-rcpt-to", "removal-recipient", "redacted-address"}
        and (address := address_in(value))
    ]
    return Feedback(
        feedback_type=named,
        klass=_TYPES.get(named, "complaint"),
        recipients=tuple(dict.fromkeys(addresses))[:100],
        source_ip=fields.get("source-ip"),
        user_agent=fields.get("user-agent"),
        mail_from=address_in(fields.get("original-mail-from")),
        arrival=fields.get("arrival-date") or fields.get("received-date"),
        reported_domain=fields.get("reported-domain"),
    )


def _of_jmrp(mail: Part) -> Feedback:
    found = [
        address
        for part in walk(mail)
        for name in ("x-hmxmroriginalrecipient", "x-original-recipient")
        if (address := address_in(part.headers.get(name)))
    ]
    return Feedback("abuse", "complaint", tuple(dict.fromkeys(found))[:1])
