"""The envelope of one delivery, and whether it may be written into a command line.

An address is the one thing of a foreign hand that stands inside an SMTP command. RFC 5321 section
4.1.2 gives its grammar; here only what could change the command is refused: control characters,
and spaces and angle brackets outside a quoted local part. Whether the mailbox makes sense is for
intake to say.
"""

import re
from typing import Final

import msgspec

from ekiden import limits
from ekiden.smtp.content import UnsendableError

_CONTROL: Final = "\x00-\x1f\x7f"
_PLAIN: Final = re.compile(rf"[^{_CONTROL}\s<>\"\\@]+@[^{_CONTROL}\s<>\"\\@]+")
_QUOTED: Final = re.compile(rf"\"(?:[^{_CONTROL}\"\\]|\\[^{_CONTROL}])*\"@[^{_CONTROL}\s<>\"\\@]+")


class Envelope(msgspec.Struct, frozen=True, gc=False):
    """Who sends what kind of message to whom.

    Args:
        mail_from: The reverse-path without angle brackets; "" for the null sender.
        recipient: The forward-path without angle brackets.
        eight_bit: The content has bytes above 127 (RFC 6152).
        smtputf8: The content's header fields need RFC 6531; a non-ASCII address sets it too.
        size: The size to declare (RFC 1870) in bytes; 0 = that of the content.
    """

    mail_from: str
    recipient: str
    eight_bit: bool = False
    smtputf8: bool = False
    size: int = 0


def path(address: str) -> bytes:
    """Return `address` as bytes for MAIL FROM or RCPT TO.

    Raises:
        UnsendableError: It would break out of the command, or is longer than RFC 5321 section
            4.5.3.1.3 allows.
    """
    raw = address.encode("utf-8", "surrogateescape")
    if len(raw) > limits.PATH_OCTETS:
        raise UnsendableError(f"the address is longer than {limits.PATH_OCTETS} octets")
    if not (_PLAIN.fullmatch(address) or _QUOTED.fullmatch(address)):
        raise UnsendableError("the address has characters that SMTP does not allow")
    return raw
