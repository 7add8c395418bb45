"""From a host's addresses to a session that is ready for mail, or to the reason why not.

```
address -> allowed? -> TCP from source -> greeting -> EHLO -> STARTTLS -> EHLO -> AUTH -> Session
              |           |                  |          |         |                |
              +-----------+-- next address --+          +---------+----------------+-> the reason
```

aiosmtplib leads the dialogue, a `Doorman` listens to every byte of it, and at the end our own
protocol takes the transport over and aiosmtplib's objects are let go of.

Contract.
* `open_session` raises nothing but cancellation: each foreign exception (the operating system's,
  ssl's, aiosmtplib's) is translated here and nowhere else.
* `required` TLS never falls back to the clear. `opportunistic` does (RFC 7435): on the same
  connection when STARTTLS is refused, on a new one when the handshake fails. With credentials,
  `opportunistic` counts as `required`: a password is not sent in the clear unless TLS is `off`.
* Bytes between the 220 to STARTTLS and the handshake end the session under every policy: somebody
  is writing into the dialogue.
"""

import asyncio
import errno
import socket
import ssl
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Final, cast

import aiosmtplib

from ekiden import limits
from ekiden.engine.deadlines import Deadlines
from ekiden.engine.doorman import Doorman
from ekiden.engine.protocol import SessionProtocol
from ekiden.engine.routes import Credentials
from ekiden.engine.session import Session
from ekiden.engine.sites import Unresolved
from ekiden.engine.sources import Source
from ekiden.engine.tls import ResumingContext, TlsContexts, TlsPolicy
from ekiden.networks import AddressPolicy
from ekiden.smtp.ehlo import NO_EXTENSIONS, Extensions, parse_ehlo
from ekiden.smtp.outcome import Broke, Cause, Rejected, Stage
from ekiden.smtp.reply import Reply
from ekiden.text import printable

# Linux: choose the local port at connect(), so that one source address can hold more sessions than
# there are ephemeral ports (ip(7)). Python names it from 3.12 on.
_IP_BIND_ADDRESS_NO_PORT: Final = 24
_SUBMISSIONS_PORT: Final = 465
_PROVABLE: Final = frozenset({TlsPolicy.OPPORTUNISTIC, TlsPolicy.REQUIRED})
_PROVE_AGAIN: Final = 3600.0  # seconds after which a host may have got a valid certificate
_DETAIL: Final = 200  # characters of a foreign exception that go into an outcome

_ERRNO_CAUSES: Final = {
    errno.ECONNREFUSED: Cause.REFUSED,
    errno.ECONNRESET: Cause.RESET,
    errno.EPIPE: Cause.RESET,
    errno.ECONNABORTED: Cause.RESET,
    errno.ETIMEDOUT: Cause.TIMED_OUT,
    errno.EHOSTUNREACH: Cause.UNREACHABLE,
    errno.ENETUNREACH: Cause.UNREACHABLE,
    errno.EHOSTDOWN: Cause.UNREACHABLE,
    errno.ENETDOWN: Cause.UNREACHABLE,
    errno.ENOPROTOOPT: Cause.UNREACHABLE,
    errno.EACCES: Cause.UNREACHABLE,  # a firewall's "administratively prohibited"
    errno.EPERM: Cause.UNREACHABLE,
}


Lookup = Callable[[str], Awaitable[Sequence[str] | Unresolved]]


@dataclass(frozen=True, slots=True)
class ConnectSpec:
    """Where to connect and how.

    Args:
        host: The MX host's name: for TLS, and for people.
        source: Where we connect from, and our EHLO name.
        addresses: The host's IP addresses in the order to try; none = ask `lookup`.
        lookup: Finds the addresses of a host: `Resolver.addresses`.
        port: TCP port; 465 means TLS from the start (RFC 8314 section 3.3), whatever `tls` says.
        tls: Whether STARTTLS is used.
        prove: Ask for a valid certificate first where the policy needs none: some mail does. A host
            that has none gets a second connection, and is not asked again for an hour.
        contexts: The daemon's shared TLS contexts.
        credentials: For AUTH; None = none.
        policy: Which addresses may be dialled.
        deadlines: Seconds per step.
        chunking: Use BDAT where the receiver offers it (RFC 3030).
    """

    host: str
    source: Source
    addresses: tuple[str, ...] = ()
    lookup: Lookup | None = None
    port: int = 25
    tls: TlsPolicy = TlsPolicy.OPPORTUNISTIC
    prove: bool = False
    contexts: TlsContexts = field(default_factory=TlsContexts)
    credentials: Credentials | None = None
    policy: AddressPolicy = field(default_factory=AddressPolicy)
    deadlines: Deadlines = field(default_factory=Deadlines)
    chunking: bool = False


