"""Returned mails: what they are, whom they are about, and what was said; and nothing that hangs."""

import base64
import random
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ekiden.bounce import dsn, freetext, mime
from ekiden.bounce.classify import Action, Classifier
from ekiden.bounce.mail import Kind, Report, read_report
from ekiden.smtp.outcome import Stage

CLASSIFIER = Classifier.load()

ORIGINAL = """\
Return-Path: <b-token@return.example.com>
Message-ID: <1.abc@news.example.com>
X-Ekiden-Ref: ref-1
Feedback-ID: job:news:ekiden
List-Unsubscribe: <https://news.example.com/u/1>
From: News <news@news.example.com>
To: Hanako <hanako@example.jp>
Subject: Hello
"""

DSN = f"""\
From: MAILER-DAEMON@relay.example.net (Mail Delivery System)
To: b-token@return.example.com
Subject: Undelivered Mail Returned to Sender
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary="b1"

This is a MIME-encapsulated message.

--b1
Content-Type: text/plain; charset=us-ascii

I'm sorry to have to inform you that your message could not be delivered.

<hanako@example.jp>: host mx.example.jp[203.0.113.9] said: 550 5.1.1 User unknown
    (in reply to RCPT TO command)

--b1
Content-Type: message/delivery-status

Reporting-MTA: dns; relay.example.net

Final-Recipient: rfc822; alias@internal.example.jp
Original-Recipient: rfc822;hanako@example.jp
Action: failed
Status: 5.1.1
Remote-MTA: dns; mx.example.jp
Diagnostic-Code: smtp; 550 5.1.1 User unknown

--b1
Content-Type: message/rfc822

{ORIGINAL}
Hello.
--b1--
"""


def report(text: str) -> Report:
    return read_report(text.encode(), CLASSIFIER)


def only(text: str) -> tuple[str, str, Action]:
    found = report(text)
    assert len(found.recipients) == 1, found
    one = found.recipients[0]
    return one.address, one.verdict.klass, one.verdict.action


# --- RFC 3464 -------------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_a_standard_report(ending: str) -> None:
    found = report(DSN.replace("\n", ending))
    assert found.kind is Kind.DSN
    one = found.recipients[0]
    assert (one.address, one.status, one.mta) == ("hanako@example.jp", "5.1.1", "mx.example.jp")
    assert one.stage is Stage.RCPT
    assert one.verdict.action is Action.SUPPRESS_RECIPIENT
    assert found.original.message_id == "<1.abc@news.example.com>"
    assert found.original.ekiden_ref == "ref-1"
    assert found.original.feedback_id == "job:news:ekiden"
    assert found.original.list_unsubscribe == "<https://news.example.com/u/1>"
    assert found.original.mail_from == "b-token@return.example.com"


def test_what_follows_the_end_is_ignored() -> None:
    assert report(DSN + "\n--b1\n\nFinal-Recipient: rfc822; else@example.com\n" * 3) == report(DSN)


def test_half_a_report_never_raises_and_never_invents_a_recipient() -> None:
    for end in range(len(DSN)):
        found = report(DSN[:end])
        assert {one.address for one in found.recipients} <= {
            "hanako@example.jp",
            "alias@internal.example.jp",
            *("hanako@example.jp"[:length] for length in range(17)),
            *("alias@internal.example.jp"[:length] for length in range(25)),
        }


def test_several_recipients_each_with_its_own_verdict() -> None:
    second = """
Final-Recipient: rfc822; taro@example.jp
Action: failed
Status: 5.2.2
Diagnostic-Code: smtp; 552 5.2.2 Mailbox full

Final-Recipient: rfc822; jiro@example.jp
Action: delivered
Status: 2.0.0
"""
    found = report(DSN.replace("User unknown\n\n--b1", "User unknown\n" + second + "\n--b1"))
    assert [(one.address, one.verdict.action) for one in found.recipients] == [
        ("hanako@example.jp", Action.SUPPRESS_RECIPIENT),
        ("taro@example.jp", Action.MAILBOX_FULL_RETRY),
        ("jiro@example.jp", Action.OTHER),
    ]


def test_delays_are_no_bounces() -> None:
    found = report(DSN.replace("Action: failed", "Action: delayed").replace("5.1.1", "4.4.1"))
    assert found.kind is Kind.DELAY


