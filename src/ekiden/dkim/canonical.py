"""Relaxed canonical forms of a header field and of a body (RFC 6376 sections 3.4.2 and 3.4.4).

Pure. Only *relaxed* exists here: the engine signs relaxed/relaxed and nothing else, because simple
breaks at the first relay that folds a field or trims a space.

Two contracts that `message.compile` builds on:

- `relaxed_lines` works line by line: the form of two blocks of whole lines is the concatenation of
  the forms of each, so a block without merge fields is brought into form once per job.
- what differs between `relaxed_lines` and `relaxed_body` is only the end of the body: the empty
  lines there, and a last line without CRLF.
"""

import hashlib
from typing import Final

_CRLF: Final = b"\r\n"
_PIECE: Final = 2047  # bytes that hashlib takes without giving the interpreter lock away
_IN_PIECES: Final = 64 * 1024


def relaxed_header(name: bytes, value: bytes) -> bytes:
    """Return a field in relaxed form, without its CRLF (RFC 6376 section 3.4.2).

    Args:
        name: The field's name, in any case.
        value: Everything after the colon; may be folded.
    """
    return name.lower() + b":" + relaxed_value(value)


def relaxed_value(value: bytes) -> bytes:
    """Return a field's value in relaxed form: unfolded, white space single, none at the ends."""
    # `replace` gives back its own object where there is nothing to replace. To ask by `in` first
    # costs three times as much: it makes, and drops, a TypeError of bytes that are no number.
    return _single_spaces(value.replace(_CRLF, b"").replace(b"\t", b" ")).strip(b" ")


def relaxed_lines(block: bytes) -> bytes:
    """Return a block of whole lines (each ending in CRLF) in relaxed form.

    Runs of white space become one space and white space at a line's end goes away; empty lines
    stay, also at the end: only the end of the whole body treats them otherwise.
    """
    return _single_spaces(block.replace(b"\t", b" ")).replace(b" \r\n", _CRLF)


def _single_spaces(text: bytes) -> bytes:
    while (shorter := text.replace(b"  ", b" ")) != text:
        text = shorter
    return text


def end_of_body(lines: bytes) -> bytes:
    """Return lines in relaxed form as a whole body: without the empty lines at its end."""
    if lines == _CRLF:
        return b""
    if not lines.endswith(b"\r\n\r\n"):
        return lines
    end = len(lines) - 2
    while lines.endswith(_CRLF, 0, end):
        end -= 2
    return lines[: end + 2] if end else b""


def relaxed_body(body: bytes) -> bytes:
    """Return a body in relaxed form (RFC 6376 section 3.4.4).

    Args:
        body: The body as it goes on the wire, before dot-stuffing.
    """
    if body and not body.endswith(_CRLF):
        body += _CRLF
    return end_of_body(relaxed_lines(body))


def body_hash(body: bytes) -> bytes:
    """Return the SHA-256 of a body's relaxed form: the bytes behind `bh=`."""
    return canonical_hash(relaxed_body(body))


def canonical_hash(canonical: bytes) -> bytes:
    """Return the SHA-256 of a body that is in relaxed form already.

    hashlib gives the interpreter lock away for 2,048 bytes or more, and beside busy signing threads
    the event loop got it back after 0.05 ms (in a profile of such a drain); hashing 4 KB takes
    0.003. So what is not large is hashed in pieces, with the lock held.
    """
    if len(canonical) > _IN_PIECES:
        return hashlib.sha256(canonical).digest()
    made = hashlib.sha256()
    view = memoryview(canonical)
    for start in range(0, len(canonical), _PIECE):
        made.update(view[start : start + _PIECE])
    return made.digest()


class BodyHash:
    """The body hash of a body that arrives in pieces, in memory bounded by its longest line.

    `update` in any chunks, then `digest`: the same as `body_hash` of the whole.
    """

    def __init__(self) -> None:
        self._hash = hashlib.sha256()
        self._tail = b""  # the line that has not ended yet
        self._empty = 0  # empty lines held back: they count only when something follows

    def update(self, chunk: bytes) -> None:
        """Take the next bytes of the body."""
        data = self._tail + chunk
        cut = data.rfind(_CRLF) + 2
        if cut == 1:  # not found
            self._tail = data
            return
        self._tail = data[cut:]
        self._lines(data[:cut])

    def _lines(self, block: bytes) -> None:
        lines = relaxed_lines(block)
        kept = end_of_body(lines)
        if kept:
            self._hash.update(_CRLF * self._empty)
            self._hash.update(kept)
            self._empty = 0
        self._empty += (len(lines) - len(kept)) // 2

    def digest(self) -> bytes:
        """End the body and return its SHA-256."""
        if self._tail:
            self._lines(self._tail + _CRLF)
            self._tail = b""
        return self._hash.digest()
