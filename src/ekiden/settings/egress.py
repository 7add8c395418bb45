"""Where mail leaves and which way it goes: sources, names, routes, TLS, how sessions are opened."""

import random
import socket
from collections.abc import Callable, Sequence

from ekiden.config import Config
from ekiden.config import Route as RouteConfig
from ekiden.engine.capsbook import profiles, site_caps, source_caps
from ekiden.engine.dialler import DialOptions, TlsRules
from ekiden.engine.resolver import Resolver, ResolverOptions
from ekiden.engine.routes import Credentials, Route
from ekiden.engine.schedule.facts import SourceFacts
from ekiden.engine.sources import Source, own_addresses
from ekiden.engine.tls import TlsPolicy
from ekiden.errors import ConfigError
from ekiden.networks import AddressPolicy


def hostname(config: Config) -> str:
    """Return our name in EHLO where a source has none of its own."""
    return config.delivery.hostname or socket.getfqdn()


def sources(config: Config) -> dict[str, Source]:
    """Return the egress sources by name; one that leaves the address to the system if none is set.

    Raises:
        ConfigError: A source's EHLO name is none.
    """
    own = hostname(config)
    if not config.sources:
        return {"default": _source("default", own, ())}
    return {
        source.name: _source(
            source.name, source.ehlo or own, (source.address, source.address6 or source.address)
        )
        for source in config.sources
    }


def _source(name: str, ehlo: str, addresses: Sequence[object]) -> Source:
    texts = [str(address) for address in addresses]
    try:
        return Source(
            name=name,
            ehlo=ehlo,
            ip4=next((text for text in texts if ":" not in text), None),
            ip6=next((text for text in texts if ":" in text), None),
        )
    except ValueError as error:
        raise ConfigError(
            str(error),
            where=f"source {name}",
            remedy="set ehlo, or delivery.hostname, to this machine's full name",
        ) from error


def source_facts(config: Config) -> tuple[SourceFacts, ...]:
    """Return the sources as the scheduler knows them, with the pools they serve."""
    if not config.sources:
        return (SourceFacts("default", ("",), source_caps(config.limits, None, None)),)
    pools: dict[str, list[str]] = {source.name: [] for source in config.sources}
    for pool in config.pools:
        for name in pool.sources:
            pools[name].append(pool.name)
            if pool.default:
                pools[name].append("")
    if not any("" in served for served in pools.values()):
        for served in pools.values():
            served.append("")
    return tuple(
        SourceFacts(
            source.name,
            tuple(pools[source.name]),
            source_caps(config.limits, source.max_sessions, source.rates),
            site_caps(source),
        )
        for source in config.sources
    )


def resolver(config: Config, now: Callable[[], float]) -> Resolver:
    """Return the resolver, its routes' passwords read."""
    egress = sources(config)
    options = ResolverOptions(
        nameservers=tuple((server.address, server.port) for server in config.dns.nameservers),
        timeout=config.dns.timeout,
        routes=tuple(_routes(config)),
        own_hosts=frozenset({hostname(config), *(source.ehlo for source in egress.values())}),
        ipv6=any(source.ip6 for source in egress.values()),
        port=config.delivery.port,
    )
    return Resolver(options, rng=random.Random(), wall=now)  # noqa: S311 - spreads load only


def _routes(config: Config) -> list[Route]:
    routes = []
    for route in config.routes:
        credentials = None
        if route.user and route.password_file is not None:
            try:
                lines = route.password_file.read_text(encoding="utf-8").splitlines()
            except OSError as error:
                raise ConfigError(
                    f"the password cannot be read: {error.strerror}",
                    where=str(route.password_file),
                    remedy="write it into the file's first line, readable by the daemon alone",
                ) from error
            credentials = Credentials(route.user, lines[0] if lines else "")
        routes.append(_route(route, credentials))
    return routes


def routes_without_passwords(config: Config) -> list[Route]:
    """Return the static routes for whoever asks where mail goes, and sends none."""
    return [
        _route(
            one, Credentials(one.user, "") if one.user and one.password_file is not None else None
        )
        for one in config.routes
    ]


def _route(route: RouteConfig, credentials: Credentials | None) -> Route:
    tls = None if route.tls is None else TlsPolicy(route.tls)
    return Route(route.pattern, route.host, route.port, credentials, tls, route.group)


def dialling(config: Config) -> DialOptions:
    """Return what opening sessions needs."""
    tls = config.tls
    return DialOptions(
        tls=TlsRules(
            default=TlsPolicy(tls.policy),
            destinations=tuple((one.pattern, TlsPolicy(one.policy)) for one in tls.destinations),
            sites=tuple((one.mx, TlsPolicy(one.policy)) for one in tls.sites),
            providers=profiles(config),
        ),
        policy=AddressPolicy(
            allowed=config.delivery.allow_networks,
            own=own_addresses(sources(config).values()),
        ),
        prove=any(one.tls == "verified" for one in config.configuration_sets.values()),
        chunking=config.delivery.chunking,
        cafile=None if tls.ca_file is None else str(tls.ca_file),
    )