def test_an_encoded_report_part_is_read() -> None:
    head, _, rest = DSN.partition("Content-Type: message/delivery-status\n\n")
    fields, _, tail = rest.partition("\n--b1\n")
    encoded = base64.encodebytes(fields.encode()).decode()
    text = (
        f"{head}Content-Type: message/delivery-status\n"
        f"Content-Transfer-Encoding: base64\n\n{encoded}\n--b1\n{tail}"
    )
    assert only(text)[0] == "hanako@example.jp"


def test_a_weak_diagnostic_is_helped_by_the_text() -> None:
    weak = DSN.replace("Diagnostic-Code: smtp; 550 5.1.1 User unknown\n", "").replace(
        "Status: 5.1.1", "Status: 5.0.0"
    )
    assert only(weak)[1] == "bad_mailbox"


def test_a_copied_dialogue_tells_the_stage() -> None:
    """Sendmail shows the command; at docomo it decides whether the address exists."""
    carrier = (
        DSN.replace("mx.example.jp", "mfsmax.docomo.ne.jp")
        .replace("hanako@example.jp", "hanako@docomo.ne.jp")
        .replace("550 5.1.1 User unknown", "550 Unknown user hanako@docomo.ne.jp")
        .replace("Status: 5.1.1", "Status: 5.0.0")
        .replace(" (in reply to RCPT TO command)", "")
    )
    said = (
        "... while talking to mfsmax.docomo.ne.jp.:\n"
        ">>> {}\n<<< 550 Unknown user hanako@docomo.ne.jp\n"
    )
    at = {
        command: carrier.replace(
            "<hanako@docomo.ne.jp>: host", said.format(command) + "\n<hanako@docomo.ne.jp>: host"
        )
        for command in ("DATA", "RCPT To:<hanako@docomo.ne.jp>")
    }
    assert only(at["DATA"])[2] is Action.OTHER
    assert only(at["RCPT To:<hanako@docomo.ne.jp>"])[2] is Action.SUPPRESS_RECIPIENT


def test_a_report_inside_a_forwarded_mail_is_found() -> None:
    wrapped = (
        "From: gateway@example.net\nSubject: FW: bounce\n"
        'Content-Type: multipart/mixed; boundary="out"\n\n'
        f"--out\nContent-Type: message/rfc822\n\n{DSN}\n--out--\n"
    )
    assert only(wrapped)[0] == "hanako@example.jp"


# --- Prose ----------------------------------------------------------------------------------------

QMAIL = f"""\
From: MAILER-DAEMON@relay.example.net
To: b-token@return.example.com
Subject: failure notice

Hi. This is the qmail-send program at relay.example.net.
I'm afraid I wasn't able to deliver your message to the following addresses.
This is a permanent error; I've given up. Sorry it didn't work out.

<hanako@example.jp>:
203.0.113.9 does not like recipient.
Remote host said: 550 5.1.1 User unknown
Giving up on 203.0.113.9.

--- Below this line is a copy of the message.

{ORIGINAL}
Hello.
"""
EXIM = f"""\
From: Mail Delivery System <Mailer-Daemon@relay.example.net>
To: b-token@return.example.com
X-Failed-Recipients: hanako@example.jp
Auto-Submitted: auto-replied
Subject: Mail delivery failed: returning message to sender

This message was created automatically by mail delivery software.

A message that you sent could not be delivered to one or more of its
recipients. This is a permanent error. The following address(es) failed:

  hanako@example.jp
    SMTP error from remote mail server after RCPT TO:<hanako@example.jp>:
    host mx.example.jp [203.0.113.9]: 550 5.1.1 User unknown

------ This is a copy of the message, including all the headers. ------

{ORIGINAL}
"""
EXCHANGE = """\
From: System Administrator <postmaster@example.jp>
To: news@news.example.com
Subject: Undeliverable: Hello

Your message
  To:      hanako@example.jp
  Subject: Hello
  Sent:    Thu, 29 Apr 2026 00:00:00 -0000

did not reach the following recipient(s):

hanako@example.jp on Thu, 29 Apr 2026 00:00:00 -0000
    The recipient name is not recognized
"""
DOMINO = """\
From: Postmaster@example.jp
To: news@news.example.com
Subject: DELIVERY FAILURE: User hanako (hanako@example.jp) not listed in Domino Directory

Your message

  Subject: Hello

was not delivered to:

  hanako@example.jp

because:

  User hanako (hanako@example.jp) not listed in Domino Directory
"""
OPENSMTPD = """\
From: Mailer Daemon <MAILER-DAEMON@relay.example.net>
To: news@news.example.com
Subject: Delivery status notification: error

    Hi!

    This is the MAILER-DAEMON, please DO NOT REPLY to this e-mail.

    An error has occurred while attempting to deliver a message for
    the following list of recipients:

hanako@example.jp: 550 5.1.1 User unknown

    Below is a copy of the original message:
"""
GATEWAY = """\
From: MAILER-DAEMON@gw.example.net
To: news@news.example.com
Subject: Message delivery has failed

Unable to deliver message to: <hanako@example.jp>
Delivery failed for the following reason:
Server mx.example.jp[203.0.113.9] failed with: 550 No such user here
"""
CARRIER = """\
From: Postmaster@ezweb.ne.jp
To: news@news.example.com
Subject: Mail System Error - Returned Mail
Content-Type: text/plain; charset="ISO-2022-JP"

\x1b$B%"%I%l%9$,8+$D$+$j$^$;$s\x1b(B

Each of the following recipients was rejected by a remote mail server.

Recipient: <hanako@ezweb.ne.jp>
>>> RCPT TO:<hanako@ezweb.ne.jp>
<<< 550 <hanako@ezweb.ne.jp>: User unknown
"""


