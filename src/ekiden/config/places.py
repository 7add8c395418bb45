"""Addresses and networks, and servers with their ports, as the file writes them."""

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import TypeAlias

Address: TypeAlias = IPv4Address | IPv6Address
Network: TypeAlias = IPv4Network | IPv6Network


@dataclass(frozen=True, slots=True)
class Place:
    """A server's address and port, written "192.0.2.53:53", "[2001:db8::53]:53" or without port."""

    address: str
    port: int


@dataclass(frozen=True, slots=True)
class Nameserver(Place):
    """A DNS server: "192.0.2.53", "192.0.2.53:5353" or "[2001:db8::53]:53"."""

    port: int = 53


@dataclass(frozen=True, slots=True)
class Listen(Place):
    """Where a server listens: "192.0.2.1:25", "0.0.0.0:25" or "[::]:25"."""

    port: int = 25


@dataclass(frozen=True, slots=True)
class HttpListen(Place):
    """Where a web server listens: "127.0.0.1:8080" or "[::1]:8080"."""

    port: int = 8080
