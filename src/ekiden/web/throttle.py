"""Rate limits by client: token buckets, bounded in number. No I/O, no clock.

A client is an IPv4 address or an IPv6 /64 (one customer has that many addresses). When more clients
are known than may be remembered, those whose buckets are fullest are forgotten first: to be
forgotten and to have a full bucket is the same.
"""

import ipaddress
from collections import OrderedDict
from typing import Final

from ekiden import limits

_SIX: Final = 64


class Throttle:
    """Lets each client do something so often.

    Args:
        number: So often,
        seconds: in so many seconds; all at once, or one after the other.
        clients: Clients remembered at most.
    """

    def __init__(
        self, number: float, seconds: float, clients: int = limits.HTTP_CLIENTS_REMEMBERED
    ) -> None:
        self._number: Final = float(number)
        self._rate: Final = number / seconds
        self._clients: Final = clients
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()  # by the last use

    def allows(self, client: str, now: float) -> bool:
        """Take one from a client's bucket; False if it is empty.

        Args:
            client: See `client_key`.
            now: Seconds on any clock that does not jump.
        """
        left, at = self._left.pop(client, (self._number, now))
        left = min(self._number, left + max(0.0, now - at) * self._rate)
        allowed = left >= 1.0
        self._left[client] = (left - 1.0 if allowed else left, now)
        while len(self._left) > self._clients:
            self._left.popitem(last=False)  # used longest ago, so refilled the most
        return allowed


def client_key(address: str) -> str:
    """Return what stands for a client: its IPv4 address, or the /64 of its IPv6 address."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return "unknown"
    if isinstance(ip, ipaddress.IPv6Address):
        if ip.ipv4_mapped is not None:
            return str(ip.ipv4_mapped)
        return str(ipaddress.IPv6Network((int(ip) >> _SIX << _SIX, _SIX)))
    return str(ip)
