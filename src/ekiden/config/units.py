"""Values with units, as people write them and as the program computes with them.

```
duration   "10ms" "90s" "20h" "3d" "1d12h"   -> float seconds
size       "512B" "64KiB" "25MB"             -> int bytes
rate       "100/s" "500/d" "50 then 10m"     -> Rate(count, seconds, rest)
```

A bare number is refused: `lifetime = 3` says nothing about days. Every parser raises `ValueError`
with a sentence for a person and nothing else; every `format_` writes what its parser reads.
"""

import re
from dataclasses import dataclass
from typing import Final

_SECONDS: Final = {
    "ms": 0.001,
    "s": 1.0,
    "m": 60.0,
    "h": 3600.0,
    "d": 86_400.0,
    "w": 604_800.0,
}
_BYTES: Final = {
    "B": 1,
    "kB": 1000,
    "KB": 1000,
    "MB": 1000**2,
    "GB": 1000**3,
    "KiB": 1024,
    "MiB": 1024**2,
    "GiB": 1024**3,
}
_PERIODS: Final = {"s": 1.0, "min": 60.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}

# Digits are bounded so that no text can become a number that overflows a float.
_DURATION_PART: Final = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,6})?)(ms|s|m|h|d|w)")
_SIZE: Final = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,6})?) ?([A-Za-z]{1,3})")
_RATE: Final = re.compile(r"([0-9]{1,9}) ?/ ?([a-z]{1,3})")


@dataclass(frozen=True, slots=True)
class Rate:
    """At most `count` in any `seconds`; with `rest`, `count` and then nothing for `seconds`."""

    count: int
    seconds: float
    rest: bool = False

    def __str__(self) -> str:
        return format_rate(self)


def parse_duration(text: str) -> float:
    """Return the seconds that `text` says, such as "90s", "3d" or "1d12h".

    Raises:
        ValueError: It is not a duration; the message is for a person.
    """
    seconds, at = 0.0, 0
    while at < len(text):
        part = _DURATION_PART.match(text, at)
        if part is None:
            break
        seconds += float(part.group(1)) * _SECONDS[part.group(2)]
        at = part.end()
    if not text or at < len(text):
        raise ValueError('expected a duration such as "90s", "20h" or "3d"')
    return seconds


def format_duration(seconds: float) -> str:
    """Return `seconds` the way `parse_duration` reads it, in its largest whole unit."""
    if seconds == 0:
        return "0s"
    for unit in ("d", "h", "m", "s"):
        whole = seconds / _SECONDS[unit]
        if whole >= 1 and whole == int(whole):
            return f"{int(whole)}{unit}"
    milliseconds = round(seconds * 1000, 6)
    return f"{milliseconds:.6f}".rstrip("0").rstrip(".") + "ms"


def parse_size(text: str) -> int:
    """Return the bytes that `text` says, such as "64KiB" (1024s) or "25MB" (1000s).

    Raises:
        ValueError: It is not a size; the message is for a person.
    """
    found = _SIZE.fullmatch(text)
    if found is None or found.group(2) not in _BYTES:
        raise ValueError('expected a size such as "64KiB" or "25MB"')
    return int(float(found.group(1)) * _BYTES[found.group(2)])


def format_size(size: int) -> str:
    """Return `size` the way `parse_size` reads it, in its largest whole unit."""
    for unit in ("GB", "GiB", "MB", "MiB", "kB", "KiB"):
        if size and size % _BYTES[unit] == 0:
            return f"{size // _BYTES[unit]}{unit}"
    return f"{size}B"


def parse_rate(text: str) -> Rate:
    """Return the rate that `text` says, such as "100/s", "20/min", "500/d" or "50 then 10m".

    Raises:
        ValueError: It is not a rate; the message is for a person.
    """
    count, then, rest = text.partition(" then ")
    if then and count.isdecimal() and int(count) > 0:
        return Rate(int(count), parse_duration(rest), rest=True)
    found = _RATE.fullmatch(text)
    if found is None or found.group(2) not in _PERIODS or int(found.group(1)) == 0:
        raise ValueError('expected a rate such as "100/s", "20/min", "3000/h" or "500/d"')
    return Rate(int(found.group(1)), _PERIODS[found.group(2)])


def format_rate(rate: Rate) -> str:
    """Return `rate` the way `parse_rate` reads it."""
    if rate.rest:
        return f"{rate.count} then {format_duration(rate.seconds)}"
    unit = next(name for name, seconds in _PERIODS.items() if seconds == rate.seconds)
    return f"{rate.count}/{unit}"
