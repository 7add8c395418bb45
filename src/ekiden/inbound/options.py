"""What the listener is told by the configuration; saying it needs no SMTP server."""

import ssl
from dataclasses import dataclass
from pathlib import Path

from ekiden.errors import ConfigError


@dataclass(frozen=True, slots=True)
class ListenerOptions:
    """The listener's limits.

    Args:
        hostname: What it calls itself.
        size: The largest message, octets.
        connections: Sessions at once.
        connections_per_peer: From one address (IPv6: one /64).
        idle: Seconds of silence, and for a message to come in, before the session is closed.
        session: Seconds after which any session is.
        tls: For STARTTLS; None offers none.
    """

    hostname: str
    size: int = 10 * 1024 * 1024
    connections: int = 200
    connections_per_peer: int = 20
    idle: float = 60.0
    session: float = 600.0
    tls: ssl.SSLContext | None = None


def server_context(certificate: Path, key: Path) -> ssl.SSLContext:
    """Return the TLS context of a certificate chain and its key.

    Raises:
        ConfigError: They cannot be read, or do not belong together.
    """
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(certificate, key)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(
            f"the listener's certificate cannot be used: {error.strerror or error}",
            where=str(certificate),
            remedy="inbound.tls_certificate is a PEM chain, inbound.tls_key its key",
        ) from error
    return context
