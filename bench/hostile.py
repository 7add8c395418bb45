"""Ten million hostile bytes into each parser: an answer or a typed error, and how long it took.

    python -m bench.hostile [--bytes N] [PARSER ...]

Every parser that reads what strangers write is fed with every *shape* (a beginning, and something
repeated until there are N bytes: what regular expressions, recursion and copying suffer from), and
with N bytes of real samples, damaged, a few hundred at a time. One *step* is what a caller waits
for: a whole call, or the next item of a parser that yields. Printed for each parser: bytes, steps,
errors of its own kind, the slowest step and its shape. Anything else that leaves a parser is a
fault; it is printed, and so is a step of over a second, and the exit code is 1.
"""

import argparse
import csv
import io
import random
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Final

from ekiden import limits
from ekiden.bounce import arf, dsn, freetext, mime
from ekiden.bounce.classify import Classifier, ReplyContext, stage_of
from ekiden.bounce.identifiers import Echo, Identifiers
from ekiden.bounce.mail import read_report
from ekiden.cli import contact_files, suppression_csv
from ekiden.errors import EkidenError
from ekiden.inbound import meaning
from ekiden.message.tokens import Purpose, Tokens
from ekiden.smtp.ehlo import parse_ehlo
from ekiden.smtp.replies import ProtocolViolation, ReplyReader
from ekiden.smtp.reply import Reply
from ekiden.spool.recipients import Plan, read_recipients
from ekiden.text import printable, unescape
from ekiden.web.by_mail import tokens_in

SIZE: Final = 10_000_000
WORST: Final = 1.0  # seconds that a step may take
PIECE: Final = 600  # bytes of a damaged sample, about
CHUNK: Final = 65_536
NOW: Final = 1_800_000_000.0
# What a parser may say to input that it cannot use.
REFUSALS: Final = (EkidenError, ProtocolViolation, csv.Error, contact_files.WrongRowError)

Feed = Callable[[bytes], Iterable[object]]

HEAD: Final = b"From: MAILER-DAEMON@a.example\nSubject: failure notice\n\n"
REPORT: Final = b'Content-Type: multipart/report; boundary="b"\n\n--b\n'
STATUS: Final = REPORT + b"Content-Type: message/delivery-status\n\n"
SHAPES: Final[dict[str, tuple[bytes, bytes]]] = {
    "random": (b"", random.Random(3).randbytes(100_000)),
    "zeros": (b"", b"\0"),
    "letters": (b"", b"a"),
    "digits": (b"", b"5"),
    "spaces": (b"", b" "),
    "line ends": (b"", b"\r\n"),
    "bare CR": (b"", b"\r"),
    "colons": (b"", b"a:"),
    "commas": (b"email\n", b","),
    "quotes": (b"email\n", b'"'),
    "half a quoted cell": (b'email\n"a@b.example', b'""\n'),
    "brackets": (b"", b"[{("),
    "json": (b"[", b'{"a":'),
    "json lines": (b"", b'{"address":"a@b.example","x":1}\n'),
    "addresses": (HEAD, b"<a@b.example>:\n"),
    "at signs": (HEAD, b"a@"),
    "dots": (HEAD + b"a@", b"b."),
    "hyphens": (b"550 ", b"a-"),
    "apostrophes": (b"550 ", b"l'"),
    "statuses": (b"550 ", b"5.1.1 "),
    "one code after another": (b"", b"550 "),
    "a reply without end": (b"", b"250-a\r\n"),
    "an EHLO without end": (b"250-mx\r\n", b"250-AUTH=a b c\r\n"),
    "words of rules": (b"550 ", b"user mailbox account recipient address blocked "),
    "what a relay says": (b"", b"host a said: "),
    "one host without end": (b"host ", b"a"),
    "which command": (b"", b"(in reply to "),
    "escapes": (b"550 ", b"\\xe3\\x81"),
    "ideographs": (b"550 ", "邮箱不存在".encode()),
    "links": (b"550 ", b"https://a.example/b "),
    "one header": (b"Subject: ", b"a"),
    "headers": (b"", b"X-A: b\n"),
    "folded": (b"Subject: a", b"\n a"),
    "nested parts": (b"", b"Content-Type: multipart/mixed; boundary=b\n\n--b\n"),
    "nested messages": (b"", b"Content-Type: message/rfc822\n\n"),
    "boundaries": (b"Content-Type: multipart/mixed; boundary=a\n\n", b"--a\n"),
    "tags": (b"From: MAILER-DAEMON@a\nContent-Type: text/html\n\n", b"<a "),
    "styles": (b"From: MAILER-DAEMON@a\nContent-Type: text/html\n\n", b"<style>"),
    "entities": (b"From: MAILER-DAEMON@a\nContent-Type: text/html\n\n", b"&#x"),
    "quote marks": (HEAD, b"> "),
    "a dialogue": (HEAD, b">>> RCPT\n<<< 550 x\n"),
    "recipients": (STATUS, b"Final-Recipient: rfc822; a@b.example\n"),
    "feedback": (REPORT + b"Content-Type: message/feedback-report\n\n", b"Original-Rcpt-To: a@b\n"),
    "encoded words": (b"Subject: ", b"=?utf-8?Q?a?= "),
    "base64": (b"Content-Transfer-Encoding: base64\n\n", b"QUJD"),
    "quoted-printable": (b"Content-Transfer-Encoding: quoted-printable\n\n", b"=41"),
    "tokens": (b"Subject: ", b"AQ" * 40 + b" "),
    "byte order marks": (b"", "\ufeff".encode()),
}
SAMPLES: Final = (
    b"250-mx.example.com greets\r\n250-SIZE 35882577\r\n250-AUTH LOGIN PLAIN\r\n250 HELP\r\n",
    b"550-5.1.1 <a@b.example>: Recipient address rejected: User unknown\r\n550 5.1.1 x\r\n",
    b"554 5.7.1 Client host [198.51.100.7] blocked using zen.spamhaus.org; https://a.example/\r\n",
    HEAD + b"<a@b.example>:\n203.0.113.9 does not like recipient.\nRemote host said: 550 unknown\n",
    STATUS + b"Reporting-MTA: dns; a\n\nFinal-Recipient: rfc822; a@b.example\nAction: failed\n"
    b"Status: 5.1.1\nDiagnostic-Code: smtp; 550 5.1.1 User unknown\n--b--\n",
    REPORT + b"Content-Type: message/feedback-report\n\nFeedback-Type: abuse\nVersion: 1\n"
    b"Original-Rcpt-To: <a@b.example>\n--b\nContent-Type: message/rfc822\n\nTo: a@b.example\n\n"
    b"--b--\n",
    b"From: a@b.example\nSubject: =?utf-8?B?44OG44K544OI?= AQabcdefghijklmnopqrstuvwxyz01234567\n",
    b'email,name,at,reason\na@b.example,"O\'Neil, A",2026-01-01T00:00:00Z,hard_bounce\n',
    b'{"SuppressedDestinationSummaries":[{"EmailAddress":"a@b.example","Reason":"BOUNCE"}]}\n',
    b'{"address":"a@b.example","name":"A","topics":{"news":"in"}}\n{"address":"b@c.example"}\n',
    b"b-bcdfghjklmnpqrstvwxz023456789aeubcdfghjklmnpq@bounce.example\n",
)


