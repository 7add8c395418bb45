"""EHLO replies, read."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ekiden.smtp.ehlo import NO_EXTENSIONS, Extensions, parse_ehlo
from ekiden.smtp.reply import Reply


def parsed(*lines: str) -> Extensions:
    return parse_ehlo(Reply(250, "\n".join(("peer.test", *lines))))


def test_a_large_provider() -> None:
    assert parsed(
        "SIZE 157286400",
        "8BITMIME",
        "STARTTLS",
        "ENHANCEDSTATUSCODES",
        "PIPELINING",
        "CHUNKING",
        "SMTPUTF8",
    ) == Extensions(
        pipelining=True,
        size=157286400,
        eight_bit_mime=True,
        smtputf8=True,
        chunking=True,
        starttls=True,
        enhanced=True,
    )


def test_the_greeting_line_offers_nothing() -> None:
    assert parse_ehlo(Reply(250, "PIPELINING")) == NO_EXTENSIONS
    assert parse_ehlo(Reply(250, "")) == NO_EXTENSIONS


@pytest.mark.parametrize(
    ("line", "size"),
    [
        ("SIZE", 0),
        ("SIZE 0", 0),
        ("size 1000", 1000),
        ("SIZE=1000", None),
        ("SIZE 1_000", 0),
        ("SIZE -5", 0),
        ("SIZE 99999999999999999999999", 0),
        ("SIZE abc def", 0),
    ],
)
def test_size(line: str, size: int | None) -> None:
    assert parsed(line).size == size


def test_auth_in_both_forms() -> None:
    assert parsed("AUTH PLAIN login", "AUTH=LOGIN CRAM-MD5").auth == ("PLAIN", "LOGIN", "CRAM-MD5")


@pytest.mark.parametrize(
    ("line", "most"),
    [
        ("LIMITS MAILMAX=20 RCPTMAX=100", 20),
        ("LIMITS rcptmax=1", None),
        ("LIMITS mailmax=3", 3),
        ("LIMITS MAILMAX=0", None),
        ("LIMITS MAILMAX=1x", None),
        ("LIMITS MAILMAX=1234567", None),
        ("LIMITS", None),
    ],
)
def test_limits(line: str, most: int | None) -> None:
    assert parsed(line).mail_max == most


@given(st.text(max_size=300))
def test_any_text_parses(text: str) -> None:
    assert isinstance(parse_ehlo(Reply(250, text)), Extensions)