async def open_session(spec: ConnectSpec) -> Session | Rejected | Broke:
    """Connect to the first address that answers, and make it ready for mail.

    An address that is refused, silent, or greets with a temporary refusal is followed by the next,
    at most `limits.DNS_ADDRESSES_TRIED`; any other answer is the host's answer.

    Returns:
        The session, or the last address's reason.
    """
    if spec.credentials is not None and spec.tls is TlsPolicy.OPPORTUNISTIC:
        spec = replace(spec, tls=TlsPolicy.REQUIRED)
    addresses = await _addresses(spec)
    if isinstance(addresses, Unresolved):
        return addresses.outcome
    last: Rejected | Broke | None = None
    forbidden = ""
    tried = 0
    for address in addresses:
        if not spec.source.speaks(address):
            continue
        objection = spec.policy.objection(address)
        if objection:
            forbidden = f"{spec.host} is at {printable(address, 60)}, {objection}"
            continue
        if tried == limits.DNS_ADDRESSES_TRIED:
            break
        tried += 1
        opened = await _open(spec, address)
        if isinstance(opened, Session) or not _next_address_may_help(opened):
            return opened
        last = opened
    if last is not None:
        return last
    if forbidden:
        return Broke(Stage.CONNECT, Cause.FORBIDDEN_ADDRESS, forbidden)
    return Broke(
        Stage.CONNECT,
        Cause.UNREACHABLE,
        f"{spec.host} has no address that the source {spec.source.name} can dial",
    )


async def _addresses(spec: ConnectSpec) -> Sequence[str] | Unresolved:
    if spec.addresses or spec.lookup is None:
        return spec.addresses
    return await spec.lookup(spec.host)


def _for_want_of_tls(failure: Rejected | Broke) -> bool:
    tls = isinstance(failure, Broke) and failure.cause is Cause.TLS
    return tls or failure.stage is Stage.STARTTLS


def _now() -> float:
    return asyncio.get_running_loop().time()


def _next_address_may_help(failure: Rejected | Broke) -> bool:
    if failure.stage is not Stage.CONNECT:
        return False
    if isinstance(failure, Rejected):
        return failure.reply.temporary
    return failure.cause is not Cause.LOCAL


async def _open(spec: ConnectSpec, address: str) -> Session | Rejected | Broke:
    if spec.prove and spec.tls in _PROVABLE and spec.contexts.may_prove(spec.host, _now()):
        proven = await _Opening(replace(spec, tls=TlsPolicy.VERIFIED), address).run()
        if isinstance(proven, Session) or not _for_want_of_tls(proven):
            return proven
        spec.contexts.unproven(spec.host, _now() + _PROVE_AGAIN)
    opened = await _Opening(spec, address).run()
    if (
        isinstance(opened, Broke)
        and opened.cause is Cause.TLS
        and opened.stage is Stage.STARTTLS
        and spec.tls is TlsPolicy.OPPORTUNISTIC
    ):
        # RFC 7435 section 3: once more, in the clear.
        opening = _Opening(replace(spec, tls=TlsPolicy.OFF), address)
        opening.tls_failure = opened.detail
        return await opening.run()
    return opened


class _NoTlsError(Exception):
    """TLS cannot be had, and the reason."""


