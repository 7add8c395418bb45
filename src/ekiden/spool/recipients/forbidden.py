"""What no value may bring into a message (docs/hostile.md M1); nothing is stripped in silence."""

import re
from collections.abc import Sequence
from typing import Final

from ekiden.spool.recipients.decoding import MARK, marked

_FORBIDDEN: Final = re.compile("[\r\n\0]")
_NAMES: Final = {"\r": "CR", "\n": "LF", "\0": "NUL"}


def innocent(rows: list[list[str]]) -> bool:
    """Return whether no field of a plain block holds a NUL or an undecodable byte."""
    text = "".join(map("".join, rows))
    return "\0" not in text and not marked(text)


def forbidden(values: Sequence[str], names: Sequence[str]) -> str:
    """Return which column of a row holds what no message may; "" when none does."""
    for name, value in zip(names, values, strict=True):
        if reason := forbidden_value(value):
            return f"column `{name}` holds {reason}"
    return ""


def forbidden_value(value: str) -> str:
    """Return what keeps a value from entering a message, in words; "" when it may."""
    if found := _FORBIDDEN.search(value):
        return _NAMES[found.group()]
    if MARK.search(value):
        return "bytes that are not of the declared encoding"
    return ""
