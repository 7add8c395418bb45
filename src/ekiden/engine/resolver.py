"""From a destination to its site, and from a host to its addresses (RFC 5321 section 5.1).

```
destination --route?--> Site (the route's host)
     | no
     MX --NXDOMAIN--------------------------------> no such domain
     |  --"." (RFC 7505)--------------------------> null MX: no mail, and no fallback to A
     |  --SERVFAIL, time-out----------------------> DNS failure: ask again soon
     |  --none--> A, AAAA --some--> Site (the destination itself, implicit MX)
     |                    --none--> no such domain
     +--some--> names that are host names, ourselves and worse left out, best 20 --> Site
```

Contract.
* Nothing a nameserver does raises. A failure is `Unresolved`, and says when to ask again.
* Answers are kept for their TTL within the bounds of `limits`, "no" for a fixed time, failures for
  less; the caches are bounded, so a million destinations do not fill the memory.
* The same question asked by many at once goes out once; one asker's cancellation leaves it to the
  others.
* Time for expiry is monotonic: a clock that jumps does not keep an old answer alive. `until` is
  told in UNIX seconds, as the scheduler counts.
"""

import asyncio
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Final, TypeVar

import dns.rdata
import dns.rdtypes.ANY.MX
import dns.rdtypes.IN.A
import dns.rdtypes.IN.AAAA

from ekiden import limits
from ekiden.engine.cache import Asked
from ekiden.engine.names import a_labels, address_literal, is_address, is_host
from ekiden.engine.questions import Answer, Failed, NoName, Questions, Records
from ekiden.engine.routes import Route, RouteTable
from ekiden.engine.sites import MxHost, Site, Unresolved, shuffled, site_name
from ekiden.smtp.outcome import Broke, Cause, Stage
from ekiden.text import printable

__all__ = ["MxHost", "Resolver", "ResolverOptions", "Route", "Site", "Unresolved"]

Result = TypeVar("Result")
_Timed = tuple[Result, float]  # a result and its time to live, seconds
_SHOWN: Final = 100  # characters of a foreign name in a detail


@dataclass(frozen=True, slots=True)
class ResolverOptions:
    """What the resolver needs of the configuration.

    Args:
        nameservers: (IP address, port) in the order to ask; none means /etc/resolv.conf's.
        timeout: Seconds for one question.
        routes: Static routes; the first match decides.
        own_hosts: Names that are ourselves: an MX of that name, and all that are not better, are
            left out (RFC 5321 section 5.1).
        ipv6: Some source speaks IPv6, so AAAA records are worth asking for.
        port: The port of sites found in DNS.
    """

    nameservers: tuple[tuple[str, int], ...] = ()
    timeout: float = limits.DNS_TIMEOUT
    routes: tuple[Route, ...] = ()
    own_hosts: frozenset[str] = field(default_factory=frozenset)
    ipv6: bool = False
    port: int = 25


