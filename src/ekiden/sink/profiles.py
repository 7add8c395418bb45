"""Provider profiles: the numbers and the words of the receivers that the sink plays.

`profiles.toml` is the data and its head explains the fields. A profile is chosen by the recipient's
domain: an explicit hosting table first (a company's domain at a provider), then the globs of each
profile in the order of the file, and `generic` when nothing fits.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import cache
from importlib import resources
from typing import Final, Literal

import msgspec

GENERIC: Final = "generic"
_REMEMBERED: Final = 100_000  # domains whose profile is not looked up twice


class Words(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One reply and where its wording was read.

    Args:
        reply: The code, then the text; further lines without code.
        source: The page or sample; "ours" when nothing was found in print.
    """

    reply: str
    source: str


class Profile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One provider; the fields are explained in `profiles.toml`."""

    title: str
    domains: tuple[str, ...]
    hosts: tuple[str, ...]
    sessions: int
    messages: int
    recipients: int
    rate: float
    size: int
    tls: Literal["offered", "required", "none"]
    extensions: tuple[Literal["PIPELINING", "8BITMIME", "SMTPUTF8", "CHUNKING"], ...]
    source: str
    replies: dict[str, Words]
    name: str = ""
    resets: bool = False


@dataclass(frozen=True, slots=True)
class Profiles:
    """All profiles, and which domain belongs to which.

    Args:
        by_name: Every profile; `generic` is always among them.
        hosted: Domain to profile name, for domains that no glob knows.
    """

    by_name: Mapping[str, Profile]
    hosted: Mapping[str, str] = field(default_factory=dict)
    _known: dict[str, Profile] = field(default_factory=dict, repr=False)

    def of(self, domain: str) -> Profile:
        """Return the profile that plays the receiver of `domain`."""
        profile = self._known.get(domain)
        if profile is None:
            profile = self._find(domain.casefold().rstrip("."))
            if len(self._known) < _REMEMBERED:
                self._known[domain] = profile
        return profile

    def _find(self, domain: str) -> Profile:
        name = self.hosted.get(domain)
        if name is not None:
            return self.by_name[name]
        for profile in self.by_name.values():
            if profile.name != GENERIC and any(fnmatchcase(domain, g) for g in profile.domains):
                return profile
        return self.by_name[GENERIC]


def reply_lines(words: str) -> bytes:
    r"""Return the reply as it goes on the wire (RFC 5321 section 4.2.1), CRLF included.

    Args:
        words: The code and text; further lines, without code, after newlines.
    """
    code, _, text = words.partition(" ")
    *first, last = text.split("\n")
    lines = [f"{code}-{line}" for line in first] + [f"{code} {last}"]
    return "".join(f"{line}\r\n" for line in lines).encode("utf-8", "replace")


@cache
def load_profiles() -> Mapping[str, Profile]:
    """Read the shipped profiles; an occasion without words of its own gets those of `generic`.

    Raises:
        msgspec.ValidationError: The shipped file is broken.
    """
    raw = resources.files("ekiden.sink").joinpath("profiles.toml").read_bytes()
    tables = msgspec.toml.decode(raw, type=dict[str, Profile])
    generic = tables[GENERIC].replies
    return {
        name: msgspec.structs.replace(table, name=name, replies=generic | table.replies)
        for name, table in tables.items()
    }
