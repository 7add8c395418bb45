"""What DNS publishes of a DKIM key, compared with the key."""

import ipaddress

import dns.exception
import dns.nameserver
import dns.resolver

from ekiden.config import Dns
from ekiden.dkim import records
from ekiden.dkim.keys import Key
from ekiden.errors import UnavailableError
from ekiden.text import printable

REMEDY = "publish what `ekiden dkim show` prints, and wait for the old record's TTL"


def compare(key: Key, options: Dns) -> list[str]:
    """Return what is wrong with the published record of `key`; nothing when all is well.

    Raises:
        UnavailableError: DNS does not answer.
    """
    published = lookup(key.record_name, options)
    if not published:
        return [f"no TXT record is published; {REMEDY}"]
    if len(published) > 1:
        return [f"{len(published)} TXT records are published; receivers accept one; {REMEDY}"]
    try:
        record = records.parse_record(published[0])
    except records.RecordError as error:
        return [f"{error}; {REMEDY}"]
    return records.problems(key, record)


def lookup(name: str, options: Dns) -> list[str]:
    """Return the TXT records at `name`, the strings of each joined (RFC 6376 section 3.6.2.2).

    Raises:
        UnavailableError: DNS does not answer.
    """
    try:
        resolver = _resolver(options)
        answer = resolver.resolve(name, "TXT", search=False, raise_on_no_answer=False)
    except dns.resolver.NXDOMAIN:
        return []
    except (dns.exception.DNSException, OSError) as error:
        raise UnavailableError(
            f"DNS does not answer: {printable(str(error), 200)}",
            where=name,
            remedy="try again, or set dns.nameservers",
        ) from None
    return [b"".join(data.strings).decode("ascii", "backslashreplace") for data in answer]


def _resolver(options: Dns) -> dns.resolver.Resolver:
    resolver = dns.resolver.Resolver(configure=not options.nameservers)
    if options.nameservers:
        resolver.nameservers = [
            dns.nameserver.Do53Nameserver(str(ipaddress.ip_address(one.address)), one.port)
            for one in options.nameservers
        ]
    resolver.lifetime = options.timeout
    resolver.cache = None
    return resolver
