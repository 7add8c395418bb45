"""Questions to DNS: dnspython's answers and exceptions, turned into three values once.

`Records` is an answer (perhaps of none), `NoName` says that the name does not exist, `Failed` that
nobody could tell: SERVFAIL (also a failed DNSSEC validation), time-out, garbage. dnspython asks the
nameservers in order until the deadline and goes over to TCP when an answer was truncated.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import dns.asyncresolver
import dns.exception
import dns.name
import dns.nameserver
import dns.rdata
import dns.resolver

from ekiden import limits
from ekiden.text import printable

_DETAIL: Final = 200
_EDNS_PAYLOAD: Final = 1232  # the DNS flag day 2020 value: no IP fragments to forge


@dataclass(frozen=True, slots=True)
class Records:
    """The records of the type asked for; none when the name has others only (NODATA)."""

    rdatas: tuple[dns.rdata.Rdata, ...]
    ttl: float


@dataclass(frozen=True, slots=True)
class NoName:
    """NXDOMAIN: no record of any type (RFC 8020)."""


@dataclass(frozen=True, slots=True)
class Failed:
    """No usable answer."""

    detail: str


Answer = Records | NoName | Failed


class Questions:
    """Asks nameservers.

    Args:
        nameservers: (IP address, port) in the order to ask; none means /etc/resolv.conf's.
        timeout: Seconds for one question, its repetitions included.
    """

    def __init__(
        self,
        nameservers: Sequence[tuple[str, int]] = (),
        timeout: float = limits.DNS_TIMEOUT,
    ) -> None:
        self._resolver = dns.asyncresolver.Resolver(configure=not nameservers)
        if nameservers:
            self._resolver.nameservers = [
                dns.nameserver.Do53Nameserver(address, port) for address, port in nameservers
            ]
        self._resolver.lifetime = timeout
        self._resolver.timeout = min(self._resolver.timeout, timeout)
        self._resolver.use_edns(0, 0, _EDNS_PAYLOAD)
        self._slots = asyncio.Semaphore(limits.DNS_QUESTIONS_AT_ONCE)

    async def ask(self, name: str, kind: str) -> Answer:
        """Ask for the records of `name`, aliases followed.

        Args:
            name: A domain name in A-labels.
            kind: MX, A or AAAA.
        """
        try:
            question = dns.name.from_text(name)  # absolute: no search list
        except dns.exception.DNSException as error:
            return Failed(printable(str(error), _DETAIL))
        for _ in range(limits.DNS_ALIASES):
            answer = await self._ask(question, kind)
            if isinstance(answer, dns.name.Name):
                question = answer
                continue
            return answer
        return Failed("too many aliases")

    async def _ask(self, question: dns.name.Name, kind: str) -> Answer | dns.name.Name:
        try:
            async with self._slots:
                answer = await self._resolver.resolve(question, kind, raise_on_no_answer=False)
        except dns.resolver.NXDOMAIN:
            return NoName()
        except (dns.exception.DNSException, OSError, EOFError) as error:
            return Failed(printable(str(error) or type(error).__name__, _DETAIL))
        if answer.rrset is None:
            # An alias whose target the nameserver did not add: ask for it (RFC 1034 section 3.6.2).
            if answer.canonical_name != question:
                return answer.canonical_name
            return Records((), limits.DNS_NEGATIVE_TTL)
        ttl = float(answer.chaining_result.minimum_ttl)
        ttl = min(max(ttl, limits.DNS_TTL_MIN), limits.DNS_TTL_MAX)
        return Records(tuple(answer.rrset), ttl)
