r"""Bytes from a receiver, turned into replies (RFC 5321 section 4.2).

Theory: a reply is one or more lines, each a three-digit code, a separator and text; `-` after the
code says that more lines follow. Everything a client believes about the fate of a message hangs on
these lines, so the reader is strict where a lenient one could be led astray:

* the code is `[2-5][0-9][0-9]`, nothing that merely converts to a number (`2_5`, ` 25`, `+25`);
* the separator is a space, a hyphen, or missing (`250\r\n`: section 4.2 tells clients to take it);
* every line of a multiline reply carries the same code (section 4.2.1 says it must);
* a line, a reply and its number of lines are capped, so that an endless reply ends the session.

It is lenient where nothing hangs on it: a bare LF ends a line as CRLF does. Section 2.3.8 allows
only CRLF, but old receivers send LF, Postfix takes it too (`smtp_get`), and a reply carries nothing
that a smuggled line could add to: the only foreign text in it is what we sent, without CR or LF.
Other control bytes and 8-bit text are escaped, never passed on.

Contract: `feed` takes bytes in any portions and yields whole replies. `ProtocolViolation` is the
only exception that leaves this module; after it the reader yields nothing more.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NoReturn

from ekiden import limits
from ekiden.smtp.reply import Reply
from ekiden.text import printable

# A table instead of int(): strict by construction, and the quickest check there is.
_CODES: Final = {b"%d" % code: code for code in range(200, 600)}
_SEPARATORS: Final = (b" ", b"-", b"")


class ProtocolViolation(Exception):  # noqa: N818 - the field's term; "error" is a 5xx here
    """The receiver sent what RFC 5321 section 4.2 does not allow; the session cannot go on."""


class ReplyReader:
    """Turns received bytes into replies.

    Args:
        text_cap: The most characters of a reply's text that are kept. Replies are for people and
            rules; only EHLO's is data, and its reader asks for all of it.
    """

    __slots__ = (
        "_ahead",
        "_buffer",
        "_code",
        "_lines",
        "_size",
        "_text_cap",
        "_together",
        "_violation",
    )

    def __init__(self, text_cap: int = limits.REPLY_TEXT_KEPT) -> None:
        self._text_cap = text_cap
        self._buffer = bytearray()
        self._ahead = 0  # whole replies that have been read and not yielded yet
        self._lines: list[bytes] = []
        self._code = 0
        self._size = 0
        self._violation = ""
        # The latest read of several replies: those to MAIL, RCPT and DATA are mostly the same bytes
        # for every message of a session.
        self._together: tuple[bytes, list[Reply]] = (b"", [])

    @property
    def pending(self) -> bool:
        """Whether bytes are held that no yielded reply has used up."""
        return bool(self._buffer) or bool(self._lines) or self._ahead > 0

    def feed(self, data: bytes) -> Iterable[Reply]:
        """Take received bytes; return the replies they complete, in order.

        Args:
            data: Any portion of the stream.

        Raises:
            ProtocolViolation: While iterating, after the replies that came before the fault.
        """
        if not self._buffer and not self._lines and not self._violation:
            replies = self._whole(data)
            if replies is not None:
                return replies if len(replies) == 1 else self._one_by_one(replies)
        self._buffer += data
        return self._drain()

    def _whole(self, data: bytes) -> list[Reply] | None:
        """Read what most reads are, whole replies of one line each; None for anything else."""
        if data == self._together[0]:
            return self._together[1]
        if not data.endswith(b"\r\n"):
            return None
        lines = data[:-2].split(b"\r\n")
        if data.count(b"\n") != len(lines):  # a bare LF ends a line, too
            return None
        replies = []
        for line in lines:
            code = _CODES.get(line[:3])
            if code is None or line[3:4] != b" " or len(line) >= limits.REPLY_LINE_BYTES:
                return None
            replies.append(Reply(code, self._text(line[4:])))
        if len(replies) > 1:
            self._together = (data, replies)
        return replies

    def _one_by_one(self, replies: Sequence[Reply]) -> Iterator[Reply]:
        """Yield replies; `pending` counts those after the one that is looked at."""
        self._ahead = len(replies)
        for reply in replies:
            self._ahead -= 1
            yield reply

    def _drain(self) -> Iterator[Reply]:
        buffer = self._buffer
        if self._violation:
            raise ProtocolViolation(self._violation)
        while buffer:
            end = buffer.find(b"\n")
            if (end if end >= 0 else len(buffer)) > limits.REPLY_LINE_BYTES:
                self._refuse("a reply line is too long")
            if end < 0:
                return
            line = bytes(buffer[:end])
            del buffer[: end + 1]
            reply = self._line(line.removesuffix(b"\r"))
            if reply is not None:
                yield reply

    def _line(self, line: bytes) -> Reply | None:
        code = _CODES.get(line[:3])
        separator = line[3:4]
        if code is None or separator not in _SEPARATORS:
            self._refuse(f"not a reply: {printable(line, 80)}")
        lines = self._lines
        if lines and code != self._code:
            self._refuse(f"a reply of code {self._code} goes on with {code}")
        self._code = code
        self._size += len(line) + 2
        lines.append(line[4:])
        if self._size > limits.REPLY_BYTES or len(lines) > limits.REPLY_LINES:
            self._refuse("a reply is too long")
        if separator == b"-":
            return None
        text = self._text(lines[0]) if len(lines) == 1 else self._joined(lines)
        self._lines = []
        self._size = 0
        return Reply(code, text)

    def _joined(self, lines: list[bytes]) -> str:
        text = "\n".join(self._text(line) for line in lines)
        return text if len(text) <= self._text_cap else text[: self._text_cap - 3] + "..."

    def _text(self, raw: bytes) -> str:
        if len(raw) <= self._text_cap and raw.isascii():
            text = raw.decode("ascii")
            if text.isprintable():
                return text
        return printable(raw, self._text_cap)

    def _refuse(self, what: str) -> NoReturn:
        self._violation = what
        self._buffer.clear()
        self._lines = []
        raise ProtocolViolation(what)
