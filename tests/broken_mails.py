"""Mails that are broken: each is a sound one with one thing wrong, and the code lint must give."""

from dataclasses import dataclass

GOOD = """\
From: Example News <news@example.com>
To: reader@example.org
Subject: Issue 7 of the Example
Date: Thu, 27 Nov 2025 07:00:00 +0000
Message-ID: <7.abc@example.com>
MIME-Version: 1.0
List-Unsubscribe: <https://news.example.com/u/AbC123>
List-Unsubscribe-Post: List-Unsubscribe=One-Click
Content-Type: multipart/alternative; boundary="b1"

--b1
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: 7bit

Dear reader, the relay season begins on Sunday, and our editors have walked the whole course.
Read on: https://www.example.com/relay
Unsubscribe: https://news.example.com/u/AbC123
Example Inc., 548 Market St, San Francisco, CA 94104. Privacy policy.
--b1
Content-Type: text/html; charset=utf-8
Content-Transfer-Encoding: 7bit

<html><body><p>Dear reader, the relay season begins on Sunday, and our editors have walked the
whole course.</p><p><a href="https://www.example.com/relay">Read on</a></p>
<img src="https://img.example.com/a.png" alt="The course">
<p><a href="https://news.example.com/u/AbC123">Unsubscribe</a></p>
<p>Example Inc., 548 Market St, San Francisco, CA 94104. Privacy policy.</p></body></html>
--b1--
"""
EXE = 'Content-Type: application/x-x\nContent-Disposition: attachment; filename="a.pdf.exe"'
LONG = "word " * 250
FIRST = GOOD[GOOD.index("Dear reader, ") : GOOD.index("Read on: ")].strip()
OTHER = (
    "Huge discount pharmacy without prescription, cheap watches, casino bonus, investors wanted,\n"
    "quick loans approved today, lottery winners announced, miracle weight remedy discovered."
)
JAPANESE = """\
From: =?UTF-8?B?6aeF5LydIA==?= <news@example.co.jp>
To: reader@example.org
Subject: =?UTF-8?B?5Y2B5LiA5pyI5Y+3?=
Date: Thu, 27 Nov 2025 16:00:00 +0900
Message-ID: <7.abc@example.co.jp>
MIME-Version: 1.0
List-Unsubscribe: <https://news.example.co.jp/u/AbC123>
List-Unsubscribe-Post: List-Unsubscribe=One-Click
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: 8bit

読者の皆様、りんごの季節になりました。一箱三千円（税込）でお届けします。
https://www.example.co.jp/apples
配信停止はこちら https://news.example.co.jp/u/AbC123
株式会社りんご園 〒036-8001 青森県弘前市代官町1-2-3 お問い合わせ 0172-11-2222
"""


@dataclass(frozen=True)
class Broken:
    """A mail with one thing wrong, and the code that says so."""

    code: str
    message: bytes
    name: str


def _swap(code: str, old: str, new: str, name: str = "") -> Broken:
    base = JAPANESE if old in JAPANESE and old not in GOOD else GOOD
    assert old in base, old
    text = base.replace(old, new, 1)
    return Broken(code, text.encode("utf-8", "surrogateescape"), name or f"{code}: {new[:40]!r}")


def _html(code: str, added: str) -> Broken:
    return _swap(code, "<p>Example Inc.", f"{added}<p>Example Inc.", f"{code}: {added[:50]!r}")


def _crlf(text: str) -> bytes:
    return text.replace("\n", "\r\n").encode()


