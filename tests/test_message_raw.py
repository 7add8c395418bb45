"""Raw messages: left alone where they are right, mended where that is safe, refused where not."""

from email import message_from_bytes
from email.policy import default as modern

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ekiden.dkim.canonical import body_hash
from ekiden.errors import RefusedError
from ekiden.message.compile import compile_content
from ekiden.message.content import Content
from ekiden.message.headers import RenderError
from ekiden.message.mime import fault
from ekiden.message.rendered import Marks, Recipient, Rendered

MARKS = Marks("<1@example.jp>", 1_700_000_000.0)
GOOD = (
    b"From: a@example.jp\r\nTo:b@example.com\r\nSubject:   odd  spacing\t\r\n\tfolded\r\n"
    b"Date: Mon, 1 Jan 2024 00:00:00 +0900\r\nMessage-ID: <own@example.jp>\r\n"
    b"MIME-Version: 1.0\r\n\r\n.dot\r\n\r\nFrom here\r\n  trailing  \r\n\r\n"
)


def made(raw: bytes, *, marks: Marks = MARKS, seven_bit: bool = False, from_: str = "") -> Rendered:
    compiled = compile_content(Content(raw=raw, from_=from_))
    assert compiled.fields == frozenset()
    return compiled.render(Recipient("b@example.com"), marks, seven_bit=seven_bit)


def test_a_complete_message_arrives_byte_for_byte() -> None:
    rendered = made(GOOD)
    assert rendered.message() == GOOD
    assert (rendered.eight_bit, rendered.smtputf8) == (False, False)
    assert rendered.body_hash() == body_hash(rendered.body)


@pytest.mark.parametrize("ending", [b"\n", b"\r", b"\r\n"])
def test_line_ends_become_crlf(ending: bytes) -> None:
    assert made(GOOD.replace(b"\r\n", ending)).message() == GOOD


def test_last_line_gets_its_end_and_mbox_separator_goes() -> None:
    assert made(b"From a@b Mon Jan 1\n" + GOOD[:-4]).message() == GOOD[:-2]


def test_what_is_missing_is_added() -> None:
    message = message_from_bytes(
        made(b"Subject: x\n\nbody\n", from_="山田 <a@example.jp>").message(), policy=modern
    )
    assert message["From"] == "山田 <a@example.jp>"
    assert message["Date"] == "Tue, 14 Nov 2023 22:13:20 +0000"
    assert message["Message-ID"] == "<1@example.jp>"
    assert message["MIME-Version"] == "1.0"
    with pytest.raises(RefusedError, match="no From"):
        made(b"Subject: x\n\nbody\n")


def test_engine_fields_and_blind_copies() -> None:
    raw = GOOD.replace(
        b"\r\n\r\n", b"\r\nBcc: c@x.jp\r\nX-Ekiden-Pool: p\r\nList-Unsubscribe: <o>\r\n\r\n", 1
    )
    marks = Marks("<1@example.jp>", 0.0, (("List-Unsubscribe", "<https://n.example/>"),))
    names = [name for name, _ in made(raw, marks=marks).headers]
    assert b"Bcc" not in names
    assert b"X-Ekiden-Pool" not in names
    assert made(raw, marks=marks).headers[-1] == (b"List-Unsubscribe", b" <https://n.example/>")
    assert names.count(b"List-Unsubscribe") == 1


def test_raw_utf8_in_fields_is_encoded() -> None:
    raw = (
        "From: 山田 <a@example.jp>\nTo: 鈴木 <b@例え.jp>, c@x.jp\nSubject: 件名です\nX-N: é\n\nx\n"
    ).encode()
    rendered = made(raw)
    assert not fault(rendered.message(), ascii_only=True)
    assert not rendered.smtputf8
    message = message_from_bytes(rendered.message(), policy=modern)
    assert message["Subject"] == "件名です"
    assert message["X-N"] == "é"
    assert message["From"].addresses[0].display_name == "山田"
    assert [box.addr_spec for box in message["To"].addresses] == ["b@xn--r8jz45g.jp", "c@x.jp"]


def test_utf8_local_part_needs_smtputf8() -> None:
    rendered = made("From: a@example.jp\nTo: 山田@例え.jp\n\nx\n".encode())
    assert rendered.smtputf8
    assert "山田@xn--r8jz45g.jp".encode() in rendered.head()


EIGHT = (
    "From: a@example.jp\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n\n"
    "--b\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\n本文 です\n"
    "--b\nContent-Type: application/x; name=n\nContent-Transfer-Encoding: 8bit\n\né\n--b--\n"
).encode()


def test_eight_bit_stays_for_receivers_that_take_it() -> None:
    rendered = made(EIGHT)
    assert rendered.eight_bit
    assert rendered.body == EIGHT.partition(b"\n\n")[2].replace(b"\n", b"\r\n")


