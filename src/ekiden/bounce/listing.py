"""Which blocklist a reply speaks of, which of our addresses is on it, and where to ask for removal.

The removal page is taken from our own table if the list is known: a URL in a reply is a stranger's
word, and only shown when there is nothing better.
"""

import re
from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from typing import Final

from ekiden.bounce.model import Listing
from ekiden.bounce.reading import TEXT_CAP
from ekiden.bounce.ruleset import ListSpec

_IPV4: Final = re.compile(
    r"(?<![\d.])((?:25[0-5]|2[0-4]\d|1?\d?\d)(?:\.(?:25[0-5]|2[0-4]\d|1?\d?\d)){3})(?![\d.]*\d)"
)
_IPV6: Final = re.compile(
    r"(?<![\w:])((?:[0-9a-f]{1,4}:){2,7}:?[0-9a-f]{0,4})(?![\w:])", re.IGNORECASE
)
_URL: Final = re.compile(r"https?://[^\s<>\"'()\[\]]{4,300}", re.IGNORECASE)
_SAID: Final = re.compile(r"\[[\d.a-f:]+\]:? said:", re.IGNORECASE)


class Lists:
    """The known blocklists.

    Args:
        specs: Their names, the words that give them away, and their removal pages.
    """

    def __init__(self, specs: Iterable[ListSpec]) -> None:
        self._by_mark: Final = {mark: spec for spec in specs for mark in spec.marks}

    def named(self, words: AbstractSet[str], reply: str) -> Listing:
        """Return the listing that `reply` names; empty parts where it names none.

        Args:
            words: The reply's words as `reading` gives them.
            reply: The reply as received.
        """
        text = reply[:TEXT_CAP]
        # The receiver's own address stands before its words when a relay quotes them.
        if (quoted := _SAID.search(text)) is not None:
            text = text[quoted.end() :]
        found = _IPV4.search(text) or _IPV6.search(text)
        address = found.group(1) if found else ""
        # `Spamhaus's list` is one word with a second s at its end.
        marks = self._by_mark.keys() & (words | {word[:-1] for word in words if word[-1:] == "s"})
        if marks:
            spec = self._by_mark[min(marks, key=lambda mark: (-len(mark), mark))]
            return Listing(spec.name, address, spec.url.replace("{ip}", address))
        url = _URL.search(text)
        return Listing("", address, url.group().rstrip(".,;") if url else "")
