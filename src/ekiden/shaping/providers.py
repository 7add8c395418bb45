"""Provider profiles: what each mailbox provider asks of senders, with where it says so.

A provider is matched by the recipient's domain, or by its MX hosts: every host of the site must end
in one of its suffixes, because a backup MX elsewhere means somebody else's limits. The profiles are
data (`providers.toml`); an operator's own are laid over them by name.
"""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from functools import cache
from importlib.resources import files
from typing import Any, Final

from ekiden.errors import ConfigError
from ekiden.localtime import Span, zone
from ekiden.shaping.caps import Rate
from ekiden.shaping.layers import KEYS, Layer, LimitSet
from ekiden.shaping.reactions import Rule, overlaid, parse

NAMES_KEPT: Final = 4096  # answers to (MX host, destination)
OURS: Final = "ours"  # how the source of a value begins that no provider published
_WILD: Final = frozenset("*?[")
_TLS: Final = frozenset({"opportunistic", "required", "verified", "off"})
_LISTS: Final = ("mx", "destinations", "read", "unread")
_FIELDS: Final = frozenset({"title", *_LISTS, "notes", "limits", "avoid", "reactions"})
_AVOID: Final = frozenset({"bulk", "transactional", "time_zone", "source"})


@dataclass(frozen=True, slots=True)
class Avoid:
    """When mail should not begin at a provider.

    Args:
        bulk: Clock times for bulk mail ("*:00-*:05").
        transactional: The same for transactional mail.
        time_zone: Whose clock.
        source: Where it was read; begins with "ours" where nobody says.
    """

    bulk: tuple[str, ...]
    transactional: tuple[str, ...]
    time_zone: str
    source: str


ANY: Final = "any"  # the table of what every receiver's replies are read for


@dataclass(frozen=True, slots=True)
class Provider:
    """One provider's profile.

    Args:
        name: What rules, events and commands call it.
        title: What people call it.
        mx: Suffixes of host names, each with its leading dot, or whole names.
        destinations: Patterns over the recipient's domain.
        limits: What it asks.
        sources: Where each limit was read, by key; it begins with "ours" where nobody says.
        notes: What an operator should know.
        avoid: When mail should not begin there.
        reactions: What is done about its replies.
        read: The pages that were read for it, as they are cited.
        unread: Addresses known from practice that were not opened: they may have moved.
    """

    name: str
    title: str
    mx: tuple[str, ...] = ()
    destinations: tuple[str, ...] = ()
    limits: LimitSet = LimitSet()  # noqa: RUF009  frozen, without state
    sources: tuple[tuple[str, str], ...] = ()
    notes: str = ""
    avoid: Avoid | None = None
    reactions: tuple[Rule, ...] = ()
    read: tuple[str, ...] = ()
    unread: tuple[str, ...] = ()

    def has_host(self, host: str) -> bool:
        """Whether an MX host is one of its own."""
        host = host.lower().rstrip(".")
        return any(host.endswith(mx) if mx[0] == "." else host == mx for mx in self.mx)

    def has_destination(self, destination: str) -> bool:
        """Whether a recipient domain is one of its own, whatever its MX says."""
        return any(fnmatchcase(destination, pattern) for pattern in self.destinations)

    def layer(self) -> Layer:
        """Return its limits as a layer."""
        return Layer("provider", self.name, self.limits)


class Providers:
    """All profiles, in order: the first that matches decides."""

    def __init__(self, providers: Sequence[Provider]) -> None:
        self._by_name = {provider.name: provider for provider in providers}
        self._order = tuple(self._by_name.values())
        self._by_mx: dict[str, list[int]] = {}  # places in the order, by host or ".suffix"
        self._by_domain: dict[str, list[int]] = {}  # likewise, by destination or ".suffix"
        self._wild: list[tuple[str, int]] = []  # destinations that are other patterns than "*.x"
        for place, provider in enumerate(self._order):
            for mx in provider.mx:
                self._by_mx.setdefault(mx, []).append(place)
            for pattern in provider.destinations:
                name = pattern[1:] if pattern.startswith("*.") else pattern
                if _WILD.isdisjoint(name):
                    self._by_domain.setdefault(name, []).append(place)
                else:
                    self._wild.append((pattern, place))

    @staticmethod
    def load() -> "Providers":
        """Return the profiles that are shipped; they are read once in a process."""
        return _shipped()

    @classmethod
    def parse(cls, tables: Mapping[str, Any], where: str) -> "Providers":
        """Return the profiles of a TOML document.

        Args:
            tables: The document.
            where: What it is called, for errors.

        Raises:
            ConfigError: A table is no profile.
        """
        return cls([_provider(name, table, where) for name, table in tables.items()])

    def __iter__(self) -> Any:
        return (provider for name, provider in self._by_name.items() if name != ANY)

    def __getitem__(self, name: str) -> Provider:
        return self._by_name[name]

    def overlaid(self, own: "Providers") -> "Providers":
        """Return these with an operator's own before them; same names are merged key by key."""
        merged = [
            _over(self._by_name[provider.name], provider)
            if provider.name in self._by_name
            else provider
            for provider in own
        ]
        names = {provider.name for provider in merged}
        return Providers([*merged, *(each for each in self if each.name not in names)])

    def rules(self) -> tuple[Rule, ...]:
        """Return every reaction, the providers' own before those to every receiver."""
        every = sorted(self._by_name.values(), key=lambda provider: provider.name == ANY)
        return tuple(rule for provider in every for rule in provider.reactions)

    def match(self, destination: str, hosts: Sequence[str]) -> Provider | None:
        """Return the provider of a destination, None when it is nobody known.

        Args:
            destination: The recipient's domain, lower case.
            hosts: The names of its MX hosts.
        """
        found = _places(self._by_domain, destination)
        found += [place for pattern, place in self._wild if fnmatchcase(destination, pattern)]
        if not found and hosts:
            each = [_places(self._by_mx, host.lower().rstrip(".")) for host in hosts]
            found = each[0] if len(each) == 1 else list(set.intersection(*map(set, each)))
        return self._order[min(found)] if found else None


