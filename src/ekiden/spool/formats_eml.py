"""NAME.eml -> `JobSpec`: one message, read the way `sendmail -t` reads it. Pure.

Recipients are the addresses in To, Cc and Bcc (RFC 5322 section 3.6.3); Resent- fields are those of
an earlier journey and are ignored (section 3.6.6). Bcc goes away, and so do the `X-Ekiden-*`
options, `Return-Path` (RFC 5321 section 4.4: only the final delivery writes it) and an mbox `From `
line. Every other byte stays; line ends are the message room's business.

Contract: `JobError` is the only exception that leaves. An address that cannot be mailed refuses
that recipient, by its number among all addresses of the message.
"""

import re
from typing import Any, Final

from ekiden import limits
from ekiden.errors import EkidenError
from ekiden.message.addresses import (
    AddressError,
    Mailbox,
    decode_words,
    parse_mailbox,
    split_list,
)
from ekiden.queue.model import Priority
from ekiden.spool.formats import PROBLEMS, checked
from ekiden.spool.jobspec import JobError, JobSpec, Shape, nearest, shown
from ekiden.spool.keys import HEADERS, JobKey
from ekiden.spool.values import Context, WrongValueError
from ekiden.text import printable

OPTION: Final = "x-ekiden-"
FIELDS: Final = 1000

_RECIPIENT_FIELDS: Final = ("to", "cc", "bcc")
_DROPPED: Final = frozenset({"bcc", "return-path"})
_BLANK_LINE: Final = re.compile(rb"\r?\n\r?\n|\A\r?\n")
# A field and its continuation lines (RFC 5322 section 2.2.3), with the line end.
_FIELD: Final = re.compile(rb"[^\r\n]*+(?:\r?\n[ \t][^\r\n]*+)*+(?:\r?\n|\Z)")
_NAME: Final = re.compile(rb"([!-9;-~]+)[ \t]*:")
_FOLD: Final = re.compile(r"\r?\n[ \t]+")


def job_from_message(data: bytes, file: str, name: str, *, now: float) -> JobSpec:
    """Read a message file.

    Args:
        data: The whole message; CRLF or LF line ends.
        file: Its name, for messages.
        name: The job's NAME in the spool.
        now: UNIX seconds, for relative times.

    Returns:
        A spec whose `recipients` are address texts, in the order of the header, and whose `raw` is
        the message to send.

    Raises:
        JobError: It is no message, names no recipient, or its options are wrong.
    """
    fields, body = _split(data, file)
    kept: list[bytes] = []
    options: list[tuple[str, str]] = []
    values: dict[str, list[str]] = {}
    for label, field in fields:
        if label.startswith(OPTION):
            options.append((label, _value(field, file)))
            continue
        if label in ("from", "sender", "subject", *_RECIPIENT_FIELDS):
            values.setdefault(label, []).append(_value(field, file))
        if label not in _DROPPED:
            kept.append(field)
    sender = _sender(values, file)
    chosen = _options(options, file, Context(now, Shape.MESSAGE))
    opens, clicks = chosen.pop("", (None, None))
    subject = decode_words(values.get("subject", [""])[0])
    given: dict[str, Any] = {
        "name": shown(subject, 100) or name,
        "mail_from": sender.address.spec,
        "priority": Priority.TRANSACTIONAL,
        "states_priority": "priority" in chosen,
    }
    spec = JobSpec(
        shape=Shape.MESSAGE,
        sender=values["from"][0].strip(),
        from_domain=sender.address.domain,
        subject=subject,
        recipients=_recipients(values, file),
        raw=b"".join(kept) + body,
        track_opens=opens,
        track_clicks=clicks,
        **(given | chosen),
    )
    return checked(spec, file, now)


