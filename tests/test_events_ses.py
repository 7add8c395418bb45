"""Our events as Amazon SES tells them: every type, in the shape that its documentation shows."""

import uuid
from typing import Any

import msgspec
import pytest

from ekiden.bounce.classes import CLASSES
from ekiden.events.model import Event, EventType
from ekiden.events.ses import Letter, encoded, ses
from ekiden.message.tokens import job_key

LETTER = Letter(
    "Sender Name <sender@example.com>",
    "sender@example.com",
    "Message sent",
    (("X-Campaign", "winter"), ("X-Merged", "{{ name }}")),
    1_800_000_000.0,
    1_800_259_200.0,
)
# eventType, the block's name and its keys: SES developer guide, "Examples of event data".
SHAPES: dict[EventType, tuple[str, str, set[str]]] = {
    EventType.ACCEPTED: ("Send", "send", set()),
    EventType.DELIVERED: (
        "Delivery",
        "delivery",
        {"timestamp", "processingTimeMillis", "recipients", "smtpResponse", "reportingMTA"},
    ),
    EventType.BOUNCED: (
        "Bounce",
        "bounce",
        {
            "bounceType",
            "bounceSubType",
            "bouncedRecipients",
            "timestamp",
            "feedbackId",
            "reportingMTA",
        },
    ),
    EventType.COMPLAINT: (
        "Complaint",
        "complaint",
        {
            "complainedRecipients",
            "timestamp",
            "feedbackId",
            "complaintSubType",
            "complaintFeedbackType",
            "arrivalDate",
        },
    ),
    EventType.DEFERRED: (
        "DeliveryDelay",
        "deliveryDelay",
        {"timestamp", "delayType", "expirationTime", "delayedRecipients"},
    ),
    EventType.OPEN: ("Open", "open", {"ipAddress", "timestamp", "userAgent"}),
    EventType.CLICK: (
        "Click",
        "click",
        {"ipAddress", "timestamp", "userAgent", "link", "linkTags"},
    ),
    EventType.RENDERING_FAILURE: ("Rendering Failure", "failure", {"errorMessage", "templateName"}),
    EventType.REJECTED: ("Reject", "reject", {"reason"}),
    EventType.SUBSCRIPTION: (
        "Subscription",
        "subscription",
        {"contactList", "timestamp", "source", "newTopicPreferences", "oldTopicPreferences"},
    ),
}


def event(kind: EventType, **facts: Any) -> Event:
    return Event(
        **{
            "id": "a7",
            "time": "2027-01-15T08:00:10.500Z",
            "type": kind,
            "job": "winter",
            "job_uid": "uid-1",
            "recipient": "recipient@example.org",
            "destination": "example.org",
            "delivery": 255,
            "source": "a1",
            "host": "mx.example.org",
            "code": 250,
            "reply": "2.0.0 Ok",
            "configuration_set": "ConfigSet",
            **facts,
        }
    )


@pytest.mark.parametrize("kind", SHAPES)
def test_every_type_has_its_shape(kind: EventType) -> None:
    name, block, keys = SHAPES[kind]
    told = ses(event(kind), LETTER)
    assert told is not None
    assert set(told) == {"eventType", "mail", block}
    assert told["eventType"] == name
    assert set(told[block]) == keys
    assert told["mail"] == {
        "timestamp": "2027-01-15T08:00:00.000Z",
        "messageId": f"ff.{job_key('uid-1')}",
        "source": "sender@example.com",
        "sourceArn": "arn:aws:ses:local:000000000000:identity/example.com",
        "sendingAccountId": "000000000000",
        "destination": ["recipient@example.org"],
        "headersTruncated": False,
        "headers": [
            {"name": "From", "value": "Sender Name <sender@example.com>"},
            {"name": "To", "value": "recipient@example.org"},
            {"name": "Subject", "value": "Message sent"},
            {"name": "X-Campaign", "value": "winter"},
        ],
        "commonHeaders": {
            "from": ["Sender Name <sender@example.com>"],
            "to": ["recipient@example.org"],
            "messageId": f"ff.{job_key('uid-1')}",
            "subject": "Message sent",
        },
        "tags": {
            "ses:configuration-set": ["ConfigSet"],
            "ses:from-domain": ["example.com"],
            "ses:caller-identity": ["ekiden"],
            "ekiden:job": ["winter"],
            "ekiden:source": ["a1"],
        },
    }


