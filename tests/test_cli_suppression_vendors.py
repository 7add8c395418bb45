"""Suppression lists as SES and SendGrid export them."""

import pytest

from ekiden.cli.suppression_csv import read
from ekiden.errors import RefusedError

SES_JSON = """{
  "SuppressedDestinationSummaries": [
    {"EmailAddress": "a@example.com", "Reason": "BOUNCE", "LastUpdateTime": "2026-01-02T03:04:05Z"},
    {"EmailAddress": "b@example.com", "Reason": "COMPLAINT", "LastUpdateTime": 1767323045.5}
  ]
}
"""
SES_LINES = """{"emailAddress":"a@example.com","reason":"BOUNCE"}
{"emailAddress":"b@example.com","reason":"COMPLAINT"}
"""
SES_CSV = "a@example.com,BOUNCE\nb@example.com,COMPLAINT\n"
SES_HEADED = "EmailAddress,Reason,LastUpdateTime\na@example.com,BOUNCE,2026-01-02T03:04:05Z\n"
SENDGRID_BOUNCES = (
    "status,reason,email,created\n"
    '5.1.1,"550 5.1.1 No such user, sorry",a@example.com,1767323045\n'
    "4.2.2,552 mailbox full,b@example.com,1767323046\n"
    "5.7.1,blocked,c@example.com,1767323047\n"
)
SENDGRID_SPAM = "email,ip,created\na@example.com,192.0.2.1,1767323045\n"
SENDGRID_JSON = (
    '[{"created": 1767323045, "email": "a@example.com", "reason": "550 no", "status": "5.1.1"}]\n'
)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (SES_JSON, [("a@example.com", "hard_bounce"), ("b@example.com", "complaint")]),
        (SES_LINES, [("a@example.com", "hard_bounce"), ("b@example.com", "complaint")]),
        (SES_CSV, [("a@example.com", "hard_bounce"), ("b@example.com", "complaint")]),
        (SES_HEADED, [("a@example.com", "hard_bounce")]),
        (
            SENDGRID_BOUNCES,
            [
                ("a@example.com", "hard_bounce"),
                ("b@example.com", "import"),
                ("c@example.com", "import"),
            ],
        ),
        (SENDGRID_SPAM, [("a@example.com", "complaint")]),
        (SENDGRID_JSON, [("a@example.com", "hard_bounce")]),
        ("\n\nx@example.com\n", [("x@example.com", "import")]),
        ("", []),
        ("[]", []),
        ("[1]", [("", "import")]),
    ],
)
def test_exports_are_understood(text: str, found: list[tuple[str, str]]) -> None:
    entries = list(read(text.splitlines(keepends=True), "import"))
    assert [(one.address, one.reason) for one in entries] == found


def test_times_and_replies_are_kept() -> None:
    ses = list(read(SES_JSON.splitlines(keepends=True), "import"))
    assert [one.at for one in ses] == [1767323045.0, 1767323045.5]
    sendgrid = next(read(SENDGRID_BOUNCES.splitlines(keepends=True), "import"))
    assert (sendgrid.at, sendgrid.note) == (1767323045.0, "550 5.1.1 No such user, sorry")


@pytest.mark.parametrize("text", ["{", "[1,", '{"a": 1} x', "[" * 100_000])
def test_broken_json_is_refused(text: str) -> None:
    with pytest.raises(RefusedError, match="no JSON"):
        list(read([text], "import"))
