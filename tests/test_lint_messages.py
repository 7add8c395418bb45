"""Lint finds faults, leaves sound newsletters in peace, and survives whatever it is fed."""

import re
import time
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broken_mails import GOOD, JAPANESE, Broken, broken
from ekiden.message.lint.check import lint, looks_bulk, merged, sender_domain
from ekiden.message.lint.content import body_of
from ekiden.message.lint.fields import date_fault, excesses
from ekiden.message.lint.law import shows_notice
from ekiden.message.lint.links import is_address
from ekiden.message.lint.model import Finding, LintOptions, Purpose, Severity
from ekiden.message.lint.page import read_page
from ekiden.message.lint.rules import RULES
from ekiden.message.lint.source import parse
from ekiden.message.lint.words import ADDRESS, ADDRESS_JA, is_japanese, same_site
from mails import newsletters

DOCS = Path(__file__).parent.parent / "docs" / "lint.md"
BROKEN = broken()
LETTERS = dict(newsletters())


def codes(message: bytes, **options: object) -> set[str]:
    return {one.code for one in lint(message, LintOptions(**options))}  # type: ignore[arg-type]  # the test's own keywords


@pytest.mark.parametrize("one", BROKEN, ids=[one.name for one in BROKEN])
def test_a_fault_is_found(one: Broken) -> None:
    found = {finding.code: finding for finding in lint(one.message)}
    assert one.code in found
    finding = found[one.code]
    assert (finding.where, finding.what, finding.remedy, finding.source) > ("", "", "", "")
    assert finding.what.isprintable()


def test_there_are_a_hundred_of_each_and_every_rule_is_met() -> None:
    assert (len(BROKEN) >= 100, len(LETTERS)) == (True, 100)
    rest = set(RULES) - {one.code for one in BROKEN}
    assert rest == {"message-large", "from-domain", "unsubscribe-unreachable"}, (
        "each rule has a mail that breaks it"
    )


@pytest.mark.parametrize("name", LETTERS)
def test_a_sound_newsletter_is_left_in_peace(name: str) -> None:
    assert [one for one in lint(LETTERS[name]) if one.severity is not Severity.INFO] == []


@pytest.mark.parametrize("message", [GOOD, JAPANESE])
def test_the_mails_that_are_broken_on_purpose_were_sound(message: str) -> None:
    assert lint(message.encode()) == []
    assert lint(message.replace("\n", "\r\n").encode()) == []


def test_a_forwarded_mail_is_something_to_read() -> None:
    head = "From: a@example.com\nTo: b@example.com\nMIME-Version: 1.0\n"
    for kind in ("message/rfc822", 'text/plain; name="a.txt"'):
        forwarded = f"{head}Content-Type: {kind}\n\nSubject: x\n\nread me\n"
        assert "no-body" not in codes(forwarded.encode())


def test_a_sealed_mail_is_something_to_read() -> None:
    head = "From: a@example.com\nTo: b@example.com\nMIME-Version: 1.0\n"
    smime = "Content-Type: application/pkcs7-mime; name=smime.p7m\n\nMIAGCSqGSIb3\n"
    openpgp = (
        'Content-Type: multipart/encrypted; boundary=b; protocol="application/pgp-encrypted"\n\n'
        "--b\nContent-Type: application/pgp-encrypted\n\nVersion: 1\n\n"
        "--b\nContent-Type: application/octet-stream\n\nhF4DR2b udXyHrYBK\n--b--\n"
    )
    for sealed in (smime, openpgp):
        assert "no-body" not in codes(f"{head}{sealed}".encode())


def test_a_large_message() -> None:
    assert "message-large" in codes(GOOD.encode() + b"x" * 26_000_000)


# --- Settings ----------------------------------------------------------------------------------


def test_severities_are_set() -> None:
    bad = GOOD.replace("Subject: Issue 7 of the Example", "Subject: Re: you").encode()
    (found,) = lint(bad)
    assert (found.code, found.severity) == ("subject-reply", Severity.WARNING)
    (found,) = lint(bad, LintOptions(severities={"subject-reply": Severity.ERROR}))
    assert found.severity is Severity.ERROR
    assert lint(bad, LintOptions(severities={"subject-reply": None})) == []


def test_limits_are_set() -> None:
    assert "html-large" in codes(GOOD.encode(), size=100)
    assert "urls-many" in codes(GOOD.encode(), urls=1)
    assert "subject-long" in codes(GOOD.encode(), subject=10)


def test_laws_are_chosen_by_language_or_by_name() -> None:
    bare = GOOD.encode().replace(b"nsubscribe", b"x").replace(b"/u/AbC123", b"")
    assert {code[:2] for code in codes(bare) if code[2] == "-"} == {"us", "eu"}
    assert {code[:2] for code in codes(bare, laws=("jp",)) if code[2] == "-"} == {"jp"}
    japanese = JAPANESE.replace("配信停止はこちら https://news.example.co.jp/u/AbC123\n", "")
    assert {code[:2] for code in codes(japanese.encode()) if code[2] == "-"} == {"jp"}


