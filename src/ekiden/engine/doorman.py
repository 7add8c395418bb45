"""A strict ear between the transport and aiosmtplib, until our own protocol takes over.

aiosmtplib knows how to greet, secure and authenticate a connection, but its reader is lenient: it
takes `2_20` for a number, keeps a second reply for the next command, and throws away what follows
the 220 to STARTTLS where an attack should be noticed (CVE-2011-0411 and its kin). So every byte
passes here first. Whole, valid replies are handed on one at a time; anything else is a violation,
and the connection is dropped before aiosmtplib has seen it.
"""

import asyncio

from ekiden import limits
from ekiden.smtp.replies import ProtocolViolation, ReplyReader
from ekiden.smtp.reply import Reply


class Doorman(asyncio.Protocol):
    """Forwards whole replies to `inner`; drops the connection at the first violation.

    Args:
        inner: aiosmtplib's protocol.
        transport: The transport whose protocol this object becomes.

    Attributes:
        reply: The latest reply, as our own reader read it (EHLO's whole text included).
        violation: What was wrong, "" while nothing is.
    """

    __slots__ = ("_inner", "_raw", "_reader", "_transport", "_wanted", "reply", "violation")

    def __init__(self, inner: asyncio.Protocol, transport: asyncio.Transport) -> None:
        self._inner = inner
        self._transport = transport
        self._reader = ReplyReader(text_cap=limits.REPLY_BYTES)
        self._raw = bytearray()
        self._wanted = 0
        self.reply: Reply | None = None
        self.violation = ""

    @property
    def quiet(self) -> bool:
        """Whether nothing has come that was not asked for."""
        return not self.violation and not self._raw

    def expect(self, replies: int = 1) -> None:
        """Let at most `replies` more replies through."""
        self._wanted = replies

    def data_received(self, data: bytes) -> None:
        """Check, then hand on."""
        if self.violation:
            return
        self._raw += data
        try:
            replies = list(self._reader.feed(data))
        except ProtocolViolation as violation:
            self._object(str(violation))
            return
        if not replies:
            return
        self._wanted -= len(replies)
        if len(replies) > 1 or self._wanted < 0 or self._reader.pending:
            self._object(f"bytes after the reply {replies[0].code}")
            return
        self.reply = replies[0]
        whole = bytes(self._raw)
        self._raw.clear()
        self._inner.data_received(whole)

    def eof_received(self) -> bool | None:
        """Hand on."""
        return self._inner.eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        """Hand on."""
        self._inner.connection_lost(exc)

    def pause_writing(self) -> None:
        """Hand on."""
        self._inner.pause_writing()

    def resume_writing(self) -> None:
        """Hand on."""
        self._inner.resume_writing()

    def _object(self, what: str) -> None:
        self.violation = what
        self._transport.abort()
