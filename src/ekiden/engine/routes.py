"""Static routes: hosts that some destinations' mail goes to instead of their MX."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from ekiden.engine.names import a_labels, is_address
from ekiden.engine.sites import MxHost, Site
from ekiden.engine.tls import TlsPolicy


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a smarthost wants to see (RFC 4954)."""

    username: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Route:
    """Where the destinations that match a pattern go.

    Args:
        pattern: A domain, `*.domain` for those below it, or `*` for all.
        host: A host's name or an IP address. No MX is looked up for it.
        port: TCP port; 465 means TLS from the start (RFC 8314).
        credentials: For AUTH; None = none.
        tls: Its TLS policy; None = the one that would apply without the route.
        group: All its destinations are one site; otherwise each is its own (a gateway to many
            receivers must not make one receiver's caps the others').

    Raises:
        ValueError: The pattern or the host is none.
    """

    pattern: str
    host: str
    port: int = 25
    credentials: Credentials | None = None
    tls: TlsPolicy | None = None
    group: bool = False

    def __post_init__(self) -> None:
        if self.pattern != "*":
            a_labels(self.pattern.removeprefix("*."))
        if not is_address(self.host):
            a_labels(self.host)

    def matches(self, destination: str) -> bool:
        """Whether `destination` (A-labels, lower case) takes this route."""
        if self.pattern == "*":
            return True
        wild = self.pattern.startswith("*.")
        domain = a_labels(self.pattern.removeprefix("*."))
        return destination.endswith("." + domain) if wild else destination == domain

    def site(self, destination: str) -> Site:
        """Return the site of `destination` behind this route.

        A site behind a route never shares its name with one found in DNS: those have no space.
        """
        host = self.host if is_address(self.host) else a_labels(self.host)
        place = f"[{host}]:{self.port}" if ":" in host else f"{host}:{self.port}"
        if self.credentials is not None:
            place = f"{self.credentials.username}@{place}"
        name = f"via {place}" if self.group else f"{destination} via {place}"
        return Site(name, (MxHost(0, host),), self.port, self.pattern)


def first_match(routes: Sequence[Route], destination: str) -> Route | None:
    """Return the first route whose pattern matches; None = DNS decides."""
    return next((route for route in routes if route.matches(destination)), None)
