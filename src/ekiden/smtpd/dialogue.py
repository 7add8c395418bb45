"""The commands that every receiver of ours answers alike; the mail itself is the subclass's.

EHLO and HELO, STARTTLS, RSET, NOOP, VRFY, QUIT and the parameters of MAIL (RFC 1870, 6152, 6531).
The mailbox simulator and the listener for returned mail add MAIL, RCPT and what follows: who is
taken, and what becomes of a message, is where they differ.
"""

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from typing import Final

from ekiden.smtpd.wire import Wire, text

_TOO_LARGE: Final = b"552 5.3.4 Message size exceeds fixed limit\r\n"
_SIZE_DIGITS: Final = 20  # RFC 1870 section 3


class Dialogue(Wire):
    """One session, without the mail in it.

    Args:
        hostname: What EHLO and the greeting say.
        tls: The context for STARTTLS, or None.
        size: The largest message, in octets.
        timeout: Seconds of silence after which the connection is closed.
        running: Holds the conversation's task while it runs.

    Attributes:
        verbs: What answers each command; a subclass adds its own.
        client: What the client calls itself; "" before EHLO.
        security: TLS version and cipher when it said EHLO; "" in the clear.
    """

    bodies = frozenset({b"7BIT", b"8BITMIME"})  # what MAIL may announce with BODY=
    verified = b"252 2.5.2 Send some mail\r\n"  # RFC 5321 section 7.3

    def __init__(
        self,
        *,
        hostname: str,
        tls: ssl.SSLContext | None,
        size: int,
        timeout: float,
        running: set[asyncio.Task[None]],
    ) -> None:
        super().__init__(hostname=hostname, tls=tls, size=size, timeout=timeout, running=running)
        self.client = self.security = ""
        self.verbs: dict[bytes, Callable[[bytes], Awaitable[None]]] = {
            b"EHLO": self._on_ehlo,
            b"HELO": self._on_helo,
            b"STARTTLS": self._on_starttls,
            b"RSET": self._on_rset,
            b"NOOP": self._on_noop,
            b"VRFY": self._on_vrfy,
            b"QUIT": self._on_quit,
        }

    async def command(self, verb: bytes, argument: bytes) -> bool:
        """Answer one command."""
        answer = self.verbs.get(verb)
        if answer is None:
            return False
        await answer(argument)
        return True

    def parameters(self, raw: bytes) -> bytes:
        """Return the reply to what is wrong with the parameters of MAIL; nothing when all is well.

        Args:
            raw: What follows the address.
        """
        for parameter in raw.upper().split():
            key, _, value = parameter.partition(b"=")
            if key == b"SIZE" and value.isdigit():
                if len(value) > _SIZE_DIGITS or int(value) > self.size_limit:
                    return _TOO_LARGE
            elif not (
                (key == b"BODY" and value in self.bodies) or (key == b"SMTPUTF8" and not value)
            ):
                return b"555 5.5.4 MAIL FROM parameter not recognized\r\n"
        return b""

    # --- for the subclass ----------------------------------------------------------------------

    def begin(self) -> None:
        """Forget the transaction that had begun."""
        raise NotImplementedError

    def extensions(self) -> list[str]:
        """Return what EHLO offers, STARTTLS apart."""
        raise NotImplementedError

    # --- commands ------------------------------------------------------------------------------

    async def _on_ehlo(self, argument: bytes) -> None:
        if not argument:
            self.gather(b"501 5.5.4 Syntax: EHLO hostname\r\n")
            return
        self.client, self.security = text(argument), self.secured
        self.begin()
        lines = [self.hostname, *self.extensions()]
        if self.tls_context is not None and not self.secured:
            lines.append("STARTTLS")
        *first, last = lines
        self.gather("".join([*(f"250-{one}\r\n" for one in first), f"250 {last}\r\n"]).encode())

    async def _on_helo(self, argument: bytes) -> None:
        if not argument:
            self.gather(b"501 5.5.4 Syntax: HELO hostname\r\n")
            return
        self.client = text(argument)
        self.begin()
        self.gather(f"250 {self.hostname}\r\n".encode())

    async def _on_starttls(self, argument: bytes) -> None:
        if self.tls_context is None or self.secured or argument:
            self.gather(b"503 5.5.1 Error: STARTTLS is not for now\r\n")
            return
        self.client = ""  # RFC 3207 section 4.2: all knowledge of the client is discarded
        self.begin()
        await self.smtp_STARTTLS("")

    async def _on_rset(self, _argument: bytes) -> None:
        self.begin()
        self.gather(b"250 2.0.0 Ok\r\n")

    async def _on_noop(self, _argument: bytes) -> None:
        self.gather(b"250 2.0.0 Ok\r\n")

    async def _on_vrfy(self, _argument: bytes) -> None:
        self.gather(self.verified)

    async def _on_quit(self, _argument: bytes) -> None:
        # The session ends before the client hears of it: its next one finds the place free.
        self.farewell()
        self.gather(b"221 2.0.0 Bye\r\n")
        await self.hang_up()
