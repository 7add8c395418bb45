"""NAME.eml: read the way `sendmail -t` reads it."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ekiden import limits
from ekiden.queue.model import Pace, Priority
from ekiden.spool.formats_eml import job_from_message
from ekiden.spool.jobspec import JobError, JobSpec

NOW = 1_800_000_000.0

PLAIN = b"""\
Return-Path: <old@example.com>
From: "Desk, the" <desk@example.com>
To: A <a@example.net>, "b, c" <b@example.net>
Cc: friends: c@example.net, D <d@example.net>;
Bcc: secret@example.net,
 hidden@example.net
Resent-To: other@example.net
Subject: =?utf-8?B?5pel5pys?= news
X-Ekiden-Job: november
x-ekiden-priority: bulk
X-Ekiden-Pace: 5 per 1m

Body
Bcc: not a field
X-Ekiden-Job: nor this
"""


def read(data: bytes) -> JobSpec:
    return job_from_message(data, "x.eml", "x", now=NOW)


def refused(data: bytes) -> str:
    with pytest.raises(JobError) as caught:
        read(data)
    return str(caught.value)


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_recipients_options_and_the_message_that_is_left(end: bytes) -> None:
    spec = read(PLAIN.replace(b"\n", end))
    assert spec.recipients == (
        "a@example.net",
        "b@example.net",
        "c@example.net",
        "d@example.net",
        "secret@example.net",
        "hidden@example.net",
    )
    assert (spec.name, spec.priority, spec.pace) == ("november", Priority.BULK, Pace(5, 60.0))
    assert (spec.mail_from, spec.from_domain) == ("desk@example.com", "example.com")
    kept = PLAIN.split(b"\n")
    del kept[9:11], kept[8], kept[4:6], kept[0]
    assert spec.raw == end.join(kept)
    assert b"hidden" not in spec.raw
    assert b"secret" not in spec.raw


def test_the_defaults_of_a_message() -> None:
    spec = read(b"From: a@example.com\nTo: b@example.net\nSubject: =?utf-8?B?5pel5pys?=\n\nx\n")
    assert (spec.name, spec.priority) == ("日本", Priority.TRANSACTIONAL)
    assert read(b"From: a@example.com\nTo: b@example.net\n\nx\n").name == "x"


def test_an_mbox_line_goes_away_and_a_message_without_body_gets_its_blank_line() -> None:
    spec = read(b"From a@b Thu Jan 1\nFrom: a@example.com\nTo: b@example.net")
    assert spec.raw == b"From: a@example.com\nTo: b@example.net\r\n\r\n"


def test_the_envelope_sender_can_be_another() -> None:
    head = b"From: a@example.com\nTo: b@example.net\nX-Ekiden-Mail-From: <r@example.org>\n"
    spec = read(head + b"X-Ekiden-Tracking: off\n\n")
    assert (spec.mail_from, spec.from_domain) == ("r@example.org", "example.com")
    assert (spec.track_opens, spec.track_clicks) == (False, False)


def test_a_wrong_recipient_is_left_for_intake_to_refuse_by_number() -> None:
    spec = read(b"From: a@example.com\nTo: b@example.net, nobody, c@example.net\n\n")
    assert spec.recipients == ("b@example.net", "nobody", "c@example.net")


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "no From field"),
        (b"\n\nbody", "no From field"),
        (b"From: a@example.com\n\n", "no recipient"),
        (b"From: a@example.com\nFrom: b@example.com\nTo: c@example.com\n\n", "several From"),
        (b"From: a@example.com, b@example.com\nTo: c@example.com\n\n", "not one address"),
        (b"From: a@example.com\nTo: c@example.com\n\n\0", "There is a NUL at byte"),
        (b"From: a@example.com\nnot a field\nTo: c@example.com\n\n", "not a header field"),
        (b"From: a@example.com\nTo: c@example.com\rBcc: d@example.com\n\n", "not a header field"),
        (b"From: a@example.com\nTo: \xff@example.com\n\n", "To field is not UTF-8"),
        (b"From: a@example.com\nTo: c@example.com\nX-Ekiden-Prio: bulk\n\n", "x-ekiden-priority"),
        (
            b"From: a@example.com\nTo: c@example.com\nX-Ekiden-Id: 1\nX-Ekiden-Id: 2\n\n",
            "there twice",
        ),
        (b"From: a@example.com\nTo: c@example.com\nX-Ekiden-Send-At: soon\n\n", "not a time"),
        (b"From: a@example.com\nTo: c@example.com\nX-Ekiden-Id: \n\n", "is empty"),
        (b"From: a@example.com\nTo: c@example.com\n" + b"A: b\n" * 1001 + b"\n", "1000 fields"),
        (b"From: a@example.com\n" + b"A" * limits.HEADER_BYTES, "no blank line"),
    ],
)
def test_messages_that_are_refused(data: bytes, words: str) -> None:
    assert words in refused(data)


def test_a_continued_header_stays_as_it_was() -> None:
    data = b"From: a@example.com\nTo: b@example.net,\n\tc@example.net\nSubject: a\n b\n\nx"
    spec = read(data)
    assert spec.raw == data
    assert spec.recipients == ("b@example.net", "c@example.net")


pieces = st.sampled_from(
    [
        *(b"From: a@example.com", b"To: b@example.net", b"Bcc: s@example.net", b"X-Ekiden-Job: j"),
        *(b"\n", b"\r\n", b"\r", b" ", b"\t", b":", b"\0", b"\xff", b'"', b"(", b"<", b">", b","),
        *(b"X-Ekiden-Pace: 1 per 1s", b"Subject: x", b"From ", b"=?utf-8?Q?a?="),
    ]
)


@given(st.lists(pieces | st.binary(max_size=6), max_size=40).map(b"".join))
def test_any_bytes_are_a_job_or_a_job_error(data: bytes) -> None:
    for message in (data, b"From: a@example.com\nTo: b@example.net\n" + data):
        with suppress(JobError):
            spec = read(message)
            header = spec.raw.replace(b"\r\n", b"\n").partition(b"\n\n")[0].lower()
            assert not any(line.startswith((b"bcc:", b"x-ekiden-")) for line in header.split(b"\n"))
