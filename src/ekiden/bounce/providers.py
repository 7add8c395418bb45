"""Which provider a host or a domain belongs to, for the rules that hold at one provider only."""

from collections.abc import Iterable
from typing import Final

from ekiden.bounce.ruleset import ProviderSpec


class Providers:
    """A table of name endings.

    Args:
        specs: Providers with the ends of their hosts and domains; the longest end wins.
    """

    def __init__(self, specs: Iterable[ProviderSpec]) -> None:
        self._ends: Final[dict[str, str]] = {}
        for spec in specs:
            for end in (*spec.hosts, *spec.domains):
                self._ends.setdefault(end.lower(), spec.name)

    def of(self, mx: str, destination: str) -> str:
        """Return the provider's name, by its host first, then by the domain; "" if unknown.

        Args:
            mx: The host that answered, possibly with an address in brackets after it.
            destination: The recipient's domain.
        """
        for name in (mx, destination):
            if name and (found := self._by_end(name)):
                return found
        return ""

    def _by_end(self, name: str) -> str:
        rest = name.partition("[")[0].partition(" ")[0].rstrip(".").lower()[:255]
        while rest:
            if (found := self._ends.get(rest)) is not None:
                return found
            rest = rest.partition(".")[2]
        return ""
