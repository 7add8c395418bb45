"""Leaving by mail: the `mailto:` form of List-Unsubscribe (RFC 2369 section 3.2).

The subject holds the same token that the link holds; nothing else of the mail is believed, not even
who it says it is from, and nothing is ever answered.
"""

import re
from collections.abc import Iterator
from email import message_from_bytes
from email.errors import MessageError
from email.header import decode_header, make_header
from typing import Final

import structlog

from ekiden.web.people import MAIL, People, Visitor

_TOKEN: Final = re.compile(r"[A-Za-z0-9_-]{40,600}")
_READ: Final = 64 * 1024  # bytes: the header
_TOKENS: Final = 3  # that are tried
_log = structlog.get_logger("ekiden.web")


class LeavingByMail:
    """Takes mail that asks to be left alone.

    Args:
        people: Carries it out.
    """

    def __init__(self, people: People) -> None:
        self._people = people

    async def take(self, raw: bytes, _rcpt: str, _now: float) -> bool:
        """Take one mail; whether somebody left by it.

        Args:
            raw: The mail.

        Raises:
            UnavailableError: The disk refuses; the mail may be taken again.
        """
        for token in tokens_in(raw):
            who = await self._people.who(token)
            if who is not None:
                await self._people.leave(who, Visitor(source=MAIL))
                return True
        _log.info("mail to leave by without a token of ours", size=len(raw))
        return False


def tokens_in(raw: bytes) -> Iterator[str]:
    """Yield what may be tokens in the subject of a mail; mail programs fold and encode it."""
    head, _, _ = raw[:_READ].replace(b"\r\n", b"\n").partition(b"\n\n")
    subject = message_from_bytes(head + b"\n\n").get("Subject", "")
    try:
        text = str(make_header(decode_header(str(subject))))
    except (LookupError, ValueError, MessageError):
        text = str(subject)
    whole = _TOKEN.findall("".join(text.split()))  # a fold within the token left white space in it
    yield from dict.fromkeys((*_TOKEN.findall(text)[:_TOKENS], *whole[:_TOKENS]))
