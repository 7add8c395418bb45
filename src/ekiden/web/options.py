"""What the web is told by the configuration. No library of the web is needed to say it."""

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from ekiden import limits

Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True, slots=True)
class ServerOptions:
    """How a listener works.

    Args:
        places: Addresses and ports.
        head: Seconds until a request's head is there.
        request: Seconds from then to the last byte of the answer.
        connections: At once.
        per_peer: At once from one peer that is none of `proxies`.
        proxies: Peers that come for many clients.
    """

    places: Sequence[tuple[str, int]]
    head: float = limits.HTTP_HEAD_SECONDS
    request: float = limits.HTTP_REQUEST_SECONDS
    connections: int = limits.HTTP_CONNECTIONS
    per_peer: int = limits.HTTP_PER_PEER
    proxies: Sequence[Network] = ()


@dataclass(frozen=True, slots=True)
class Brand:
    """How the pages look.

    Args:
        name: Whose they are; "" says it by the sender's domain.
        color: `#rrggbb`.
        footer: A line at their foot.
        language: "auto", or the one language they are in.
    """

    name: str = ""
    color: str = "#1a56a0"
    footer: str = ""
    language: str = "auto"


@dataclass(frozen=True, slots=True)
class SignupOptions:
    """How people sign up.

    Args:
        lists: The lists that take sign-ups.
        sender: The From header of confirmation mails.
        public_url: Where the pages are, without a slash at the end.
        lifetime: Seconds for which a confirmation link works.
        per_hour: Confirmation mails from one client.
    """

    lists: frozenset[str]
    sender: str
    public_url: str
    lifetime: float = 86_400.0
    per_hour: int = 10


@dataclass(frozen=True, slots=True)
class SiteOptions:
    """What the public part is like.

    Args:
        public_url: How recipients reach it.
        brand: How its pages look.
        per_minute: Requests of one client to pages and forms.
        proxies: Whose X-Forwarded-For is believed.
        signup: Sign-up forms; None for none.
    """

    public_url: str
    brand: Brand = field(default_factory=Brand)
    per_minute: int = 120
    proxies: Sequence[Network] = ()
    signup: SignupOptions | None = None


@dataclass(frozen=True, slots=True)
class AdminOptions:
    """What the admin part is like.

    Args:
        host: Whose it is: the EHLO name.
        proxies: Whose X-Forwarded-For is believed.
        per_minute: Requests of one token.
        session: Seconds that somebody stays at the dashboard.
        events: Where the event log is.
    """

    host: str
    proxies: Sequence[Network] = ()
    per_minute: int = 6000
    session: float = 43_200.0
    events: Path = Path("events")
