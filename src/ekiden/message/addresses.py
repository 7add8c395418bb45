"""Mail addresses: what may stand in RCPT TO and in an address field (RFC 5321, 5322, 6531).

`parse_address` reads one bare address; it is called for every row of a million-row file, so a plain
ASCII address costs one regular expression and one cached look-up of its domain. `parse_mailbox`
reads what people write in a From line: `山田 太郎 <taro@example.jp>`.

What is refused, beside wrong grammar: control characters anywhere (docs/hostile.md M1), local parts
that look like encoded words (M6: they decode into another address in somebody's parser), address
literals and domains without a dot. What is accepted beyond the grammar: the dots that docomo and au
once sold, `a..b@docomo.ne.jp` and `abc.@ezweb.ne.jp`, at those domains only.
"""

import re
from collections.abc import Sequence
from email.errors import HeaderParseError
from email.header import decode_header
from functools import lru_cache
from typing import Final, NamedTuple

import idna

from ekiden import limits
from ekiden.text import printable

# Carriers that handed out local parts with consecutive or final dots (shared provider facts).
DOTTY_DOMAINS: Final = frozenset(
    {"docomo.ne.jp", "ezweb.ne.jp", "au.com", "ido.ne.jp", "disney.ne.jp"}
)
LABEL_OCTETS: Final = 63
MAILBOXES: Final = 10_000  # in one address field

_ATEXT: Final = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]"
_LOCAL: Final = re.compile(rf"{_ATEXT}++(?:\.{_ATEXT}++)*+")
_DOTTY_LOCAL: Final = re.compile(rf"(?:{_ATEXT}|\.)++")
_QUOTED: Final = re.compile(r'"(?:[\x20\x21\x23-\x5b\x5d-\x7e]|\\[\x20-\x7e])*+"')
_UTF8_LOCAL: Final = re.compile(
    r"[^\x00-\x20\x7f-\xa0\"(),:;<>@\[\\\].\s]++(?:\.[^\x00-\x20\x7f-\xa0\"(),:;<>@\[\\\].\s]++)*+"
)
_LABEL: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_ESCAPED: Final = re.compile(r"\\(.)")
_ENCODED_WORD: Final = re.compile(r"=\?.*\?=")  # wider than RFC 2047: parsers differ
_DOT_LIKE: Final = re.compile("[\u3002\uff0e\uff61]")  # RFC 3490 section 3.1


# Addresses that are plain ASCII dot-atoms, each ended by a line feed.
_PLAIN_LINES: Final = re.compile(rf"(?:{_ATEXT}++(?:\.{_ATEXT}++)*+@[A-Za-z0-9.-]++\n)*+")

_is_local: Final = _LOCAL.fullmatch
_new_tuple: Final = tuple.__new__  # a named tuple without its Python-level constructor: -0.1 us


