"""Japanese mail before readers that nobody here wrote: what they see is what was written.

Python's `email` is always there; Perl's MIME::Parser (`apt install libmime-tools-perl`), mailparser
and postal-mime (`npm install --no-save mailparser postal-mime`) where they are installed.
"""

import email
import email.policy
import email.utils
import hashlib
import json
import shutil
import subprocess
from email.header import decode_header, make_header
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest

from ekiden.message.compile import compile_content
from ekiden.message.content import Attachment, Charset, Content
from ekiden.message.rendered import Marks, Recipient

ROOT = Path(__file__).parent.parent
READERS = Path(__file__).parent / "readers"
SUBJECT = (
    "【重要】夏のお客様感謝祭のご案内と、会員の皆様への特別なお知らせ（ｶﾀｶﾅ・①・㈱・髙島屋）" * 2
)
SENDER = "株式会社 駅伝、「飛脚」編集部"
READER = "髙橋 ﾊﾅｺ"
TEXT = "髙橋様\nⅣ号から①番まで。ｶﾞｷﾞﾊﾟｰﾃｨｰ ～10%～ ¥1,980\n.点で始まる行\nFrom の行\n\n終わり\n"
HTML = '<p lang="ja">髙橋様、<b>ｶﾞｲﾄﾞ</b>です。</p><img src="cid:logo" alt="">'
FILES = (
    Attachment(
        "ご利用規約（2026年11月27日改訂版・個人情報の取扱いを含む）最終.pdf",
        "application/pdf",
        b"%PDF-1.7 " + bytes(range(256)) * 7,
    ),
    Attachment("表計算 ①.csv", "text/csv", "品名,価格\r\n緑茶,¥150\r\n".encode("cp932", "replace")),
    Attachment("ロゴ.png", "image/png", b"\x89PNG" + bytes(range(256)), "logo"),
)
# What ISO-2022-JP makes of what it cannot say (docs/templates.md).
JIS = str.maketrans(
    {"①": "1", "㈱": "(株)", "髙": "高", "Ⅳ": "IV", "～": "〜", "¥": "￥", "🍵": "〓"}
)
KANA = {"ｶﾀｶﾅ": "カタカナ", "ﾊﾅｺ": "ハナコ", "ｶﾞｷﾞﾊﾟｰﾃｨｰ": "ガギパーティー", "ｶﾞｲﾄﾞ": "ガイド"}


def said(text: str, charset: str) -> str:
    """What a reader should see."""
    if charset == "utf-8":
        return text
    for half, full in KANA.items():
        text = text.replace(half, full)
    return text.translate(JIS)


def message(charset: Charset) -> bytes:
    emoji = " 🍵"
    content = Content(
        from_=f"{SENDER} <news@example.jp>", subject="{{ subject }}", html=HTML, text=TEXT,
        to_name="{{ name }}", attachments=FILES, charset=charset,
    )  # fmt: skip
    merge = {"subject": SUBJECT + emoji, "name": READER + emoji}
    marks = Marks("<1.abc@example.jp>", 1_800_000_000.0)
    return compile_content(content).render(Recipient("hanako@example.org", merge), marks).message()


def python(raw: bytes) -> dict[str, Any]:
    mail = email.message_from_bytes(raw, policy=email.policy.default)
    assert isinstance(mail, EmailMessage)
    text, html = mail.get_body(("plain",)), mail.get_body(("html",))
    assert text is not None
    assert html is not None
    files = [part for part in mail.walk() if part.get_filename()]
    return {
        "subject": mail["Subject"],
        "from": _name(raw, "From"),
        "to": _name(raw, "To"),
        "text": text.get_content(),
        "html": html.get_content(),
        "files": [
            [
                part.get_filename(),
                hashlib.sha256(payload).hexdigest(),
                str(part["Content-ID"] or ""),
            ]
            for part in files
            if isinstance(payload := part.get_payload(decode=True), bytes)
        ],
    }


def _name(raw: bytes, field: str) -> str:
    """A display name; `email.policy` leaves a space between encoded words (CPython gh-92081)."""
    given = str(email.message_from_bytes(raw)[field])
    name, _ = email.utils.parseaddr(given.replace("\r\n", ""))
    return str(make_header(decode_header(name)))


def by_program(command: list[str], raw: bytes) -> dict[str, Any]:
    done = subprocess.run(command, input=raw, capture_output=True, check=True, cwd=ROOT, timeout=60)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def node(reader: str, raw: bytes) -> dict[str, Any]:
    program = shutil.which("node")
    if program is None or not (ROOT / "node_modules" / reader).is_dir():
        pytest.skip(f"no {reader} here: npm install --no-save {reader}")
    return by_program([program, str(READERS / "read.mjs"), reader], raw)


def perl(raw: bytes) -> dict[str, Any]:
    program = shutil.which("perl")
    probe = ["perl", "-MMIME::Parser", "-e", "1"]
    if program is None or subprocess.run(probe, capture_output=True, check=False).returncode:
        pytest.skip("no MIME::Parser here: apt install libmime-tools-perl")
    return by_program([program, str(READERS / "read.pl")], raw)


def read(reader: str, raw: bytes) -> dict[str, Any]:
    if reader == "python":
        return python(raw)
    return perl(raw) if reader == "perl" else node(reader, raw)


def lines(text: str) -> list[str]:
    """A text's lines; browsers read the wave dash of JIS as the full-width tilde."""
    return text.replace("～", "〜").replace("\r\n", "\n").rstrip("\n").split("\n")


@pytest.mark.parametrize("charset", ["utf-8", "iso-2022-jp"])
@pytest.mark.parametrize("reader", ["python", "mailparser", "postal-mime", "perl"])
def test_every_reader_sees_what_was_written(reader: str, charset: Charset) -> None:
    raw = message(charset)
    assert max(map(len, raw.split(b"\r\n"))) <= 998
    head = raw.partition(b"\r\n\r\n")[0]
    assert head.isascii()
    assert max(map(len, head.split(b"\r\n"))) <= 78
    seen = read(reader, raw)
    assert seen["subject"] == said(SUBJECT + " 🍵", charset)
    assert seen["from"] == SENDER
    assert seen["to"] == said(READER + " 🍵", charset)
    assert lines(seen["text"]) == lines(said(TEXT, charset))
    assert lines(seen["html"]) == lines(said(HTML, charset))
    files = {name: (digest, cid.strip("<>")) for name, digest, cid in seen["files"]}
    assert files == {
        one.filename: (hashlib.sha256(one.data).hexdigest(), one.content_id or "") for one in FILES
    }