def test_the_registered_name_must_be_shown_when_it_is_configured() -> None:
    assert "jp-sender" in codes(JAPANESE.encode(), sender="株式会社駅伝")
    assert "jp-sender" not in codes(JAPANESE.encode(), sender="株式会社 りんご園")


def test_transactional_mail_is_not_held_to_the_rules_of_bulk_mail() -> None:
    bare = b"\n".join(
        line for line in GOOD.encode().split(b"\n") if b"nsubscribe" not in line
    ).replace(b"548 Market St", b"")
    assert lint(bare, purpose=Purpose(bulk=False)) == []
    assert "unsubscribe-header" in codes(bare)


def test_what_the_engine_still_adds_is_not_missed() -> None:
    draft = re.sub(r"(?m)^(Date|Message-ID|List-.*): .*\n", "", GOOD).encode()
    assert lint(draft, purpose=Purpose(final=False)) == []


def test_bulk_mail_says_so_itself() -> None:
    assert looks_bulk(GOOD.encode())
    assert looks_bulk(b"Precedence: bulk\n\n")
    assert not looks_bulk(b"From: a@example.com\n\nx")
    assert sender_domain(GOOD.encode()) == "example.com"


def test_findings_of_many_are_told_once_with_a_count() -> None:
    many = "".join(f'<img src="https://a.example/{n}">\n' for n in range(30))
    found = lint(GOOD.replace("<p>Example Inc.", f"{many}<p>Example Inc.").encode())
    assert Counter(one.code for one in found) == {"image-alt": 11}
    assert found[-1].what == "and 20 more of these"


def test_findings_of_all_rows_lose_their_row() -> None:
    one = Finding("nul", Severity.ERROR, "line 1", "x", "y", "z")
    other = Finding("no-text", Severity.WARNING, "message", "x", "y", "z")
    assert [(f.code, f.row) for f in merged([(2, [other, one]), (3, [one])])] == [
        ("nul", 0),
        ("no-text", 2),
    ]


# --- The pieces ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("html", "unbalanced"),
    [
        ("<p>a<p>b<ul><li>x<li>y</ul><table><tr><td>a<td>b</table>", 0),
        ("<html><head><title>x</title><body>a", 0),
        ("<br/><img/><hr></br>", 0),
        ("<!--[if mso]></td></tr><![endif]--><![if !mso]>x<![endif]>", 0),
        ("<svg><path d='x'/><g><circle r=1 /></g></svg>", 0),
        ("<div><p>a</div>", 0),
        ("<div><span>a</div>", 1),
        ("<b><i>a</b></i>", 2),
        ("</td>", 1),
        ("<table><tr><td>", 1),
    ],
)
def test_tags_are_balanced_as_html_has_it(html: str, unbalanced: int) -> None:
    assert len(read_page(html).unbalanced) == unbalanced


@pytest.mark.parametrize(
    ("html", "seen", "hidden"),
    [
        # What builders write: no size on the cells, a size on what is in them.
        ('<td style="font-size:0px"><div style="font-size:13px">shown</div> </td>', "shown", []),
        ('<td style="font-size:0px"><b>unseen</b></td>x', "x", ["unseen"]),
        ('<p style="display:none"><b style="font-size:9px">unseen</b></p>x', "x", ["unseen"]),
        ('<p hidden>unseen</p><p style="max-height:0">nor this</p>x', "x", ["unseen", "nor this"]),
    ],
)
def test_text_that_is_seen_and_text_that_is_not(html: str, seen: str, hidden: list[str]) -> None:
    page = read_page(html)
    assert page.text == seen
    assert [text for _, text in page.hidden] == hidden


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("www.example.com", "example.com", True),
        ("news.example.co.jp", "example.co.jp", True),
        ("example.co.jp", "other.co.jp", False),
        ("example.com", "example.com.evil.example", False),
        ("example.com", "examp1e.com", False),
    ],
)
def test_sites(one: str, other: str, same: bool) -> None:
    assert same_site(one, other) is same


@pytest.mark.parametrize(
    "text",
    [
        "〒100-0001 東京都千代田区千代田1-1",
        "〒１００－０００１",
        "北海道札幌市中央区北一条西",
        "鹿児島県鹿児島市山下町",
        "所在地：名古屋",
        "548 Market St #123, San Francisco, CA 94104",
        "221B Baker Street, London NW1 6XE",
        "P.O. Box 77, Springfield",
        "10115 Berlin",
        "Hauptstraße 5",
        "12 rue de la Paix, 75002 Paris",
        "Via Roma 12, 20121 Milano",
    ],
)
def test_postal_addresses_are_known(text: str) -> None:
    assert ADDRESS.search(text) or ADDRESS_JA.search(text)


