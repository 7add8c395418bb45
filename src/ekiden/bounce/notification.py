"""Amazon SES notifications: a bounce or complaint as JSON in a mail from SNS. Pure."""

from typing import Any, Final

import msgspec

from ekiden.bounce.arf import Feedback
from ekiden.bounce.dsn import Fields

_CAP: Final = 256 * 1024


class _Recipient(msgspec.Struct):
    email: str = msgspec.field(name="emailAddress", default="")
    status: str = ""
    action: str = ""
    diagnostic: str = msgspec.field(name="diagnosticCode", default="")


class _Bounce(msgspec.Struct):
    kind: str = msgspec.field(name="bounceType", default="")
    sub_kind: str = msgspec.field(name="bounceSubType", default="")
    recipients: list[_Recipient] = msgspec.field(name="bouncedRecipients", default_factory=list)
    mta: str = msgspec.field(name="reportingMTA", default="")


class _Complaint(msgspec.Struct):
    recipients: list[_Recipient] = msgspec.field(name="complainedRecipients", default_factory=list)
    feedback: str = msgspec.field(name="complaintFeedbackType", default="")
    agent: str = msgspec.field(name="userAgent", default="")


class _Delivery(msgspec.Struct):
    recipients: list[str] = msgspec.field(default_factory=list)
    response: str = msgspec.field(name="smtpResponse", default="")
    host: str = msgspec.field(name="reportingMTA", default="")


class _Notice(msgspec.Struct):
    kind: str = msgspec.field(name="notificationType", default="")
    bounce: _Bounce | None = None
    complaint: _Complaint | None = None
    delivery: _Delivery | None = None
    mail: Any = None


_DECODER: Final = msgspec.json.Decoder(_Notice)


def find(text: str) -> list[Fields] | Feedback | None:
    """Return what an SES notification in `text` says; None if there is none."""
    start = text.find("{")
    if start < 0 or '"notificationType"' not in text[:_CAP]:
        return None
    end = text.rfind("}")
    try:
        notice = _DECODER.decode(text[start : end + 1][:_CAP].replace("\n", "").encode())
    except (msgspec.DecodeError, RecursionError):
        return None
    if notice.bounce:
        return [_field(one, notice.bounce) for one in notice.bounce.recipients[:100]]
    if notice.complaint:
        return Feedback(
            feedback_type=notice.complaint.feedback or "abuse",
            klass="complaint",
            recipients=tuple(one.email for one in notice.complaint.recipients[:100]),
            user_agent=notice.complaint.agent,
        )
    if notice.delivery:
        said = notice.delivery.response
        return [
            Fields(address=one, action="delivered", status="2.6.0", diagnostic=said)
            for one in notice.delivery.recipients[:100]
        ]
    return None


def _field(one: _Recipient, bounce: _Bounce) -> Fields:
    said = one.diagnostic.removeprefix("smtp;").strip()
    return Fields(
        address=one.email,
        action=one.action or "failed",
        status=one.status,
        diagnostic=said or f"{bounce.kind} {bounce.sub_kind}".strip(),
        mta="",
    )
