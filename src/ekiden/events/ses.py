"""Our events in the JSON of Amazon SES, so that what reads those reads ours. Pure.

The shape is that of SES event publishing ("Contents of event data that Amazon SES publishes to
Amazon SNS", developer guide): `eventType`, `mail`, and one block named after the type. What SES has
no word for (held, cancelled, alerts) becomes no event. Where SES knows less than we do, the nearest
of its words is taken; the table of bounce classes below is the whole mapping.

A subject with merge fields is left out: SES does the same in Send events of templated mail.
"""

import datetime as dt
import hashlib
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from ekiden.bounce.arf import heard
from ekiden.events.model import Event, EventType, stamp
from ekiden.message.tokens import job_key

ACCOUNT: Final = "000000000000"  # nobody's
REGION: Final = "local"
_HEADERS_BYTES: Final = 10 * 1024  # SES cuts headers off there

_PERMANENT_NO_EMAIL: Final = frozenset({"bad_mailbox", "bad_syntax", "mailbox_moved"})
_BOUNCES: Final[Mapping[str, tuple[str, str]]] = {
    "bad_domain": ("Permanent", "General"),
    "mailbox_disabled": ("Permanent", "General"),
    "null_mx": ("Permanent", "General"),
    "mailbox_full": ("Transient", "MailboxFull"),
    "message_too_large": ("Transient", "MessageTooLarge"),
    "spam_content": ("Transient", "ContentRejected"),
    "bad_content": ("Transient", "ContentRejected"),
    "header_invalid": ("Transient", "ContentRejected"),
    "virus": ("Transient", "AttachmentRejected"),
    "refused": ("Undetermined", "Undetermined"),
    "unknown": ("Undetermined", "Undetermined"),
    "": ("Undetermined", "Undetermined"),
}
_DELAYS: Final[Mapping[str, str]] = {
    "mailbox_full": "MailboxFull",
    "spam_content": "SpamDetected",
    "bad_content": "SpamDetected",
    "system_full": "RecipientServerError",
    "system_error": "RecipientServerError",
    "delivery_agent": "RecipientServerError",
    "blocklisted_ip": "IPFailure",
    "reputation": "IPFailure",
    "network": "TransientCommunicationFailure",
    "rendering_failure": "InternalFailure",
    "unknown": "Undetermined",
    "": "TransientCommunicationFailure",  # no reply at all
}
_SUBSCRIBERS: Final = frozenset({"unsubscribed", "opted_out", "not_opted_in", "unsubscribe"})
_BY_HEADER: Final = frozenset({"one-click", "mail"})  # both ways of List-Unsubscribe
_STATUS: Final = {"OPT_IN": "OptIn", "OPT_OUT": "OptOut"}


@dataclass(frozen=True, slots=True)
class Letter:
    """What SES says of a mail that our events do not.

    Args:
        sender: The From field.
        mail_from: The reverse-path.
        subject: The subject; "" where it has merge fields.
        headers: Further fields of its own.
        at: When its job came (UNIX seconds).
        expires_at: When it expires.
        template: The stored template and version, such as `welcome@3`; "" for none.
    """

    sender: str = ""
    mail_from: str = ""
    subject: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    at: float = 0.0
    expires_at: float = 0.0
    template: str = ""


def ses(event: Event, letter: Letter) -> dict[str, Any] | None:
    """Return an event as SES would have told it; None for what it has no word for.

    Args:
        event: The event.
        letter: What is known of its mail.
    """
    blocks = _BLOCKS.get(event.type)
    if blocks is None:
        return None
    kind, name, block = blocks
    return {"eventType": kind, "mail": _mail(event, letter), name: block(event, letter)}


def sns(document: bytes, topic: str, at: str) -> dict[str, str]:
    """Return a document inside an SNS notification.

    It has no signature of Amazon's: what carries it is signed instead (`webhook.py`).

    Args:
        document: The event as JSON.
        topic: The name of the topic.
        at: RFC 3339.
    """
    name = hashlib.sha256(document).digest()[:16]
    return {
        "Type": "Notification",
        "MessageId": str(uuid.UUID(bytes=name, version=4)),
        "TopicArn": f"arn:aws:sns:{REGION}:{ACCOUNT}:{topic}",
        "Subject": "Amazon SES Email Event Notification",
        "Message": document.decode(),
        "Timestamp": at,
        "SignatureVersion": "1",
        "Signature": "",
        "SigningCertURL": "",
        "UnsubscribeURL": "",
    }


