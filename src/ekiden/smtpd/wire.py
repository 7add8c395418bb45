"""The wire of an SMTP server: aiosmtpd's protocol with the loop, the caps and the speed we need.

What is taken from aiosmtpd: the stream protocol, STARTTLS with its defence against injected
commands, HELO, NOOP, VRFY, HELP. What is replaced, and why:

* The command loop. aiosmtpd's drops whatever a client had sent when it goes away; a real receiver
  works through it, so a message whose final dot had arrived is taken even if the client was killed
  in the next instant. A crash test against a kinder receiver would prove nothing.
* Replies are gathered while a whole further command is waiting (RFC 2920 section 3.2), and sent in
  one write; aiosmtpd makes a system call and a drain of each.
* A command or a line of a message that ends in a bare LF is refused (RFC 5321 section 2.3.8).
* Command length, commands per session, unknown commands and message size have caps.
* The connection state of each class instance is its own: aiosmtpd keeps `command_size_limits` on
  the class and clears it for everybody at each new connection.

The mailbox simulator (`sink/conversation.py`) and the listener for returned mail
(`inbound/conversation.py`) are built on it, with the commands they have in common (`dialogue`).
"""

import asyncio
import logging
import ssl
from typing import Final, cast

from aiosmtpd.smtp import SMTP, TLSSetupException

from ekiden import limits

_BAD_SYNTAX: Final = b"500 5.5.2 Error: bad syntax\r\n"
_TOO_LONG: Final = b"500 5.5.2 Error: command line too long\r\n"
_UNKNOWN: Final = b"500 5.5.1 Error: command not recognized\r\n"
_END: Final = b"\r\n.\r\n"
_BEGINS: Final = tuple(_END[:length] for length in range(1, len(_END)))

# aiosmtpd logs every command at INFO; who listens has a record or counters for that.
logging.getLogger("mail.log").setLevel(logging.WARNING)


class HungUpError(Exception):
    """The session is over: the connection was closed by us, for the reason already recorded."""


class BadLineError(Exception):
    """A line that is none: it ended in LF without CR, or holds what no command may."""