def _places(index: Mapping[str, list[int]], name: str) -> list[int]:
    """Return the places that an index has for a name: a look-up for each of its labels."""
    found = list(index.get(name, ()))
    dot = name.find(".")
    while dot >= 0:
        found += index.get(name[dot:], ())
        dot = name.find(".", dot + 1)
    return found


@cache
def _shipped() -> Providers:
    text = files("ekiden.shaping").joinpath("providers.toml").read_text(encoding="utf-8")
    return Providers.parse(tomllib.loads(text), "providers.toml")


class Names:
    """Names the provider of (MX host, destination): one answer for all who ask after the fact.

    Every event asks, and most are of few destinations: answers are kept, `NAMES_KEPT` at most.

    Args:
        providers: The profiles.
    """

    def __init__(self, providers: Providers) -> None:
        self.reconfigure(providers)

    def reconfigure(self, providers: Providers) -> None:
        """Take over other profiles: whoever holds this asks them from now on."""
        self._providers = providers
        self._known: dict[tuple[str, str], str] = {}

    def __call__(self, host: str, destination: str) -> str:
        """Return the provider's name, "" for nobody known.

        Args:
            host: The MX host that answered; "" if none did.
            destination: The recipient's domain, lower case.
        """
        known = self._known.get((host, destination))
        if known is None:
            found = self._providers.match(destination, (host,) if host else ())
            known = found.name if found else ""
            if len(self._known) >= NAMES_KEPT:
                self._known.clear()
            self._known[host, destination] = known
        return known


def _over(base: Provider, own: Provider) -> Provider:
    said = {key: value for key in KEYS if (value := getattr(own.limits, key)) is not None}
    return replace(
        base,
        title=own.title or base.title,
        mx=own.mx or base.mx,
        destinations=own.destinations or base.destinations,
        limits=replace(base.limits, **said),
        sources=tuple({**dict(base.sources), **dict(own.sources)}.items()),
        notes=own.notes or base.notes,
        avoid=own.avoid or base.avoid,
        reactions=overlaid(base.reactions, own.reactions),
        read=own.read or base.read,
        unread=own.unread or base.unread,
    )


def _provider(name: str, table: Mapping[str, Any], where: str) -> Provider:
    place = f"{where}, [{name}]"
    unknown = sorted(set(table) - _FIELDS)
    if unknown:
        raise ConfigError(
            f"{unknown[0]!r} is no key of a provider",
            where=place,
            remedy=f"use one of {', '.join(sorted(_FIELDS))}",
        )
    values: dict[str, Any] = {}
    sources: list[tuple[str, str]] = []
    for key, entry in table.get("limits", {}).items():
        values[key], source = _limit(key, entry, f"{place}, limits.{key}")
        sources.append((key, source))
    for mx in table.get("mx", ()):
        if not mx or mx != mx.lower():
            raise ConfigError(f"{mx!r} is no host name", where=place, remedy="write it lower case")
    lists = {key: tuple(table.get(key, ())) for key in _LISTS}
    return Provider(
        name=name,
        title=table.get("title", name),
        **lists,
        limits=LimitSet(**values),
        sources=tuple(sources),
        notes=table.get("notes", "").strip(),
        avoid=_avoid(table["avoid"], place) if "avoid" in table else None,
        reactions=tuple(
            parse(one, "" if name == ANY else name, place, general=name == ANY)
            for one in table.get("reactions", ())
        ),
    )


def _avoid(table: Any, where: str) -> Avoid:
    if not isinstance(table, Mapping) or not set(table) <= _AVOID or "source" not in table:
        raise ConfigError(
            f"avoid has {', '.join(sorted(_AVOID))}",
            where=where,
            remedy='say where it comes from; "ours" when nobody published it',
        )
    found = Avoid(
        tuple(table.get("bulk", ())),
        tuple(table.get("transactional", ())),
        table.get("time_zone", "UTC"),
        str(table["source"]),
    )
    try:
        for text in (*found.bulk, *found.transactional):
            Span.parse(text)
        zone(found.time_zone)
    except ValueError as error:
        raise ConfigError(str(error), where=f"{where}, avoid") from error
    return found


def _limit(key: str, entry: Any, where: str) -> tuple[Any, str]:
    if key not in KEYS:
        raise ConfigError(
            f"{key!r} is no limit", where=where, remedy=f"use one of {', '.join(KEYS)}"
        )
    if not isinstance(entry, Mapping) or set(entry) != {"value", "source"}:
        raise ConfigError(
            "a limit is { value = ..., source = ... }",
            where=where,
            remedy='say where the number comes from; "ours" when nobody published one',
        )
    return _value(key, entry["value"], where), str(entry["source"])


def _value(key: str, value: Any, where: str) -> Any:
    if key == "tls":
        if value not in _TLS:
            raise ConfigError(f"{value!r} is no TLS policy", where=where, remedy=", ".join(_TLS))
        return value
    if key.endswith(("messages", "connections")):
        try:
            return tuple(Rate.parse(text) for text in value)
        except (TypeError, ValueError) as error:
            raise ConfigError(str(error), where=where, remedy='a list such as ["10/s"]') from error
    if type(value) is not int or value < 1:
        raise ConfigError(f"{value!r} is no positive whole number", where=where)
    return value
