"""Many signatures at once, outside of the interpreter's lock.

`cryptography` gives the GIL away for each signature, and must take it back after each: from an
event loop that is busy, a thousand times a second and more. `batch.c`, compiled when Ekiden is
installed, calls the system's libcrypto for a whole batch instead, on threads that never take the
lock (`dkim.crew`; bench/README.md: 1.4 times the messages on two cores, and 1.18 times again). RSA
keys have most of a batch signed in the lanes of the processor's vectors, where there is what it
takes (`dkim.lanes`).

It is never needed. Where it was not compiled, where there is no libcrypto, or where the two do not
agree on a trial signature, `batch_key` returns None and every message is signed by `cryptography`.
"""

import ctypes
import hashlib
import weakref
from collections.abc import Sequence
from functools import cache
from itertools import accumulate
from pathlib import Path
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA256

from ekiden.dkim.lanes import LEAST, LaneKey, MultiBuffer, RsaKey, lane_key, multi_buffer
from ekiden.errors import UnavailableError

COMPILED: Final = Path(__file__).with_name("_batch.so")  # what hatch_build.py makes of batch.c
LIBCRYPTO: Final = ("libcrypto.so.3", "libcrypto.so.4", "libcrypto.3.dylib")
# Longer RSA keys sign one by one: cryptography's own OpenSSL is often newer than the system's and
# twice as fast with them (3.0 has no vectors for 3072 and 4096 bits); hand-overs weigh less there.
MOST_BITS: Final = 2048
ED25519_OCTETS: Final = 64  # RFC 8032 section 5.1.6

_PADDING: Final = PKCS1v15()
_SHA256: Final = SHA256()

Private = RSAPrivateKey | Ed25519PrivateKey


def sign_one(private: Private, data: bytes) -> bytes:
    """Return the signature of a field's canonical data, by `cryptography`.

    Args:
        private: The key.
        data: What is signed: RFC 6376 section 3.7; for Ed25519 its SHA-256 is (RFC 8463 section 3).
    """
    if isinstance(private, Ed25519PrivateKey):
        return private.sign(hashlib.sha256(data).digest())
    return private.sign(data, _PADDING, _SHA256)


def agree(library: ctypes.CDLL, *structures: type[ctypes.Structure]) -> None:
    """Make sure that a library was compiled of the structures that are written down here.

    Args:
        library: What batch.c was compiled to.
        structures: Those of signing.h, from the first.

    Raises:
        OSError: It was not: a source tree has been updated and not compiled again.
    """
    try:
        found = (ctypes.c_size_t * len(structures)).in_dll(library, "ekiden_sizes")
    except ValueError as error:
        raise OSError(str(error)) from error
    if list(found) != list(map(ctypes.sizeof, structures)):
        raise OSError("it was compiled from another version: python hatch_build.py")


class _Functions(ctypes.Structure):
    """`struct crypto` of signing.h."""

    _fields_ = (
        ("context_new", ctypes.c_void_p),
        ("context_free", ctypes.c_void_p),
        ("context_reset", ctypes.c_void_p),
        ("init", ctypes.c_void_p),
        ("sign", ctypes.c_void_p),
        ("forget_errors", ctypes.c_void_p),
    )


class _Library:
    """batch.c together with the libcrypto it calls.

    Raises:
        OSError: One of them is not there.
        AttributeError: One of them is not what it should be.
    """

    def __init__(self, library_file: Path) -> None:
        compiled = ctypes.CDLL(str(library_file))
        agree(compiled, *STRUCTURES)
        self.sign = compiled.ekiden_sign  # gives the GIL away
        self.sign.restype = None
        self.sign.argtypes = (ctypes.c_void_p,)
        crypto = _libcrypto()  # keeps the GIL: these take no time
        names = (
            *(f"EVP_MD_CTX_{name}" for name in ("new", "free", "reset")),
            *("EVP_DigestSignInit", "EVP_DigestSign", "ERR_clear_error"),
        )
        found = (ctypes.cast(getattr(crypto, name), ctypes.c_void_p) for name in names)
        self.functions = _Functions(*found)
        self.crypto = crypto
        crypto.EVP_sha256.restype = ctypes.c_void_p
        self.sha256: int = crypto.EVP_sha256()
        crypto.d2i_AutoPrivateKey.restype = ctypes.c_void_p
        crypto.d2i_AutoPrivateKey.argtypes = (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_long)
        crypto.EVP_PKEY_free.restype = None
        crypto.EVP_PKEY_free.argtypes = (ctypes.c_void_p,)

    def load(self, der: bytes) -> int:
        """Return an EVP_PKEY made of a key's PKCS #8 form; 0 if it could not be."""
        start = ctypes.c_char_p(der)
        key: int = self.crypto.d2i_AutoPrivateKey(None, ctypes.byref(start), len(der)) or 0
        if not key:
            self.crypto.ERR_clear_error()
        return key

    def free(self, key: int) -> None:
        """Free an EVP_PKEY."""
        self.crypto.EVP_PKEY_free(key)


