"""The demo's world: providers, destinations, DNS records and recipients, all of it made up.

`build_world` is pure arithmetic over `world.toml` and `profiles.toml`: the same arguments give the
same world, so that two runs can be compared. Nothing here listens; `demo.py` starts it.
"""

import socket
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Final, Literal

import idna
import msgspec

from ekiden.sink.dns import Fault
from ekiden.sink.people import Person, people
from ekiden.sink.profiles import GENERIC, Profile, load_profiles
from ekiden.sink.server import Place

RECIPIENTS: Final = 2000
SENDER_DOMAIN: Final = "news.ekiden.example"
_PER_MILLE: Final = 1000
_FEW: Final = 3  # destinations of a provider that are all its own; more are hosted companies
_NET: Final = "127.0."


class _Provider(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    profile: str
    zone: str
    recipients: int
    destinations: tuple[str, ...]


class _Trouble(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    destination: str
    kind: Literal["null_mx", "nxdomain", "servfail"]
    recipients: int
    state: str


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    provider: tuple[_Provider, ...]
    trouble: tuple[_Trouble, ...]


@dataclass(frozen=True, slots=True)
class World:
    """A world, ready to be started.

    Args:
        places: Where the sink listens, all on one port.
        hosted: Destination to profile name.
        providers: Destination to profile name, those with DNS trouble under `dns`.
        records: What the DNS server knows.
        faults: The names for which it fails.
        recipients: Everybody, their destinations interleaved.
        titles: Profile name to what people call it, in the order of the world.
    """

    places: tuple[Place, ...]
    hosted: Mapping[str, str]
    providers: Mapping[str, str]
    records: Mapping[str, Mapping[str, Sequence[str]]]
    faults: Mapping[str, Fault]
    recipients: tuple[Person, ...]
    titles: Mapping[str, str]

    @property
    def destinations(self) -> tuple[str, ...]:
        """Every recipient domain, as A-labels, sorted."""
        return tuple(sorted(self.providers))

    def provider_of(self, destination: str) -> str:
        """Return the title of the provider of a destination; `-` if it is not of this world."""
        return self.titles.get(self.providers.get(destination.casefold(), ""), "-")


def ascii_domain(domain: str) -> str:
    """Return the domain as A-labels."""
    return domain if domain.isascii() else idna.encode(domain, uts46=True).decode("ascii")


def many_loopbacks() -> bool:
    """Whether this machine answers on all of 127.0.0.0/8 (Linux does, macOS and BSD do not)."""
    with socket.socket() as probe:
        try:
            probe.bind((f"{_NET}10.1", 0))
        except OSError:
            return False
    return True


def build_world(
    port: int,
    *,
    recipients: int = RECIPIENTS,
    spread: bool = True,
    sender_records: Mapping[str, Mapping[str, Sequence[str]]] | None = None,
) -> World:
    """Make the world.

    Args:
        port: The port on which every receiver listens.
        recipients: How many people there are.
        spread: An address of 127.0.0.0/8 for every MX host; otherwise all of them are 127.0.0.1,
            and the recipient's domain decides who answers.
        sender_records: The DNS records of the sender (SPF, DKIM, DMARC and the like).
    """
    raw = resources.files("ekiden.sink").joinpath("world.toml").read_bytes()
    file = msgspec.toml.decode(raw, type=_File)
    profiles = load_profiles()
    builder = _Builder(profiles, port, spread=spread)
    for index, provider in enumerate(file.provider):
        builder.add(provider, index)
    for trouble in file.trouble:
        builder.add_trouble(trouble)
    seats = _seats(file, recipients)
    titles = {one.profile: profiles[one.profile].title for one in file.provider}
    return World(
        places=tuple(builder.places) if spread else (Place("127.0.0.1", port),),
        hosted=builder.hosted,
        providers=builder.providers,
        records={**builder.records, **(sender_records or {})},
        faults=builder.faults,
        recipients=tuple(people(seats)),
        titles={**titles, "dns": "(DNS trouble)"},
    )


def sender_zone(dkim: Mapping[str, str]) -> dict[str, dict[str, list[str]]]:
    """Return the DNS records of the demo's sender.

    Args:
        dkim: Selector to the text of its record (`v=DKIM1; ...`).
    """
    records = {
        SENDER_DOMAIN: {
            "A": ["127.0.0.1"],
            "MX": [f"10 mail.{SENDER_DOMAIN}."],
            "TXT": ['"v=spf1 ip4:127.0.0.0/8 -all"'],
        },
        f"mail.{SENDER_DOMAIN}": {"A": ["127.0.0.1"]},
        f"_dmarc.{SENDER_DOMAIN}": {
            "TXT": [f'"v=DMARC1; p=reject; rua=mailto:dmarc@{SENDER_DOMAIN}"']
        },
        "1.0.0.127.in-addr.arpa": {"PTR": [f"mail.{SENDER_DOMAIN}."]},
    }
    for selector, text in dkim.items():
        records[f"{selector}._domainkey.{SENDER_DOMAIN}"] = {"TXT": [quoted(text)]}
    return records


def quoted(text: str) -> str:
    """Return a TXT record's text in presentation format, in strings of at most 255 octets."""
    parts = [text[start : start + 255] for start in range(0, len(text), 255)]
    return " ".join(f'"{part}"' for part in parts)


class _Builder:
    def __init__(self, profiles: Mapping[str, Profile], port: int, *, spread: bool) -> None:
        self._profiles = profiles
        self._port = port
        self._spread = spread
        self.places: list[Place] = []
        self.hosted: dict[str, str] = {}
        self.providers: dict[str, str] = {}
        self.records: dict[str, dict[str, list[str]]] = {}
        self.faults: dict[str, Fault] = {}

    def add(self, provider: _Provider, index: int) -> None:
        profile = self._profiles[provider.profile]
        if provider.zone:
            exchangers = [
                self._host(f"{label}.{provider.zone}", profile, f"{_NET}{10 + index}.{number}")
                for number, label in enumerate(profile.hosts, 1)
            ]
            for destination in provider.destinations:
                self._destination(ascii_domain(destination), profile.name, exchangers)
            return
        for number, destination in enumerate(provider.destinations, 1):
            domain = ascii_domain(destination)
            host = domain if destination.startswith("fallback-a") else f"mx.{domain}"
            made = self._host(host, profile, f"{_NET}{10 + index}.{number}", site=domain)
            exchangers = [made]
            if destination.startswith("two-hosts"):
                # The preferred host has an address where nobody listens: the next one is asked.
                self.records[f"down.{domain}"] = {"A": [f"{_NET}9.9"]}
                exchangers = [f"down.{domain}", made]
            self._destination(domain, profile.name, [] if host == domain else exchangers)

    def add_trouble(self, trouble: _Trouble) -> None:
        self.providers[trouble.destination] = "dns"
        if trouble.kind == "null_mx":
            self.records[trouble.destination] = {"MX": ["0 ."]}
        elif trouble.kind == "servfail":
            self.faults[trouble.destination] = Fault.SERVFAIL

    def _host(self, name: str, profile: Profile, address: str, site: str = "") -> str:
        self.records.setdefault(name, {})["A"] = [address if self._spread else "127.0.0.1"]
        self.places.append(
            Place(address, self._port, profile.name, name, site=site or profile.name)
        )
        return name

    def _destination(self, domain: str, profile: str, exchangers: Sequence[str]) -> None:
        self.providers[domain] = profile
        if profile != GENERIC:
            self.hosted[domain] = profile
        if exchangers:
            self.records.setdefault(domain, {})["MX"] = [
                f"{10 * preference} {host}." for preference, host in enumerate(exchangers, 1)
            ]


def _seats(file: _File, total: int) -> Iterator[str]:
    """Yield a destination per recipient: shares as in the file, evenly interleaved."""
    troubles = [one.destination for one in file.trouble for _ in range(one.recipients)]
    troubles = troubles[: total // 10]
    shares = [one.recipients for one in file.provider]
    given = [0] * len(shares)
    plain = total - len(troubles)
    for number in range(1, plain + 1):
        # Whoever is furthest behind its share is next: no provider's people come in a row.
        behind = [
            number * share / _PER_MILLE - have for share, have in zip(shares, given, strict=True)
        ]
        index = behind.index(max(behind))
        provider = file.provider[index]
        yield _destination_of(provider, given[index])
        given[index] += 1
    yield from troubles


def _destination_of(provider: _Provider, turn: int) -> str:
    """Return where a provider's `turn`-th person is: with companies aboard, every other at home."""
    count = len(provider.destinations)
    if not provider.zone or count <= _FEW:
        return provider.destinations[turn % count]
    return provider.destinations[0 if turn % 2 else turn // 2 % count]