def broken() -> list[Broken]:
    """Mails with one thing wrong each."""
    leave = '<a href="https://news.example.com/u/AbC123">'
    date, subject = "Thu, 27 Nov 2025 07:00:00 +0000", "Issue 7 of the Example"
    silent = _without("nsubscribe:", "/u/AbC123", ">Unsubscribe<")
    sender, identifier = "Example News <news@example.com>", "<7.abc@example.com>"
    seven = "Content-Transfer-Encoding: 7bit"
    return [
        # header
        Broken("no-header", b"\nDear reader\n", "no header"),
        _swap("bad-field", "Subject:", "Subject line without a colon\nSubject:"),
        _swap("bad-field", "Subject:", "Sub ject:"),
        *(
            _swap("duplicate-field", f"{name}:", f"{name}: {value}\n{name}:")
            for name, value in (
                ("From", sender),
                ("To", "a@example.com"),
                ("Subject", "x"),
                ("Date", date),
                ("Message-ID", identifier),
                ("MIME-Version", "1.0"),
            )
        ),
        _swap("from-missing", f"From: {sender}\n", ""),
        *(
            _swap("from-invalid", sender, wrong)
            for wrong in (
                "news",
                "Example News",
                "<news@>",
                "@example.com",
                "a@b@c.example",
                "news@example..com",
            )
        ),
        _swap("sender-needed", sender, "a@example.com, b@example.com"),
        *(
            _swap("address-invalid", "reader@example.org", wrong)
            for wrong in ("reader", "reader@", "a@example.com b@example.com")
        ),
        _swap("date-missing", f"Date: {date}\n", ""),
        *(
            _swap("date-invalid", date, wrong)
            for wrong in (
                "2025-11-27 07:00",
                "Thu, 32 Nov 2025 07:00:00 +0000",
                "Thu, 27 Nov 2025",
                "yesterday",
                "Mon, 27 Nov 2025 07:00:00 +0000",
                "Thu, 27 Nov 2025 25:00:00 +0000",
            )
        ),
        _swap("message-id-missing", f"Message-ID: {identifier}\n", ""),
        *(
            _swap("message-id-invalid", identifier, wrong)
            for wrong in (
                "7.abc@example.com",
                "<7.abc>",
                "<7 abc@example.com>",
                "<a@b@example.com>",
            )
        ),
        _swap("to-missing", "To: reader@example.org\n", ""),
        _swap("subject-missing", f"Subject: {subject}\n", ""),
        _swap("subject-missing", subject, " "),
        _swap("header-control", subject, "Issue\x07 7"),
        _swap("header-8bit", subject, "号外"),
        _swap("header-8bit", subject, "caf\udce9"),
        *(
            _swap("encoded-word", subject, wrong)
            for wrong in (
                "=?utf-8?B?5Y2B5LiA5pyI5Y+3",
                "=?utf-8?X?abc?=",
                "=?nonsense?B?YWJj?=",
                "=?utf-8?B?***?=",
                "=?utf-8?Q?=ZZ?=",
                "=?utf-8?B?5Y2B5Lg=?=",
                "=?utf-8?Q?a b?=",
            )
        ),
        _swap("encoded-word-long", subject, f"=?utf-8?Q?{'a' * 80}?="),
        _swap("subject-long", subject, "word " * 30),
        _swap("subject-reply", subject, "Re: your order"),
        *(
            _swap("excessive", subject, wrong)
            for wrong in (
                "Buy now!!!",
                "YOU HAVE ALREADY WON THE PRIZE",
                "Earn $$$ at home",
                "F R E E today",
                "★☆★☆★ sale",
                "ＳＡＬＥ２０２５年末",
            )
        ),
        # lines
        Broken("bare-cr", _crlf(GOOD).replace(b"Dear", b"De\rar", 1), "bare CR"),
        Broken("bare-lf", _crlf(GOOD).replace(b"Sunday,", b"Sunday,\n", 1), "bare LF"),
        _swap("nul", "Dear reader", "Dear\0reader"),
        _swap("long-line", "Dear reader", LONG),
        _swap("long-line", subject, LONG),
        _swap("undeclared-8bit", "Dear reader", "Chère lectrice"),
        Broken(
            "undeclared-8bit",
            GOOD.replace(f"{seven}\n", "").replace("Dear", "Größe").encode(),
            "8bit unsaid",
        ),
        # MIME
        _swap("mime-version", "MIME-Version: 1.0\n", ""),
        _swap("content-type", "text/plain; charset=utf-8", "text"),
        _swap("content-type", "text/html; charset=utf-8", "text html"),
        _swap("boundary", '; boundary="b1"', ""),
        _swap("boundary", 'boundary="b1"', 'boundary="other"'),
        _swap("boundary", "--b1--\n", ""),
        _swap(
            "multipart-encoded",
            "MIME-Version: 1.0",
            "MIME-Version: 1.0\nContent-Transfer-Encoding: base64",
        ),
        _swap("transfer-encoding", seven, "Content-Transfer-Encoding: utf-8"),
        _swap("bad-base64", seven, "Content-Transfer-Encoding: base64"),
        _swap(
            "bad-quoted-printable",
            f"{seven}\n\nDear",
            "Content-Transfer-Encoding: quoted-printable\n\n=XY Dear",
        ),
        _swap("charset-unknown", "text/plain; charset=utf-8", "text/plain; charset=utf-9"),
        _swap("charset-unknown", "text/html; charset=utf-8", "text/html; charset=unknown-8bit"),
        _swap(
            "charset-wrong",
            f"text/plain; charset=utf-8\n{seven}\n\nDear",
            "text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\nCaf\udce9",
        ),
        _swap(
            "charset-wrong",
            f"charset=utf-8\n{seven}\n\nDear",
            "charset=us-ascii\nContent-Transfer-Encoding: quoted-printable\n\nCaf=C3=A9",
        ),
        _swap(
            "charset-missing",
            f"text/plain; charset=utf-8\n{seven}\n\nDear",
            "text/plain\nContent-Transfer-Encoding: 8bit\n\nChère",
        ),
        _swap("attachment-blocked", "--b1--", f"--b1\n{EXE}\n\nx\n--b1--"),
        _swap(
            "attachment-blocked",
            "--b1--",
            '--b1\nContent-Type: application/x-js; name="a.js"\n\nx\n--b1--',
        ),
        # content
        Broken("no-body", GOOD[: GOOD.index("Content-Type: multi")].encode() + b"\n", "no body"),
        Broken("no-text", GOOD.replace("text/plain", "text/x-other").encode(), "no text"),
        _swap("text-differs", FIRST, OTHER),
        Broken("alternative-order", _swapped("text/plain", "text/html"), "order"),
        _html("html-large", "<p>filler</p>\n" * 9000),
        Broken(
            "image-only",
            GOOD[: GOOD.index("<p>Dear")].encode()
            + b'<img src="https://a.example/x.png" alt="x">\n--b1--\n',
            "image only",
        ),
        _html("image-alt", '<img src="https://img.example.com/b.png">'),
        _html("image-insecure", '<img src="http://img.example.com/b.png" alt="">'),
        _html("image-cid", '<img src="cid:nobody" alt="">'),
        *(
            _html("html-unbalanced", wrong)
            for wrong in (
                "<div>",
                "</table>",
                "<b><i>x</b></i>",
                "<table><tr><td>x</td></tr>",
                "<a href='https://www.example.com'>x",
            )
        ),
        *(
            _html("active-content", wrong)
            for wrong in (
                "<script>x()</script>",
                '<form action="https://a.example"><input></form>',
                "<iframe src='https://a.example'></iframe>",
                '<p onclick="x()">x</p>',
                '<a href="javascript:x()">x</a>',
                "<meta http-equiv=refresh content=0>",
                "<object data=x></object>",
            )
        ),
        _html("hidden-text", f'<div style="display:none">{"hidden words " * 40}</div>'),
        _html("hidden-text", f'<div style="font-size:0">{"hidden words " * 40}</div>'),
        _swap("merge-left", "Dear reader,", "Dear {{ first_name }},"),
        _swap("merge-left", subject, "Hello *|FNAME|*"),
        _html("merge-left", '<a href="https://www.example.com/?id=%%ID%%">x</a>'),
        # links
        _html(
            "urls-many",
            "".join(f'<a href="https://www.example.com/{n}">{n}</a> ' for n in range(60)),
        ),
        *(
            _html("link-mismatch", f'<a href="https://evil.example/x">{text}</a>')
            for text in ("https://www.example.com/account", "www.example.com", "mybank.com")
        ),
        *(
            _html("link-shortener", f'<a href="https://{host}/abc">x</a>')
            for host in ("bit.ly", "tinyurl.com", "t.co")
        ),
        *(
            _html("link-ip", f'<a href="https://{host}/">x</a>')
            for host in ("192.0.2.1", "[2001:db8::1]", "3221225985")
        ),
        _html("link-insecure", '<a href="http://www.example.com/">x</a>'),
        *(
            _html("link-invalid", f'<a href="{href}">x</a>')
            for href in (
                "",
                "#",
                "www.example.com/x",
                "https://",
                "https://exa mple.com/",
                "http://localhost/x",
            )
        ),
        _html("link-fragment", '<a href="#nowhere">x</a>'),
        _html("link-user", '<a href="https://www.example.com@evil.example/">x</a>'),
        # sender
        _swap("from-freemail", "news@example.com", "example.news@gmail.com"),
        _swap("from-name", sender, "news@example.com"),
        _swap("from-name-address", sender, '"boss@bank.example" <news@example.com>'),
        _swap("reply-to-domain", "To:", "Reply-To: x@other.example\nTo:"),
        _swap("from-noreply", "news@example.com", "no-reply@example.com"),
        # leaving
        _swap("unsubscribe-header", "List-Unsubscribe: <https://news.example.com/u/AbC123>\n", ""),
        _swap("unsubscribe-one-click", "List-Unsubscribe-Post: List-Unsubscribe=One-Click\n", ""),
        _swap(
            "unsubscribe-one-click",
            "<https://news.example.com/u/AbC123>",
            "<mailto:leave@example.com>",
        ),
        Broken("unsubscribe-body", silent, "no notice"),
        *(
            _swap("unsubscribe-faint", f"<p>{leave}", f"<p {look}>{leave}", look)
            for look in ('style="font-size:8px"', 'style="font-size: .5em"')
        ),
        _swap(
            "unsubscribe-faint",
            ">Unsubscribe<",
            ' style="color:#fff"><span style="font-weight:bold">Unsubscribe</span><',
            "white on white",
        ),
        Broken("us-optout", silent, "no notice (us)"),
        Broken("eu-objection", silent, "no notice (eu)"),
        Broken("us-address", _without("548 Market St, San Francisco, CA 94104"), "no address"),
        Broken("eu-controller", _without("Privacy policy"), "no controller"),
        _swap("jp-sender", "株式会社りんご園 ", ""),
        _swap("jp-optout", "配信停止はこちら https://news.example.co.jp/u/AbC123\n", ""),
        _swap(
            "jp-commerce", "配信停止はこちら https://news.example.co.jp/u/AbC123\n", "", "commerce"
        ),
        _swap("jp-address", "〒036-8001 青森県弘前市代官町1-2-3 ", ""),
        _swap("jp-contact", "お問い合わせ 0172-11-2222", ""),
    ]


def _swapped(one: str, other: str) -> bytes:
    return GOOD.replace(one, "\0").replace(other, one).replace("\0", other).encode()


def _without(*words_: str) -> bytes:
    head, _, body = GOOD.partition("\n\n")
    for word in words_:
        body = body.replace(word, "")
    return f"{head}\n\n{body}".encode()