class Resolver:
    """Resolves destinations and hosts, with caches.

    Args:
        options: From the configuration.
        rng: Shuffles hosts of equal preference and addresses.
        clock: Monotonic seconds.
        wall: UNIX seconds.
    """

    def __init__(
        self,
        options: ResolverOptions,
        *,
        rng: random.Random | None = None,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._options = options
        self._rng = rng or random.Random()  # noqa: S311 - spreads load, guards nothing
        self._clock = clock
        self._wall = wall
        self._questions = Questions(options.nameservers, options.timeout)
        self._routes = {route.pattern: route for route in reversed(options.routes)}
        self._table = RouteTable(options.routes)
        self._own = frozenset(name.lower().removesuffix(".") for name in options.own_hosts)
        most = limits.DNS_CACHE_ENTRIES
        self._sites = Asked(self._find_site, clock, most)
        self._hosts = Asked(self._find_addresses, clock, most)

    def route(self, pattern: str) -> Route | None:
        """Return the static route of that pattern (`Site.route`)."""
        return self._routes.get(pattern)

    def forget(self) -> None:
        """Drop every answer that is kept."""
        self._sites.clear()
        self._hosts.clear()

    async def resolve(self, destination: str) -> Site | Unresolved:
        """Return where `destination`'s mail goes.

        Args:
            destination: A recipient domain, as people write it or in A-labels, or an address
                literal.
        """
        literal = address_literal(destination)
        try:
            name = f"[{literal}]" if literal else a_labels(destination)
        except ValueError as error:
            # No name, no mailbox: as final as NXDOMAIN.
            broke = Broke(Stage.RESOLVE, Cause.NO_SUCH_DOMAIN, str(error))
            return Unresolved(broke, float("inf"))
        route = self._table.find(name)
        if route is not None:
            return route.site(name)
        if literal:
            hosts = (MxHost(0, literal),)
            return Site(site_name([name], self._options.port), hosts, self._options.port)
        found, expires = await self._sites.get(name)
        until = self._until(expires)
        if isinstance(found, Broke):
            return Unresolved(found, until)
        return replace(found, hosts=shuffled(found.hosts, self._rng), until=until)

    async def addresses(self, host: str) -> list[str] | Unresolved:
        """Return the IP addresses of `host` in the order to try, none if it has none.

        IPv4 comes first: receivers ask more of senders on IPv6. Within a family the order is
        random.
        """
        if is_address(host):
            return [host]
        if not is_host(host.lower()):
            broke = Broke(Stage.RESOLVE, Cause.DNS_FAILURE, "not a host name")
            return Unresolved(broke, self._wall() + limits.DNS_NEGATIVE_TTL)
        found, expires = await self._hosts.get(host.lower())
        if isinstance(found, Broke):
            return Unresolved(found, self._until(expires))
        mixed = list(found)
        self._rng.shuffle(mixed)
        return sorted(mixed, key=lambda address: ":" in address)

    def _until(self, expires: float) -> float:
        return self._wall() + max(0.0, expires - self._clock())

    # --- what the answers mean ---------------------------------------------------------------

    async def _find_site(self, destination: str) -> _Timed[Site | Broke]:
        answer = await self._questions.ask(destination, "MX")
        match answer:
            case NoName():
                return _no(Cause.NO_SUCH_DOMAIN, f"{destination} does not exist")
            case Failed(detail):
                return _failure(f"MX of {destination}: {detail}")
            case Records(rdatas, _) if not rdatas:
                return await self._implicit(destination)
            case Records(rdatas, ttl):
                found = self._of_mx(destination, rdatas)
                return found, ttl if isinstance(found, Site) else limits.DNS_NEGATIVE_TTL

    async def _implicit(self, destination: str) -> _Timed[Site | Broke]:
        """No MX: the destination itself, if it has an address (RFC 5321 section 5.1)."""
        found, expires = await self._hosts.get(destination)
        ttl = max(0.0, expires - self._clock())
        if isinstance(found, Broke):
            return found, ttl
        if not found:
            return _no(Cause.NO_SUCH_DOMAIN, f"{destination} has neither MX nor address")
        return self._site([MxHost(0, destination)]), ttl

    def _of_mx(self, destination: str, rdatas: tuple[dns.rdata.Rdata, ...]) -> Site | Broke:
        hosts: list[MxHost] = []
        bad = ""
        for rdata in rdatas:
            if not isinstance(rdata, dns.rdtypes.ANY.MX.MX):
                continue
            name = rdata.exchange.to_text(omit_final_dot=True).lower()
            if name in {".", "@", ""}:
                if len(rdatas) == 1:
                    return Broke(
                        Stage.RESOLVE, Cause.NULL_MX, f"{destination} takes no mail (null MX)"
                    )
                bad = "."  # RFC 7505 section 3: must stand alone; next to others it means nothing
            elif is_host(name):
                hosts.append(MxHost(rdata.preference, name))
            else:
                bad = name
        if not hosts:
            detail = f"no MX of {destination} is a host name: {printable(bad, _SHOWN)}"
            return Broke(Stage.RESOLVE, Cause.DNS_FAILURE, detail)
        ours = [host.preference for host in hosts if host.name in self._own]
        if ours:
            hosts = [host for host in hosts if host.preference < min(ours)]
            if not hosts:
                detail = f"the best MX of {destination} is this host"
                return Broke(Stage.RESOLVE, Cause.FORBIDDEN_ADDRESS, detail)
        return self._site(hosts)

    def _site(self, hosts: list[MxHost]) -> Site:
        best: dict[str, MxHost] = {}
        for host in sorted(hosts):
            best.setdefault(host.name, host)
        kept = tuple(best.values())[: limits.DNS_MX_HOSTS]
        return Site(
            site_name([host.name for host in kept], self._options.port), kept, self._options.port
        )

    async def _find_addresses(self, host: str) -> _Timed[tuple[str, ...] | Broke]:
        if self._options.ipv6:
            four, six = await asyncio.gather(
                self._questions.ask(host, "A"), self._questions.ask(host, "AAAA")
            )
        else:
            four = await self._questions.ask(host, "A")
            # Asked for only to tell "has no address" from "has none that we speak".
            none = isinstance(four, Records) and not four.rdatas
            six = await self._questions.ask(host, "AAAA") if none else Records((), float("inf"))
        found = (*_addresses(four), *_addresses(six))
        if found:
            ttls = [answer.ttl for answer in (four, six) if isinstance(answer, Records)]
            return found, min([*ttls, limits.DNS_TTL_MAX])
        for answer in (four, six):
            if isinstance(answer, Failed):
                return _failure(f"addresses of {host}: {answer.detail}")
        return (), limits.DNS_NEGATIVE_TTL


def _addresses(answer: Answer) -> list[str]:
    if not isinstance(answer, Records):
        return []
    kinds = (dns.rdtypes.IN.A.A, dns.rdtypes.IN.AAAA.AAAA)
    found = [str(rdata.address) for rdata in answer.rdatas if isinstance(rdata, kinds)]
    return sorted(found)[: limits.DNS_ADDRESSES_PER_HOST]


def _no(cause: Cause, detail: str) -> _Timed[Broke]:
    return Broke(Stage.RESOLVE, cause, detail), limits.DNS_NEGATIVE_TTL


def _failure(detail: str) -> _Timed[Broke]:
    return (
        Broke(Stage.RESOLVE, Cause.DNS_FAILURE, printable(detail, limits.REPLY_TEXT_KEPT)),
        limits.DNS_FAILURE_TTL,
    )
