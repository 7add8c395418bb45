"""Which caps hold for a destination at its site: the configuration's layers over the providers'.

`default < provider < site < destination < source < configuration set`, laid over each other by
`shaping.layers`. The first four are one value for a site; what a source or a set says depends on
who sends, so the scheduler keeps it apart and lets it hold in the place of theirs
(`engine.schedule.own`). `ekiden config explain` prints what `effective` and `further` return.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from ekiden.config import Config, ConfigurationSet, DestinationLimits, Limits, SiteLimits, Source
from ekiden.config import Route as RouteSettings
from ekiden.config.pattern import first_match, matches
from ekiden.config.receivers import ProviderSettings
from ekiden.config.units import Rate as ConfigRate
from ekiden.engine.schedule.facts import SiteFacts
from ekiden.engine.sites import Site
from ekiden.shaping.caps import Caps, Rate
from ekiden.shaping.layers import KEYS, Effective, Layer, LimitSet, effective
from ekiden.shaping.providers import Avoid, Provider, Providers
from ekiden.shaping.reactions import Rule, overlaid, parse


def rates(given: Sequence[ConfigRate] | None) -> tuple[Rate, ...] | None:
    """Return the configuration's rates as shaping counts them."""
    return None if given is None else tuple(Rate(one.count, one.seconds, one.rest) for one in given)


def profiles(config: Config) -> Providers:
    """Return the providers' profiles with the operator's words over them.

    Raises:
        ConfigError: A reaction of the configuration is none.
    """
    own = []
    for name, said in config.providers.items():
        limits: dict[str, Any] = {
            key: rates(value) if key.endswith(("messages", "connections")) else value
            for key in KEYS
            if (value := getattr(said, key, None)) is not None
        }
        own.append(
            Provider(
                name=name,
                title=said.title,
                mx=tuple(mx.lower() for mx in said.mx),
                destinations=said.destinations,
                limits=LimitSet(**limits),
                sources=tuple((key, "your configuration") for key in limits),
                avoid=_avoid(config, said),
            )
        )
    return Providers.load().overlaid(Providers(own))


def _avoid(config: Config, said: ProviderSettings) -> Avoid | None:
    if said.avoid is None:
        return None
    clock = said.avoid_time_zone or config.hours.time_zone
    return Avoid(said.avoid, (), clock, "your configuration")


def reactions(config: Config) -> tuple[Rule, ...]:
    """Return what is done about receivers' replies: the operator's rules before the shipped.

    Raises:
        ConfigError: One of them is none.
    """
    own = []
    for one in config.reactions:
        table = {
            "name": one.name,
            "match": one.match,
            "class": one.klass,
            "after": one.after,
            "scope": one.scope,
            "action": one.action,
            "to": _number(one.to),
            "for": one.lasts,
        }
        own.append(parse(table, one.provider, "reaction"))
    return overlaid(profiles(config).rules(), own)


def _number(text: str) -> str | float | int:
    """Return what `to` says: a number of sessions, a share, or else a rate as it stands."""
    try:
        return int(text) if text.isdigit() else float(text)
    except ValueError:
        return text


class CapsBook:
    """Answers for every destination.

    Args:
        config: Its limits and routes.
        providers: The profiles.
    """

    def __init__(self, config: Config, providers: Providers) -> None:
        self._config = config
        self._providers = providers
        self._default = Layer("default", "", _default(config.limits))

    def effective(self, destination: str, site: Site, *senders: Layer) -> Effective:
        """Return the limits that hold, and which layer said each.

        Args:
            destination: The destination.
            site: Its site.
            senders: The source that it is for, and the set.
        """
        return effective([*self._layers(destination, site), *senders])

    def facts(self, destination: str, site: Site) -> SiteFacts:
        """Return what the scheduler needs to know of a destination at its site."""
        found = self.effective(destination, site)
        return SiteFacts(
            name=site.name,
            provider=self.provider(destination, site),
            destination_caps=found.destination_caps(),
            site_caps=found.site_caps(),
            provider_caps=found.provider_caps(),
            until=site.until,
            hosts=tuple(host.name for host in site.hosts),
            size=found.limits.size,
        )

    def provider(self, destination: str, site: Site) -> str:
        """Return the provider's name, "" when it is nobody known or a route leads elsewhere."""
        provider = self.profile(destination, site)
        return "" if provider is None else provider.name

    def profile(self, destination: str, site: Site) -> Provider | None:
        """Return its profile, None when it is nobody known or a route leads elsewhere."""
        if site.route:
            return None
        return self._providers.match(destination, [host.name for host in site.hosts])

    def _layers(self, destination: str, site: Site) -> list[Layer]:
        layers = [self._default]
        hosts = [host.name for host in site.hosts]
        limits = self._config.limits
        if site.route:
            # A reload may have taken the route away between the look-up and now.
            layers += [
                Layer("site", f"route {route.pattern}", _of_site(route))
                for route in self._config.routes
                if route.pattern == site.route
            ]
        else:
            provider = self._providers.match(destination, hosts)
            if provider is not None:
                layers.append(provider.layer())
        for one in limits.sites:
            if hosts and all(matches(one.mx, host) for host in hosts):
                layers.append(Layer("site", one.mx, _of_site(one)))
                break
        mine = first_match([(one.pattern, one) for one in limits.destinations], destination)
        if mine is not None:
            layers.append(Layer("destination", mine.pattern, _of_destination(mine)))
        return layers


