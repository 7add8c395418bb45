"""Header fields: encoded words, folding, parameters, and the refusal of injected lines.

Pure. Text in, bytes out: every function returns the field's value as it stands after `Name:`, with
its leading space, folded at 76 columns where white space allows, without the last CRLF.

- Text that is not printable ASCII becomes RFC 2047 encoded words of at most 75 characters, each
  of whole characters (section 5 (3)), base64 or Q, whichever is shorter.
- ASCII text that *looks* like an encoded word is encoded too, so that it arrives as written.
- File names follow RFC 2231, with an ASCII `filename=` where it says the same.
- CR, LF, NUL and the other control characters never pass: `check_value` names the culprit.
"""

import binascii
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final

from ekiden import limits
from ekiden.message.addresses import Mailbox

FOLD_COLUMN: Final = 76  # RFC 2047 section 2: a line with an encoded word
WORD_CHARS: Final = 75  # RFC 2047 section 2

_FORBIDDEN: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_LINE_END: Final = re.compile(r"[\r\n\0]")
_PLAIN: Final = re.compile(r"[\x20-\x7e]*+")
_ATOMS: Final = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?: [A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")
_FIELD_NAME: Final = re.compile(r"[\x21-\x39\x3b-\x7e]+")
# Narrower than RFC 2045's token: readers take % ' and * for RFC 2231.
_TOKEN: Final = re.compile(r"[A-Za-z0-9!#$&+.^_`{|}~-]+")
_ATTRIBUTE_CHAR: Final = frozenset(
    b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789!#$&+-.^_`{|}~"
)
# RFC 2047 section 5 (3): what may stand bare in a Q word inside a phrase; narrower, so always safe.
_Q_SAFE: Final = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789!*+-/")
_Q_SHORT: Final = bytes(sorted(_Q_SAFE)) + b" "  # one character in a Q word; all others three
_DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS: Final = (
    *("Jan", "Feb", "Mar", "Apr", "May", "Jun"),
    *("Jul", "Aug", "Sep", "Oct", "Nov", "Dec"),
)


class RenderError(Exception):
    """A message that cannot be made for this recipient; `reason` is a clause for a report.

    Args:
        reason: What is wrong.
        field: The merge field or header field it is about, "" when there is none.
    """

    def __init__(self, reason: str, field: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.field = field


def check_value(field: str, value: str) -> None:
    """Refuse what must not reach a header field: CR, LF, NUL, other controls, lone surrogates.

    Args:
        field: The name to blame.
        value: Text on its way into a header field or an address.

    Raises:
        RenderError: It holds one; nothing is ever stripped silently (docs/hostile.md M1).
    """
    found = _FORBIDDEN.search(value)
    if found is not None:
        raise RenderError(f"{field}: {name_of(found.group())} in a header field", field)


def check_data(values: Mapping[str, Any]) -> None:
    """Refuse merge data with CR, LF or NUL, wherever they are printed (docs/hostile.md M1).

    The spool has refused such a row already; data that come another way meet the same rule.

    Args:
        values: Merge fields by name; lists and tables in them are looked into.

    Raises:
        RenderError: With the field's name; nothing is ever stripped silently.
    """
    texts = [value for value in values.values() if type(value) is str]
    joined = "".join(texts)
    clean = "\n" not in joined and "\r" not in joined and "\0" not in joined
    if clean and len(texts) == len(values):
        return
    for name, value in values.items():
        for text in _texts(value):
            found = _LINE_END.search(text)
            if found is not None:
                raise RenderError(f"the merge field {name!r} holds {name_of(found.group())}", name)


def _texts(value: Any) -> Iterator[str]:
    """Yield every text in a value, names of tables included, however deep."""
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, str):
            yield one
        elif isinstance(one, Mapping):
            waiting += (*one.keys(), *one.values())
        elif isinstance(one, list | tuple):
            waiting += one


def name_of(char: str) -> str:
    """Return what people call a control character."""
    known = {"\r": "a carriage return (CR)", "\n": "a line break (LF)", "\0": "a NUL character"}
    return known.get(char, f"the control character U+{ord(char):04X}")


def check_field_name(name: str) -> None:
    """Refuse a name that is not a field name (RFC 5322 section 2.2).

    Raises:
        RenderError: It is none.
    """
    if not _FIELD_NAME.fullmatch(name) or len(name) > 76:
        raise RenderError(f"{name!r} is not a header field's name", name)


def unstructured(name: str, text: str, charset: str = "utf-8") -> bytes:
    """Return the value of a field of free text: Subject, Comments, extra fields.

    Args:
        name: The field's name; its length counts for the first line.
        text: The text, checked by `check_value`.
        charset: For encoded words.
    """
    if _PLAIN.fullmatch(text) and "=?" not in text:
        if len(name) + 2 + len(text) <= FOLD_COLUMN + 2:
            return b" " + text.encode("ascii")
        folded = _fold_plain(len(name) + 1, text)
        if folded is not None:
            return folded
    return b" " + encoded_words(text, len(name) + 2, charset)


def _fold_plain(column: int, text: str) -> bytes | None:
    """Fold ASCII text before single words; None when a line would pass the hard limit.

    Unfolding takes only the CRLF away (RFC 5322 section 2.2.3), so the text survives exactly. A
    line of white space alone would be an obsolete form, hence folds before non-space only.
    """
    lines: list[str] = []
    line = ""
    for word in re.findall(r" *[^ ]+| +$", " " + text):
        if line.strip() and column + len(line) + len(word) > FOLD_COLUMN + 2 and word.strip():
            lines.append(line)
            line, column = "", 0
        line += word
    lines.append(line)
    if max(map(len, lines)) + 80 > limits.LINE_OCTETS:
        return None
    return "\r\n".join(lines).encode("ascii")


def encoded_words(text: str, column: int, charset: str = "utf-8") -> bytes:
    """Return text as encoded words, folded; the first starts at `column` of its line."""
    if charset == "utf-8":
        raw = text.encode("utf-8")
        quoted = len(raw) + 2 * len(raw.translate(None, _Q_SHORT))
        if quoted <= (len(raw) + 2) // 3 * 4:
            return _q_words(text, column)
        return _b_words(raw, column)
    return _b_words_stateful(text, column, charset)


def _b_words(raw: bytes, column: int) -> bytes:
    """Base64 words over UTF-8, cut between characters."""
    words: list[bytes] = []
    start, size = 0, len(raw)
    overhead = len("=?utf-8?B??=")
    while start < size or not words:
        room = min(WORD_CHARS, FOLD_COLUMN - column) - overhead
        end = min(start + max(room // 4 * 3, 4), size)
        while end < size and raw[end] & 0xC0 == 0x80:
            end -= 1
        words.append(b"=?utf-8?B?%b?=" % binascii.b2a_base64(raw[start:end], newline=False))
        start, column = end, 1
    return b"\r\n ".join(words)


def _q_words(text: str, column: int) -> bytes:
    words: list[str] = []
    word = ""
    room = min(WORD_CHARS, FOLD_COLUMN - column) - len("=?utf-8?Q??=")
    for char in text:
        piece = _q_char(char)
        if word and len(word) + len(piece) > room:
            words.append(word)
            word, room = "", WORD_CHARS - len("=?utf-8?Q??=")
        word += piece
    words.append(word)
    return "\r\n ".join(f"=?utf-8?Q?{word}?=" for word in words).encode("ascii")


@lru_cache(maxsize=4096)
def _q_char(char: str) -> str:
    if char == " ":
        return "_"
    return "".join(chr(byte) if byte in _Q_SAFE else f"={byte:02X}" for byte in char.encode())


def _b_words_stateful(text: str, column: int, charset: str) -> bytes:
    """Base64 words over ISO-2022-JP: each word starts and ends in ASCII (RFC 1468)."""
    words: list[bytes] = []
    overhead = len(f"=?{charset}?B??=")
    start, size = 0, len(text)
    while start < size or not words:
        room = (min(WORD_CHARS, FOLD_COLUMN - column) - overhead) // 4 * 3
        end = min(size, start + max(room, 1))
        raw = text[start:end].encode(charset)
        while len(raw) > room and end > start + 1:
            end -= 1
            raw = text[start:end].encode(charset)
        encoded = binascii.b2a_base64(raw, newline=False)
        words.append(b"=?%b?B?%b?=" % (charset.encode(), encoded))
        start, column = end, 1
    return b"\r\n ".join(words)


def phrase(text: str, column: int, charset: str = "utf-8") -> bytes:
    """Return a display name as a phrase (RFC 5322 section 3.2.5), quoted or encoded as needed."""
    if not _PLAIN.fullmatch(text) or "=?" in text or len(text) > 200:
        return encoded_words(text, column, charset)
    if _ATOMS.fullmatch(text):
        return text.encode("ascii")
    return b'"%b"' % text.replace("\\", "\\\\").replace('"', '\\"').encode("ascii")


def mailbox(name: str, box: Mailbox, charset: str = "utf-8") -> bytes:
    """Return the value of an address field with one mailbox."""
    return mailboxes(name, (box,), charset)


def mailboxes(name: str, boxes: Sequence[Mailbox], charset: str = "utf-8") -> bytes:
    """Return the value of an address field: display names encoded, folded between parts.

    An internationalised local part stays UTF-8 (RFC 6532): such a message needs SMTPUTF8.
    """
    value = b""
    column = len(name) + 1
    for index, box in enumerate(boxes):
        spec = box.address.header_spec.encode("utf-8")
        parts = [phrase(box.name, column + 1, charset), b"<%b>" % spec] if box.name else [spec]
        if index < len(boxes) - 1:
            parts[-1] += b","
        for part in parts:
            first = part.partition(b"\r\n")[0]
            if column + 1 + len(first) > FOLD_COLUMN + 2 and column > 1 and value:
                value += b"\r\n"
                column = 0
            value += b" " + part
            column = column + 1 + len(part) if first == part else len(part.rpartition(b"\r\n")[2])
    return value


def identifiers(name: str, text: str) -> bytes:
    """Return the value of a structured field made of ASCII tokens (List-Unsubscribe, Message-ID).

    Folded at white space only: an encoded word may not stand inside (RFC 2047 section 5).

    Raises:
        RenderError: It is not printable ASCII, or a token is too long for a line.
    """
    if not _PLAIN.fullmatch(text):
        check_value(name, text)
        raise RenderError(f"{name} must be ASCII", name)
    if len(name) + 2 + len(text) <= FOLD_COLUMN + 2:
        return b" " + text.encode("ascii")
    folded = _fold_plain(len(name) + 1, text)
    if folded is None:
        raise RenderError(f"{name} holds a word longer than a line may be", name)
    return folded


def parameters(value: str, params: Sequence[tuple[str, str]]) -> bytes:
    """Return a value with MIME parameters, one a line (RFC 2045 section 5.1, RFC 2231).

    Args:
        value: `text/plain`, `attachment`.
        params: Names and values; values beyond ASCII or too long take the RFC 2231 form.
    """
    made = b" " + value.encode("ascii")
    for name, text in params:
        for piece in _parameter(name, text):
            line = made.rpartition(b"\r\n")[2]
            # The first line also holds the field's name; none is longer than this one.
            room = FOLD_COLUMN - (0 if b"\r\n" in made else len("Content-Disposition:"))
            made += (b"; " if len(line) + 2 + len(piece) <= room else b";\r\n ") + piece
    return made


@lru_cache(maxsize=4096)
def _extended(char: str) -> str:
    return "".join(
        chr(byte) if byte in _ATTRIBUTE_CHAR else f"%{byte:02X}" for byte in char.encode()
    )


def _parameter(name: str, text: str) -> list[bytes]:
    if _PLAIN.fullmatch(text) and len(name) + len(text) < 60 and text == text.strip(" "):
        if _TOKEN.fullmatch(text):
            return [f"{name}={text}".encode("ascii")]
        escaped = text.replace("\\", "\\\\").replace('"', '\\"')
        return [f'{name}="{escaped}"'.encode("ascii")]
    encoded = [_extended(char) for char in text]  # whole characters: readers decode each piece
    width = FOLD_COLUMN - len(name) - len("*99*=utf-8'';  ")
    chunks, chunk = [], ""
    for piece in encoded:
        if len(chunk) + len(piece) > width:
            chunks.append(chunk)
            chunk = ""
        chunk += piece
    chunks.append(chunk)
    if len(chunks) == 1:
        return [f"{name}*=utf-8''{chunks[0]}".encode("ascii")]
    chunks[0] = f"utf-8''{chunks[0]}"
    return [f"{name}*{i}*={chunk}".encode("ascii") for i, chunk in enumerate(chunks)]


@lru_cache(maxsize=64)
def date(second: int) -> bytes:
    """Return a Date value in UTC (RFC 5322 section 3.3); `second` is UNIX time."""
    at = datetime.fromtimestamp(second, UTC)
    return (
        f" {_DAYS[at.weekday()]}, {at.day:02d} {_MONTHS[at.month - 1]} {at.year:04d}"
        f" {at:%H:%M:%S} +0000"
    ).encode("ascii")