class _Opening:
    """The steps of opening one connection; `stage` is where it is, for whoever translates."""

    def __init__(self, spec: ConnectSpec, address: str) -> None:
        self.spec = spec
        self.address = address
        self.stage = Stage.CONNECT
        self.tls_failure = ""
        self.doorman: Doorman | None = None

    async def run(self) -> Session | Rejected | Broke:
        smtp = aiosmtplib.SMTP(
            hostname=self.spec.host,
            local_hostname=self.spec.source.ehlo,
            start_tls=False,
            use_tls=self.spec.port == _SUBMISSIONS_PORT,
            tls_context=self._context(),
        )
        session: Session | Rejected | Broke
        try:
            smtp.sock = await self._connect()
            session = await self._lead(smtp)
        except (OSError, aiosmtplib.SMTPException, ValueError, _NoTlsError) as error:
            # ValueError: a name that ssl or aiosmtplib will not take.
            session = self._translated(error)
        except asyncio.CancelledError:
            _drop(smtp)
            raise
        if not isinstance(session, Session):
            _drop(smtp)
        return session

    async def _connect(self) -> socket.socket:
        family = socket.AF_INET6 if ":" in self.address else socket.AF_INET
        local = self.spec.source.local(self.address)
        connection = socket.socket(family, socket.SOCK_STREAM)
        try:
            connection.settimeout(0)
            if local is not None:
                with suppress(OSError):  # not Linux
                    connection.setsockopt(socket.IPPROTO_IP, _IP_BIND_ADDRESS_NO_PORT, 1)
                connection.bind((local, 0))
            loop = asyncio.get_running_loop()
            async with asyncio.timeout(self.spec.deadlines.connect):
                await loop.sock_connect(connection, (self.address, self.spec.port))
        except BaseException:
            connection.close()
            raise
        return connection

    async def _lead(self, smtp: aiosmtplib.SMTP) -> Session | Rejected | Broke:
        await smtp.connect(timeout=self.spec.deadlines.greeting)
        doorman = self._post_doorman(smtp)
        self.stage = Stage.EHLO
        extensions = await self._ehlo(smtp, doorman)
        secured = self.spec.port == _SUBMISSIONS_PORT
        if not secured and self.spec.tls is not TlsPolicy.OFF:
            self.stage = Stage.STARTTLS
            secured = await self._secure(smtp, doorman, extensions)
            if secured:
                doorman = self._post_doorman(smtp)
                self.stage = Stage.EHLO
                # RFC 3207 section 4.2: what was said in the clear is forgotten.
                extensions = await self._ehlo(smtp, doorman)
        if self.spec.credentials is not None:
            self.stage = Stage.AUTH
            doorman.expect(_AUTH_REPLIES)
            await smtp.login(
                self.spec.credentials.username,
                self.spec.credentials.password,
                timeout=self.spec.deadlines.ehlo,
            )
        return self._take_over(smtp, doorman, extensions, secured=secured)

    def _post_doorman(self, smtp: aiosmtplib.SMTP) -> Doorman:
        inner, transport = smtp.protocol, smtp.transport
        if inner is None or transport is None:
            raise ConnectionResetError(errno.ECONNRESET, "the receiver closed the connection")
        self.doorman = Doorman(inner, cast("asyncio.Transport", transport))
        transport.set_protocol(self.doorman)
        return self.doorman

    async def _ehlo(self, smtp: aiosmtplib.SMTP, doorman: Doorman) -> Extensions:
        doorman.expect()
        try:
            theirs = await smtp.ehlo(timeout=self.spec.deadlines.ehlo)
        except aiosmtplib.SMTPHeloError:
            # RFC 5321 section 4.1.4: an old receiver answers 500 or 502; HELO it is then.
            if doorman.reply is None or not doorman.reply.permanent:
                raise
            doorman.expect()
            await smtp.helo(timeout=self.spec.deadlines.ehlo)
            return NO_EXTENSIONS
        ours = doorman.reply
        if ours is None or theirs.code != ours.code or not _same(theirs.message, ours.text):
            # A second reply came together with the greeting, before the doorman stood here, and
            # aiosmtplib took it for the answer to EHLO.
            doorman.violation = "bytes after the greeting"
            raise ConnectionResetError(errno.ECONNRESET, doorman.violation)
        return parse_ehlo(ours)

    def _context(self) -> ResumingContext | None:
        if self.spec.tls is TlsPolicy.OFF and self.spec.port != _SUBMISSIONS_PORT:
            return None
        return self.spec.contexts.get(self.spec.tls)

    async def _secure(
        self, smtp: aiosmtplib.SMTP, doorman: Doorman, extensions: Extensions
    ) -> bool:
        required = self.spec.tls is not TlsPolicy.OPPORTUNISTIC
        if not extensions.starttls:
            if required:
                raise _NoTlsError("TLS is required, and STARTTLS is not offered")
            return False
        doorman.expect()
        try:
            await smtp.starttls(server_hostname=self.spec.host, timeout=self.spec.deadlines.tls)
        except aiosmtplib.SMTPResponseException as refusal:
            reply = doorman.reply
            if required or reply is None or reply.positive or not smtp.is_connected:
                raise
            # RFC 3207 section 4: after 454 the client decides; opportunistic goes on in the clear.
            self.tls_failure = printable(f"STARTTLS was answered {refusal.code}", _DETAIL)
            return False
        except (OSError, aiosmtplib.SMTPException) as error:
            if doorman.violation:
                raise
            context = self._context()
            if context is not None:
                context.forget(self.spec.host)
            raise _NoTlsError(f"the TLS handshake failed: {error}") from error
        return True

    def _take_over(
        self,
        smtp: aiosmtplib.SMTP,
        doorman: Doorman,
        extensions: Extensions,
        *,
        secured: bool,
    ) -> Session | Broke:
        transport = smtp.transport
        if not doorman.quiet or transport is None or transport.is_closing():
            return self._broke(Cause.CLOSED, "the receiver closed the connection")
        tls = ""
        if secured:
            version, cipher = _tls_name(transport)
            tls = f"{version} {cipher}"
            context = self._context()
            if context is not None:
                context.remember(self.spec.host, transport.get_extra_info("ssl_object"))
        wire = SessionProtocol(
            asyncio.get_running_loop(),
            cast("asyncio.Transport", transport),
            self.spec.deadlines,
        )
        transport.set_protocol(wire)
        return Session(
            wire,
            extensions,
            host=self.spec.host,
            address=self.address,
            tls=tls,
            tls_failure=self.tls_failure,
            verified=secured and self.spec.tls is TlsPolicy.VERIFIED,
            chunking=self.spec.chunking,
        )

    # --- translation -------------------------------------------------------------------------

    def _translated(self, error: Exception) -> Rejected | Broke:
        if self.doorman is not None and self.doorman.violation:
            return self._broke(Cause.PROTOCOL, self.doorman.violation)
        match error:
            case aiosmtplib.SMTPResponseException():
                return self._answered(error)
            case TimeoutError():  # aiosmtplib's SMTPTimeoutError and ETIMEDOUT are of this kind
                return self._broke(Cause.TIMED_OUT, "no answer in time")
            case _NoTlsError() | ssl.SSLError():
                return self._broke(Cause.TLS, str(error))
            case aiosmtplib.SMTPServerDisconnected() | aiosmtplib.SMTPConnectError():
                reset = isinstance(_root(error), ConnectionResetError)
                return self._broke(Cause.RESET if reset else Cause.CLOSED, error.message)
            case OSError():
                return self._broke(_ERRNO_CAUSES.get(error.errno or 0, Cause.LOCAL), str(error))
            case aiosmtplib.SMTPException():  # AUTH is not offered, or no method in common
                return self._broke(Cause.PROTOCOL, error.message)
            case _:
                return self._broke(Cause.LOCAL, str(error))

    def _answered(self, error: aiosmtplib.SMTPResponseException) -> Rejected | Broke:
        reply = self.doorman.reply if self.doorman is not None else None
        if reply is None:  # the greeting came before the doorman
            reply = _greeting(error)
        if reply is None or reply.positive:
            return self._broke(Cause.PROTOCOL, f"{error.code} {error.message}")
        return Rejected(self.stage, _short(reply))

    def _broke(self, cause: Cause, detail: str) -> Broke:
        return Broke(self.stage, cause, printable(detail, _DETAIL))