@pytest.mark.parametrize(
    ("text", "address"),
    [
        (QMAIL, "hanako@example.jp"),
        (EXIM, "hanako@example.jp"),
        (EXCHANGE, "hanako@example.jp"),
        (DOMINO, "hanako@example.jp"),
        (OPENSMTPD, "hanako@example.jp"),
        (GATEWAY, "hanako@example.jp"),
        (CARRIER, "hanako@ezweb.ne.jp"),
    ],
    ids=["qmail", "exim", "exchange", "domino", "opensmtpd", "gateway", "carrier"],
)
def test_prose_reports(text: str, address: str) -> None:
    found = report(text)
    assert found.kind is Kind.DSN
    assert [one.address for one in found.recipients] == [address]
    assert found.recipients[0].verdict.action is Action.SUPPRESS_RECIPIENT


def test_prose_brings_the_returned_identifiers_too() -> None:
    for text in (QMAIL, EXIM):
        assert report(text).original.ekiden_ref == "ref-1"
        assert report(text).original.message_id == "<1.abc@news.example.com>"


def test_a_delay_notice_in_prose() -> None:
    text = """\
From: Mail Delivery Subsystem <mailer-daemon@relay.example.net>
To: news@news.example.com
Subject: Delivery Status Notification (Delay)

THIS IS A WARNING MESSAGE ONLY.
YOU DO NOT NEED TO RESEND YOUR MESSAGE.

Delivery to the following recipient has been delayed:

     hanako@example.jp

Message will be retried for 2 more day(s)
"""
    found = report(text)
    assert found.kind is Kind.DELAY
    assert found.recipients[0].verdict.action is Action.RETRY_LATER


# --- Feedback -------------------------------------------------------------------------------------

ARF = f"""\
From: feedback@provider.example
To: fbl@news.example.com
Subject: Abuse report
Content-Type: multipart/report; report-type=feedback-report; boundary="b1"

--b1
Content-Type: text/plain

This is an abuse report.
--b1
Content-Type: message/feedback-report

Feedback-Type: abuse
User-Agent: Provider/1.0
Version: 1
Original-Mail-From: <b-token@return.example.com>
Original-Rcpt-To: <hanako@example.jp>
Source-IP: 198.51.100.7

--b1
Content-Type: message/rfc822

{ORIGINAL}
--b1--
"""


