"""Whether a domain takes mail: a From address that no answer can reach is refused by many."""

from collections.abc import Sequence

import dns.asyncresolver
import dns.exception
import dns.resolver

from ekiden.errors import UnavailableError


async def takes_mail(
    domain: str, nameservers: Sequence[tuple[str, int]] = (), lifetime: float = 10.0
) -> bool:
    """Whether a domain has an MX, or else an address (RFC 5321 section 5.1).

    Args:
        domain: In A-labels.
        nameservers: Whom to ask, address and port; the system's if there are none.
        lifetime: Seconds for all of it.

    Raises:
        UnavailableError: DNS does not answer.
    """
    resolver = dns.asyncresolver.Resolver(configure=not nameservers)
    if nameservers:
        resolver.nameservers = [address for address, _ in nameservers]
        resolver.nameserver_ports = dict(nameservers)
    resolver.lifetime = lifetime
    for kind in ("MX", "A", "AAAA"):
        try:
            answer = await resolver.resolve(domain, kind)
        except dns.resolver.NXDOMAIN:
            return False
        except dns.resolver.NoAnswer:
            continue
        except (dns.exception.DNSException, OSError) as error:
            raise UnavailableError(f"DNS does not answer: {error}", where=domain) from error
        # A null MX says that there is no mail (RFC 7505).
        return kind != "MX" or any(str(one.exchange) != "." for one in answer)
    return False
