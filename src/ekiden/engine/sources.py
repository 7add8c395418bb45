"""Egress sources: the IP addresses that mail leaves from, each with its EHLO name, and pools."""

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from ekiden.networks import Address

# RFC 5321 section 4.1.1.1: a fully-qualified name, or an address literal where there is none.
_NAME: Final = re.compile(r"(?!-)[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63})*|\[[0-9A-Fa-f:.IPv]+\]")


@dataclass(frozen=True, slots=True)
class Source:
    """An egress address with its EHLO name.

    Args:
        name: What people call it.
        ehlo: The name it gives in EHLO: what its PTR record says, and resolves back to it.
        ip4: The IPv4 address to bind; None leaves the choice to the system.
        ip6: The IPv6 address to bind; None means that IPv6 is not spoken at all.

    Raises:
        ValueError: A field does not fit (configuration reports it with its key).
    """

    name: str
    ehlo: str
    ip4: str | None = None
    ip6: str | None = None

    def __post_init__(self) -> None:
        if len(self.ehlo) > 255 or not _NAME.fullmatch(self.ehlo):
            raise ValueError(f"{self.ehlo!r} is not a name for EHLO")
        if self.ip4 is not None:
            ipaddress.IPv4Address(self.ip4)
        if self.ip6 is not None:
            ipaddress.IPv6Address(self.ip6)

    def speaks(self, address: str) -> bool:
        """Whether this source can dial `address`: IPv6 only from an IPv6 address of its own."""
        return ":" not in address or self.ip6 is not None

    def local(self, address: str) -> str | None:
        """Return the address to bind when dialling `address`; None = the system's choice."""
        return self.ip6 if ":" in address else self.ip4


@dataclass(frozen=True, slots=True)
class Pool:
    """Sources that a job may leave from."""

    name: str
    sources: tuple[Source, ...]

    def __post_init__(self) -> None:
        if not self.sources:
            raise ValueError(f"the pool {self.name!r} has no source")


def own_addresses(sources: Iterable[Source]) -> frozenset[Address]:
    """Return the addresses that the sources are bound to: a host at one of them is ourselves."""
    return frozenset(
        ipaddress.ip_address(address)
        for source in sources
        for address in (source.ip4, source.ip6)
        if address is not None
    )