def _split(data: bytes, file: str) -> tuple[list[tuple[str, bytes]], bytes]:
    """Return the fields as (lower-case name, bytes), and the rest from the blank line on."""
    if (nul := data.find(b"\0")) >= 0:
        raise JobError.one(
            f"There is a NUL at byte {nul}, which mail cannot carry (RFC 5322 section 4).",
            where=f"{file}:{_line(data, nul)}",
            remedy="encode binary parts as base64",
        )
    start = data.find(b"\n") + 1 if data.startswith(b"From ") else 0
    blank = _BLANK_LINE.search(data, start, start + limits.HEADER_BYTES)
    if blank is not None:
        # The first line end closes the last field; from the second on it is the body's.
        end = data.find(b"\n", blank.start()) + 1 if blank.start() > start else start
        return _fields(data, start, end, file), data[end:]
    if len(data) - start > limits.HEADER_BYTES:
        raise JobError.one(
            f"The header is longer than {limits.HEADER_BYTES:,} bytes, or no blank line ends it.",
            where=file,
        )
    return _fields(data, start, len(data), file), b"\r\n"


def _fields(data: bytes, at: int, end: int, file: str) -> list[tuple[str, bytes]]:
    found: list[tuple[str, bytes]] = []
    while at < end:
        match = _FIELD.match(data, at, end)
        field = match.group() if match else b""
        label = _NAME.match(field)
        if label is None:
            raise JobError.one(
                f"This is not a header field: {printable(field, 60)!r}.",
                where=f"{file}:{_line(data, at)}",
                remedy="a message starts with header fields; a blank line ends them",
            )
        if len(found) == FIELDS:
            raise JobError.one(f"The header has more than {FIELDS} fields.", where=file)
        # A last field without a line end would run into the body that is put behind it.
        found.append(
            (
                label.group(1).decode("ascii").lower(),
                field if field.endswith(b"\n") else field + b"\r\n",
            )
        )
        at += len(field)
    return found


def _value(field: bytes, file: str) -> str:
    """A field's body, unfolded (RFC 5322 section 2.2.3); raw UTF-8 is allowed (RFC 6532)."""
    name, _, body = field.partition(b":")
    try:
        return _FOLD.sub(" ", body.decode("utf-8").rstrip("\r\n")).strip(" \t")
    except UnicodeDecodeError as error:
        raise JobError.one(
            f"The {printable(name, 60)} field is not UTF-8.",
            where=file,
            remedy="encode it as RFC 2047 says, or write UTF-8",
        ) from error


def _sender(values: dict[str, list[str]], file: str) -> Mailbox:
    lines = values.get("from", [])
    if len(lines) != 1:
        raise JobError.one(
            "There is no From field." if not lines else "There are several From fields.",
            where=file,
            remedy="a message has exactly one (RFC 5322 section 3.6)",
        )
    try:
        return parse_mailbox(lines[0])
    except AddressError as error:
        raise JobError.one(
            f"The From field is not one address: {error.reason}.",
            where=file,
            remedy="write it as Name <name@example.com>",
        ) from error


def _recipients(values: dict[str, list[str]], file: str) -> tuple[str, ...]:
    """All addresses of To, Cc and Bcc, bare where that can be done."""
    found: list[str] = []
    for label in _RECIPIENT_FIELDS:
        for line in values.get(label, []):
            found.extend(_bare(part) for part in split_list(line))
    if not found:
        raise JobError.one(
            "There is no recipient in To, Cc or Bcc.", where=file, remedy="add one of these fields"
        )
    return tuple(found)


def _bare(part: str) -> str:
    """The address inside a mailbox; what is none stays, and intake says why it is wrong."""
    try:
        return parse_mailbox(part).address.spec
    except AddressError:
        return part


def _options(options: list[tuple[str, str]], file: str, context: Context) -> dict[str, Any]:
    """Convert the X-Ekiden-* fields; the key "" holds the tracking switches."""
    found: dict[str, Any] = {}
    problems: list[EkidenError] = []
    for label, value in options:
        try:
            key = _option(label, found)
            found[key.field] = key.convert(value, context)
        except WrongValueError as error:
            problems.append(
                EkidenError(f"{shown(label, 80)} {error.what}.", where=file, remedy=error.remedy)
            )
    if problems:
        raise JobError(problems[:PROBLEMS])
    return found


def _option(label: str, found: dict[str, Any]) -> JobKey:
    if label not in HEADERS:
        raise WrongValueError("is not an option", remedy=nearest(label, HEADERS))
    if HEADERS[label].field in found:
        raise WrongValueError("is there twice", remedy="keep one of them")
    return HEADERS[label]


def _line(data: bytes, position: int) -> int:
    return data.count(b"\n", 0, position) + 1
