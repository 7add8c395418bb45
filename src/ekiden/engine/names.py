"""Domain names from people and from DNS, checked before they are used or shown.

A name from DNS can hold any byte, CR and LF included (CVE-2026-28753): only letters, digits,
hyphens and underscores pass (the last is no host name by RFC 1123, but real MX hosts have it).
"""

import ipaddress
import re
from typing import Final

import idna

from ekiden import limits

_HOST: Final = re.compile(
    r"(?=.{1,253}\Z)[a-z0-9_](?:[a-z0-9_-]{0,62})(?:\.[a-z0-9_][a-z0-9_-]{0,62})*"
)


def is_host(name: str) -> bool:
    """Whether `name` (lower case, no final dot) can be a host's name: not an IP address."""
    if not _HOST.fullmatch(name):
        return False
    # RFC 3696 section 2: a top-level label is never all digits; `10 192.0.2.1.` is a mistake.
    return not name.rpartition(".")[2].isdigit()


def address_literal(domain: str) -> str:
    """Return the IP address in `[192.0.2.1]` or `[IPv6:2001:db8::1]`, "" if it is none.

    RFC 5321 section 4.1.3.
    """
    if not (domain.startswith("[") and domain.endswith("]")):
        return ""
    inner = domain[1:-1]
    if inner[:5].lower() == "ipv6:":
        inner = inner[5:]
    return inner if is_address(inner) else ""


def is_address(text: str) -> bool:
    """Whether `text` is an IP address."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def a_labels(domain: str) -> str:
    """Return `domain` in lower case, A-labels (RFC 5890), without a final dot.

    Raises:
        ValueError: It is not a domain name.
    """
    name = domain.removesuffix(".")
    if len(name) > limits.DOMAIN_OCTETS:
        raise ValueError("the domain name is too long")
    if not name.isascii():
        try:
            name = idna.encode(name, uts46=True).decode("ascii")
        except idna.IDNAError as error:
            raise ValueError(f"not a domain name: {error}") from error
    name = name.lower()
    if not is_host(name):
        raise ValueError("not a domain name")
    return name