def encoded(event: Event, letter: Letter, form: str, topic: str) -> bytes | None:
    """Return an event in a form (`ekiden`, `ses`, `sns`); None if the form has no word for it."""
    if form == "ekiden":
        return msgspec.json.encode(event)
    told = ses(event, letter)
    if told is None:
        return None
    document = msgspec.json.encode(told)
    return document if form == "ses" else msgspec.json.encode(sns(document, topic, event.time))


def message_id(event: Event) -> str:
    """Return the name that SES would have given a message: ours up to its @."""
    return f"{event.delivery:x}.{job_key(event.job_uid)}" if event.delivery else event.id


def _mail(event: Event, letter: Letter) -> dict[str, Any]:
    name = message_id(event)
    sender = letter.sender or letter.mail_from
    domain = letter.mail_from.rpartition("@")[2]
    headers = [("From", sender), ("To", event.recipient)]
    headers += [("Subject", letter.subject)] if letter.subject else []
    headers += [(key, value) for key, value in letter.headers if "{" not in value]
    size, kept = 0, []
    for key, value in headers:
        size += len(key) + len(value.encode())
        if value and size <= _HEADERS_BYTES:
            kept.append({"name": key, "value": value})
    common: dict[str, Any] = {"from": [sender], "to": [event.recipient], "messageId": name}
    if letter.subject:
        common["subject"] = letter.subject
    tags = {
        "ses:configuration-set": [event.configuration_set],
        "ses:from-domain": [domain],
        "ses:caller-identity": ["ekiden"],
        "ekiden:job": [event.job],
    }
    if event.source:
        tags["ekiden:source"] = [event.source]
    return {
        "timestamp": stamp(letter.at) if letter.at else event.time,
        "messageId": name,
        "source": letter.mail_from or sender,
        "sourceArn": f"arn:aws:ses:{REGION}:{ACCOUNT}:identity/{domain}",
        "sendingAccountId": ACCOUNT,
        "destination": [event.recipient],
        "headersTruncated": size > _HEADERS_BYTES,
        "headers": kept,
        "commonHeaders": common,
        "tags": {key: values for key, values in tags.items() if values[0]},
    }


def _nothing(_event: Event, _letter: Letter) -> dict[str, Any]:
    return {}


def _delivery(event: Event, letter: Letter) -> dict[str, Any]:
    taken = _seconds(event.time) - letter.at if letter.at else event.seconds
    reply = f"{event.code} {event.reply}" if event.code else event.reply
    return {
        "timestamp": event.time,
        "processingTimeMillis": max(0, round(taken * 1000)),
        "recipients": [event.recipient],
        "smtpResponse": reply,
        "reportingMTA": event.source,
    }


def _bounce(event: Event, _letter: Letter) -> dict[str, Any]:
    kind, sub = _bounce_type(event)
    recipient: dict[str, Any] = {"emailAddress": event.recipient, "action": "failed"}
    fallback = "4.4.7" if event.type is EventType.EXPIRED else "5.0.0"
    recipient["status"] = event.enhanced or fallback
    if event.reply:
        code = f"{event.code} " if event.code else ""
        recipient["diagnosticCode"] = f"smtp; {code}{event.reply}"
    elif event.type is EventType.SUPPRESSED:
        recipient["diagnosticCode"] = f"not sent: the address is suppressed ({event.bounce_class})"
    block: dict[str, Any] = {
        "bounceType": kind,
        "bounceSubType": sub,
        "bouncedRecipients": [recipient],
        "timestamp": event.time,
        "feedbackId": event.id,
    }
    if event.host:
        block["reportingMTA"] = f"dns; {event.host}"
    return block


def _bounce_type(event: Event) -> tuple[str, str]:
    if event.type is EventType.SUPPRESSED:
        if event.bounce_class in _SUBSCRIBERS:
            return "Permanent", "UnsubscribedRecipient"
        return "Permanent", "OnAccountSuppressionList"
    if event.type is EventType.EXPIRED:
        full = event.bounce_class == "mailbox_full"
        return "Transient", "MailboxFull" if full else "General"
    if event.bounce_class in _PERMANENT_NO_EMAIL:
        return "Permanent", "NoEmail"
    return _BOUNCES.get(event.bounce_class, ("Transient", "General"))


