"""One session of the listener: commands, judged strictly, and mail handed to its taker.

On the hardened wire (`smtpd.wire`): a command or a message with a bare CR or LF is refused (RFC
5321 section 2.3.8; otherwise one sender's data could become another's commands), commands and
messages have caps. Added here: connections in all and per peer, the session's length, recipients
and messages per session, and RFC 5321 section 6.3: a mail that has been through a hundred hosts is
in a loop. No recipient is taken but those that `Doors` knows; nothing is relayed and nothing is
sent.

A message is answered 250 only when what follows from it is on the disk; while the disk refuses,
451: the other side comes again, and a report that had been half counted is then a duplicate.
"""

import asyncio
import contextlib
import ipaddress
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import structlog

from ekiden import limits
from ekiden.errors import UnavailableError
from ekiden.inbound.doors import Doors, Taker
from ekiden.inbound.intake import Outcome
from ekiden.inbound.meaning import outer_headers
from ekiden.inbound.options import ListenerOptions
from ekiden.smtpd.dialogue import Dialogue
from ekiden.smtpd.wire import BadLineError, text

_log = structlog.get_logger()
# RFC 5321 section 4.1.2; a source route (appendix C) is accepted by nobody any more.
_PATH: Final = re.compile(
    rb'(?i:FROM|TO):\s*<((?:"(?:[^"\\\r\n]|\\.)*"|[^<>"\s@]+)@[^<>\s@]+|)>(?:\s+(.*))?\Z', re.DOTALL
)
_BARE: Final = re.compile(rb"(?<!\r)\n|\r(?!\n)")
_V6_PREFIX: Final = 64  # one customer, one peer


@dataclass(slots=True)
class Shared:
    """What all sessions share.

    Args:
        options: The limits.
        doors: Who takes mail.
        clock: UNIX seconds.
        refused: Counts a mail that was refused after RCPT.
        running: The sessions' tasks.
        peers: Sessions by peer.
    """

    options: ListenerOptions
    doors: Doors
    clock: Callable[[], float]
    refused: Callable[[Outcome], None]
    running: set[asyncio.Task[None]] = field(default_factory=set)
    peers: Counter[str] = field(default_factory=Counter)


