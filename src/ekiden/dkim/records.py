"""DKIM key records as DNS serves them: parse, and compare with the key that signs.

Pure: whoever asks DNS hands the TXT record's joined strings in. `problems` answers with sentences
for a person, so `ekiden dkim check` and the preflight print the same words.
"""

import base64
import binascii
import re
from dataclasses import dataclass
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from ekiden.dkim.keys import Algorithm, Key, public_bytes
from ekiden.text import printable

RECORD_BYTES: Final = 16 * 1024
_WHITE: Final = re.compile(r"[ \t\r\n]+")


class RecordError(ValueError):
    """A TXT record that is no DKIM key record; its message says why."""


@dataclass(frozen=True, slots=True)
class Record:
    """A DKIM key record (RFC 6376 section 3.6.1).

    Args:
        kind: `k=`, "rsa" when absent.
        public: `p=` decoded; empty means that the key was revoked.
        hashes: `h=`, empty when every hash is accepted.
        services: `s=`, ("*",) when absent.
        flags: `t=`: `y` for testing, `s` for strict identities.
    """

    kind: str
    public: bytes
    hashes: tuple[str, ...] = ()
    services: tuple[str, ...] = ("*",)
    flags: tuple[str, ...] = ()


def parse_tags(text: str) -> dict[str, str]:
    """Parse a tag list (RFC 6376 section 3.2).

    Raises:
        RecordError: Not a tag list, or a tag appears twice.
    """
    tags: dict[str, str] = {}
    for part in text.split(";"):
        if not part.strip(" \t\r\n"):
            continue
        name, equals, value = part.partition("=")
        name = name.strip(" \t\r\n")
        if not equals or not name.isidentifier() or not name.isascii():
            raise RecordError(f"{printable(part.strip(), 60)!r} is not a tag=value pair")
        if name in tags:
            raise RecordError(f"the tag {name}= appears twice")
        tags[name] = value.strip(" \t\r\n")
    return tags


def parse_record(text: str) -> Record:
    """Parse a DKIM key record.

    Args:
        text: The TXT record's strings joined without anything between.

    Raises:
        RecordError: It is none; any other exception would be a bug.
    """
    if len(text) > RECORD_BYTES:
        raise RecordError(f"the record is longer than {RECORD_BYTES} characters")
    tags = parse_tags(text)
    if tags.get("v", "DKIM1") != "DKIM1" or ("v" in tags and next(iter(tags)) != "v"):
        raise RecordError("v= must come first and be DKIM1")
    if "p" not in tags:
        raise RecordError("there is no public key (p=)")
    encoded = _WHITE.sub("", tags["p"])
    try:
        public = base64.b64decode(encoded.encode("ascii"), validate=True)
    except (binascii.Error, UnicodeEncodeError) as error:
        raise RecordError("p= is not base64 (a string cut by the DNS panel?)") from error
    return Record(
        kind=tags.get("k", "rsa"),
        public=public,
        hashes=_colons(tags.get("h", "")),
        services=_colons(tags.get("s", "*")),
        flags=_colons(tags.get("t", "")),
    )


def _colons(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(":") if part.strip())


def problems(key: Key, record: Record) -> list[str]:
    """Compare a published record with the key that signs; an empty list means all is well."""
    kind = key.algorithm.value.partition("-")[0]
    if not record.public:
        return [f"{key.record_name} says that the key was revoked (p= is empty)"]
    found = []
    if record.kind != kind:
        found.append(f"k={record.kind} is published, but the key is {kind}")
    elif not _same_key(key, record):
        found.append("the published public key belongs to another private key")
    if record.hashes and "sha256" not in record.hashes:
        found.append("h= does not allow sha256")
    if not {"*", "email"} & set(record.services):
        found.append("s= does not allow email")
    if "y" in record.flags:
        found.append("t=y marks the domain as testing: receivers may ignore the signature")
    return found


def _same_key(key: Key, record: Record) -> bool:
    if record.public == public_bytes(key):
        return True
    if key.algorithm is not Algorithm.RSA:
        return False
    # RFC 6376 section 3.6.1 names RSAPublicKey, everybody publishes SubjectPublicKeyInfo; both
    # are seen, so the numbers are compared and not the wrapping.
    try:
        published = serialization.load_der_public_key(record.public)
    except (ValueError, UnsupportedAlgorithm):
        return False
    mine = key.private.public_key()
    return (
        isinstance(published, RSAPublicKey)
        and isinstance(mine, RSAPublicKey)
        and published.public_numbers() == mine.public_numbers()
    )
