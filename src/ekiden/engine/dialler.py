"""From (source, site, host) to an open session: addresses, TLS policy, credentials in one place."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from ekiden.config.pattern import first_match, matches
from ekiden.engine.connect import ConnectSpec, open_session
from ekiden.engine.deadlines import Deadlines
from ekiden.engine.names import is_address
from ekiden.engine.resolver import MxHost, Resolver, Site, Unresolved
from ekiden.engine.session import Session
from ekiden.engine.sources import Source
from ekiden.engine.tls import TlsContexts, TlsPolicy
from ekiden.networks import AddressPolicy
from ekiden.shaping.providers import Providers
from ekiden.smtp.outcome import Broke, Cause, Rejected, Stage


def stricter(one: TlsPolicy, other: TlsPolicy) -> TlsPolicy:
    """Return the policy that asks for more TLS."""
    return max(one, other, key=list(TlsPolicy).index)


@dataclass(frozen=True, slots=True)
class TlsRules:
    """Which TLS policy a session follows: by destination, then by MX host, then the default.

    Args:
        default: Where nothing else is said.
        destinations: (pattern, policy); the first that matches decides.
        sites: (pattern of MX hosts, policy); every host of the site must match.
        providers: The profiles, whose policies pass the default where that is less strict.
    """

    default: TlsPolicy = TlsPolicy.OPPORTUNISTIC
    destinations: tuple[tuple[str, TlsPolicy], ...] = ()
    sites: tuple[tuple[str, TlsPolicy], ...] = ()
    providers: Providers | None = None

    def of(self, destination: str, hosts: Sequence[str], *, routed: bool = False) -> TlsPolicy:
        """Return what a session for `destination` at a site of these hosts must do.

        Args:
            destination: The recipient's domain.
            hosts: The site's MX hosts.
            routed: Whether a route leads there: then it is not the provider's own site.
        """
        return self.explain(destination, hosts, routed=routed)[0]

    def explain(
        self, destination: str, hosts: Sequence[str], *, routed: bool = False
    ) -> tuple[TlsPolicy, str]:
        """Return the same, and which layer said it."""
        mine = first_match(
            [(pattern, (policy, pattern)) for pattern, policy in self.destinations], destination
        )
        if mine is not None:
            return mine[0], f"destination {mine[1]}"
        for pattern, policy in self.sites:
            if hosts and all(matches(pattern, host) for host in hosts):
                return policy, f"site {pattern}"
        found = None
        if self.providers is not None and not routed:
            found = self.providers.match(destination, hosts)
        if found is not None and found.limits.tls is not None:
            asked = TlsPolicy(found.limits.tls)
            if stricter(asked, self.default) is asked:
                return asked, f"provider {found.name}"
        return self.default, "default"


@dataclass(frozen=True, slots=True)
class DialOptions:
    """What dialling needs of the configuration.

    Args:
        tls: The TLS policies.
        policy: Which addresses may be dialled.
        deadlines: Seconds per step.
        prove: Ask hosts for a valid certificate before one is taken that is not.
        chunking: Use BDAT where it is offered.
        cafile: Trusted certificates for verified sessions; None = the system's.
    """

    tls: TlsRules = field(default_factory=TlsRules)
    policy: AddressPolicy = field(default_factory=AddressPolicy)
    deadlines: Deadlines = field(default_factory=Deadlines)
    prove: bool = False
    chunking: bool = True
    cafile: str | None = None


class Dialler:
    """Opens sessions.

    Args:
        resolver: Finds the addresses of hosts, and the routes behind sites.
        options: From the configuration.
    """

    def __init__(self, resolver: Resolver, options: DialOptions) -> None:
        self._resolver = resolver
        self._options = options
        self._contexts = TlsContexts(options.cafile)

    def tls(self, destination: str, site: Site) -> TlsPolicy:
        """Return the TLS policy of a session to `site` for `destination`."""
        route = self._resolver.route(site.route) if site.route else None
        if route is not None and route.tls is not None:
            return route.tls
        hosts = [host.name for host in site.hosts]
        return self._options.tls.of(destination, hosts, routed=bool(site.route))

    async def dial(
        self, source: Source, site: Site, host: MxHost, destination: str
    ) -> Session | Rejected | Broke:
        """Open a session at one host of a site, or say why not."""
        addresses: list[str] | Unresolved
        if is_address(host.name):
            addresses = [host.name.strip("[]")]
        else:
            addresses = await self._resolver.addresses(host.name)
        if isinstance(addresses, Unresolved):
            return addresses.outcome
        if not addresses:
            detail = f"{host.name} has no address"
            return Broke(Stage.CONNECT, Cause.UNREACHABLE, detail)
        route = self._resolver.route(site.route) if site.route else None
        return await open_session(
            ConnectSpec(
                host=host.name,
                addresses=tuple(addresses),
                source=source,
                port=site.port,
                tls=self.tls(destination, site),
                prove=self._options.prove,
                contexts=self._contexts,
                credentials=None if route is None else route.credentials,
                policy=self._options.policy,
                deadlines=self._options.deadlines,
                chunking=self._options.chunking,
            )
        )
