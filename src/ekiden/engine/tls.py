"""TLS towards receivers: shared contexts that remember sessions.

A full handshake costs the receiver a signature and us a round trip and a certificate chain, so
contexts are made once and shared, and the ticket of the last session with a host is offered to its
next one (RFC 8446 section 2.2, RFC 5077). asyncio and uvloop give no way to pass a session, but
both create the connection with `SSLContext.wrap_bio`, so a context that adds it there does.
"""

import ssl
from collections import OrderedDict
from enum import StrEnum
from typing import Final, Self

from ekiden import limits


class TlsPolicy(StrEnum):
    """Whether STARTTLS is used."""

    OFF = "off"
    OPPORTUNISTIC = "opportunistic"  # RFC 7435: some protection most of the time
    REQUIRED = "required"  # never in the clear
    VERIFIED = "verified"  # required, with a certificate that is valid for the host


class ResumingContext(ssl.SSLContext):
    """A client context that offers each host the session it gave us last."""

    _sessions: OrderedDict[str, ssl.SSLSession]

    def __new__(cls) -> Self:
        """Make a client context without certificate checks."""
        context = super().__new__(cls, ssl.PROTOCOL_TLS_CLIENT)
        context._sessions = OrderedDict()  # SSLContext initialises in __new__
        return context

    def wrap_bio(
        self,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        server_side: bool = False,  # noqa: FBT001, FBT002 - SSLContext's own signature
        server_hostname: str | bytes | None = None,
        session: ssl.SSLSession | None = None,
    ) -> ssl.SSLObject:
        """Wrap as `SSLContext` does, with the host's last session when none is given."""
        if session is None and isinstance(server_hostname, str):
            session = self._sessions.get(server_hostname)
        return super().wrap_bio(incoming, outgoing, server_side, server_hostname, session)

    def remember(self, host: str, connection: object) -> None:
        """Keep the session of `connection` for the next one with `host`.

        Args:
            host: The name given as `server_hostname`.
            connection: The transport's `ssl_object`. With TLS 1.3 the ticket comes after the
                handshake, so ask when the receiver has spoken.
        """
        session = getattr(connection, "session", None)
        if not isinstance(session, ssl.SSLSession) or not session.has_ticket:
            return
        self._sessions[host] = session
        self._sessions.move_to_end(host)
        while len(self._sessions) > limits.TLS_SESSIONS_KEPT:
            self._sessions.popitem(last=False)

    def forget(self, host: str) -> None:
        """Offer `host` no old session again: a handshake with it failed."""
        self._sessions.pop(host, None)


def unverified_context() -> ResumingContext:
    """Return a context that encrypts without asking who is there.

    That is what MX hosts get without DANE or MTA-STS: their names come from unsigned DNS, so
    checking a certificate against them proves nothing (RFC 7435 section 3).
    """
    context = ResumingContext()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def verified_context(cafile: str | None = None) -> ResumingContext:
    """Return a context that checks the host's certificate and name (for smarthosts).

    Args:
        cafile: Trusted certificates as a PEM file; None = the system's.
    """
    context = ResumingContext()
    if cafile is None:
        context.load_default_certs(ssl.Purpose.SERVER_AUTH)
    else:
        context.load_verify_locations(cafile)
    return context


class TlsContexts:
    """The contexts that all sessions of the daemon share; made when first needed."""

    def __init__(self, cafile: str | None = None) -> None:
        self._cafile: Final = cafile
        self._contexts: dict[bool, ResumingContext] = {}
        self._unproven: OrderedDict[str, float] = OrderedDict()

    def may_prove(self, host: str, now: float) -> bool:
        """Whether a host's certificate is worth asking for: it was not found wanting lately.

        Args:
            host: The MX host.
            now: Seconds on the clock of `unproven`.
        """
        return self._unproven.get(host, now) <= now

    def unproven(self, host: str, until: float) -> None:
        """Note that a host has no TLS, or no valid certificate.

        Args:
            host: The MX host.
            until: When it is worth asking again, seconds.
        """
        self._unproven[host] = until
        self._unproven.move_to_end(host)
        while len(self._unproven) > limits.TLS_SESSIONS_KEPT:
            self._unproven.popitem(last=False)

    def get(self, policy: TlsPolicy) -> ResumingContext:
        """Return the context for `policy`: one that checks certificates only if it says so."""
        verify = policy is TlsPolicy.VERIFIED
        context = self._contexts.get(verify)
        if context is None:
            context = verified_context(self._cafile) if verify else unverified_context()
            self._contexts[verify] = context
        return context