def _libcrypto() -> ctypes.PyDLL:
    for name in LIBCRYPTO:
        try:
            return ctypes.PyDLL(name)
        except OSError:
            continue
    raise OSError(f"there is none of {', '.join(LIBCRYPTO)}")


@cache
def _library(library_file: Path) -> _Library | None:
    try:
        return _Library(library_file)
    except (OSError, AttributeError):
        return None


def manner() -> str:
    """Say how this installation signs, for the log."""
    if _library(COMPILED) is None:
        return "one by one: see docs/dkim.md"
    return "in batches" if multi_buffer() is None else "in batches, RSA eight at a time"


class Order(ctypes.Structure):
    """`struct order` of signing.h: pieces of data, to be signed with one key.

    Made by `BatchKey.order`; signed by `sign` on the calling thread, or on one of a `dkim.crew`.
    """

    _fields_ = (
        *((name, ctypes.c_void_p) for name in ("crypto", "digest", "key", "multi", "numbers")),
        ("data", ctypes.c_char_p),
        ("ends", ctypes.c_void_p),
        ("count", ctypes.c_size_t),
        ("made", ctypes.c_void_p),
        ("length", ctypes.c_size_t),
        ("done", ctypes.c_size_t),
    )
    owner: "BatchKey"  # and what it points to must live as long as it does:
    kept: tuple[bytes, "ctypes.Array[ctypes.c_size_t]", "ctypes.Array[ctypes.c_char]"]

    def sign(self) -> None:
        """Sign all, here and now; the GIL is free meanwhile."""
        self.owner.library.sign(ctypes.byref(self))

    def signatures(self) -> list[bytes]:
        """Return what has been made, one for each piece.

        Raises:
            UnavailableError: libcrypto refused; nothing is known of any of them.
        """
        if self.done != self.count:
            raise UnavailableError(f"libcrypto signed {self.done} of {self.count}")
        made, length = self.kept[2].raw, self.length
        return [made[at : at + length] for at in range(0, len(made), length)]


STRUCTURES: Final = (_Functions, MultiBuffer, RsaKey, Order)  # of signing.h, in its order


class BatchKey:
    """A private key in libcrypto's hands.

    Args:
        private: The key.
        library: What signs.

    Raises:
        UnavailableError: libcrypto does not take the key.
    """

    def __init__(self, private: Private, library: _Library) -> None:
        plain = serialization.NoEncryption()
        pkcs8 = serialization.PrivateFormat.PKCS8
        self.library = library
        self._key = library.load(private.private_bytes(serialization.Encoding.DER, pkcs8, plain))
        if not self._key:
            raise UnavailableError("libcrypto does not read the key")
        freed = weakref.finalize(self, library.free, self._key)
        freed.atexit = False  # a thread may be signing still
        self._hashed_first = isinstance(private, Ed25519PrivateKey)
        self.lanes: LaneKey | None = None
        if isinstance(private, Ed25519PrivateKey):
            self._length, self._digest = ED25519_OCTETS, None
        else:
            self._length, self._digest = (private.key_size + 7) // 8, library.sha256
            self.lanes = lane_key(private, library.crypto)

    def order(self, pieces: Sequence[bytes]) -> Order:
        """Return pieces of canonical data as what is to be signed with this key."""
        if self._hashed_first:
            pieces = [hashlib.sha256(piece).digest() for piece in pieces]
        count, length = len(pieces), self._length
        ends = (ctypes.c_size_t * count)(*accumulate(map(len, pieces)))
        made = ctypes.create_string_buffer(count * length)
        data = b"".join(pieces)
        order = Order(
            ctypes.addressof(self.library.functions),
            *(self._digest, self._key),
            *(self.lanes.addresses if self.lanes is not None else (None, None)),
            *(data, ctypes.addressof(ends), count, ctypes.addressof(made), length),
        )
        order.owner = self
        order.kept = (data, ends, made)
        return order

    def sign(self, pieces: Sequence[bytes]) -> list[bytes]:
        """Return the signature of each piece of canonical data, as `sign_one` would.

        Safe on several threads at once; the GIL is free meanwhile.

        Raises:
            UnavailableError: libcrypto refused; nothing is known of any of them.
        """
        order = self.order(pieces)
        order.sign()
        return order.signatures()


def batch_key(private: Private, library_file: Path = COMPILED) -> BatchKey | None:
    """Return what signs many messages at once with a key; None where only `sign_one` can.

    Args:
        private: The key.
        library_file: What batch.c was compiled to.
    """
    library = _library(library_file)
    if library is None or (isinstance(private, RSAPrivateKey) and private.key_size > MOST_BITS):
        return None
    trial = [b"from:one\r\n", b"from:two\r\nsubject:longer\r\n"] * LEAST
    try:
        key = BatchKey(private, library)
        right = [sign_one(private, piece) for piece in trial[:2]] * LEAST
        agreed = key.sign(trial) == right
        if not agreed and key.lanes is not None:
            key.lanes = None
            agreed = key.sign(trial) == right
    except (UnavailableError, UnsupportedAlgorithm):
        return None
    return key if agreed else None  # both kinds of signatures are deterministic
