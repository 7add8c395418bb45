"""Static routes: hosts that some destinations' mail goes to instead of their MX."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from operator import itemgetter

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


class RouteTable:
    """The routes, found without a look at each: there may be thousands.

    Args:
        routes: In the order of the configuration; the first whose pattern matches is taken.
    """

    def __init__(self, routes: Sequence[Route]) -> None:
        self._places: dict[str, tuple[int, Route]] = {}
        for place, route in enumerate(routes):
            wild = route.pattern.startswith("*.")
            domain = route.pattern.removeprefix("*.")
            key = domain if domain == "*" else a_labels(domain)
            self._places.setdefault(f".{key}" if wild else key, (place, route))

    def find(self, destination: str) -> Route | None:
        """Return the route of a destination (A-labels, lower case); None = DNS decides."""
        places = self._places
        if not places:
            return None
        labels = destination.split(".")
        above = ("." + ".".join(labels[start:]) for start in range(1, len(labels)))
        found = [places[key] for key in (destination, "*", *above) if key in places]
        return min(found, key=itemgetter(0))[1] if found else None