class AddressError(ValueError):
    """An address that cannot be mailed; `reason` is a clause for a report."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Address(NamedTuple):
    """A checked address.

    Args:
        local: The local part as RCPT TO needs it (quoted when it must be).
        domain: Lower case, A-labels: the delivery's destination.
        smtputf8: Whether the local part needs SMTPUTF8 (RFC 6531).
    """

    local: str
    domain: str
    smtputf8: bool

    @property
    def spec(self) -> str:
        """`local@domain`, as it goes into RCPT TO."""
        return f"{self.local}@{self.domain}"

    @property
    def header_spec(self) -> str:
        """`local@domain` as an address field must write it (RFC 5322 section 3.4.1).

        Differs for the carriers' dotty local parts only: there the field needs quotes.
        """
        if self.smtputf8 or self.local[0] == '"' or _LOCAL.fullmatch(self.local):
            return f"{self.local}@{self.domain}"
        return f'"{self.local}"@{self.domain}'


class Mailbox(NamedTuple):
    """An address with a display name ("" when there is none)."""

    name: str
    address: Address


def parse_address(text: str) -> Address:
    """Parse a bare address.

    Args:
        text: `local@domain`; no white space around, no angle brackets, no display name.

    Raises:
        AddressError: It cannot be mailed; any other exception would be a bug.
    """
    local, at, domain = text.rpartition("@")
    if not at:
        raise AddressError("there is no @")
    ascii_domain = _domain(domain)
    if (
        _is_local(local)
        and len(local) <= limits.LOCAL_PART_OCTETS
        and len(local) + len(ascii_domain) < limits.PATH_OCTETS
        and "=?" not in local
    ):
        return _new_tuple(Address, (local, ascii_domain, False))
    return _unusual(local, ascii_domain)


def plain_addresses(texts: Sequence[str]) -> tuple[list[str], list[str]] | None:
    """Parse many bare addresses at once, as long as they are of the most usual kind.

    The same answers as `parse_address`, for a fifth of the time: the work is that of a few calls
    for all of them together.

    Args:
        texts: As `parse_address` takes them.

    Returns:
        The `spec` and the `domain` of each; None when one of them asks for a closer look or is
        wrong, and none of them has been judged.
    """
    joined = "\n".join(texts)
    if "=?" in joined or not _PLAIN_LINES.fullmatch(joined + "\n"):
        return None
    halves = joined.replace("\n", "@").split("@")
    domains = halves[1::2]
    if (
        len(domains) != len(texts)  # one of them held a line feed
        or max(map(len, halves[::2])) > limits.LOCAL_PART_OCTETS
        or max(map(len, texts)) > limits.PATH_OCTETS
    ):
        return None
    try:
        checked = {domain: _domain(domain) for domain in set(domains)}
    except AddressError:
        return None
    if all(domain == ours for domain, ours in checked.items()):
        return list(texts), domains
    domains = [checked[domain] for domain in domains]
    return list(map("{}@{}".format, halves[::2], domains)), domains


def _unusual(local: str, domain: str) -> Address:
    """Everything that is not a plain ASCII dot-atom, and the reasons for refusing."""
    if not local:
        raise AddressError("the part before the @ is empty")
    if _CONTROL.search(local):
        raise AddressError("the address holds a control character")
    try:
        octets = len(local.encode())
    except UnicodeEncodeError:
        raise AddressError("the address is not valid Unicode") from None
    if octets > limits.LOCAL_PART_OCTETS:
        raise AddressError(f"the part before the @ is longer than {limits.LOCAL_PART_OCTETS} bytes")
    if octets + 1 + len(domain) > limits.PATH_OCTETS:
        raise AddressError(f"the address is longer than {limits.PATH_OCTETS} bytes")
    if _ENCODED_WORD.search(local):
        raise AddressError("the part before the @ looks like an encoded word")
    smtputf8 = not local.isascii()
    if not smtputf8:
        local = _ascii_local(local, domain)
    elif not _UTF8_LOCAL.fullmatch(local):
        raise AddressError("the part before the @ holds characters that are not allowed")
    return Address(local, domain, smtputf8)


def _ascii_local(local: str, domain: str) -> str:
    if _QUOTED.fullmatch(local):
        plain = _ESCAPED.sub(r"\1", local[1:-1])
        if _ENCODED_WORD.search(plain):
            raise AddressError("the part before the @ looks like an encoded word")
        if _LOCAL.fullmatch(plain):
            return plain  # the quotes were not needed: one spelling for one mailbox
        if not plain:
            raise AddressError("the part before the @ is empty")
        return local
    if _LOCAL.fullmatch(local):
        return local
    if _DOTTY_LOCAL.fullmatch(local):
        if domain in DOTTY_DOMAINS and local[0] != ".":
            return local
        raise AddressError("the part before the @ has a dot at its start or end, or two in a row")
    raise AddressError("the part before the @ holds characters that are not allowed")


@lru_cache(maxsize=65_536)
def _domain(domain: str) -> str:
    return parse_domain(domain)


def parse_domain(text: str) -> str:
    """Return a domain in lower case and A-labels (RFC 5890), checked as a mail destination.

    Raises:
        AddressError: It is none; any other exception would be a bug.
    """
    if not text:
        raise AddressError("the domain is empty")
    if len(text) > limits.DOMAIN_OCTETS:
        raise AddressError(f"the domain is longer than {limits.DOMAIN_OCTETS} characters")
    if text.startswith("["):
        raise AddressError("address literals are not mailed")
    domain = text.lower() if text.isascii() else _a_labels(text)
    labels = domain.split(".")
    if len(domain) > limits.DOMAIN_OCTETS - 2:  # RFC 1035: 255 with length bytes and the root
        raise AddressError("the domain is too long")
    for label in labels:
        if len(label) > LABEL_OCTETS or not _LABEL.fullmatch(label):
            raise AddressError(f"{printable(text, 80)!r} is not a domain")
    if len(labels) < 2:
        raise AddressError("the domain has no dot")
    if labels[-1].isdigit():
        raise AddressError("the domain ends in a number")
    if "xn--" in domain:
        _check_a_labels(domain)
    return domain


def _a_labels(text: str) -> str:
    try:
        # UTS 46 maps full-width letters and upper case the way people type them.
        return idna.encode(_DOT_LIKE.sub(".", text), uts46=True).decode("ascii").lower()
    except (idna.IDNAError, UnicodeError):
        raise AddressError(
            f"{printable(text, 80)!r} is not a valid internationalised domain"
        ) from None


def _check_a_labels(domain: str) -> None:
    try:
        idna.decode(domain)
    except (idna.IDNAError, UnicodeError):
        raise AddressError(f"{domain!r} is not a valid internationalised domain") from None


def parse_mailbox(text: str) -> Mailbox:
    """Parse `Name <local@domain>`, `"Name, with comma" <…>`, `local@domain (Name)` or an address.

    Encoded words in the name are decoded; in the address they are refused.

    Raises:
        AddressError: It is none; any other exception would be a bug.
    """
    text = text.strip(" \t")
    if _CONTROL.search(text.replace("\t", " ")):
        raise AddressError("the address holds a control character")
    if text.endswith(">"):
        name, bracket, spec = _split_brackets(text)
        if not bracket:
            raise AddressError("there is a > without <")
        return Mailbox(_name(name), parse_address(spec[:-1].strip(" \t")))
    if text.endswith(")") and " (" in text:
        spec, _, comment = text.partition(" (")
        return Mailbox(_name(comment[:-1]), parse_address(spec.strip(" \t")))
    return Mailbox("", parse_address(text))


def _split_brackets(text: str) -> tuple[str, str, str]:
    """Split at the first < outside quotes: the address may hold a quoted < itself."""
    quoted = escaped = False
    for index, char in enumerate(text):
        if escaped:
            escaped = False
        elif char == "\\" and quoted:
            escaped = True
        elif char == '"':
            quoted = not quoted
        elif char == "<" and not quoted:
            return text[:index], "<", text[index + 1 :]
    return text, "", ""


def _name(text: str) -> str:
    text = text.strip(" \t")
    if len(text) > 1 and text[0] == '"' and text[-1] == '"':
        text = _ESCAPED.sub(r"\1", text[1:-1])
    elif '"' in text or "<" in text or ">" in text:
        raise AddressError("the display name holds quotes or angle brackets that do not match")
    if "=?" in text:
        text = decode_words(text)
        if _CONTROL.search(text):
            raise AddressError("the display name hides a control character")
    return text


def decode_words(text: str) -> str:
    """Decode RFC 2047 encoded words; what cannot be decoded stays as it is."""
    try:
        return "".join(
            part if isinstance(part, str) else part.decode(charset or "ascii")
            for part, charset in decode_header(text)
        )
    except (HeaderParseError, LookupError, UnicodeError, ValueError):
        return text


def parse_mailboxes(text: str) -> list[Mailbox]:
    """Parse an address list: mailboxes and groups, separated by commas (RFC 5322 section 3.4).

    Raises:
        AddressError: One of them is wrong; the reason names it.
    """
    found = []
    for part in split_list(text):
        try:
            found.append(parse_mailbox(part))
        except AddressError as error:
            raise AddressError(f"{printable(part, 80)}: {error.reason}") from None
        if len(found) > MAILBOXES:
            raise AddressError(f"more than {MAILBOXES} addresses in one field")
    return found


def split_list(text: str) -> list[str]:
    """Split an address list at commas outside quotes, comments and angle brackets.

    Group syntax (`friends: a@x, b@y;`) is taken apart: the group's name goes away.
    """
    parts: list[str] = []
    start, depth, closing = 0, 0, ""
    index, size = 0, len(text)
    while index < size:
        char = text[index]
        if char == "\\" and closing in {'"', ")"}:
            index += 1
        elif closing == ")" and char == "(":
            depth += 1
        elif closing:
            if char == closing:
                depth -= 1
                closing = closing if depth else ""
        elif char in _OPENERS:
            closing, depth = _OPENERS[char], 1
        elif char in ",;":
            parts.append(text[start:index])
            start = index + 1
        elif char == ":":
            start = index + 1
        index += 1
    parts.append(text[start:])
    return [part.strip() for part in parts if part.strip()]


_OPENERS: Final = {'"': '"', "(": ")", "<": ">"}
