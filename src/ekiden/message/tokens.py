"""Tokens in links: who and what a link is about, sealed and signed. Pure.

Theory. Every link that we send (unsubscribe, tracking, confirmation) must be believed without a
look into the database, say nothing to whoever sees it in a log, and be worthless when it is
changed, cut off, moved to another recipient or used for another purpose. So a token is a synthetic
initialisation vector (the SIV construction of Rogaway and Shrimpton, 2006, as in RFC 5297) with
HMAC-SHA-256 as its pseudo-random function:

    tag   = HMAC(key for signing, version, purpose, content)[:16]
    token = base64url(version, tag, content XOR HMAC(key for sealing, purpose, tag, 0), ...)

The tag is the signature *and* the nonce: no random number is needed, equal contents give equal
tokens, and a change anywhere changes both.

Contract. `read` returns exactly what `make` was given for the same purpose, or None, and never
raises. The first key makes, all of them read (rotation). A token has one spelling only.
"""

import base64
import binascii
import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from typing import Final

from ekiden import limits
from ekiden.errors import EkidenError

KEY_BYTES: Final = 16  # the shortest secret that is accepted
_VERSION: Final = b"\x01"
_TAG: Final = 16
_HEAD: Final = len(_VERSION) + _TAG
_BLOCK: Final = 32
_COUNTERS: Final = tuple(number.to_bytes(2, "big") for number in range(256))


class Purpose(StrEnum):
    """What a token may be used for; one that was made for another purpose does not verify."""

    LEAVE = "leave"  # unsubscribe, and the preference page
    VIEW = "view"  # the message in a browser
    SEEN = "seen"  # which delivery was opened, or had a link clicked
    LINK = "link"  # where a link of a job leads
    JOIN = "join"  # the confirmation of a sign-up


class Tokens:
    """Makes and reads tokens.

    Args:
        keys: Secrets of at least 16 bytes; the first one makes, all of them read.

    Raises:
        EkidenError: No key, or one that is too short.
    """

    def __init__(self, keys: Sequence[bytes]) -> None:
        if not keys or any(len(key) < KEY_BYTES for key in keys):
            raise EkidenError(
                f"a key of links has fewer than {KEY_BYTES} bytes",
                remedy="make one with `openssl rand -hex 32`",
            )
        self._keys: Final = {
            purpose: tuple(
                (_derived(key, "sign", purpose), _derived(key, "seal", purpose)) for key in keys
            )
            for purpose in Purpose
        }

    def make(self, purpose: Purpose, content: bytes) -> str:
        """Return a token: base64url without padding.

        Args:
            purpose: What it may be used for.
            content: What it holds, at most `limits.TOKEN_BYTES`.

        Raises:
            ValueError: The content is too long.
        """
        if len(content) > limits.TOKEN_BYTES:
            raise ValueError(f"{len(content)} bytes do not fit into a token")
        sign, seal = self._keys[purpose][0]
        tag = hmac.digest(sign, content, "sha256")[:_TAG]
        raw = b"".join((_VERSION, tag, _masked(seal, tag, content)))
        return binascii.b2a_base64(raw, newline=False).translate(_TO_URL, b"=").decode("ascii")

    def read(self, purpose: Purpose, token: str) -> bytes | None:
        """Return what a token holds; None if it was not made by one of our keys for this purpose.

        Args:
            purpose: What it is used for.
            token: Anything.
        """
        raw = _decode(token)
        if raw is None:
            return None
        tag, sealed = raw[1:_HEAD], raw[_HEAD:]
        found = None
        # Every key is tried, so that the time taken does not tell which one fits.
        for sign, seal in self._keys[purpose]:
            content = _masked(seal, tag, sealed)
            if hmac.compare_digest(hmac.digest(sign, content, "sha256")[:_TAG], tag):
                found = content
        return found


_TO_URL: Final = bytes.maketrans(b"+/", b"-_")


def _derived(key: bytes, use: str, purpose: Purpose) -> bytes:
    return hmac.digest(key, b"\0".join((b"ekiden link", use.encode(), purpose.encode())), "sha256")


def _masked(key: bytes, tag: bytes, text: bytes) -> bytes:
    """XOR `text` with the stream that `key` and `tag` give: seals and opens."""
    size = len(text)
    stream = b"".join(
        [hmac.digest(key, tag + count, "sha256") for count in _COUNTERS[: -(-size // _BLOCK)]]
    )[:size]
    return (int.from_bytes(text, "big") ^ int.from_bytes(stream, "big")).to_bytes(size, "big")


def _decode(token: str) -> bytes | None:
    if len(token) > limits.TOKEN_CHARS or not token.isascii() or len(token) % 4 == 1:
        return None
    text = token.encode("ascii")
    try:
        raw = base64.b64decode(text + b"=" * (-len(text) % 4), b"-_", validate=True)
    except binascii.Error:
        return None
    if len(raw) < _HEAD or raw[:1] != _VERSION:
        return None
    # The last character may hold bits that mean nothing: only one spelling is ours.
    again = base64.urlsafe_b64encode(raw).rstrip(b"=")
    return raw if again == text else None


@dataclass(frozen=True, slots=True)
class About:
    """Which delivery a link belongs to.

    Args:
        job: The job's number.
        delivery: The delivery's number; 0 for links that only count totals.
        address: The recipient's address: in LEAVE tokens, since they outlive the delivery's row.
        mark: Four bytes of the job's identity: a number alone could be that of a job in another
            database.
    """

    job: int
    delivery: int
    address: str = ""
    mark: bytes = bytes(4)

    def pack(self) -> bytes:
        """Return the content of a token."""
        return b"".join(
            (
                self.mark,
                self.job.to_bytes(5, "big"),
                self.delivery.to_bytes(7, "big"),
                self.address.encode("utf-8", "surrogatepass"),
            )
        )

    @classmethod
    def unpack(cls, content: bytes | None) -> "About | None":
        """Return what `pack` was given; None for anything else."""
        if content is None or len(content) < 16:
            return None
        try:
            address = content[16:].decode("utf-8")
        except UnicodeDecodeError:
            return None
        return cls(
            job=int.from_bytes(content[4:9], "big"),
            delivery=int.from_bytes(content[9:16], "big"),
            address=address,
            mark=content[:4],
        )


def job_key(uid: str) -> str:
    """Return a job's part of its deliveries' Message-IDs: short, opaque, always the same."""
    return base64.b32encode(sha256(uid.encode()).digest()[:10]).decode("ascii").lower()


def job_mark(uid: str) -> bytes:
    """Return the four bytes by which a token knows its job again."""
    return sha256(uid.encode("utf-8", "surrogatepass")).digest()[:4]


def pack_link(mark: bytes, job: int, url: str) -> bytes:
    """Return the content of a LINK token: where the link leads, and whose it is."""
    return b"".join((mark, job.to_bytes(5, "big"), url.encode("utf-8", "surrogatepass")))


def unpack_link(content: bytes | None) -> tuple[bytes, int, str] | None:
    """Return the mark, the job and the URL of a LINK token; None for anything else."""
    if content is None or len(content) < 10:
        return None
    try:
        return content[:4], int.from_bytes(content[4:9], "big"), content[9:].decode("utf-8")
    except UnicodeDecodeError:
        return None