class Wire(SMTP):
    """One connection: reads commands, gathers replies, knows the caps.

    Subclasses answer commands in `command(verb, argument)`.

    Args:
        hostname: What EHLO and the greeting say.
        tls: The context for STARTTLS, or None.
        size: The largest message, in octets.
        timeout: Seconds of silence after which the connection is closed.
        running: Holds the conversation's task while it runs; cancelling it cuts the connection.
    """

    line_length_limit = limits.SINK_BUFFER_BYTES
    commands_most = limits.SINK_COMMANDS
    bad_commands_most = limits.SINK_BAD_COMMANDS

    def __init__(
        self,
        *,
        hostname: str,
        tls: ssl.SSLContext | None,
        size: int,
        timeout: float,
        running: set[asyncio.Task[None]],
    ) -> None:
        super().__init__(
            None,
            data_size_limit=size,
            enable_SMTPUTF8=True,
            hostname=hostname,
            tls_context=tls,
            timeout=timeout,
            loop=asyncio.get_running_loop(),
        )
        self.size_limit = size
        self._gathered: list[bytes] = []
        self._running = running

    # --- the stream ----------------------------------------------------------------------------

    @property
    def secured(self) -> str:
        """TLS version and cipher, empty in clear text."""
        session = self.session
        if session is None or session.ssl is None:
            return ""
        tls = session.ssl.get("ssl_object") or session.ssl.get("sslcontext")
        version = getattr(tls, "version", lambda: None)()
        cipher = getattr(tls, "cipher", lambda: None)()
        return f"{version} {cipher[0]}" if version and cipher else "TLS"

    @property
    def writing(self) -> asyncio.WriteTransport | None:
        """The transport, clear or TLS; None when the connection is gone."""
        return cast("asyncio.WriteTransport | None", self.transport)

    def eof_received(self) -> bool:
        """The client has finished sending: what it sent is still worked through."""
        self._reader.feed_eof()
        # A TLS transport cannot be half-open and warns when told so.
        return self._tls_protocol is None

    def connection_lost(self, error: Exception | None) -> None:  # noqa: ARG002  # asyncio's name
        """The connection is gone: what the client had sent is still worked through."""
        if self._timeout_handle is not None:
            self._timeout_handle.cancel()
        if self._original_transport is not None:
            self._original_transport.close()
        self._reader.feed_eof()
        # The grandparent's, without aiosmtpd's: that one cancels the conversation.
        # It gets no error either: that would hide from the reader what has arrived.
        super(SMTP, self).connection_lost(None)
        self.transport = None

    def gather(self, reply: bytes) -> None:
        """Add a reply, CRLF included, to those that wait to be sent."""
        self._gathered.append(reply)

    async def push(self, status: str | bytes) -> None:
        """Send a reply without CRLF, now: what aiosmtpd's own commands call (STARTTLS must)."""
        self.gather((status.encode() if isinstance(status, str) else status) + b"\r\n")
        await self.flush()

    async def flush(self) -> None:
        """Send what was gathered."""
        if not self._gathered:
            return
        data = b"".join(self._gathered)
        self._gathered.clear()
        transport = self.writing
        if transport is None or transport.is_closing():
            return
        transport.write(data)
        if transport.get_write_buffer_size():
            await self._writer.drain()

    async def hang_up(self, *, reset: bool = False) -> None:
        """End the session: send what was gathered, close, and leave the loop.

        Args:
            reset: Send a TCP reset, and nothing else.

        Raises:
            HungUpError: Always.
        """
        if not reset:
            await self.flush()
        transport = self.writing
        if transport is not None:
            if reset:
                transport.abort()
            else:
                transport.close()
        raise HungUpError

    async def _line(self) -> bytes:
        """Return the next line without CRLF; sends the gathered replies if it has to be waited for.

        Raises:
            BadLineError: It ended in LF alone.
            asyncio.LimitOverrunError: It is longer than the read-ahead.
        """
        # StreamReader has no public way to ask whether a whole line is there; aiosmtpd looks at the
        # same attribute.
        if b"\n" not in self._reader._buffer:  # type: ignore[attr-defined]  # noqa: SLF001
            await self.flush()
        line: bytes = await self._reader.readuntil(b"\n")
        if not line.endswith(b"\r\n"):
            raise BadLineError
        return line[:-2]

    async def body(self) -> bytes | None:
        """Read a message up to the final dot and take the dot-stuffing out (RFC 5321 4.5.2).

        Returns:
            The message with its last CRLF; None when it is over the size limit.
        """
        await self.flush()
        # The CRLF before the dot may be the one that ended the DATA command, or stand in the very
        # first bytes: these are read singly until the terminator cannot begin in them any more.
        head = bytearray(b"\r\n")
        while head.endswith(_BEGINS):
            head += await self._reader.readexactly(1)
            if head.endswith(_END):
                whole: bytes | None = bytes(head)
                break
        else:
            whole = await self._rest(bytes(head))
        if whole is None:
            return None
        return whole[: -len(b".\r\n")].replace(b"\r\n.", b"\r\n")[2:]

    async def _rest(self, head: bytes) -> bytes | None:
        parts, length, ended = [head], len(head), False
        while not ended:
            try:
                part = await self._reader.readuntil(_END)
                ended = True
            except asyncio.LimitOverrunError as error:
                part = await self._reader.readexactly(error.consumed)
            length += len(part)
            if length <= self.size_limit + len(_END):
                parts.append(part)
            else:
                parts.clear()  # refused at the end; until then it must not fill memory
        return b"".join(parts) if parts else None

    # --- the loop ------------------------------------------------------------------------------

    async def _handle_client(self) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101  # aiosmtpd runs this as a task
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        try:
            await self.greet()
            await self._commands()
        except (HungUpError, asyncio.IncompleteReadError, ConnectionError, TLSSetupException):
            pass
        except asyncio.CancelledError:
            if self.writing is not None:
                self.writing.abort()
            raise
        finally:
            self.farewell()
            if self.transport is not None:
                self.transport.close()

    async def _commands(self) -> None:
        left, bad = self.commands_most, self.bad_commands_most
        while True:
            understood = False
            try:
                line = await self._line()
                if len(line) > limits.SINK_COMMAND_OCTETS:
                    self.gather(_TOO_LONG)
                else:
                    understood = await self._dispatch(line)
            except BadLineError:
                self.gather(_BAD_SYNTAX)
            except asyncio.LimitOverrunError:
                self.gather(_TOO_LONG)
                await self.hang_up()
            left -= 1
            bad -= not understood
            if left <= 0 or bad <= 0:
                self.gather(b"421 4.7.0 Error: too many commands\r\n")
                await self.hang_up()

    async def _dispatch(self, line: bytes) -> bool:
        verb, _, argument = line.partition(b" ")
        self._reset_timeout()
        if await self.command(verb.upper(), argument.strip()):
            return True
        self.gather(_UNKNOWN)
        return False

    # --- for the subclass ----------------------------------------------------------------------

    async def greet(self) -> None:
        """Say the greeting, or refuse and hang up."""
        raise NotImplementedError

    async def command(self, verb: bytes, argument: bytes) -> bool:
        """Answer one command; false when it is not known.

        Raises:
            BadLineError: It holds what no command may.
        """
        raise NotImplementedError

    def farewell(self) -> None:
        """The conversation is over; called once, whatever ended it."""
        raise NotImplementedError


def text(argument: bytes) -> str:
    """Return a command's argument as text; bytes that are not UTF-8 are kept as surrogates."""
    return argument.decode("utf-8", "surrogateescape")