class Conversation(Dialogue):
    """One session.

    Args:
        shared: What all sessions share.
    """

    commands_most = limits.INBOUND_COMMANDS
    bad_commands_most = limits.INBOUND_BAD_COMMANDS

    def __init__(self, shared: Shared) -> None:
        options = shared.options
        super().__init__(
            hostname=options.hostname,
            tls=options.tls,
            size=options.size,
            timeout=options.idle,
            running=shared.running,
        )
        self._shared = shared
        self._peer = ""
        self._sender: bytes | None = None
        self._takers: list[tuple[str, Taker]] = []
        self._transactions = 0
        self.verbs |= {b"MAIL": self._on_mail, b"RCPT": self._on_rcpt, b"DATA": self._on_data}

    # --- the session ---------------------------------------------------------------------------

    async def _handle_client(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._shared.options.session):
                await super()._handle_client()

    async def greet(self) -> None:
        """Greet, or say that there are too many."""
        transport = self.transport
        if transport is None:
            return
        options, shared = self._shared.options, self._shared
        peer = peer_key(str((transport.get_extra_info("peername") or [""])[0]))
        full = len(shared.running) > options.connections
        if full or shared.peers[peer] >= options.connections_per_peer:
            self.gather(b"421 4.3.2 Too many connections\r\n")
            await self.hang_up()
        self._peer = peer
        shared.peers[peer] += 1
        self.gather(f"220 {options.hostname} ESMTP\r\n".encode())
        await self.flush()

    def farewell(self) -> None:
        """Give the place back."""
        peer, self._peer = self._peer, ""
        if peer:
            self._shared.peers[peer] -= 1
            if not self._shared.peers[peer]:
                del self._shared.peers[peer]

    async def command(self, verb: bytes, argument: bytes) -> bool:
        """Answer one command."""
        if b"\r" in argument or b"\0" in argument:
            raise BadLineError
        return await super().command(verb, argument)

    # --- commands ------------------------------------------------------------------------------

    def begin(self) -> None:
        """Forget the transaction that had begun."""
        self._sender = None
        self._takers = []

    def extensions(self) -> list[str]:
        """Return what EHLO offers."""
        size = f"SIZE {self.size_limit}"
        return ["PIPELINING", size, "8BITMIME", "SMTPUTF8", "ENHANCEDSTATUSCODES"]

    async def _on_mail(self, argument: bytes) -> None:
        found = _PATH.match(argument)
        if not self.client or self._sender is not None:
            self.gather(b"503 5.5.1 Error: bad sequence of commands\r\n")
        elif found is None or argument[:1].upper() != b"F":
            self.gather(b"501 5.5.4 Syntax: MAIL FROM:<address>\r\n")
        elif wrong := self.parameters(found.group(2) or b""):
            self.gather(wrong)
        elif self._transactions >= limits.INBOUND_TRANSACTIONS:
            self.gather(b"421 4.7.0 Too many messages in one session\r\n")
            await self.hang_up()
        else:
            self._transactions += 1
            self._sender = found.group(1)  # "" is a bounce's; nothing is ever sent to the others
            self.gather(b"250 2.1.0 Ok\r\n")

    async def _on_rcpt(self, argument: bytes) -> None:
        found = _PATH.match(argument)
        if self._sender is None:
            self.gather(b"503 5.5.1 Error: need MAIL command\r\n")
        elif found is None or argument[:1].upper() != b"T" or not found.group(1) or found.group(2):
            self.gather(b"501 5.1.3 Syntax: RCPT TO:<address>\r\n")
        elif len(self._takers) >= limits.INBOUND_RECIPIENTS:
            self.gather(b"452 4.5.3 Too many recipients\r\n")
        else:
            rcpt = text(found.group(1))
            taker = self._shared.doors.find(rcpt, self._shared.clock())
            if taker is None:
                self.gather(b"550 5.1.1 No such address here, or it has expired\r\n")
            else:
                self._takers.append((rcpt, taker))
                self.gather(b"250 2.1.5 Ok\r\n")

    # --- the message ---------------------------------------------------------------------------

    async def _on_data(self, argument: bytes) -> None:
        if argument:
            self.gather(b"501 5.5.4 Syntax: DATA\r\n")
            return
        if self._sender is None or not self._takers:
            # RFC 2920 section 3.1: with all recipients refused a client may still send DATA.
            self.gather(b"554 5.5.1 Error: no valid recipients\r\n")
            return
        self.gather(b"354 End data with <CR><LF>.<CR><LF>\r\n")
        message = await self.body()
        self._reset_timeout()
        takers = self._takers
        self.begin()
        self.gather(await self._answer(message, takers))

    async def _answer(self, message: bytes | None, takers: list[tuple[str, Taker]]) -> bytes:
        if message is None:
            return b"552 5.3.4 Message size exceeds fixed limit\r\n"
        if _BARE.search(message):
            return b"554 5.6.0 Bare CR or LF (RFC 5321 section 2.3.8)\r\n"
        if _hops(message) >= limits.INBOUND_HOPS:
            self._shared.refused(Outcome.LOOP)
            return b"554 5.4.6 Too many hops\r\n"
        try:
            for rcpt, taker in takers:
                await taker(message, rcpt, self._shared.clock())
        except UnavailableError as error:
            _log.error("a returned mail cannot be written down", error=str(error))
            return b"451 4.3.1 Not now, come again\r\n"
        return b"250 2.0.0 Ok\r\n"


def _hops(message: bytes) -> int:
    return sum(name == "received" for name, _ in outer_headers(message).fields)


def peer_key(host: str) -> str:
    """Return whose connections are counted together: an IPv4 address, or an IPv6 /64."""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return host
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        return str(ipaddress.ip_network((address, _V6_PREFIX), strict=False))
    return str(address)
