"""What a receiver offers: its EHLO reply, read (RFC 5321 section 4.1.1.1)."""

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from ekiden.smtp.reply import Reply

_NUMBER: Final = re.compile(r"[0-9]{1,20}")  # RFC 1870 section 4: at most 20 digits


@dataclass(frozen=True, slots=True)
class Extensions:
    """The service extensions of one receiver; all absent for one that only knows HELO.

    Args:
        pipelining: RFC 2920.
        size: The largest message in bytes (RFC 1870); 0 = offered without a limit, None = not
            offered.
        eight_bit_mime: RFC 6152.
        smtputf8: RFC 6531.
        chunking: BDAT, RFC 3030.
        starttls: RFC 3207.
        enhanced: Enhanced status codes, RFC 2034.
        auth: The AUTH mechanisms in upper case (RFC 4954), the old `AUTH=` form included.
        mail_max: The most transactions on one connection (LIMITS MAILMAX, RFC 9422); None = not
            stated.
    """

    pipelining: bool = False
    size: int | None = None
    eight_bit_mime: bool = False
    smtputf8: bool = False
    chunking: bool = False
    starttls: bool = False
    enhanced: bool = False
    auth: tuple[str, ...] = ()
    mail_max: int | None = None


NO_EXTENSIONS: Final = Extensions()


def parse_ehlo(reply: Reply) -> Extensions:
    """Read the extensions out of a positive reply to EHLO.

    Keywords that are unknown, malformed or repeated are not errors: a later line of the same
    keyword wins, as in Postfix. Values that do not fit (a SIZE that is no number) count as absent.
    """
    # The first line greets with the receiver's name; the rest is the same for all of its hosts,
    # so that ten thousand sessions share a handful of Extensions.
    return _parse(reply.text.partition("\n")[2])


@lru_cache(maxsize=1024)
def _parse(lines: str) -> Extensions:
    offered: dict[str, list[str]] = {}
    auth: list[str] = []
    for line in lines.split("\n"):
        keyword, *parameters = line.split() or [""]
        keyword = keyword.upper()
        offered[keyword] = parameters
        if keyword.startswith("AUTH="):  # before RFC 2554; still offered next to the new form
            parameters.insert(0, keyword.removeprefix("AUTH="))
        if keyword.partition("=")[0] == "AUTH":
            auth += (name.upper() for name in parameters if name)
    return Extensions(
        pipelining="PIPELINING" in offered,
        size=_size(offered.get("SIZE")),
        eight_bit_mime="8BITMIME" in offered,
        smtputf8="SMTPUTF8" in offered,
        chunking="CHUNKING" in offered,
        starttls="STARTTLS" in offered,
        enhanced="ENHANCEDSTATUSCODES" in offered,
        auth=tuple(dict.fromkeys(auth)),
        mail_max=_limit(offered.get("LIMITS", []), "MAILMAX"),
    )


def _size(parameters: list[str] | None) -> int | None:
    if parameters is None:
        return None
    if not parameters:
        return 0
    return int(parameters[0]) if _NUMBER.fullmatch(parameters[0]) else 0


def _limit(parameters: list[str], name: str) -> int | None:
    for parameter in parameters:
        key, _, value = parameter.partition("=")
        # RFC 9422 section 3: at most six digits, not zero.
        if key.upper() == name and re.fullmatch(r"[1-9][0-9]{0,5}", value):
            return int(value)
    return None
