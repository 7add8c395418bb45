"""Whether a message that our key signs verifies with what is published, by dkimpy's judgement.

dkimpy reads the record and checks the signature with code that is not ours: an error that our
signer and our reader of records share would show here. It takes Ed25519 from PyNaCl; without that,
such a key is only compared.
"""

import importlib.util
from email.utils import formatdate

import dkim

from ekiden.dkim.keys import Algorithm, Key
from ekiden.dkim.sign import Signer

_BODY = b"This message is signed to be verified, and is sent to nobody.\r\n"


def signature_verifies(key: Key, domain: str, record: str, now: float) -> bool | None:
    """Return whether a freshly signed message verifies; None if dkimpy cannot judge the key.

    Args:
        key: The key.
        domain: The From domain.
        record: The published TXT record.
        now: UNIX seconds.
    """
    if key.algorithm is Algorithm.ED25519 and importlib.util.find_spec("nacl") is None:
        return None
    headers = [
        (b"From", f" check@{domain}".encode()),
        (b"To", f" check@{domain}".encode()),
        (b"Subject", b" a signature is checked"),
        (b"Date", f" {formatdate(now)}".encode()),
        (b"Message-ID", f" <check@{domain}>".encode()),
    ]
    fields = Signer([key]).sign(headers, _BODY, now)
    head = b"".join(name + b":" + value + b"\r\n" for name, value in headers)
    message = fields + head + b"\r\n" + _BODY

    def published(name: bytes, timeout: int = 5) -> bytes | None:  # noqa: ARG001 - dkimpy's call
        return record.encode() if name.rstrip(b".").decode() == key.record_name else None

    try:
        return bool(dkim.DKIM(message).verify(dnsfunc=published))
    except dkim.DKIMException:
        return False