def test_a_delivery_says_how_long_it_took() -> None:
    told = ses(event(EventType.DELIVERED), LETTER)
    assert told is not None
    assert told["delivery"]["processingTimeMillis"] == 10_500
    assert told["delivery"]["smtpResponse"] == "250 2.0.0 Ok"


@pytest.mark.parametrize(
    ("kind", "klass", "said"),
    [
        (EventType.BOUNCED, "bad_mailbox", ("Permanent", "NoEmail")),
        (EventType.BOUNCED, "bad_domain", ("Permanent", "General")),
        (EventType.BOUNCED, "mailbox_full", ("Transient", "MailboxFull")),
        (EventType.BOUNCED, "message_too_large", ("Transient", "MessageTooLarge")),
        (EventType.BOUNCED, "spam_content", ("Transient", "ContentRejected")),
        (EventType.BOUNCED, "virus", ("Transient", "AttachmentRejected")),
        (EventType.BOUNCED, "blocklisted_ip", ("Transient", "General")),
        (EventType.BOUNCED, "unknown", ("Undetermined", "Undetermined")),
        (EventType.EXPIRED, "network", ("Transient", "General")),
        (EventType.SUPPRESSED, "hard_bounce", ("Permanent", "OnAccountSuppressionList")),
        (EventType.SUPPRESSED, "unsubscribed", ("Permanent", "UnsubscribedRecipient")),
    ],
)
def test_bounce_types(kind: EventType, klass: str, said: tuple[str, str]) -> None:
    one = msgspec.structs.replace(event(kind, code=550, reply="5.1.1 no"), bounce_class=klass)
    told = ses(one, LETTER)
    assert told is not None
    assert (told["bounce"]["bounceType"], told["bounce"]["bounceSubType"]) == said
    (recipient,) = told["bounce"]["bouncedRecipients"]
    assert recipient["diagnosticCode"] == "smtp; 550 5.1.1 no"


def test_every_class_of_ours_has_a_bounce_type_of_theirs() -> None:
    permanent = {"bad_mailbox", "bad_domain", "bad_syntax", "mailbox_moved", "mailbox_disabled"}
    for name in CLASSES:
        told = ses(msgspec.structs.replace(event(EventType.BOUNCED), bounce_class=name), LETTER)
        assert told is not None
        assert (told["bounce"]["bounceType"] == "Permanent") == (name in {*permanent, "null_mx"})


def test_leaving_by_the_header() -> None:
    one = event(EventType.UNSUBSCRIBE, list="letters", topics={"news": "OPT_OUT"}, how="one-click")
    told = ses(one, LETTER)
    assert told is not None
    block = told["subscription"]
    assert block["source"] == "UnsubscribeHeader"
    assert block["newTopicPreferences"] == {
        "unsubscribeAll": False,
        "topicSubscriptionStatus": [{"topicName": "news", "subscriptionStatus": "OptOut"}],
    }
    status = block["oldTopicPreferences"]["topicSubscriptionStatus"]
    assert status == [{"topicName": "news", "subscriptionStatus": "OptIn"}]


def test_what_ses_has_no_word_for_is_not_told() -> None:
    for kind in (EventType.HELD, EventType.CANCELLED, EventType.ALERT):
        assert ses(event(kind), LETTER) is None
        assert encoded(event(kind), LETTER, "sns", "t") is None


def test_long_headers_are_cut_as_ses_does() -> None:
    long = Letter("a@b.test", "a@b.test", "s", (("X-Long", "x" * 20_000),))
    told = ses(event(EventType.ACCEPTED), long)
    assert told is not None
    assert told["mail"]["headersTruncated"]
    assert "X-Long" not in {one["name"] for one in told["mail"]["headers"]}


def test_an_sns_notification_holds_the_event_as_text() -> None:
    body = encoded(event(EventType.ACCEPTED), LETTER, "sns", "ekiden-crm")
    assert body is not None
    note = msgspec.json.decode(body)
    assert note["TopicArn"] == "arn:aws:sns:local:000000000000:ekiden-crm"
    assert uuid.UUID(note["MessageId"]).version == 4
    assert msgspec.json.decode(note["Message"])["eventType"] == "Send"
