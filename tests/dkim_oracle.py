"""dkimpy as the independent judge of our signatures.

dkimpy takes Ed25519 from PyNaCl, which is no dependency of ours: without it the one primitive it
needs is stood in for by `cryptography`. Parsing, canonical forms and hashes remain dkimpy's own.
"""

import base64
import importlib.util
from collections.abc import Sequence
from types import SimpleNamespace

import dkim
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from ekiden.dkim.keys import Key, record_text


class _BadSignatureError(Exception):
    """PyNaCl's name for it."""


class _VerifyKey:
    def __init__(self, text: bytes, encoder: object) -> None:
        self._key = Ed25519PublicKey.from_public_bytes(base64.b64decode(text))

    def verify(self, message: bytes, signature: bytes) -> bytes:
        try:
            self._key.verify(signature, message)
        except InvalidSignature as error:
            raise _BadSignatureError from error
        return message


if importlib.util.find_spec("nacl") is None:
    dkim.nacl = SimpleNamespace(
        signing=SimpleNamespace(VerifyKey=_VerifyKey),
        encoding=SimpleNamespace(Base64Encoder=None),
        exceptions=SimpleNamespace(ValueError=ValueError, BadSignatureError=_BadSignatureError),
    )


def verdicts(message: bytes, keys: Sequence[Key]) -> list[bool]:
    """Return dkimpy's verdict on each DKIM-Signature field, from the top."""
    records = {f"{key.record_name}.".encode(): record_text(key).encode() for key in keys}

    def txt(name: bytes, timeout: int = 5) -> bytes | None:
        return records.get(name)

    def verified(index: int) -> bool:
        try:
            # verify() changes its object, so each field gets a fresh one.
            return bool(dkim.DKIM(message).verify(idx=index, dnsfunc=txt))
        except dkim.ValidationError:  # a wrong body hash is an exception to dkimpy
            return False

    names = [name.lower() for name, _ in dkim.DKIM(message).headers]
    return [verified(index) for index in range(names.count(b"dkim-signature"))]
