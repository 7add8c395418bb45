"""Our events as Amazon SES tells them: every type, in the shape that its documentation shows."""

import uuid
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from ekiden.bounce.arf import Feedback, summary
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


def status(**topics: str) -> list[dict[str, str]]:
    return [{"topicName": name, "subscriptionStatus": said} for name, said in topics.items()]


@pytest.mark.parametrize(
    ("kind", "facts", "source", "old", "new"),
    [
        pytest.param(
            EventType.UNSUBSCRIBE,
            {"topics": {"news": "OPT_OUT"}, "how": "one-click"},
            "UnsubscribeHeader",
            (False, status(news="OptIn", offers="OptOut")),
            (False, status(news="OptOut", offers="OptOut")),
            id="a topic, by the header",
        ),
        pytest.param(
            EventType.UNSUBSCRIBE,
            {"unsubscribed": True, "how": "mail"},
            "UnsubscribeHeader",
            (False, status(news="OptIn", offers="OptOut")),
            (True, status(news="OptIn", offers="OptOut")),
            id="everything, by the header's mailto",
        ),
        pytest.param(
            EventType.UNSUBSCRIBE,
            {"topics": {"news": "OPT_OUT"}, "unsubscribed_before": True, "how": "preference page"},
            "preference page",
            (True, status(news="OptIn", offers="OptOut")),
            (True, status(news="OptOut", offers="OptOut")),
            id="who has left leaves a topic",
        ),
        pytest.param(
            EventType.SUBSCRIPTION,
            {"topics": {"offers": "OPT_IN"}, "unsubscribed_before": True, "how": "preference page"},
            "preference page",
            (True, status(news="OptIn", offers="OptOut")),
            (False, status(news="OptIn", offers="OptIn")),
            id="back again",
        ),
    ],
)
def test_a_subscription_says_what_held_and_what_holds(
    kind: EventType,
    facts: dict[str, Any],
    source: str,
    old: tuple[bool, list[dict[str, str]]],
    new: tuple[bool, list[dict[str, str]]],
) -> None:
    stood = {"news": "OPT_IN", "offers": "OPT_OUT"}
    told = ses(event(kind, list="letters", topics_before=stood, **facts), LETTER)
    assert told is not None
    assert told["subscription"] == {
        "contactList": "letters",
        "timestamp": "2027-01-15T08:00:10.500Z",
        "source": source,
        "newTopicPreferences": {"unsubscribeAll": new[0], "topicSubscriptionStatus": new[1]},
        "oldTopicPreferences": {"unsubscribeAll": old[0], "topicSubscriptionStatus": old[1]},
    }


# One of each type, field by field: SES developer guide, "Examples of event data".
WHOLE: dict[str, tuple[Event, dict[str, Any]]] = {
    "send": (event(EventType.ACCEPTED), {}),
    "delivery": (
        event(EventType.DELIVERED),
        {
            "timestamp": "2027-01-15T08:00:10.500Z",
            "processingTimeMillis": 10_500,
            "recipients": ["recipient@example.org"],
            "smtpResponse": "250 2.0.0 Ok",
            "reportingMTA": "a1",
        },
    ),
    "bounce": (
        msgspec.structs.replace(
            event(EventType.BOUNCED, code=550, enhanced="5.1.1", reply="5.1.1 User unknown"),
            bounce_class="bad_mailbox",
        ),
        {
            "bounceType": "Permanent",
            "bounceSubType": "NoEmail",
            "bouncedRecipients": [
                {
                    "emailAddress": "recipient@example.org",
                    "action": "failed",
                    "status": "5.1.1",
                    "diagnosticCode": "smtp; 550 5.1.1 User unknown",
                }
            ],
            "timestamp": "2027-01-15T08:00:10.500Z",
            "feedbackId": "a7",
            "reportingMTA": "dns; mx.example.org",
        },
    ),
    "complaint": (
        event(
            EventType.COMPLAINT,
            code=0,
            reply=summary(
                Feedback(
                    "abuse",
                    "complaint",
                    user_agent="Yahoo!-Mail-Feedback/2.0",
                    arrival="Fri, 15 Jan 2027 08:00:05 +0000",
                )
            ),
        ),
        {
            "complainedRecipients": [{"emailAddress": "recipient@example.org"}],
            "timestamp": "2027-01-15T08:00:10.500Z",
            "feedbackId": "a7",
            "complaintSubType": None,
            "complaintFeedbackType": "abuse",
            "userAgent": "Yahoo!-Mail-Feedback/2.0",
            "arrivalDate": "2027-01-15T08:00:05.000Z",
        },
    ),
    "deliveryDelay": (
        msgspec.structs.replace(
            event(EventType.DEFERRED, code=452, enhanced="4.2.2", reply="4.2.2 Over quota"),
            bounce_class="mailbox_full",
        ),
        {
            "timestamp": "2027-01-15T08:00:10.500Z",
            "delayType": "MailboxFull",
            "expirationTime": "2027-01-18T08:00:00.000Z",
            "delayedRecipients": [
                {
                    "emailAddress": "recipient@example.org",
                    "status": "4.2.2",
                    "diagnosticCode": "smtp; 452 4.2.2 Over quota",
                }
            ],
        },
    ),
    "open": (
        event(EventType.OPEN, ip="192.0.2.1", user_agent="Mozilla/5.0"),
        {
            "ipAddress": "192.0.2.1",
            "timestamp": "2027-01-15T08:00:10.500Z",
            "userAgent": "Mozilla/5.0",
        },
    ),
    "click": (
        event(EventType.CLICK, ip="192.0.2.1", user_agent="Mozilla/5.0", url="https://a.test/x"),
        {
            "ipAddress": "192.0.2.1",
            "timestamp": "2027-01-15T08:00:10.500Z",
            "userAgent": "Mozilla/5.0",
            "link": "https://a.test/x",
            "linkTags": None,
        },
    ),
    "failure": (
        event(EventType.RENDERING_FAILURE, code=0, reply="", detail="`name` is missing"),
        {"errorMessage": "`name` is missing", "templateName": "welcome"},
    ),
    "reject": (event(EventType.REJECTED), {"reason": "Bad content"}),
}


@pytest.mark.parametrize("block", WHOLE)
def test_every_field_of_a_type(block: str) -> None:
    one, whole = WHOLE[block]
    told = ses(one, replace(LETTER, template="welcome@3"))
    assert told is not None
    assert told[block] == whole


def test_what_was_not_sent_says_why() -> None:
    one = event(EventType.SUPPRESSED, code=0, reply="", host="")
    told = ses(msgspec.structs.replace(one, bounce_class="complaint"), LETTER)
    assert told is not None
    (recipient,) = told["bounce"]["bouncedRecipients"]
    assert recipient["diagnosticCode"] == "not sent: the address is suppressed (complaint)"
    assert "reportingMTA" not in told["bounce"]


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