@dataclass
class Score:
    """What became of one parser."""

    fed: int = 0
    steps: int = 0
    refused: int = 0
    slowest: float = 0.0
    shape: str = ""
    faults: list[str] = field(default_factory=list)


CLASSIFIER: Final = Classifier.load()
IDENTIFIERS: Final = Identifiers([b"k" * 32], "bounce.example", 86_400.0)
TOKENS: Final = Tokens([b"k" * 32])
STAGES: Final = ("", "connect", "mail", "rcpt", "data", "body")


def _replies(data: bytes) -> Iterator[object]:
    reader = ReplyReader()
    for start in range(0, len(data), CHUNK):
        yield from reader.feed(data[start : start + CHUNK])


def _ehlo(data: bytes) -> Iterator[object]:
    # What a session hands over: a whole reply, which its reader has capped.
    yield parse_ehlo(Reply(250, data[: limits.REPLY_BYTES].decode("latin-1")))
    for reply in ReplyReader(limits.REPLY_BYTES).feed(data):
        yield parse_ehlo(reply)


def _classify(data: bytes) -> Iterator[object]:
    text = data.decode("utf-8", "replace")
    stage = stage_of(STAGES[len(data) % len(STAGES)])
    yield CLASSIFIER.classify(ReplyContext(text, stage=stage, provider="gmail"))
    yield CLASSIFIER.classify(ReplyContext(printable(data), mx=text, destination=text))


def _fields(data: bytes) -> Iterator[object]:
    # As `mail` hands it over: what `mime` has read of a mail.
    yield dsn.parse(data[: mime.MAIL_CAP].decode("latin-1"))


def _feedback(data: bytes) -> Iterator[object]:
    yield arf.find(mime.parse(data))


def _parts(data: bytes) -> Iterator[object]:
    mail = mime.parse(data)
    yield mail
    for part in mime.walk(mail):
        yield part.text()
        yield mime.unencoded(part.headers.get("subject"))


def _prose(data: bytes) -> Iterator[object]:
    yield freetext.read(data.decode("utf-8", "replace"))


def _verp(data: bytes) -> Iterator[object]:
    text = data.decode("latin-1")
    yield IDENTIFIERS.verify_address(text, NOW)
    yield IDENTIFIERS.verify(Echo((text, text[:300]), (text, text[:60])), NOW)
    yield TOKENS.read(Purpose.LEAVE, text)


