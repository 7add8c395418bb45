"""RSA signatures eight at a time, one in each lane of the processor's vectors.

Intel's libcrypto_mb ("multi-buffer": Apache 2.0, constant time) makes eight RSA-2048 signatures in
the time of four to five of libcrypto's on processors with AVX-512's or AVX's IFMA, AMD's among them
(docs/dkim.md). `pip install 'ekiden[lanes]'` brings it; `lanes.c` hands it the messages of a
batch, and opens every signature again with the public key before it goes out.

It is never needed. Without the library, on another processor, or for a key of another size,
`lane_key` returns None and `dkim.batch` signs one after the other.
"""

import ctypes
from collections.abc import Iterator
from functools import cache
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

LIBRARIES: Final = ("libcrypto_mb.so.13", "libcrypto_mb.so.12")
PACKAGE: Final = "ipp-crypto"  # what brings one of them to site-packages
STAND_INS: Final = Path(__file__).with_name("_stand_ins")  # hatch_build.py tells what for
KIBIBITS: Final = (1, 2)  # of the keys it is used for; 3 and 4 are no faster than one by one
EXPONENT: Final = 65537  # of the keys that it takes
LEAST: Final = 5  # messages to sign with it: eight take as long as four to five one by one
_WORD: Final = 64  # bits of the numbers' words


class MultiBuffer(ctypes.Structure):
    """`struct multi_buffer` of signing.h."""

    _fields_ = (
        *((name, ctypes.c_void_p) for name in ("hash", "cleanse", "sign", "open")),
        *((name, ctypes.c_void_p) for name in ("signing", "opening")),
        ("room", ctypes.c_size_t),
        ("least", ctypes.c_size_t),
    )


class RsaKey(ctypes.Structure):
    """`struct rsa_key` of signing.h."""

    _fields_ = (
        *((name, ctypes.c_void_p) for name in ("p", "q", "dp", "dq", "inverse_q", "n")),
        ("bits", ctypes.c_int),
    )


class LaneKey:
    """An RSA key's numbers as libcrypto_mb takes them.

    Args:
        private: The key, of a size and exponent that `lane_key` lets through.
        library: libcrypto_mb.
        crypto: libcrypto.

    Raises:
        AttributeError: One of them is not what it should be.
        OverflowError: A prime is longer than half of the key.
    """

    def __init__(self, private: RSAPrivateKey, library: ctypes.CDLL, crypto: ctypes.CDLL) -> None:
        kibibits = private.key_size // 1024
        signing = _method(library, f"mbx_RSA{kibibits}K_private_crt_Method")
        opening = _method(library, f"mbx_RSA{kibibits}K_pub65537_Method")
        library.mbx_RSA_Method_BufSize.argtypes = (ctypes.c_void_p,)
        self._functions = MultiBuffer(
            _address(crypto.EVP_Digest),
            _address(crypto.OPENSSL_cleanse),
            _address(library.mbx_rsa_private_crt_mb8),
            _address(library.mbx_rsa_public_mb8),
            signing,
            opening,
            max(map(library.mbx_RSA_Method_BufSize, (signing, opening))),
            LEAST,
        )
        numbers = private.private_numbers()
        half = private.key_size // 2
        self._words = [
            _words(number, half)
            for number in (numbers.p, numbers.q, numbers.dmp1, numbers.dmq1, numbers.iqmp)
        ]
        self._words.append(_words(numbers.public_numbers.n, private.key_size))
        self._key = RsaKey(*map(ctypes.addressof, self._words), private.key_size)

    @property
    def addresses(self) -> tuple[int, int]:
        """Where `struct multi_buffer` and `struct rsa_key` are, while this object is."""
        return ctypes.addressof(self._functions), ctypes.addressof(self._key)


def _address(function: Any) -> int:
    return ctypes.cast(function, ctypes.c_void_p).value or 0


def _method(library: ctypes.CDLL, name: str) -> int:
    found = getattr(library, name)
    found.restype = ctypes.c_void_p
    method: int = found()
    return method


def _words(number: int, bits: int) -> "ctypes.Array[ctypes.c_uint64]":
    """Return a number as 64-bit words, the least significant first, on a word's boundary."""
    octets = -(-bits // _WORD) * _WORD // 8
    words = (ctypes.c_uint64 * (octets // 8))()  # not `c_char`: that stands anywhere
    ctypes.memmove(words, number.to_bytes(octets, "little"), octets)
    return words


def lane_key(private: RSAPrivateKey, crypto: ctypes.CDLL) -> LaneKey | None:
    """Return what signs eight messages at a time with a key; None where nothing does.

    Nobody has tried yet whether it signs rightly (`dkim.batch.batch_key` does).

    Args:
        private: The key.
        crypto: libcrypto.
    """
    kibibits, rest = divmod(private.key_size, 1024)
    public = private.public_key().public_numbers()
    if rest or kibibits not in KIBIBITS or public.e != EXPONENT:
        return None
    library = multi_buffer()
    try:
        return None if library is None else LaneKey(private, library, crypto)
    except (AttributeError, OverflowError):
        return None


@cache
def multi_buffer() -> ctypes.CDLL | None:
    """Return libcrypto_mb, if it is installed and made for this processor."""
    for name in (*LIBRARIES, *_installed()):
        library = _load(name)
        if library is not None:
            fit = getattr(library, "mbx_is_crypto_mb_applicable", None)
            return library if fit is not None and fit(ctypes.c_uint64(0)) else None
    return None


def _installed() -> Iterator[str]:
    """Paths of the library in this Python's packages."""
    try:
        found = files(PACKAGE) or []
    except PackageNotFoundError:
        return
    for file in found:
        if file.name in LIBRARIES:
            yield str(file.locate())


def _load(name: str) -> ctypes.CDLL | None:
    """Load a library, with stand-ins for what it names and does not use, where those are missing.

    A library that does use them is refused by the dynamic linker: ctypes has it look for every
    symbol at once.
    """
    try:
        return ctypes.CDLL(name)
    except OSError as error:
        if name in str(error).partition(":")[0]:  # itself is missing, not what it names
            return None
    try:
        for stand_in in sorted(STAND_INS.glob("lib*")):
            ctypes.CDLL(str(stand_in))
        return ctypes.CDLL(name)
    except OSError:
        return None