_AUTH_REPLIES: Final = 9  # three mechanisms, three replies each at most


def _greeting(error: aiosmtplib.SMTPResponseException) -> Reply | None:
    if not 200 <= error.code <= 599:
        return None
    lines = [printable(line) for line in error.message.split("\n")]
    return Reply(error.code, "\n".join(lines))


def _short(reply: Reply) -> Reply:
    if len(reply.text) <= limits.REPLY_TEXT_KEPT:
        return reply
    return Reply(reply.code, reply.text[: limits.REPLY_TEXT_KEPT - 3] + "...")


def _same(theirs: str, ours: str) -> bool:
    """Whether aiosmtplib (which strips lines) and the doorman (which escapes) read the same."""
    left = [printable(line.strip(), limits.REPLY_BYTES) for line in theirs.split("\n")]
    return left == [line.strip() for line in ours.split("\n")]


def _root(error: BaseException) -> BaseException:
    while error.__cause__ is not None:
        error = error.__cause__
    return error


def _tls_name(transport: asyncio.BaseTransport) -> tuple[str, str]:
    cipher = transport.get_extra_info("cipher")
    return (str(cipher[1]), str(cipher[0])) if cipher else ("TLS", "")


def _drop(smtp: aiosmtplib.SMTP) -> None:
    transport = smtp.transport
    smtp.close()
    if isinstance(transport, asyncio.Transport):
        transport.abort()
