"""Regular expressions that take too long on what a hostile receiver may send. Pure.

Python's `re` backtracks: a pattern such as `(a+)+b` takes twice as long for each further `a`. The
clock is handed in, so this room stays pure; replies are capped at `REPLY_BYTES`, so a pattern that
is slow on none of the tries below is bounded in practice.
"""

import re
from collections.abc import Callable, Iterator
from typing import Final

REPLY_BYTES: Final = 2_000  # of a reply that patterns are tried on
BOUND: Final = 0.05  # seconds that one reply may take
_GROWTH: Final = (12, 18, 24, 32, 64, 256, 1_000, REPLY_BYTES)
_REPEATED: Final = re.compile(r"\\.|\[[^\]]*\]|[A-Za-z0-9 .-]")


def seconds(pattern: re.Pattern[str], clock: Callable[[], float]) -> float:
    """Return the longest that a search took, in seconds; it stops at the first beyond `BOUND`.

    Args:
        pattern: The pattern.
        clock: Seconds that pass.
    """
    worst = 0.0
    # From short to long, each length for all: an exponential pattern shows before it hurts.
    for length in _GROWTH:
        for text in _tries(pattern.pattern, length):
            began = clock()
            pattern.search(text)
            worst = max(worst, clock() - began)
            if worst > BOUND:
                return worst
    return worst


def _tries(pattern: str, length: int) -> Iterator[str]:
    """Yield replies that keep a pattern busy: its own pieces over and over, and no match."""
    pieces = {_sample(piece) for piece in _REPEATED.findall(pattern)} | {"a", "0", " ", "."}
    for piece in sorted(pieces):
        yield "450 " + piece * length + "!"
    literal = re.sub(r"[^A-Za-z0-9 ]", "", pattern) or "a"
    yield (literal * (length // len(literal) + 1))[:length] + "!"


def _sample(piece: str) -> str:
    classes = {r"\d": "1", r"\w": "a", r"\s": " ", r"\S": "a", r"\D": "a", r"\W": "-", r"\b": "a"}
    if piece[0] == "[":
        return next((one for one in piece[1:] if one.isalnum()), "a")
    return classes.get(piece, piece[-1])
