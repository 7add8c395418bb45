"""What the header says: addresses, dates, identifiers, encoded words, the subject. Pure."""

import base64
import binascii
import re
from collections.abc import Iterator
from email.utils import parsedate_to_datetime
from typing import Final

from ekiden.message.addresses import AddressError, Mailbox, decode_words, parse_mailboxes
from ekiden.message.lint.found import Found, quoted
from ekiden.message.lint.model import Purpose, width
from ekiden.message.lint.source import HeaderField, Part
from ekiden.message.lint.wire import codec_of
from ekiden.message.lint.words import FREE_MAIL, same_site

ONCE: Final = frozenset(
    {
        *("date", "from", "sender", "reply-to", "to", "cc", "bcc", "message-id", "in-reply-to"),
        *("references", "subject", "mime-version", "content-type", "content-transfer-encoding"),
        *("list-unsubscribe", "list-unsubscribe-post", "list-id"),
    }
)
_ADDRESSES: Final = ("from", "sender", "reply-to", "to", "cc")
_WORD: Final = re.compile(r"=\?([^?\s]*)\?([^?\s]*)\?([^?\s]*)\?=")
_BEGUN: Final = re.compile(r"=\?[\w.-]+\?[BbQq]\?")
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
_MESSAGE_ID: Final = re.compile(r"<[^<>@\s]+@(?:[^<>@\s]+|\[[^\[\]\s]+\])>")
_GROUP: Final = re.compile(r"[^<>@,]*:[^;]*;\s*(?:\([^()]*\))?")
_DATE: Final = re.compile(
    r"(?:(Mon|Tue|Wed|Thu|Fri|Sat|Sun)\s*,\s*)?\d{1,2}\s+"
    r"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)\s+\d{4}\s+\d{2}:\d{2}(?::\d{2})?\s+"
    r"(?:[+-]\d{4}|UT|GMT|[ECMP][SD]T|Z)\s*(?:\([^()]*\))?\s*",
    re.IGNORECASE,
)
_REPLY: Final = re.compile(r"\s*(?:re|fwd?|aw|wg|sv|tr|返信|転送)\s*[:：]", re.IGNORECASE)
_MARKS: Final = re.compile(r"[!！?？]{3,}|[!！]{2,}|[$＄€¥￥]{3,}")
_STARS: Final = re.compile(r"[★☆◆◇■□●○◎♪♥❤🔥✨💥‼⚡🎉]")
_WIDE_LATIN: Final = re.compile(r"[Ａ-Ｚａ-ｚ０-９]{8,}")
_SPACED: Final = re.compile(r"\b(?:[A-Za-z] ){3,}[A-Za-z]\b")
_ADDRESS: Final = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+")
_NO_REPLY: Final = re.compile(r"(?:do)?[-_.]?no[-_.]?t?[-_.]?reply|noreply", re.IGNORECASE)
_STARS_MOST: Final = 4


def check_fields(root: Part, found: Found, purpose: Purpose) -> None:
    """The header of a message."""
    if not root.fields:
        found.add("no-header", "line 1")
        return
    if root.stray is not None:
        line, text = root.stray
        shown = quoted(text.decode("utf-8", "replace"))
        found.add("bad-field", f"line {line}", f"{shown} is none.")
    seen: dict[str, int] = {}
    for field in root.fields:
        lower, where = field.name.lower(), f"{field.name}, line {field.line}"
        if lower in ONCE and lower in seen:
            found.add("duplicate-field", where, f"{field.name} stands twice.")
        seen.setdefault(lower, field.line)
        if _CONTROL.search(field.text):
            found.add("header-control", where)
        if not field.raw.isascii():
            found.add("header-8bit", where)
        _check_words(field, where, found)
    _check_identity(root, found, purpose)
    _check_addresses(root, found)
    _check_subject(root, found)


def _check_words(field: HeaderField, where: str, found: Found) -> None:
    """Encoded words: each must be read alone (RFC 2047)."""
    text = field.text
    words = list(_WORD.finditer(text))
    if len(_BEGUN.findall(text)) > len(words):
        found.add("encoded-word", where, "An encoded word is never closed, or holds a space.")
    for word in words:
        charset, kind, data = word[1], word[2], word[3]
        if len(word.group()) > 75:
            found.add("encoded-word-long", where, f"It has {len(word.group())} characters.")
        wrong = _word_fault(charset.partition("*")[0], kind.upper(), data)
        if wrong:
            found.add("encoded-word", where, f"{quoted(word.group(), 40)}: {wrong}.")


def _word_fault(charset: str, kind: str, data: str) -> str:
    """Return what is wrong with an encoded word, "" when nothing is."""
    codec = codec_of(charset) if charset else ""
    if not codec:
        return "nobody knows its charset"
    if kind == "B":
        try:
            raw = base64.b64decode(data, validate=True)
        except (binascii.Error, ValueError):
            return "it is not base64"
    elif kind == "Q":
        if re.search(r"=(?![0-9A-Fa-f]{2})", data):
            return "it is not quoted-printable"
        raw = binascii.a2b_qp(data.encode("ascii", "replace"), header=True)
    else:
        return "its encoding is neither B nor Q"
    try:
        raw.decode(codec)
    except (UnicodeDecodeError, ValueError):
        if codec == "iso2022_jp_ext" and raw.isascii() and raw.rstrip().endswith(b"\x1b(B"):
            return ""
        return f"its bytes are not {charset}, or a character is cut in two"
    return ""


