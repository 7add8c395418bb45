"""Every format that returned mail has, and what relays do to it on its way.

`data/bounce_mails.toml` says what each is; here each is read as it is, and again after what happens
to mail under way: other line ends, encoded parts, a forward around it, headers in front.
"""

import base64
import quopri
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ekiden.bounce.classify import Classifier
from ekiden.bounce.mail import Report, read_report

CLASSIFIER = Classifier.load()
MAILS: list[dict[str, Any]] = tomllib.loads(
    (Path(__file__).parent / "data" / "bounce_mails.toml").read_text("utf-8")
)["mail"]
PLAIN = [one for one in MAILS if "multipart" not in one["text"] and "Encoding" not in one["text"]]
BOUNCES = [one for one in MAILS if one["kind"] in {"dsn", "arf", "delay"}]


def raw_of(mail: dict[str, Any]) -> bytes:
    """As it comes; the header of a mail in another charset is ASCII."""
    written: bytes = mail["text"].lstrip("\n").encode(mail.get("charset", "ascii"))
    return written


def check(mail: dict[str, Any], report: Report) -> None:
    assert report.kind in mail["kind"].split("|"), report
    if report.kind not in {"dsn", "arf", "delay"}:
        assert not report.recipients
        return
    wanted = mail["recipients"]
    assert [one.address for one in report.recipients] == [address for address, _ in wanted]
    for one, (_, actions) in zip(report.recipients, wanted, strict=True):
        assert one.verdict.action in actions.split("|"), one


@pytest.mark.parametrize("mail", MAILS, ids=[one["name"] for one in MAILS])
def test_it_is_read_for_what_it_is(mail: dict[str, Any]) -> None:
    check(mail, read_report(raw_of(mail), CLASSIFIER))


def crlf(raw: bytes) -> bytes:
    return raw.replace(b"\n", b"\r\n")


def received(raw: bytes) -> bytes:
    """Another relay's line in front, and a mailbox's `From ` line."""
    return b"From MAILER-DAEMON Tue Dec  1 00:00:00 2026\nReceived: from a by b; now\n" + raw


def long(raw: bytes) -> bytes:
    """A copy of the message that does not end, and names others."""
    copy = b"From: x@y.example\nTo: z@y.example\n\n" + b"550 user unknown: q@y.example\n" * 3000
    if b"multipart" in raw:
        return raw + b"\n--b\nContent-Type: message/rfc822\n\n" + copy
    return (
        raw
        + b"\n------ This is a copy of the message, including all the headers. ------\n\n"
        + copy
    )


@pytest.mark.parametrize("change", [crlf, received, long])
@pytest.mark.parametrize("mail", MAILS, ids=[one["name"] for one in MAILS])
def test_what_relays_do_changes_nothing(
    mail: dict[str, Any], change: Callable[[bytes], bytes]
) -> None:
    check(mail, read_report(change(raw_of(mail)), CLASSIFIER))


@pytest.mark.parametrize("how", ["base64", "quoted-printable"])
@pytest.mark.parametrize("mail", PLAIN, ids=[one["name"] for one in PLAIN])
def test_an_encoded_body_is_the_same(mail: dict[str, Any], how: str) -> None:
    head, _, body = raw_of(mail).partition(b"\n\n")
    encoded = base64.encodebytes(body) if how == "base64" else quopri.encodestring(body)
    field = f"\nMIME-Version: 1.0\nContent-Transfer-Encoding: {how}\n\n".encode()
    check(mail, read_report(head + field + encoded, CLASSIFIER))


@pytest.mark.parametrize("mail", BOUNCES, ids=[one["name"] for one in BOUNCES])
def test_a_bounce_attached_to_another_mail_is_found(mail: dict[str, Any]) -> None:
    """Postmasters forward what they get."""
    outer = (
        b"From: postmaster@sender.example\nTo: news@sender.example\n"
        b"Subject: Fwd: Undelivered Mail Returned to Sender\nMIME-Version: 1.0\n"
        b'Content-Type: multipart/mixed; boundary="outer"\n\n--outer\nContent-Type: text/plain\n\n'
        b"see below\n--outer\nContent-Type: message/rfc822\n\n" + raw_of(mail) + b"\n--outer--\n"
    )
    report = read_report(outer, CLASSIFIER)
    if mail["name"] == "kddi, full":  # nothing outside its words says that a system wrote it
        assert (report.kind, report.recipients) == ("other", ())
    else:
        check(mail, report)


@pytest.mark.parametrize("mail", BOUNCES, ids=[one["name"] for one in BOUNCES])
def test_half_of_it_names_nobody_else(mail: dict[str, Any]) -> None:
    raw = raw_of(mail)
    wanted = {address.lower() for address, _ in mail["recipients"]}
    pieces = {address[:size] for address in wanted for size in range(len(address))}
    for end in range(0, len(raw), 7):
        named = {one.address.lower() for one in read_report(raw[:end], CLASSIFIER).recipients}
        assert named <= wanted | pieces | {"bob@dest", "redacted@aol"}, raw[:end]
