"""DKIM keys: load, generate, and the DNS record that publishes them.

A private key lives in one PEM file that nobody but its owner may read: a file that others can read
is refused with the command that mends it (docs/hostile.md M9), because a leaked key lets anybody
sign as the domain. Algorithms: `rsa-sha256` (RFC 6376; 2048 bits, RFC 8301 section 3.2 asks for at
least 1024) and `ed25519-sha256` (RFC 8463).
"""

import base64
import os
import re
import stat
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key

from ekiden.dkim.batch import BatchKey, batch_key
from ekiden.errors import ConfigError, RefusedError

RSA_BITS: Final = 2048
RSA_BITS_MIN: Final = 1024  # RFC 8301 section 3.2
TXT_STRING_OCTETS: Final = 255  # RFC 1035 section 3.3: one character-string
KEY_FILE_BYTES: Final = 64 * 1024

_SELECTOR: Final = re.compile(
    r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)*", re.ASCII
)


class Algorithm(StrEnum):
    """What `a=` says; `k=` in DNS is the part before the dash."""

    RSA = "rsa-sha256"
    ED25519 = "ed25519-sha256"


@dataclass(frozen=True, slots=True)
class Key:
    """A private key with the name it is published under.

    Args:
        domain: `d=`, the signing domain in A-labels.
        selector: `s=`.
        algorithm: `a=`.
        private: The key itself; never shown.
        batch: The same key where it can sign many messages at once.
    """

    domain: str
    selector: str
    algorithm: Algorithm
    private: RSAPrivateKey | Ed25519PrivateKey = field(repr=False)
    batch: BatchKey | None = field(default=None, repr=False, compare=False)

    @property
    def record_name(self) -> str:
        """Where the public key is published: `SELECTOR._domainkey.DOMAIN`."""
        return f"{self.selector}._domainkey.{self.domain}"


def key(domain: str, selector: str, private: RSAPrivateKey | Ed25519PrivateKey) -> Key:
    """Return a `Key`, its names checked and in lower case.

    Raises:
        ConfigError: The selector or domain cannot stand in DNS, or the RSA key is too short.
    """
    domain, selector = domain.lower().rstrip("."), selector.lower()
    for name, what in ((domain, "domain"), (selector, "selector")):
        if not _SELECTOR.fullmatch(name) or len(name) > 253:
            raise ConfigError(
                f"{name!r} is not a DKIM {what}",
                remedy="use letters, digits, dots and inner dashes (A-labels for an IDN)",
            )
    if isinstance(private, Ed25519PrivateKey):
        return Key(domain, selector, Algorithm.ED25519, private, batch_key(private))
    if private.key_size < RSA_BITS_MIN:
        raise ConfigError(
            f"the RSA key has {private.key_size} bits; receivers ignore less than {RSA_BITS_MIN}",
            remedy=f"make one of {RSA_BITS} bits with `ekiden dkim keygen`",
        )
    return Key(domain, selector, Algorithm.RSA, private, batch_key(private))


def load_key(path: Path, domain: str, selector: str) -> Key:
    """Read a private key from its PEM file.

    Args:
        path: The file: PKCS #8 or traditional PEM, without a passphrase.
        domain: `d=`.
        selector: `s=`.

    Raises:
        ConfigError: Missing, readable by others, owned by somebody else, or not such a key; the
            remedy holds the command that mends it.
    """
    pem = _read_private(path)
    try:
        private = serialization.load_pem_private_key(pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise ConfigError(
            f"not a private key that can be used: {error}",
            where=str(path),
            remedy="give an RSA or Ed25519 key as unencrypted PEM, or make one with "
            "`ekiden dkim keygen`",
        ) from error
    if not isinstance(private, RSAPrivateKey | Ed25519PrivateKey):
        raise ConfigError(
            "DKIM knows RSA and Ed25519 keys only",
            where=str(path),
            remedy="make one with `ekiden dkim keygen`",
        )
    try:
        return key(domain, selector, private)
    except ConfigError as error:
        raise ConfigError(error.what, where=str(path), remedy=error.remedy) from error


def _read_private(path: Path) -> bytes:
    """Read the file through one descriptor, so that what was checked is what is read."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        remedy = "make one with `ekiden dkim keygen`, or correct the path"
        if isinstance(error, PermissionError):
            me = os.geteuid()
            remedy = (
                f"chown {me} {path} (the user that reads it here), and let it into the directory"
            )
        raise ConfigError(
            f"cannot read the DKIM key: {error.strerror}", where=str(path), remedy=remedy
        ) from error
    try:
        facts = os.fstat(descriptor)
        if not stat.S_ISREG(facts.st_mode):
            raise ConfigError("not a regular file", where=str(path), remedy="correct the path")
        if facts.st_uid not in {os.geteuid(), 0}:
            raise ConfigError(
                f"the DKIM key belongs to user {facts.st_uid}, not to the one who signs",
                where=str(path),
                remedy=f"chown {os.geteuid()} {path}",
            )
        if facts.st_mode & 0o077:
            raise ConfigError(
                f"others may read the DKIM key (mode {stat.S_IMODE(facts.st_mode):04o})",
                where=str(path),
                remedy=f"chmod 600 {path}",
            )
        return os.read(descriptor, KEY_FILE_BYTES)
    finally:
        os.close(descriptor)


def generate(domain: str, selector: str, algorithm: Algorithm = Algorithm.RSA) -> Key:
    """Make a new key: RSA of 2048 bits, or Ed25519."""
    if algorithm is Algorithm.ED25519:
        return key(domain, selector, Ed25519PrivateKey.generate())
    return key(domain, selector, generate_private_key(public_exponent=65537, key_size=RSA_BITS))


def save_key(made: Key, path: Path) -> None:
    """Write a private key to a new file with mode 0600.

    Raises:
        RefusedError: The file exists already (a key in use is never overwritten), or cannot be
            written.
    """
    pem = made.private.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError as error:
        raise RefusedError(
            "the file exists; a key in use is not overwritten",
            where=str(path),
            remedy="choose another path, or move the old key away",
        ) from error
    except OSError as error:
        raise RefusedError(
            f"cannot write the key: {error.strerror}",
            where=str(path),
            remedy="correct the path or its directory's permissions",
        ) from error
    with os.fdopen(descriptor, "wb") as file:
        os.fchmod(file.fileno(), 0o600)  # a umask may only have taken bits away; make it exact
        file.write(pem)
        file.flush()
        os.fsync(file.fileno())


def public_bytes(made: Key) -> bytes:
    """Return the public key as `p=` carries it: DER SubjectPublicKeyInfo for RSA, raw for Ed25519.

    RFC 6376 section 3.6.1 and RFC 8463 section 4.2.
    """
    public = made.private.public_key()
    if made.algorithm is Algorithm.ED25519:
        return public.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    return public.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def record_text(made: Key) -> str:
    """Return the TXT record's value as one string, for DNS panels that split it themselves."""
    kind = made.algorithm.value.partition("-")[0]
    return f"v=DKIM1; k={kind}; p={base64.b64encode(public_bytes(made)).decode()}"


def record_strings(made: Key) -> list[str]:
    """Return the value cut into character-strings of at most 255 octets (RFC 6376 3.6.2.2)."""
    text = record_text(made)
    return [text[i : i + TXT_STRING_OCTETS] for i in range(0, len(text), TXT_STRING_OCTETS)]


def record_line(made: Key) -> str:
    """Return the record as a line of a zone file."""
    strings = " ".join(f'"{part}"' for part in record_strings(made))
    return f"{made.record_name}. IN TXT ( {strings} )"