def _complaint(event: Event, _letter: Letter) -> dict[str, Any]:
    said = heard(event.reply)
    block: dict[str, Any] = {
        "complainedRecipients": [{"emailAddress": event.recipient}],
        "timestamp": event.time,
        "feedbackId": event.id,
        "complaintSubType": None,
        "arrivalDate": stamp(said.arrived) if said.arrived else event.time,
    }
    if said.feedback_type:  # a complaint that came without a feedback report has neither
        block["complaintFeedbackType"] = said.feedback_type
    if said.user_agent:
        block["userAgent"] = said.user_agent
    return block


def _delay(event: Event, letter: Letter) -> dict[str, Any]:
    code = f"{event.code} " if event.code else ""
    recipient = {
        "emailAddress": event.recipient,
        "status": event.enhanced or "4.0.0",
        "diagnosticCode": f"smtp; {code}{event.reply}",
    }
    return {
        "timestamp": event.time,
        "delayType": _DELAYS.get(event.bounce_class, "General"),
        "expirationTime": stamp(letter.expires_at) if letter.expires_at else event.next_try,
        "delayedRecipients": [recipient],
    }


def _open(event: Event, _letter: Letter) -> dict[str, Any]:
    return {"ipAddress": event.ip, "timestamp": event.time, "userAgent": event.user_agent}


def _click(event: Event, letter: Letter) -> dict[str, Any]:
    return {**_open(event, letter), "link": event.url, "linkTags": None}


def _failure(event: Event, letter: Letter) -> dict[str, Any]:
    name, _, _ = letter.template.partition("@")
    return {"errorMessage": event.reply or event.detail, "templateName": name or event.job}


def _reject(_event: Event, _letter: Letter) -> dict[str, Any]:
    return {"reason": "Bad content"}  # the only reason there is


def _subscription(event: Event, _letter: Letter) -> dict[str, Any]:
    # Who chose something is back; who left a topic is where they were.
    still = event.unsubscribed_before and event.type is EventType.UNSUBSCRIBE
    return {
        "contactList": event.list,
        "timestamp": event.time,
        "source": "UnsubscribeHeader" if event.how in _BY_HEADER else event.how,
        "newTopicPreferences": _preferences(
            {**event.topics_before, **event.topics}, gone=event.unsubscribed or still
        ),
        "oldTopicPreferences": _preferences(event.topics_before, gone=event.unsubscribed_before),
    }


def _preferences(topics: Mapping[str, str], *, gone: bool) -> dict[str, Any]:
    return {
        "unsubscribeAll": gone,
        "topicSubscriptionStatus": [
            {"topicName": name, "subscriptionStatus": _STATUS.get(status, status)}
            for name, status in topics.items()
        ],
    }


def _seconds(text: str) -> float:
    return dt.datetime.fromisoformat(text).timestamp()


_BLOCKS: Final = {
    EventType.ACCEPTED: ("Send", "send", _nothing),
    EventType.DELIVERED: ("Delivery", "delivery", _delivery),
    EventType.DEFERRED: ("DeliveryDelay", "deliveryDelay", _delay),
    EventType.IN_DOUBT: ("DeliveryDelay", "deliveryDelay", _delay),
    EventType.BOUNCED: ("Bounce", "bounce", _bounce),
    EventType.EXPIRED: ("Bounce", "bounce", _bounce),
    EventType.SUPPRESSED: ("Bounce", "bounce", _bounce),
    EventType.COMPLAINT: ("Complaint", "complaint", _complaint),
    EventType.OPEN: ("Open", "open", _open),
    EventType.CLICK: ("Click", "click", _click),
    EventType.RENDERING_FAILURE: ("Rendering Failure", "failure", _failure),
    EventType.REJECTED: ("Reject", "reject", _reject),
    EventType.UNSUBSCRIBE: ("Subscription", "subscription", _subscription),
    EventType.SUBSCRIPTION: ("Subscription", "subscription", _subscription),
}
