"""The wire of one open session: our own `asyncio.Protocol`, as thin as it can be.

Theory. All decisions are `smtp.transaction`'s; this class moves its bytes. Replies are handed to
the running transaction inside `data_received` and what it answers is written there and then, so a
message costs one wake-up of its coroutine, not one per reply.

Contract.
* The future given to `run` always ends in an outcome; nothing a receiver does raises.
* Each *reply* has a deadline, not each read: one byte a second does not extend it. While content is
  written, each portion has one (RFC 5321 section 4.5.3.2.5).
* A reply that arrives while none is owed, or before the bytes it could answer were written, ends
  the session: the two sides no longer agree on who answers what.
* Content goes out in portions and waits for the transport (`pause_writing`), so a large message to
  a slow receiver is not copied into buffers.
"""

import asyncio
from collections.abc import Callable
from typing import Final

from ekiden import limits
from ekiden.engine.deadlines import Alarm, Deadlines
from ekiden.smtp.outcome import Cause, Outcome
from ekiden.smtp.replies import ProtocolViolation, ReplyReader
from ekiden.smtp.reply import Reply
from ekiden.smtp.transaction import Transaction
from ekiden.text import printable

_LINE: Final = 80  # characters of an exception's text that go into an outcome


class SessionProtocol(asyncio.Protocol):
    """Runs transactions on a transport that is already greeted, secured and authenticated.

    Args:
        loop: The event loop the transport belongs to.
        transport: The transport; the caller makes this object its protocol.
        deadlines: Seconds per reply.

    Attributes:
        open: The connection stands and no reply is amiss.
        farewell: What the receiver said unasked before it left (most often a 421), if anything.
    """

    __slots__ = (
        "_alarm",
        "_deadlines",
        "_ended",
        "_last_octet",
        "_outcome",
        "_paused",
        "_quitting",
        "_reader",
        "_transaction",
        "_transport",
        "_unsent",
        "farewell",
        "open",
    )

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        transport: asyncio.Transport,
        deadlines: Deadlines,
    ) -> None:
        self._transport = transport
        self._deadlines = deadlines
        self._reader = ReplyReader()
        self._alarm = Alarm(loop, self._timed_out)
        self._transaction: Transaction | None = None
        self._outcome: asyncio.Future[Outcome] | None = None
        self._ended: asyncio.Future[None] | None = None
        self._last_octet: Callable[[], None] = lambda: None
        self._unsent: memoryview | None = None
        self._paused = False
        self._quitting = False
        self.open = True
        self.farewell: Reply | None = None

    # --- for the session ---------------------------------------------------------------------

    def run(
        self,
        transaction: Transaction,
        outcome: asyncio.Future[Outcome],
        last_octet: Callable[[], None] = lambda: None,
    ) -> None:
        """Begin `transaction`; `outcome` is given its outcome when nothing more is owed.

        `last_octet` is called just before the end of the content is handed to the transport.

        The protocol must be `open` and no other transaction running.
        """
        self._transaction = transaction
        self._outcome = outcome
        self._last_octet = last_octet
        self._write(transaction, transaction.start())
        self._await_reply(transaction)

    def quit(self, ended: asyncio.Future[None]) -> None:
        """Send QUIT; `ended` is done when the receiver has answered, left, or taken too long."""
        self._ended = ended
        self._quitting = True
        self._transport.write(b"QUIT\r\n")
        self._alarm.set(self._deadlines.quit)

    def abort(self) -> None:
        """Drop the connection; a running transaction ends as broken."""
        self._fail(Cause.LOCAL, "the session was aborted")

    # --- for the transport -------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        """Take bytes from the receiver."""
        if not self.open:
            return
        answered = False
        try:
            for reply in self._reader.feed(data):
                if not self._take(reply):
                    return
                answered = True
        except ProtocolViolation as violation:
            self._fail(Cause.PROTOCOL, str(violation))
            return
        if answered and self._transaction is not None:
            self._await_reply(self._transaction)

    def eof_received(self) -> None:
        """The receiver closed its side: nothing more can be answered."""
        self._fail(Cause.CLOSED, "the receiver closed the connection")

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone."""
        if exc is None:
            self._fail(Cause.CLOSED, "the receiver closed the connection")
        elif isinstance(exc, ConnectionError):
            self._fail(Cause.RESET, printable(str(exc), _LINE))
        elif isinstance(exc, TimeoutError):
            self._fail(Cause.TIMED_OUT, printable(str(exc), _LINE))
        else:
            self._fail(Cause.TLS, printable(str(exc), _LINE))  # ssl.SSLError inside the stream

    def pause_writing(self) -> None:
        """The transport's buffer is full."""
        self._paused = True

    def resume_writing(self) -> None:
        """The transport's buffer has room."""
        self._paused = False
        if self._unsent is not None and self._transaction is not None:
            self._write_portions(self._transaction)
            self._await_reply(self._transaction)

    # --- inside ------------------------------------------------------------------------------

    def _take(self, reply: Reply) -> bool:
        """Act on one reply; return whether the session still stands."""
        transaction = self._transaction
        if transaction is None:
            if not self._quitting:
                self.farewell = reply
            self._close()
            return False
        answer = transaction.receive(reply)
        if answer:
            if self._reader.pending:
                # More replies than commands: what it holds cannot answer what was not yet sent.
                self._fail(Cause.PROTOCOL, "a reply to a command that was not sent")
            else:
                self._write(transaction, answer)
        elif transaction.finished:
            self._finish(transaction)
        return self.open

    def _await_reply(self, transaction: Transaction) -> None:
        """Give the reply that is owed next its time, from now."""
        step = transaction.step
        if step is not None and self._unsent is None:
            self._alarm.set(self._deadlines.of(step))

    def _write(self, transaction: Transaction, data: bytes) -> None:
        if not transaction.content_due:
            self._transport.write(data)
        elif len(data) <= limits.WRITE_PORTION_BYTES:
            self._last_octet()
            self._transport.write(data)
            transaction.content_sent()
        else:
            self._unsent = memoryview(data)
            self._write_portions(transaction)

    def _write_portions(self, transaction: Transaction) -> None:
        while self._unsent is not None:
            if self._paused:
                self._alarm.set(self._deadlines.block)
                return
            portion = self._unsent[: limits.WRITE_PORTION_BYTES]
            rest = self._unsent[limits.WRITE_PORTION_BYTES :]
            self._unsent = rest if len(rest) else None
            if self._unsent is None:
                self._last_octet()
            self._transport.write(portion)
        transaction.content_sent()

    def _finish(self, transaction: Transaction) -> None:
        self._transaction = None
        self._unsent = None
        self._alarm.clear()
        if transaction.session_over or self._reader.pending:
            # Pending: the outcome stands, but what follows it cannot be trusted.
            self._close()
        outcome, self._outcome = self._outcome, None
        if outcome is not None and not outcome.done() and transaction.outcome is not None:
            outcome.set_result(transaction.outcome)

    def _fail(self, cause: Cause, detail: str) -> None:
        if not self.open:
            return
        transaction = self._transaction
        if transaction is not None:
            transaction.lost(cause, detail)
            self._finish(transaction)
        self._close()

    def _timed_out(self) -> None:
        self._fail(Cause.TIMED_OUT, "no reply in time")

    def _close(self) -> None:
        if not self.open:
            return
        self.open = False
        self._alarm.close()
        # Nothing of ours is worth flushing: QUIT has been answered, or the receiver is not to be
        # spoken to. abort() also frees what a stalled receiver never took.
        self._transport.abort()
        if self._ended is not None and not self._ended.done():
            self._ended.set_result(None)
