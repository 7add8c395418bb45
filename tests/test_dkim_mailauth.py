"""mailauth as a second judge of our signatures: both algorithms, Japanese, all body encodings.

`npm install --no-save mailauth` in the repository lets these run; without it they are left out.
"""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from ekiden.dkim.keys import Algorithm, generate, record_text
from ekiden.dkim.sign import Signer
from ekiden.message.compile import compile_content
from ekiden.message.content import Charset, Content
from ekiden.message.rendered import Marks, Recipient, Rendered

ROOT = Path(__file__).parent.parent
NODE = shutil.which("node")
KEYS = [
    generate("example.jp", "rsa", Algorithm.RSA),
    generate("example.jp", "ed", Algorithm.ED25519),
]
NOW = 1_800_000_000.0
# A complete message leaves with the bytes it has: 8-bit lines by 8BITMIME, and bare dots, which
# BDAT does not stuff.
RAW = (
    "From: =?utf-8?B?6aeF5Lyd?= <news@example.jp>\r\nTo: a@example.org\r\nSubject: "
    "=?utf-8?B?5pel5pys6Kqe?=\r\n =?utf-8?B?44Gu5Lu25ZCN?=\r\nMIME-Version: 1.0\r\n"
    "Date: Tue, 14 Nov 2023 22:13:20 +0000\r\nMessage-ID: <1@example.jp>\r\n"
    "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
    "山田様  \r\n.\r\n..点\t \r\n\r\n終わり\r\n\r\n\r\n"
).encode()
pytestmark = pytest.mark.skipif(
    NODE is None or not (ROOT / "node_modules" / "mailauth").is_dir(),
    reason="no mailauth here: npm install --no-save mailauth",
)


def rendered(content: Content) -> Rendered:
    marks = Marks("<1.abc@example.jp>", NOW)
    return compile_content(content).render(Recipient("taro@example.org", {"name": "髙橋"}), marks)


def judged(message: bytes) -> list[list[str]]:
    """Each signature's algorithm and what mailauth says of it."""
    assert NODE is not None
    records = json.dumps({key.record_name: record_text(key) for key in KEYS})
    command = [NODE, str(ROOT / "tests" / "readers" / "dkim.mjs"), records]
    done = subprocess.run(command, input=message, capture_output=True, check=True, timeout=60)
    found: list[list[str]] = json.loads(done.stdout)
    return sorted(found)


@pytest.mark.parametrize("charset", ["utf-8", "iso-2022-jp", None])
def test_mailauth_verifies(charset: Charset | None) -> None:
    content = Content(from_="news@example.jp", raw=RAW)
    if charset is not None:
        content = Content(
            from_="株式会社 駅伝 <news@example.jp>",
            subject="【重要】{{ name }}様への夏のご案内と、会員の皆様への特別なお知らせ" * 2,
            html="<p>{{ name }}様、<b>ご案内</b>です。</p>",
            to_name="{{ name }}",
            charset=charset,
        )
    made = rendered(content)
    assert made.eight_bit is (charset is None)
    signatures = Signer(KEYS).sign(made.headers, made.body, NOW - 1e8)
    signed = made.message(signatures)
    assert judged(signed) == [["ed25519-sha256", "pass", ""], ["rsa-sha256", "pass", ""]]
    head, gap, body = signed.partition(b"\r\n\r\n")
    other_subject = head.replace(b"\r\nSubject: ", b"\r\nSubject: x", 1) + gap + body
    for broken in (other_subject, head + gap + b"~" + body):
        assert broken != signed
        assert "pass" not in {result for _, result, _ in judged(broken)}
