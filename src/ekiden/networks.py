"""Which IP addresses mail may be sent to.

A domain's owner writes its MX and address records; pointing them at 127.0.0.1, at a private network
or back at us turns a mailer into a tool against its own house (or into a loop). So every resolved
address is looked at when it is about to be dialled, not when it was cached (a record may change in
between), and only addresses of the public Internet pass unless the configuration names a network.
"""

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")  # RFC 6052 section 2.1
_IPV4_BITS: Final = 0xFFFF_FFFF


def unwrapped(address: Address) -> Address:
    """Return the IPv4 address inside a mapped, 6to4 or NAT64 IPv6 address, else `address`."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & _IPV4_BITS)
    return address.ipv4_mapped or address.sixtofour or address


@dataclass(frozen=True, slots=True)
class AddressPolicy:
    """What may be dialled.

    Args:
        allowed: Networks that are allowed though they are not public (for demo, tests, intranets).
        own: Our own addresses (sources, listeners): a host there is ourselves. Refused even inside
            an allowed network.
    """

    allowed: tuple[Network, ...] = ()
    own: frozenset[Address] = frozenset()

    def objection(self, address: str) -> str:
        """Return why `address` must not be dialled, or "" when it may."""
        try:
            literal = ipaddress.ip_address(address)
        except ValueError:
            return "not an IP address"
        inner = unwrapped(literal)
        if literal in self.own or inner in self.own:
            return "our own address"
        if any(inner.version == network.version and inner in network for network in self.allowed):
            return ""
        return _special(inner)


def _special(address: Address) -> str:
    for name in ("unspecified", "loopback", "link_local", "multicast"):
        if getattr(address, f"is_{name}"):
            return f"a {name.replace('_', '-')} address"
    # IANA's special-purpose registries (RFC 6890): private, shared (100.64/10), benchmarks, ...
    return "" if address.is_global else "not a public address"


def networks(texts: Iterable[str]) -> tuple[Network, ...]:
    """Parse networks in CIDR form.

    Raises:
        ValueError: One of them is not a network.
    """
    return tuple(ipaddress.ip_network(text) for text in texts)