@pytest.mark.parametrize(
    ("feedback", "klass", "action"),
    [
        ("abuse", "complaint", Action.SUPPRESS_RECIPIENT),
        ("fraud", "complaint", Action.SUPPRESS_RECIPIENT),
        ("not-spam", "not_spam", Action.OTHER),
        ("auth-failure", "auth_report", Action.FIX_SENDER),
        ("virus", "virus", Action.CONTENT_REJECTED),
        ("something-new", "complaint", Action.SUPPRESS_RECIPIENT),
    ],
)
def test_feedback_reports(feedback: str, klass: str, action: Action) -> None:
    found = report(ARF.replace("Feedback-Type: abuse", f"Feedback-Type: {feedback}"))
    assert found.kind is Kind.ARF
    assert found.feedback is not None
    assert found.feedback.source_ip == "198.51.100.7"
    assert [(one.address, one.verdict.klass, one.verdict.action) for one in found.recipients] == [
        ("hanako@example.jp", klass, action)
    ]
    assert found.original.ekiden_ref == "ref-1"


def test_a_redacted_recipient_leaves_the_returned_header() -> None:
    found = report(ARF.replace("Original-Rcpt-To: <hanako@example.jp>\n", ""))
    assert found.kind is Kind.ARF
    assert [one.address for one in found.recipients] == ["hanako@example.jp"]
    redacted = report(
        ARF.replace("Original-Rcpt-To: <hanako@example.jp>\n", "").replace(
            "To: Hanako <hanako@example.jp>", "To: undisclosed"
        )
    )
    assert redacted.kind is Kind.ARF
    assert redacted.recipients == ()


def test_microsofts_complaints_have_no_report_part() -> None:
    text = f"""\
From: staff@hotmail.com
To: fbl@news.example.com
Subject: complaint about message from 198.51.100.7
Content-Type: multipart/mixed; boundary="b1"

--b1
Content-Type: message/rfc822

X-HmXmrOriginalRecipient: hanako@hotmail.example
{ORIGINAL}
--b1--
"""
    found = report(text)
    assert found.kind is Kind.ARF
    assert found.recipients[0].address == "hanako@hotmail.example"


def test_ses_notifications() -> None:
    text = """\
From: SNS <no-reply@sns.amazonaws.com>
To: news@news.example.com
Subject: AWS Notification Message

{"notificationType":"Bounce","bounce":{"bounceType":"Permanent","bounceSubType":"General",
"bouncedRecipients":[{"emailAddress":"hanako@example.jp","status":"5.1.1","action":"failed",
"diagnosticCode":"smtp; 550 5.1.1 User unknown"}]},"mail":{}}
--
If you wish to stop receiving notifications ...
"""
    assert only(text) == ("hanako@example.jp", "bad_mailbox", Action.SUPPRESS_RECIPIENT)


# --- What is no bounce ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("head", "body", "kind"),
    [
        ("Subject: Out of Office\nAuto-Submitted: auto-replied", "I am away.", Kind.AUTOREPLY),
        ("Subject: Automatic reply: Hello", "I no longer work here.", Kind.AUTOREPLY),
        ("Subject: =?utf-8?B?6Ieq5YuV6L+U5L+h?=: x", "away@example.jp", Kind.AUTOREPLY),
        ("Subject: Re: Hello\nX-Autoreply: yes", "user unknown", Kind.AUTOREPLY),
        ("Subject: Abwesenheitsnotiz: Hallo", "Ich bin nicht da", Kind.AUTOREPLY),
        ("Subject: Please confirm your message", "Click here to prove", Kind.AUTOREPLY),
        ("Subject: Re: Hello", "Please unsubscribe hanako@example.jp, unknown", Kind.OTHER),
        ("Subject: Your invoice", "hanako@example.jp: 550 is the number", Kind.OTHER),
        ("Subject: ", "", Kind.OTHER),
        ("Subject: [list] digest", "<hanako@example.jp>: wrote\nuser unknown", Kind.OTHER),
    ],
)
def test_notes_and_ordinary_mail_are_no_bounces(head: str, body: str, kind: Kind) -> None:
    found = report(
        f"From: Hanako <hanako@example.jp>\nTo: news@news.example.com\n{head}\n\n{body}\n"
    )
    assert found.kind is kind
    assert found.recipients == ()


def test_a_bounce_that_calls_itself_an_automatic_reply_is_a_bounce() -> None:
    assert "Auto-Submitted: auto-replied" in EXIM
    assert report(EXIM).kind is Kind.DSN


# --- Hostile input --------------------------------------------------------------------------------

SIZE = 10_000_000


