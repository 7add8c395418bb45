"""One open SMTP session: transactions in, outcomes out.

Contract.
* `send` returns an `Outcome` whatever the receiver does; the only exceptions are cancellation and
  our own misuse (two sends at once).
* After each send ask `usable`. A failed transaction is followed by RSET, written ahead of the next
  MAIL (in the same write where the receiver pipelines), so an idle session owes nothing.
* Cancelling a `send` drops the connection. What became of the message is then in `outcome`: in
  doubt if the content had been handed over.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Protocol

from ekiden.smtp.ehlo import Extensions
from ekiden.smtp.envelope import Envelope
from ekiden.smtp.outcome import Broke, Cause, Outcome, Stage
from ekiden.smtp.reply import Reply
from ekiden.smtp.transaction import Transaction, begin


class Wire(Protocol):
    """What a session needs of its protocol (`engine.protocol.SessionProtocol`, or a test's)."""

    open: bool
    farewell: Reply | None

    def run(
        self,
        transaction: Transaction,
        outcome: asyncio.Future[Outcome],
        last_octet: Callable[[], None],
    ) -> None:
        """Run one transaction."""

    def quit(self, ended: asyncio.Future[None]) -> None:
        """Send QUIT."""

    def abort(self) -> None:
        """Drop the connection."""


class Session:
    """An SMTP session that is ready for mail; made by `engine.connect.open_session`.

    Attributes:
        extensions: What the receiver offered in its last EHLO reply.
        tls: The TLS version and cipher, "" in the clear.
        tls_failure: Why an opportunistic session is in the clear, "" otherwise.
        verified: The host's certificate was found valid for its name.
        host: The MX host's name.
        address: The IP address it was reached at.
        transactions: Transactions begun so far.
        outcome: That of the latest `send`, also of one that was cancelled.
    """

    __slots__ = (
        "_chunking",
        "_reset_due",
        "_transaction",
        "_wire",
        "address",
        "extensions",
        "host",
        "outcome",
        "tls",
        "tls_failure",
        "transactions",
        "verified",
    )

    def __init__(
        self,
        wire: Wire,
        extensions: Extensions,
        *,
        host: str,
        address: str = "",
        tls: str = "",
        tls_failure: str = "",
        verified: bool = False,
        chunking: bool = False,
    ) -> None:
        self._wire = wire
        self._chunking = chunking
        self._reset_due = False
        self._transaction: Transaction | None = None
        self.extensions = extensions
        self.host = host
        self.address = address
        self.tls = tls
        self.tls_failure = tls_failure
        self.verified = verified
        self.transactions = 0
        self.outcome: Outcome | None = None

    @property
    def usable(self) -> bool:
        """Whether another message may be sent: open, in step, and within RFC 9422's MAILMAX."""
        most = self.extensions.mail_max
        return self._wire.open and (most is None or self.transactions < most)

    @property
    def farewell(self) -> Reply | None:
        """What the receiver said unasked before it closed an idle session, if it did."""
        return self._wire.farewell

    async def send(
        self,
        mail_from: str,
        recipient: str,
        message: bytes | Sequence[bytes],
        *,
        eight_bit: bool = False,
        smtputf8: bool = False,
        size: int = 0,
        last_octet: Callable[[], None] = lambda: None,
    ) -> Outcome:
        """Send one message to one recipient.

        Args:
            mail_from: The reverse-path, "" for the null sender.
            recipient: The forward-path.
            message: The content with CRLF line ends, whole or in pieces.
            eight_bit: It has bytes above 127.
            smtputf8: Its header fields need RFC 6531.
            size: Bytes to declare; 0 = count them.
            last_octet: Called just before the end of the content is handed to the transport:
                from there on the receiver may have the message.

        Returns:
            What became of it.

        Raises:
            RuntimeError: Another `send` is under way.
        """
        if self._transaction is not None:
            raise RuntimeError("a session carries one transaction at a time")
        if not self._wire.open:
            self.outcome = Broke(Stage.MAIL, Cause.CLOSED, "the session was closed before")
            return self.outcome
        transaction = begin(
            self.extensions,
            Envelope(mail_from, recipient, eight_bit, smtputf8, size),
            message,
            reset=self._reset_due,
            chunking=self._chunking,
        )
        if isinstance(transaction, Broke):
            self.outcome = transaction
            return transaction
        self.outcome = None
        self.transactions += 1
        self._transaction = transaction
        waiter: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        try:
            self._wire.run(transaction, waiter, last_octet)
            self.outcome = await waiter
        except asyncio.CancelledError:
            self._wire.abort()
            self.outcome = transaction.outcome
            raise
        finally:
            self._transaction = None
            self._reset_due = transaction.reset_due
        return self.outcome

    async def close(self) -> None:
        """Say QUIT, wait a few seconds at most for the answer, and close."""
        if self._transaction is not None:
            self.abort()
        if not self._wire.open:
            return
        ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._wire.quit(ended)
        try:
            await ended
        finally:
            self._wire.abort()

    def abort(self) -> None:
        """Drop the connection now."""
        self._wire.abort()