def source_caps(limits: Limits, max_sessions: int | None, own: Sequence[ConfigRate] | None) -> Caps:
    """Return the caps over everything that leaves from one source."""
    return Caps(
        sessions=limits.sessions_per_source if max_sessions is None else max_sessions,
        messages=rates(limits.rates_per_source if own is None else own) or (),
    )


def site_caps(said: Source | ConfigurationSet) -> Caps:
    """Return what a source or a set says in place of what is said of a site."""
    return Caps(
        sessions=said.sessions_per_site,
        messages=rates(said.rates_per_site) or (),
        messages_per_session=said.messages_per_session,
    )


def set_caps(config: Config) -> dict[str, Caps]:
    """Return the caps of the configuration sets that have some of their own."""
    every = {name: site_caps(one) for name, one in config.configuration_sets.items()}
    return {name: caps for name, caps in every.items() if caps.said}


def further(config: Config, *, source: bool, of_set: bool) -> list[tuple[str, str, str]]:
    """Return (limit, value, layer) of what sources and sets say, for those not asked about.

    Args:
        config: The configuration.
        source: Whether a source was asked about: then the others do not matter.
        of_set: Likewise, a set.
    """
    rows = []
    layers = [] if source else [source_layer(one) for one in config.sources]
    if not of_set:
        layers += [set_layer(name, one) for name, one in config.configuration_sets.items()]
    for layer in layers:
        for key, value, by in effective([layer]).explain():
            if by and not key.startswith("destination_"):
                rows.append((f"{key} of {layer.name}", value, by))
    return rows


def source_layer(source: Source) -> Layer:
    """Return what a source says of sites and destinations."""
    return Layer("source", source.name, _of_sender(source))


def set_layer(name: str, said: ConfigurationSet) -> Layer:
    """Return what a set says of sites and destinations, and of TLS."""
    return Layer("configuration set", name, replace(_of_sender(said), tls=said.tls))


def _of_sender(said: Source | ConfigurationSet) -> LimitSet:
    return LimitSet(
        destination_sessions=said.sessions_per_site,
        destination_messages=rates(said.rates_per_site),
        sessions=said.sessions_per_site,
        messages=rates(said.rates_per_site),
        messages_per_session=said.messages_per_session,
    )


def _default(limits: Limits) -> LimitSet:
    return LimitSet(
        destination_sessions=limits.sessions_per_destination,
        destination_messages=rates(limits.rates_per_destination),
        sessions=limits.sessions_per_site,
        messages=rates(limits.rates_per_site),
        messages_per_session=limits.messages_per_session,
    )


def _of_site(said: SiteLimits | RouteSettings) -> LimitSet:
    return LimitSet(
        # A cap over the site that the default for one destination would undercut is meant to hold.
        destination_sessions=said.max_sessions,
        sessions=said.max_sessions,
        messages=rates(said.rates),
        messages_per_session=said.messages_per_session,
    )


def _of_destination(said: DestinationLimits) -> LimitSet:
    return LimitSet(
        destination_sessions=said.max_sessions,
        destination_messages=rates(said.rates),
        messages_per_session=said.messages_per_session,
    )
