r"""Foreign bytes made fit to store, log and show.

Everything a remote party sent is printable ASCII or escaped before it leaves the edge: a reply with
`\\xff` in it must not break the database, and an escape sequence in it must not reach a terminal.
The escape is Python's own `\\xNN`, so `unescape` brings the bytes back for whoever reads languages.
"""

import re
from typing import Final

from ekiden import limits

_UNPRINTABLE: Final = re.compile(rb"[^\x20-\x7e]")
_ESCAPED: Final = re.compile(r"\\x([0-9a-f]{2})")


def printable(raw: bytes | str, cap: int = limits.REPLY_TEXT_KEPT) -> str:
    """Return `raw` as printable ASCII, at most `cap` characters long.

    Args:
        raw: Bytes as received, or text (taken as UTF-8).
        cap: The most characters to return; a longer text ends in `...`.
    """
    if isinstance(raw, str) and len(raw) <= cap and raw.isascii() and raw.isprintable():
        return raw
    data = raw.encode("utf-8", "surrogateescape") if isinstance(raw, str) else raw
    # Cutting before escaping bounds the work; an escaped byte is at most four characters.
    data = data[: cap + 1]
    text = _UNPRINTABLE.sub(lambda found: b"\\x%02x" % found.group()[0], data).decode("ascii")
    return text if len(text) <= cap else text[: cap - 3] + "..."


def unescape(text: str) -> bytes:
    """Return the bytes that `printable` escaped; other text passes through as UTF-8.

    A literal backslash is not escaped by `printable`, so a remote party can forge an escape: use
    the result for reading only, never as a key or a command.
    """
    return _ESCAPED.sub(lambda found: chr(int(found.group(1), 16)), text).encode(
        "latin-1", "replace"
    )
