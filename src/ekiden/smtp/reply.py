"""One SMTP reply as a value (RFC 5321 section 4.2, RFC 2034, RFC 3463)."""

import re
from typing import Final

import msgspec

# RFC 3463 section 2; the subject and detail are at most three digits. Anything else is ignored.
_ENHANCED: Final = re.compile(r"([245])\.(\d{1,3})\.(\d{1,3})(?=\s|$)")


class Reply(msgspec.Struct, frozen=True, gc=False):
    """A reply as received, unprintable bytes escaped.

    Args:
        code: The three-digit reply code, 200 to 599.
        text: All lines without their codes, joined by a newline, printable ASCII.
    """

    code: int
    text: str

    @property
    def enhanced(self) -> str:
        """The enhanced status code (`5.1.1`), or "" if there is none that fits the code.

        RFC 2034 section 4: its class must match the reply code's first digit; one that does not is
        ignored, since acting on it would turn a temporary failure into a permanent one or back.
        """
        found = _ENHANCED.match(self.text)
        if found is None or int(found.group(1)) != self.code // 100:
            return ""
        return found.group()

    @property
    def positive(self) -> bool:
        """Whether the reply is 2xx or 3xx."""
        return self.code < 400

    @property
    def temporary(self) -> bool:
        """Whether the reply is 4xx."""
        return 400 <= self.code < 500

    @property
    def permanent(self) -> bool:
        """Whether the reply is 5xx."""
        return self.code >= 500

    def __str__(self) -> str:
        return f"{self.code} {self.text}"
