"""Transfer encodings and boundaries (RFC 2045, 2046).

Pure. A part leaves in quoted-printable or base64, whichever is shorter for its template, or in 7bit
when it is constant short ASCII: no relay has to convert it, so no signature breaks (RFC 6376
section 5.3). ISO-2022-JP leaves in 7bit, as the receivers that want it expect.

Quoted-printable and 7bit work line by line: the encoding of two blocks of whole lines is the
concatenation of the encodings. That is what lets `message.compile` encode constant lines once.
"""

import binascii
import re
from enum import StrEnum
from functools import lru_cache
from struct import Struct
from typing import Final

from ekiden import limits
from ekiden.message.charset import ISO_2022_JP

BASE64_LINE: Final = 76  # RFC 2045 section 6.8
CUT_LINES: Final = 4096
SHORT_LINE: Final = 76
_LONG_LINE: Final = 500  # in a template whose values still come

_TOO_LONG: Final = re.compile(rb"^(.{74,75})(=20|=09)$", re.MULTILINE)
_CONTENT_TYPE: Final = re.compile(r"[A-Za-z0-9!#$&^_.+-]{1,100}/[A-Za-z0-9!#$&^_.+-]{1,100}")


class Transfer(StrEnum):
    """A Content-Transfer-Encoding."""

    SEVEN_BIT = "7bit"
    EIGHT_BIT = "8bit"
    QUOTED_PRINTABLE = "quoted-printable"
    BASE64 = "base64"


def quoted_printable(text: bytes) -> bytes:
    r"""Encode whole lines ending in `\n`; the result's end in CRLF (RFC 2045 section 6.7)."""
    encoded = binascii.b2a_qp(text, istext=True)
    if b"=20\n" in encoded or b"=09\n" in encoded or encoded.endswith((b"=20", b"=09")):
        # White space at a line's end is encoded without a look at how long the line is already.
        encoded = _TOO_LONG.sub(rb"\1=\n\2", encoded)
    return encoded.replace(b"\n", b"\r\n")


def base64_lines(data: bytes) -> bytes:
    """Encode bytes as lines of 76 characters, each ending in CRLF."""
    text = binascii.b2a_base64(data, newline=False)
    whole = len(text) // BASE64_LINE
    if whole <= CUT_LINES:  # in C: twice as fast at 30 KB
        lines = [*_cutter(whole).unpack_from(text), text[whole * BASE64_LINE :], b""]
    else:
        lines = [text[i : i + BASE64_LINE] for i in range(0, len(text), BASE64_LINE)]
        lines.append(b"")
    if len(lines) > 1 and not lines[-2]:
        del lines[-2]
    return b"\r\n".join(lines)


@lru_cache(maxsize=64)
def _cutter(lines: int) -> Struct:
    return Struct(f"{BASE64_LINE}s" * lines)


def choose(literal: bytes, *, constant: bool, charset: str) -> Transfer:
    r"""Choose a text part's encoding from its template's literal text.

    Args:
        literal: The literal text in the part's charset, `\n` line ends.
        constant: No merge field is in it.
        charset: The part's charset.
    """
    longest = max(map(len, literal.split(b"\n")))
    if charset == ISO_2022_JP:
        return Transfer.SEVEN_BIT if longest <= _LONG_LINE else Transfer.BASE64
    if constant and longest <= SHORT_LINE and literal.isascii() and is_plain(literal):
        return Transfer.SEVEN_BIT
    if len(quoted_printable(literal)) <= len(literal) * 1.37 + 80:
        return Transfer.QUOTED_PRINTABLE
    return Transfer.BASE64


def is_plain(text: bytes) -> bool:
    """Whether ASCII text survives every relay as it is.

    White space at a line's end gets lost, "From " at its start gets a `>`, `--=_` could be taken
    for a boundary, and control characters for anything.
    """
    return not re.search(
        rb"[ \t]\n|[\x00-\x08\x0b-\x1f\x7f]|^From |^--=_", text, re.MULTILINE
    ) and not text.endswith((b" ", b"\t"))


def encode_text(text: bytes, transfer: Transfer) -> bytes:
    r"""Encode a text part's bytes (`\n` line ends) for the wire (CRLF)."""
    if transfer is Transfer.QUOTED_PRINTABLE:
        return quoted_printable(text)
    wire = text.replace(b"\n", b"\r\n")
    return base64_lines(wire) if transfer is Transfer.BASE64 else wire


def is_content_type(text: str) -> bool:
    """Whether text is a `type/subtype` without parameters."""
    return _CONTENT_TYPE.fullmatch(text) is not None


def fault(data: bytes, *, ascii_only: bool) -> str:
    """Return what makes finished bytes unfit for the wire, "" when nothing does (M1-M5).

    Args:
        data: Lines ending in CRLF.
        ascii_only: Bytes above 127 are a fault, too.
    """
    if b"\0" in data:
        return "a NUL character"
    breaks = data.count(b"\r\n")
    if data.count(b"\r") != breaks or data.count(b"\n") != breaks:
        return "a line break that is not CRLF"
    if ascii_only and not data.isascii():
        return "bytes that are not ASCII"
    if len(data) > limits.LINE_OCTETS and max(map(len, data.split(b"\r\n"))) > limits.LINE_OCTETS:
        return f"a line longer than {limits.LINE_OCTETS} bytes"
    return ""
