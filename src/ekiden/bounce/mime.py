"""MIME, as little of it as reading a report needs, bounded in size, depth and count. Never raises.

The standard library's parser follows a hostile nesting to the bottom; a report is a stranger's
mail, so this one stops at `DEPTH` levels, `PARTS` parts and `MAIL_CAP` bytes and works through what
it has.
Structure errors are repaired the way mail readers do: a missing boundary parameter is found in the
body, a part without an end ends with the mail.
"""

import binascii
import html
import quopri
import re
from dataclasses import dataclass, field
from typing import Final

from ekiden.bounce.reading import decoded

MAIL_CAP: Final = 1024 * 1024
DEPTH: Final = 6
PARTS: Final = 60
HEADER_CAP: Final = 64 * 1024
VALUE_CAP: Final = 4096

_FIELD: Final = re.compile(r"([!-9;-~]{1,128})[ \t]*:[ \t]*(.*)")
_BOUNDARY: Final = re.compile(
    r'boundary\s*=\s*(?:"([^"\n]{1,200})"|([^\s;"]{1,200}))', re.IGNORECASE
)
_CHARSET: Final = re.compile(r'charset\s*=\s*"?([\w.:+-]{1,40})', re.IGNORECASE)
_IMPLIED: Final = re.compile(rb"(?:^|\n)--([^\s][^\n]{0,198})\nContent-[A-Za-z-]{1,40}:")
_ENCODED: Final = re.compile(r"=\?([\w.+*-]{1,40})\?([bqBQ])\?([^?\s]{0,1000})\?=")
_TAGS: Final = re.compile(
    r"<(?:br|/p|/div|/tr|/h\d)\b[^<>]{0,200}>|<[^<>@]{0,2000}>", re.IGNORECASE
)
_HIDDEN: Final = re.compile(r"<(style|script)\b[^>]{0,500}>", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Headers:
    """Header fields in order, names in lower case, values unfolded."""

    fields: tuple[tuple[str, str], ...] = ()

    def get(self, name: str) -> str:
        """The first field of that (lower case) name, or ""."""
        return next((value for key, value in self.fields if key == name), "")

    def __contains__(self, name: str) -> bool:
        return any(key == name for key, _ in self.fields)


@dataclass(frozen=True, slots=True)
class Part:
    """A MIME part.

    Args:
        headers: Its header.
        body: Its body as received, lines ended by LF.
        parts: What it is made of; a `message/*` part holds the one message.
    """

    headers: Headers
    body: bytes
    parts: tuple["Part", ...] = field(default=())

    @property
    def kind(self) -> str:
        """The content type in lower case without parameters."""
        value = self.headers.get("content-type") or "text/plain"
        return value.partition(";")[0].strip().lower()

    def text(self) -> str:
        """The body decoded; HTML without its tags."""
        charset = _CHARSET.search(self.headers.get("content-type"))
        text = _in_charset(self.payload(), charset.group(1) if charset else "")
        return without_tags(text) if self.kind == "text/html" else text

    def payload(self) -> bytes:
        """The body without its transfer encoding."""
        encoding = self.headers.get("content-transfer-encoding").strip().lower()
        if encoding == "quoted-printable":
            return quopri.decodestring(self.body)
        if encoding == "base64":
            return _from_base64(self.body)
        return self.body


def parse(raw: bytes) -> Part:
    """Take a mail apart; only its first `MAIL_CAP` bytes are read."""
    data = raw[:MAIL_CAP].replace(b"\r\n", b"\n").replace(b"\r", b"\n").lstrip(b"\n")
    if data.startswith((b"From ", b">From ")):
        data = data.partition(b"\n")[2]
    return _part(data, 0, [PARTS])


def walk(part: Part) -> list[Part]:
    """The part and all in it, outer before inner, in order."""
    found, level = [part], list(part.parts)
    while level:
        found += level
        level = [child for one in level for child in one.parts]
    return found


def headers_of(text: str) -> Headers:
    """Read a block of header fields; lines that are none end a field and are skipped."""
    fields: list[tuple[str, str]] = []
    for line in text[:HEADER_CAP].split("\n"):
        if line[:1] in {" ", "\t"} and fields:
            name, value = fields[-1]
            if len(value) < VALUE_CAP:
                fields[-1] = (name, f"{value} {line.strip()}")
        elif found := _FIELD.match(line):
            fields.append((found.group(1).lower(), found.group(2).strip()[:VALUE_CAP]))
    return Headers(tuple(fields))


def unencoded(value: str) -> str:
    """Return a header value with its encoded words (RFC 2047) decoded."""
    return _ENCODED.sub(_word, value[:VALUE_CAP])


def without_tags(text: str) -> str:
    """Return HTML as plain text: line-ending tags become line ends, the rest goes."""
    pieces = []
    position = 0
    while (found := _HIDDEN.search(text, position)) is not None:
        pieces.append(text[position : found.start()])
        end = text.lower().find(f"</{found.group(1).lower()}", found.end())
        position = len(text) if end < 0 else end
        if len(pieces) > PARTS:
            break
    pieces.append(text[position:])
    bare = _TAGS.sub(lambda one: "\n" if one.group()[1:2] in "bB/" else " ", "".join(pieces))
    return html.unescape(bare)


def _part(data: bytes, depth: int, left: list[int]) -> Part:
    left[0] -= 1
    head, gap, body = data.partition(b"\n\n")
    first = head.partition(b"\n")[0]
    if not _FIELD.match(first.decode("latin-1")):
        # No header at all: a part may begin with its blank line, or lack that too.
        head, body = b"", data.removeprefix(b"\n")
    elif not gap:
        body = b""
    headers = headers_of(_in_charset(head[:HEADER_CAP], ""))
    if depth >= DEPTH or left[0] <= 0:
        return Part(headers, body)
    kind = headers.get("content-type").lower().lstrip()
    if kind.startswith(("message/rfc822", "message/global")) and "status" not in kind[:40]:
        inner = Part(headers, body).payload().lstrip(b"\n")
        return Part(headers, body, (_part(inner, depth + 1, left),))
    if kind.startswith("text/") and depth:
        return Part(headers, body)
    return Part(headers, body, _children(headers, body, depth, left))


def _children(headers: Headers, body: bytes, depth: int, left: list[int]) -> tuple[Part, ...]:
    found = _BOUNDARY.search(headers.get("content-type"))
    boundary = (found.group(1) or found.group(2)).encode("utf-8", "replace") if found else b""
    pieces = (b"\n" + body).split(b"\n--" + boundary) if boundary else []
    if len(pieces) < 2:
        # A text that merely quotes a multipart message is none: then it must begin the body.
        within = 16384 if headers.get("content-type").lower().startswith("multipart") else 256
        implied = _IMPLIED.search(body[:within])
        if implied is None:
            return ()
        pieces = (b"\n" + body).split(b"\n--" + implied.group(1))
    children = []
    for piece in pieces[1:]:
        if piece.startswith(b"--") or left[0] <= 0:
            break
        # What follows the boundary on its line is padding; the part begins on the next.
        children.append(_part(piece.partition(b"\n")[2], depth + 1, left))
    return tuple(children)


def _from_base64(body: bytes) -> bytes:
    kept = re.sub(rb"[^A-Za-z0-9+/]", b"", body)
    try:
        return binascii.a2b_base64(kept[: len(kept) // 4 * 4] + _tail(kept))
    except binascii.Error:
        return body


def _tail(kept: bytes) -> bytes:
    rest = kept[len(kept) // 4 * 4 :]
    return rest + b"=" * (4 - len(rest)) if len(rest) > 1 else b""


def _in_charset(raw: bytes, charset: str) -> str:
    if charset.lower() not in {"", "us-ascii", "ascii", "unknown-8bit", "utf-8"}:
        try:
            return raw.decode(charset, "replace")
        except (LookupError, ValueError):
            pass
    return decoded(raw)


def _word(found: re.Match[str]) -> str:
    charset, how, text = found.groups()
    if how in "bB":
        raw = _from_base64(text.encode("ascii", "replace"))
    else:
        raw = quopri.decodestring(text.replace("_", " ").encode("utf-8", "replace"))
    return _in_charset(raw, charset)