@pytest.mark.parametrize(
    "text",
    [
        "Dear reader, your order of 12 apples is on its way.",
        "第12号のご案内です",
        "Call 555 0123 now",
    ],
)
def test_other_numbers_are_no_postal_addresses(text: str) -> None:
    assert not ADDRESS.search(text)
    assert not ADDRESS_JA.search(text)


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        ("配信停止をご希望の方はこちら\nhttps://x.example/u", True),
        ("To opt out, reply with STOP in the subject.", True),
        ("Unsubscribe: leave@example.com", True),
        ("Unsubscribe", False),
        ("配信停止", False),
        ("Read on: https://www.example.com", False),
    ],
)
def test_a_notice_needs_its_address_beside_it(body: str, shown: bool) -> None:
    message = f"From: a@example.com\nContent-Type: text/plain; charset=utf-8\n\n{body}\n"
    assert shows_notice(body_of(parse(message.encode()))) is shown


def test_dates() -> None:
    assert date_fault("Thu, 27 Nov 2025 07:00:00 +0000 (UTC)") == ""
    assert date_fault("27 Nov 2025 07:00 GMT") == ""
    assert "Thu, not a Fri" in date_fault("Fri, 27 Nov 2025 07:00:00 +0000")


def test_ordinary_subjects_do_not_shout() -> None:
    for subject in (
        "What's new? And what's next!",
        "NASA and ESA agree",
        "【重要】システムメンテナンスのお知らせ",
        "★新着★ 秋の味覚",
        "Re-opening on Monday",
        "第１２号",
    ):
        assert list(excesses(subject)) == []


def test_addresses_and_languages() -> None:
    for host in ("192.0.2.1", "::1", "3221225985", "0xC0000201"):
        assert is_address(host)
    assert not is_address("example.com")
    assert is_japanese("りんごの季節")
    assert not is_japanese("Apple season (りんご)" * 3 + "x" * 300)


# --- Whatever it is fed --------------------------------------------------------------------------

PIECES = st.sampled_from(
    (
        *(b"From: ", b"a@example.com", b"\n", b"\r\n", b"\n\n", b"--b1", b"--", b"Content-Type: "),
        *(b"multipart/mixed; boundary=b1", b"text/html; charset=", b"utf-8", b"=?utf-8?B?", b"?="),
        *(b"<a href='", b"'>", b"<![", b"<!--", b"<div", b"\0", b"\xff\xfe", b"Subject: ", b"=3D"),
        *(
            b"Content-Transfer-Encoding: base64",
            "配信".encode(),
            b"http://[",
            b"{{",
            b"boundary*=x''%",
        ),
    )
)


@settings(max_examples=400, deadline=None)
@given(st.lists(PIECES | st.binary(max_size=8), max_size=40).map(b"".join))
def test_nothing_makes_it_fail(data: bytes) -> None:
    for one in lint(data):
        assert one.code in RULES


@pytest.mark.parametrize(
    "bomb",
    [
        b"From: a\n\n" + b"<div>" * 200_000,
        b"Content-Type: text/html\n\n" + b"<a href='#'>" * 50_000,
        b"Content-Type: text/html\n\n" + b"<" * 300_000,
        b"Content-Type: text/html\n\n" + b"<!--" * 100_000,
        b"Content-Type: text/html\n\n" + b"<div style='" * 50_000,
        b"Subject: " + b"=?utf-8?B?" * 20_000 + b"\n\n",
        b"From: " + b"(" * 60_000 + b"\n\n",
        b"To: " + b"a@b.example, " * 5_000 + b"\n\n",
        b"\n" * 500_000,
        b"x: y\n" * 50_000,
        b"Content-Type: multipart/mixed; boundary=a\n\n" + b"--a\n" * 100_000,
        b"".join(
            b"Content-Type: multipart/mixed; boundary=a%d\n\n--a%d\n" % (n, n) for n in range(500)
        ),
        b"Content-Type: text/plain\n\n" + b"unsubscribe " * 100_000,
        b"Content-Type: text/plain\n\n" + b"1 " * 200_000,
        b"Content-Type: text/plain\n\n" + b"Aa " * 200_000,
        b"Content-Type: text/plain\n\n" + "配信".encode() * 100_000,
        b"Content-Type: text/plain\n\n" + b"12 a. b. c. d. " * 30_000,
    ],
)
def test_bombs_cost_little(bomb: bytes) -> None:
    before = time.process_time()
    lint(bomb)
    assert time.process_time() - before < 20, "linear in the message, whatever it holds"


# --- The page ------------------------------------------------------------------------------------


def test_the_page_has_every_rule() -> None:
    rows = re.findall(
        r"^\| `([a-z0-9-]+)` \| (\w+) \| (.+?) \| (.+?) \|$",
        DOCS.read_text(encoding="utf-8"),
        re.MULTILINE,
    )
    assert rows == [
        (rule.code, rule.severity.value, rule.what.replace("|", "\\|"), rule.source)
        for rule in RULES.values()
    ]