PROSE = b"From: MAILER-DAEMON@a.example\nSubject: failure notice\n\n"
STATUS = b"Content-Type: message/delivery-status\n\n"
# What begins, and what is repeated until there are ten million bytes.
HOSTILE = {
    "random": (b"", random.Random(3).randbytes(100_000)),
    "zeros": (b"", b"\0"),
    "lines": (b"", b"\n"),
    "colons": (b"", b"a:"),
    "one header": (b"Subject: ", b"a"),
    "folded": (b"Subject: a", b"\n a"),
    "nested": (b"", b"Content-Type: multipart/mixed; boundary=b\n\n--b\n"),
    "messages": (b"", b"Content-Type: message/rfc822\n\n"),
    "boundaries": (b"Content-Type: multipart/mixed; boundary=a\n\n", b"--a\n"),
    "tags": (b"From: MAILER-DAEMON@a\nContent-Type: text/html\n\n", b"<a "),
    "styles": (b"From: MAILER-DAEMON@a\nContent-Type: text/html\n\n", b"<style>"),
    "addresses": (PROSE, b"<a@b.example>:\n"),
    "at signs": (PROSE, b"a@"),
    "dots": (PROSE + b"a@", b"b."),
    "spaces": (PROSE, b" "),
    "quotes": (PROSE, b"> "),
    "dialogue": (PROSE, b">>> RCPT\n<<< 550 x\n"),
    "recipients": (STATUS, b"Final-Recipient: rfc822; a@b.example\n"),
    "status": (STATUS + b"Diagnostic-Code: ", b"5.1."),
    "json": (PROSE + b'{"notificationType":', b"["),
    "encoded words": (b"Subject: ", b"=?utf-8?Q?a?= "),
    "base64": (b"Content-Transfer-Encoding: base64\n\n", b"QUJD"),
    "quoted": (b"Content-Transfer-Encoding: quoted-printable\n\n", b"=41"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_ten_million_hostile_bytes_have_an_answer_within_a_second(name: str) -> None:
    head, again = HOSTILE[name]
    raw = head + again * (SIZE // len(again))
    start = time.process_time()
    found = read_report(raw, CLASSIFIER)
    assert time.process_time() - start < 1.0
    assert len(found.recipients) <= 101


@pytest.mark.parametrize("name", ["addresses", "at signs", "dots", "recipients", "random"])
def test_each_parser_alone_is_bounded(name: str) -> None:
    head, again = HOSTILE[name]
    text = (head + again * (SIZE // len(again))).decode("latin-1")
    start = time.process_time()
    freetext.read(text)
    dsn.parse(text[: mime.MAIL_CAP])
    mime.without_tags(text[: freetext.TEXT_CAP])
    assert time.process_time() - start < 1.0


@given(st.binary(max_size=2000))
def test_any_bytes_are_a_mail_of_some_kind(raw: bytes) -> None:
    assert read_report(raw, CLASSIFIER).kind in Kind


@given(st.data())
def test_a_damaged_report_is_read_or_not(data: st.DataObject) -> None:
    raw = bytearray(data.draw(st.sampled_from([DSN, ARF, QMAIL, EXIM])).encode())
    for _ in range(data.draw(st.integers(1, 8))):
        place = data.draw(st.integers(0, len(raw) - 1))
        raw[place : place + data.draw(st.integers(0, 4))] = data.draw(st.binary(max_size=4))
    found = read_report(bytes(raw), CLASSIFIER)
    assert found.kind in Kind


def test_a_reply_to_a_pipelined_rcpt_is_no_reply_to_data() -> None:
    """Sendmail pipelines: RCPT's refusal stands below `>>> DATA`, and 554 says none was left."""
    carrier = (
        DSN.replace("mx.example.jp", "lsean.ezweb.ne.jp")
        .replace("hanako@example.jp", "hanako@ezweb.ne.jp")
        .replace("550 5.1.1 User unknown", "550 <hanako@ezweb.ne.jp>: User unknown")
        .replace("(in reply to RCPT TO command)", "")
    )
    said = ">>> DATA\n<<< 550 <hanako@ezweb.ne.jp>: User unknown\n{}\n\n--b1"
    at_rcpt = carrier.replace("\n--b1", said.format("<<< 554 Error: no valid recipients"), 2)
    at_data = carrier.replace("\n--b1", said.format("554 5.0.0 Service unavailable"), 2)
    assert only(at_rcpt)[2] is Action.SUPPRESS_RECIPIENT
    assert only(at_data)[2] is Action.OTHER
