"""Patterns over destinations and hosts, one meaning everywhere.

```
example.com      that domain alone
*.example.com    every domain below it, not itself
*                every domain
```

Names are compared as DNS does: without case and without the final dot. Internationalised names are
A-labels, as they are in the queue.
"""

import re
from collections.abc import Iterable
from typing import Final, TypeVar

T = TypeVar("T")

_PATTERN: Final = re.compile(
    r"\*|(?:\*\.)?(?=.{1,253}\Z)[a-z0-9_](?:[a-z0-9_-]{0,62})(?:\.[a-z0-9_][a-z0-9_-]{0,62})*"
)


def normal(name: str) -> str:
    """Return `name` as names are compared: lower case, without the final dot."""
    return name.lower().removesuffix(".")


def matches(pattern: str, name: str) -> bool:
    """Return whether `pattern` covers the destination or host `name`."""
    pattern, name = normal(pattern), normal(name)
    if pattern == "*":
        return True
    if pattern.startswith("*."):
        return name.endswith(pattern[1:]) and len(name) > len(pattern) - 1
    return name == pattern


def first_match(choices: Iterable[tuple[str, T]], name: str) -> T | None:
    """Return what stands beside the first pattern that covers `name`; None when none does."""
    return next((value for pattern, value in choices if matches(pattern, name)), None)


def wrong_pattern(pattern: str) -> str:
    """Return what is wrong with `pattern`, as the start of a sentence; "" when nothing is."""
    if _PATTERN.fullmatch(normal(pattern)):
        return ""
    if not pattern.isascii():
        return "expected a domain in A-labels (xn--...)"
    return 'expected "example.com", "*.example.com" or "*"'