def _by_mail(data: bytes) -> Iterator[object]:
    yield list(tokens_in(data))


def _suppressions(data: bytes) -> Iterator[object]:
    lines = io.StringIO(data.decode("utf-8", "replace"), newline="")  # as a file is opened
    yield from suppression_csv.read(lines, "import")


def _contacts(data: bytes, *, jsonl: bool) -> Iterator[object]:
    lines = io.StringIO(data.decode("utf-8", "replace"), newline="")  # as a file is opened
    yield from contact_files.read(lines, jsonl=jsonl)


def _recipients(data: bytes, name: str) -> Iterator[object]:
    pieces = (data[start : start + CHUNK] for start in range(0, len(data), CHUNK))
    yield from read_recipients(pieces, Plan(name))


def _escaped(data: bytes) -> Iterator[object]:
    yield unescape(printable(data, 1_000_000))


# Every parser by name, fed with bytes and giving its answers one by one.
PARSERS: Final[dict[str, Feed]] = {
    "SMTP replies": _replies,
    "EHLO": _ehlo,
    "classifier": _classify,
    "returned mail": lambda data: [read_report(data, CLASSIFIER)],
    "returned mail, marks": lambda data: [meaning.read(data, "", CLASSIFIER)],
    "DSN fields": _fields,
    "ARF": _feedback,
    "MIME": _parts,
    "prose of bounces": _prose,
    "return addresses, tokens": _verp,
    "leaving by mail": _by_mail,
    "suppressions, CSV and JSON": _suppressions,
    "contacts, CSV": lambda data: _contacts(data, jsonl=False),
    "contacts, JSON Lines": lambda data: _contacts(data, jsonl=True),
    "recipients, CSV": lambda data: _recipients(data, "a.csv"),
    "recipients, JSON Lines": lambda data: _recipients(data, "a.jsonl"),
    "escapes": _escaped,
}


def damaged(size: int, dice: random.Random) -> Iterator[bytes]:
    """Samples with changed, lost, doubled and swapped pieces, `size` bytes in all."""
    while size > 0:
        raw = bytearray(b"".join(dice.choices(SAMPLES, k=dice.randint(1, 3))))
        for _ in range(dice.randint(1, 8)):
            place = dice.randrange(len(raw) + 1)
            end = min(len(raw), place + dice.choice((0, 1, 1, 2, 8, 40)))
            match dice.randrange(3):
                case 0:
                    raw[place:end] = dice.randbytes(dice.randint(0, 4))
                case 1:
                    raw[place:place] = raw[place:end] * dice.choice((1, 2, 20))
                case _:
                    raw[place:end] = dice.choice((b"", b"\r\n", b"\n", b'"', b"\0", b"@", b"=?"))
        size -= len(raw)
        yield bytes(raw)


def feed(parser: Feed, data: bytes, shape: str, score: Score) -> None:
    """Feed one input, step by step."""
    score.fed += len(data)
    answers: Iterator[object] | None = None
    while True:
        start = time.perf_counter()
        try:
            answers = iter(parser(data)) if answers is None else answers
            done = not list(islice(answers, 1))
        except REFUSALS:
            score.refused += 1
            done = True
        except Exception as error:  # noqa: BLE001 - this is what is looked for
            score.faults.append(f"{shape}: {type(error).__name__}: {error!s:.200}")
            done = True
        took = time.perf_counter() - start
        score.steps += 1
        if took > score.slowest:
            score.slowest, score.shape = took, shape
        if done:
            return


def torment(name: str, parser: Feed, size: int) -> Score:
    """Feed one parser with everything."""
    score = Score()
    for shape, (head, again) in SHAPES.items():
        feed(parser, head + again * (size // len(again)), shape, score)
    for piece in damaged(size, random.Random(name)):
        feed(parser, piece, "damaged samples", score)
    if score.slowest > WORST:
        score.faults.append(f"{score.shape}: a step took {score.slowest:.2f} s")
    return score


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("parsers", nargs="*", metavar="PARSER")
    arguments.add_argument("--bytes", type=int, default=SIZE)
    chosen = arguments.parse_args()
    faults = 0
    print(f"{'parser':28} {'MB':>6} {'steps':>9} {'refused':>8} {'slowest':>9}  shape")
    for name, parser in PARSERS.items():
        if chosen.parsers and not any(one in name for one in chosen.parsers):
            continue
        score = torment(name, parser, chosen.bytes)
        print(
            f"{name:28} {score.fed / 1e6:6.0f} {score.steps:9,} {score.refused:8,}"
            f" {score.slowest * 1000:6.0f} ms  {score.shape}",
            flush=True,
        )
        faults += len(score.faults)
        for fault in score.faults[:10]:
            print(f"    FAULT {fault}")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