def _check_identity(root: Part, found: Found, purpose: Purpose) -> None:
    """From, Sender, Date, Message-ID, To."""
    sender = root.get("from")
    if sender is None:
        found.add("from-missing", "header")
    else:
        _check_from(sender, root, found)
    date = root.get("date")
    if date is not None:
        wrong = date_fault(date.text)
        if wrong:
            found.add("date-invalid", f"Date, line {date.line}", wrong)
    elif purpose.final:
        found.add("date-missing", "header")
    identifier = root.get("message-id")
    if identifier is not None:
        if not _MESSAGE_ID.fullmatch(identifier.text):
            where = f"Message-ID, line {identifier.line}"
            found.add("message-id-invalid", where, f"{quoted(identifier.text)} is none.")
    elif purpose.final:
        found.add("message-id-missing", "header")
    if not any(root.get(name) for name in ("to", "cc", "bcc")):
        found.add("to-missing", "header")


def date_fault(text: str) -> str:
    """Return what is wrong with a Date, "" when nothing is (RFC 5322 section 3.3)."""
    shape = _DATE.fullmatch(text.strip())
    if shape is None:
        return f"{quoted(text)} is not written as a date."
    try:
        at = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return f"{quoted(text)} is no day of the calendar."
    day = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")[at.weekday()]
    if shape[1] and shape[1].title() != day:
        return f"{at:%Y-%m-%d} was a {day}, not a {shape[1]}."
    return ""


def mailboxes_of(field: HeaderField | None) -> list[Mailbox]:
    """Return the mailboxes of a field; none where it cannot be read."""
    if field is None or _GROUP.fullmatch(field.text):
        return []
    try:
        return list(parse_mailboxes(field.text))
    except AddressError:
        return []


def _check_from(field: HeaderField, root: Part, found: Found) -> None:
    where = f"From, line {field.line}"
    boxes = mailboxes_of(field)
    if not boxes:
        found.add("from-invalid", where, f"{quoted(field.text)} is not one address.")
        return
    if len(boxes) > 1 and root.get("sender") is None:
        found.add("sender-needed", where)
    box = boxes[0]
    spec = box.address.spec
    name = decode_words(box.name).strip()
    if not name:
        found.add("from-name", where)
    for other in _ADDRESS.findall(name):
        if other.lower() != spec.lower():
            found.add("from-name-address", where, f"It shows {quoted(other)}, and is {spec}.")
    if box.address.domain.lower() in FREE_MAIL:
        found.add("from-freemail", where, f"{box.address.domain} is a free mail provider.")
    if _NO_REPLY.search(spec.rpartition("@")[0]) and root.get("reply-to") is None:
        found.add("from-noreply", where)
    for reply in mailboxes_of(root.get("reply-to")):
        if not same_site(reply.address.domain, box.address.domain):
            found.add(
                "reply-to-domain",
                "Reply-To",
                f"Replies go to {reply.address.domain}, the sender is of {box.address.domain}.",
            )


def _check_addresses(root: Part, found: Found) -> None:
    for field in root.fields:
        lower = field.name.lower()
        if lower not in _ADDRESSES or lower == "from" or _GROUP.fullmatch(field.text):
            continue
        try:
            boxes = list(parse_mailboxes(field.text))
        except AddressError as error:
            boxes, wrong = [], str(error)
        else:
            wrong = "there is no address"
        if not boxes:
            where = f"{field.name}, line {field.line}"
            found.add("address-invalid", where, f"{quoted(field.text)}: {wrong}.")


def subject_of(root: Part) -> str:
    """Return the subject as it is read."""
    field = root.get("subject")
    return "" if field is None else decode_words(field.text)


def _check_subject(root: Part, found: Found) -> None:
    subject = subject_of(root)
    if not subject.strip():
        found.add("subject-missing", "header")
        return
    columns = width(subject)
    if columns > found.options.subject:
        found.add("subject-long", "Subject", f"It has {columns} columns.")
    answers = root.get("in-reply-to") is not None or root.get("references") is not None
    if _REPLY.match(subject) and not answers:
        found.add("subject-reply", "Subject", f"{quoted(subject)} answers nothing.")
    for what in excesses(subject):
        found.add("excessive", "Subject", f"{what}: {quoted(subject)}.")


def excesses(text: str) -> Iterator[str]:
    """Yield what in a line of text shouts."""
    if _MARKS.search(text):
        yield "Exclamation or question marks, or currency signs, in a row"
    if len(_STARS.findall(text)) > _STARS_MOST:
        yield "Many symbols that call for attention"
    if _WIDE_LATIN.search(text):
        yield "Full-width letters or digits"
    if _SPACED.search(text):
        yield "Letters with spaces between them"
    letters = [char for char in text if char.isalpha() and char.isascii()]
    if len(letters) >= 12 and sum(map(str.isupper, letters)) > 0.8 * len(letters):
        yield "Capital letters only"
