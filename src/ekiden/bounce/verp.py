"""Signed return addresses: who a bounce is about, and proof that we asked. Pure.

Each delivery's envelope sender is `PREFIX TOKEN @ DOMAIN`. The token holds the delivery's number
and the day it expires, and an HMAC over both and over the domain: whoever has not seen our mail to
that recipient cannot make a report that changes anything, and a token cannot be moved to another
delivery, prolonged, or replayed for ever. It is a capability, not a secret: whoever gets the mail
may bounce it, once, for themselves.

Form: base 32 in lower case with an alphabet without vowels (no words by chance), so that a receiver
may change the case (RFC 5321 section 2.4 lets it, though it should not) and the whole local part
stays within 64 octets (section 4.5.3.1.1).

Layout before base 32: version (1 byte), expiry as days since 1970 (2 bytes), delivery number (8
bytes), the first 16 bytes of HMAC-SHA-256 over all of that, the prefix and the domain: 27 bytes, 44
characters.
"""

import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from struct import Struct
from typing import Final

from ekiden import limits
from ekiden.errors import EkidenError

ALPHABET: Final = "bcdfghjklmnpqrstvwxz023456789aeu"
DAY: Final = 86_400.0
KEY_BYTES: Final = 16  # the shortest secret that is accepted
_VERSION: Final = 1
_MAC_BYTES: Final = 16
_BODY: Final = Struct(">BHQ")  # version, day, delivery
_BODY_BYTES: Final = _BODY.size
_TOKEN: Final = 44  # characters
_LABEL: Final = b"ekiden return address"
_VALUES: Final = {char: value for value, char in enumerate(ALPHABET)}
_PAIRS: Final = tuple(first + second for first in ALPHABET for second in ALPHABET)
_BLOCK: Final = 64  # bytes; of SHA-256


class Refusal(StrEnum):
    """Why a return address proves nothing."""

    NOT_OURS = "not_ours"  # another domain, another prefix, another form
    FORGED = "forged"  # the signature does not fit
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class Returned:
    """A return address that verified.

    Args:
        delivery: The delivery it was made for.
        expires_at: UNIX seconds until which it verifies.
    """

    delivery: int
    expires_at: float


class ReturnAddresses:
    """Makes and verifies the return addresses of one domain.

    Args:
        keys: Secrets of at least 16 bytes; the first one signs, all of them verify (rotation).
        domain: The domain of the return addresses, A-labels.
        prefix: What local parts begin with: letters, digits, `-`, `+`, `=`.

    Raises:
        EkidenError: No key, one that is too short, or a prefix that leaves no room.
    """

    def __init__(self, keys: Sequence[bytes], domain: str, prefix: str = "b-") -> None:
        if not keys or any(len(key) < KEY_BYTES for key in keys):
            raise EkidenError(
                f"a return address key has fewer than {KEY_BYTES} bytes",
                remedy="make one with `openssl rand -hex 32`",
            )
        room = limits.LOCAL_PART_OCTETS - _TOKEN
        if len(prefix) > room or not all(char.isalnum() or char in "-+=" for char in prefix):
            raise EkidenError(
                f"the return address prefix {prefix!r} cannot be used",
                remedy=f"use at most {room} letters, digits, `-`, `+` or `=`",
            )
        self._domain: Final = domain.rstrip(".").lower()
        self._prefix: Final = prefix.lower()
        start = b"\0".join((_LABEL, self._prefix.encode(), self._domain.encode(), b""))
        self._keys: Final = tuple(_Mac(key, start) for key in keys)

    def make(self, delivery: int, *, now: float, lifetime: float) -> str:
        """Return the envelope sender for one delivery.

        Args:
            delivery: Its number, 0 to 2**63 - 1.
            now: UNIX seconds.
            lifetime: Seconds for which it verifies, at least; rounded up to a whole day.
        """
        day = int(-(-(now + lifetime) // DAY))
        body = _BODY.pack(_VERSION, day, delivery)
        token = _encode(body + self._keys[0].of(body))
        return f"{self._prefix}{token}@{self._domain}"

    def verify(self, address: str, *, now: float) -> Returned | Refusal:
        """Say which delivery `address` was made for, or why it proves nothing; never raises.

        Args:
            address: The recipient of the incoming mail, in any case.
            now: UNIX seconds.
        """
        if len(address) > limits.PATH_OCTETS or not address.isascii():
            return Refusal.NOT_OURS
        local, _, domain = address.strip("<>").lower().rpartition("@")
        token = local.removeprefix(self._prefix)
        if domain.rstrip(".") != self._domain or local == token or len(token) != _TOKEN:
            return Refusal.NOT_OURS
        raw = _decode(token)
        if raw is None or raw[0] != _VERSION:
            return Refusal.NOT_OURS
        body, mac = raw[:_BODY_BYTES], raw[_BODY_BYTES:]
        # Every key is tried, so that the time taken does not tell which one fits.
        fits = [hmac.compare_digest(mac, key.of(body)) for key in self._keys]
        if not any(fits):
            return Refusal.FORGED
        expires_at = int.from_bytes(body[1:3], "big") * DAY
        if now > expires_at:
            return Refusal.EXPIRED
        return Returned(int.from_bytes(body[3:], "big"), expires_at)


class _Mac:
    """The first bytes of HMAC-SHA-256 over a fixed beginning and what follows it.

    The hashes of the padded key are kept, as RFC 2104 section 4 advises. `hmac.digest` would begin
    anew each time, and give the interpreter lock away for 60 bytes.
    """

    __slots__ = ("_inner", "_outer")

    def __init__(self, key: bytes, start: bytes) -> None:
        padded = (sha256(key).digest() if len(key) > _BLOCK else key).ljust(_BLOCK, b"\0")
        self._inner = sha256(bytes(byte ^ 0x36 for byte in padded) + start)
        self._outer = sha256(bytes(byte ^ 0x5C for byte in padded))

    def of(self, body: bytes) -> bytes:
        """Return the code of a body."""
        inner, outer = self._inner.copy(), self._outer.copy()
        inner.update(body)
        outer.update(inner.digest())
        return outer.digest()[:_MAC_BYTES]


def _encode(raw: bytes) -> str:
    # 27 bytes are 216 bits; 44 characters hold 220, the last four bits are zero.
    number = int.from_bytes(raw, "big") << 4
    return "".join([_PAIRS[number >> shift & 1023] for shift in range(210, -1, -10)])


def _decode(token: str) -> bytes | None:
    number = 0
    for char in token:
        value = _VALUES.get(char)
        if value is None:
            return None
        number = number << 5 | value
    # A second spelling of the same bytes would be a second address: there is only one.
    return None if number & 15 else (number >> 4).to_bytes(_TOKEN * 5 // 8, "big")
