"""What goes into rendering and what comes out. Pure; types only, and the joining of bytes."""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from ekiden.dkim.canonical import body_hash, canonical_hash

Header = tuple[bytes, bytes]


class Recipient(msgspec.Struct, frozen=True, gc=False):
    """Whom a message is for.

    Args:
        address: As it goes into RCPT TO.
        merge: Merge fields by name: the delivery's JSON object, decoded.
    """

    address: str
    merge: Mapping[str, Any] = msgspec.field(default_factory=dict)


class Marks(msgspec.Struct, frozen=True, gc=False):
    """What the engine adds to one delivery's message.

    Args:
        message_id: `<…@…>`; the same for all attempts of a delivery.
        date: UNIX seconds, for the Date field.
        extra_headers: List-Unsubscribe, Feedback-ID and so on; they replace the content's own
            fields of the same name.
        urls: More values for templates: `unsubscribe_url`, `preferences_url`, `view_url`.
        tracker: Makes the tracked URL of a URL that differs by recipient; None tracks none.
    """

    message_id: str
    date: float
    extra_headers: tuple[tuple[str, str], ...] = ()
    urls: Mapping[str, str] = msgspec.field(default_factory=dict)
    tracker: Callable[[str], str] | None = None


class Rendered(msgspec.Struct, frozen=True, gc=False):
    """A finished message, not yet signed.

    Args:
        headers: (name, value) in order; a value is everything between the colon and the last CRLF,
            as it stands on the wire: usually it begins with a space.
        body: Everything after the empty line.
        eight_bit: It needs 8BITMIME.
        smtputf8: It needs SMTPUTF8.
        canonical: The body in DKIM's relaxed form, when compiling made it on the way.
        digest: SHA-256 of that form, when it is the same for every recipient.
        joined: The header as it goes on the wire, when it has been put together already.
    """

    headers: tuple[Header, ...]
    body: bytes
    eight_bit: bool = False
    smtputf8: bool = False
    canonical: bytes | None = None
    digest: bytes | None = None
    joined: bytes | None = None

    def body_hash(self) -> bytes:
        """Return the SHA-256 behind DKIM's `bh=`."""
        if self.digest is not None:
            return self.digest
        if self.canonical is not None:
            return canonical_hash(self.canonical)
        return body_hash(self.body)

    def head(self) -> bytes:
        """Return the header fields, each ending in CRLF."""
        if self.joined is not None:
            return self.joined
        return b"".join([b"%b:%b\r\n" % header for header in self.headers])

    def message(self, signatures: bytes = b"") -> bytes:
        """Return the whole message, DKIM-Signature fields first, before dot-stuffing."""
        return b"".join((signatures, self.head(), b"\r\n", self.body))