def test_eight_bit_is_encoded_for_receivers_that_do_not() -> None:
    rendered = made(EIGHT, seven_bit=True)
    assert not rendered.eight_bit
    assert not fault(rendered.message(), ascii_only=True)
    assert rendered.body_hash() == body_hash(rendered.body)
    text, data = message_from_bytes(rendered.message(), policy=modern).iter_parts()
    assert text.get_content() == "本文 です"
    assert data.get_content() == "é".encode()


def test_a_body_without_type_is_given_one() -> None:
    rendered = made("From: a@example.jp\n\n本文\n".encode())
    assert dict(rendered.headers)[b"Content-Type"] == b" text/plain; charset=utf-8"
    seven = made("From: a@example.jp\n\n本文\n".encode(), seven_bit=True)
    assert message_from_bytes(seven.message(), policy=modern).get_content() == "本文\r\n"


@pytest.mark.parametrize(
    "transfer", ["", "Content-Transfer-Encoding: 7bit\n", "Content-Transfer-Encoding: 8bit\n"]
)
def test_long_lines_are_encoded_before_signing(transfer: str) -> None:
    body = "x" * 2000 + "\nshort\n"
    head = f"From: a@example.jp\nMIME-Version: 1.0\nContent-Type: text/plain\n{transfer}"
    raw = f"{head}\n{body}".encode()
    rendered = made(raw)
    assert not fault(rendered.message(), ascii_only=True)
    assert message_from_bytes(rendered.message(), policy=modern).get_content() == body.replace(
        "\n", "\r\n"
    )


def test_long_header_lines_are_folded() -> None:
    raw = b"From: a@example.jp\nX-Long: " + b"word " * 300 + b"\nX-One: " + b"y" * 1500 + b"\n\nx\n"
    rendered = made(raw)
    assert not fault(rendered.message(), ascii_only=True)
    message = message_from_bytes(rendered.message(), policy=modern)
    assert message["X-Long"] == ("word " * 300).strip()
    assert message["X-One"] == "y" * 1500


SIGNED = (
    "From: a@example.jp\nMIME-Version: 1.0\nContent-Type: multipart/signed; boundary=b\n\n"
    "--b\nContent-Type: text/plain; charset=utf-8\n\n本文\n--b\nContent-Type: text/x\n\nx\n--b--\n"
).encode()


def test_signed_parts_are_not_touched() -> None:
    assert made(SIGNED).eight_bit
    with pytest.raises(RenderError, match="signed"):
        made(SIGNED, seven_bit=True)
    with pytest.raises(RefusedError, match="signed"):
        made(SIGNED.replace("本文".encode(), b"x" * 1200))


@pytest.mark.parametrize(
    ("raw", "what"),
    [
        (b"From: a@x.jp\0\n\nx", "NUL"),
        (b"From: a@x.jp\n\nx\0", "NUL"),
        (b"From: a@x.jp\nno field here\n\nx", "line 2"),
        (b"From: a@x.jp\nFrom: b@x.jp\n\nx", "twice"),
        (b"From: a@x.jp\nSubject: a\nsubject: b\n\nx", "twice"),
        (b"From: a@x.jp\nX: \xff\xfe\n\nx", "neither ASCII nor UTF-8"),
        (b"From: a@x.jp\nX: a\x1bb\n\nx", "control"),
        ("From: a@x.jp\nTo: 山\n\nx".encode(), "no @"),
        (b"From: a@x.jp\n" + b"X: y\n" * 1001 + b"\nx", "more than"),
        (b"From: a@x.jp\nX: " + b"y" * 70_000 + b"\n\nx", "larger"),
    ],
)
def test_refused(raw: bytes, what: str) -> None:
    with pytest.raises(RefusedError, match=what):
        made(raw)


@given(
    st.binary(max_size=300)
    | st.lists(
        st.sampled_from(
            [
                b"From: a@x.jp\n",
                b"X:y\r\n",
                b"\n",
                b"\r",
                b" z\n",
                b"\xe5\xb1\xb1",
                b"Content-Type: multipart/mixed; boundary=b\n",
                b"--b\n",
                b"Content-Transfer-Encoding: base64\n",
                b"q" * 999,
            ]
        )
    ).map(b"".join)
)
def test_any_bytes_are_a_fit_message_or_a_typed_refusal(raw: bytes) -> None:
    for seven_bit in (False, True):
        try:
            rendered = made(raw, seven_bit=seven_bit, from_="a@x.jp")
        except (RefusedError, RenderError):
            continue
        assert not fault(rendered.message(), ascii_only=seven_bit and not rendered.smtputf8)
        assert rendered.body_hash() == body_hash(rendered.body)
