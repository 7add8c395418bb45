"""One value of a job file -> one checked Python value. Pure.

Every converter takes the value as TOML or JSON gave it (a header's value is a string) and the
`Context`, and either returns what `JobSpec` holds or raises `WrongValueError` with a sentence for a
person. It raises nothing else, whatever it is fed.
"""

import codecs
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final

from ekiden import limits
from ekiden.config.units import parse_duration
from ekiden.errors import RefusedError
from ekiden.message.addresses import AddressError, parse_address, parse_mailbox, split_list
from ekiden.queue.model import Pace, Priority
from ekiden.spool.encodings import ENCODINGS
from ekiden.spool.jobspec import OnLate, OnMissing, Shape, nearest, shown
from ekiden.templates.model import parse_reference

TEXT_CHARACTERS: Final = 10_000  # of a single-line value

_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f\u2028\u2029\ud800-\udfff]")
_PACE: Final = re.compile(r"(\d{1,9}) ?(?:per|/) ?(\S{1,20})")
_HEADER_NAME: Final = re.compile(
    r"[!-9;-~]{1,76}"
)  # RFC 5322 section 2.2, and short enough to fold
_TOKEN: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:@-]{0,99}")

# What the engine writes itself; a job that set them too would make two of them.
RESERVED_HEADERS: Final = frozenset(
    {
        *("from", "to", "cc", "bcc", "subject", "date", "message-id", "reply-to"),
        *("mime-version", "content-type", "content-transfer-encoding", "content-disposition"),
        *("content-id", "return-path", "received", "dkim-signature", "list-unsubscribe-post"),
    }
)


class WrongValueError(ValueError):
    """A value that does not fit its key; `path` leads to the wrong part inside it."""

    def __init__(self, what: str, *, remedy: str = "", path: tuple[str | int, ...] = ()) -> None:
        super().__init__(what)
        self.what = what
        self.remedy = remedy
        self.path = path


@dataclass(frozen=True, slots=True)
class Context:
    """What converting needs to know: the time (UNIX seconds) and the job's shape."""

    now: float
    shape: Shape


Convert = Callable[[Any, Context], Any]


def text(value: Any, _: Context) -> str:
    """A single line of text: no control characters (docs/hostile.md M1)."""
    if not isinstance(value, str):
        raise WrongValueError(f"expected text in quotes, not {kind(value)}")
    if found := _CONTROL.search(value):
        raise WrongValueError(
            f"holds the control character U+{ord(found.group()):04X}",
            remedy="write it on one line, without control characters",
        )
    if len(value) > TEXT_CHARACTERS:
        raise WrongValueError(f"is longer than {TEXT_CHARACTERS:,} characters")
    return value


def filled(value: Any, context: Context) -> str:
    """A single line that is not empty."""
    if not text(value, context).strip():
        raise WrongValueError("is empty")
    return str(value).strip()


def column(value: Any, context: Context) -> str:
    """The name of a column that the queue looks up by itself."""
    name = filled(value, context)
    if '"' in name or "\\" in name:
        raise WrongValueError(
            "holds a quote or a backslash", remedy="give the column a plainer name"
        )
    return name


def token(value: Any, context: Context) -> str:
    """A short name of letters, digits and `_.:@-`."""
    if not _TOKEN.fullmatch(text(value, context)):
        raise WrongValueError(
            "expected a short name of letters, digits, and _ . : @ -", remedy="at most 100 of them"
        )
    return str(value)


def template(value: Any, context: Context) -> str:
    """A stored template: `name` or `name@3`."""
    try:
        parse_reference(text(value, context))
    except RefusedError as error:
        raise WrongValueError(error.what, remedy=error.remedy) from error
    return str(value)


def body(value: Any, context: Context) -> str:
    """A template: the file's name in a job directory, the text itself in an inline job."""
    if context.shape is Shape.DIRECTORY:
        return filled(value, context)
    if not isinstance(value, str):
        raise WrongValueError(f"expected the template's text, not {kind(value)}")
    if "\0" in value or _surrogates(value):
        raise WrongValueError("holds a NUL or a broken character")
    if len(value) > limits.TEMPLATE_BYTES:
        raise WrongValueError(f"is longer than {limits.TEMPLATE_BYTES:,} characters")
    return value


def mailbox(value: Any, context: Context) -> str:
    """`Name <local@domain>` or an address; returned as written."""
    written = filled(value, context)
    try:
        parse_mailbox(written)
    except AddressError as error:
        raise WrongValueError(
            f"{shown(written, 100)!r} is not a sender's address: {error.reason}",
            remedy='write it as "Name <name@example.com>"',
        ) from error
    return written


def mailboxes(value: Any, context: Context) -> tuple[str, ...]:
    """One mailbox, several in one text, or a list of them."""
    if isinstance(value, list):
        return tuple(
            within(index, mailbox, each, context) for index, each in enumerate(value[:100])
        )
    return tuple(mailbox(each, context) for each in split_list(text(value, context)))


def address(value: Any, context: Context) -> str:
    """A bare address; "" means the null reverse-path and is refused (RFC 5321 section 4.5.5)."""
    written = filled(value, context)
    if written.startswith("<") and written.endswith(">"):
        written = written[1:-1]
    try:
        return parse_address(written).spec
    except AddressError as error:
        raise WrongValueError(f"{shown(written, 100)!r}: {error.reason}") from error


def priority(value: Any, context: Context) -> Priority:
    """`transactional` or `bulk`."""
    names = {member.name.lower(): member for member in Priority}
    return names[_choice(value, context, names)]


def on_missing(value: Any, context: Context) -> OnMissing:
    """`refuse`, `empty` or `default`."""
    return OnMissing(_choice(value, context, [member.value for member in OnMissing]))


def on_late(value: Any, context: Context) -> OnLate:
    """`send`, `warn` or `refuse`."""
    return OnLate(_choice(value, context, [member.value for member in OnLate]))


def blank(value: Any, context: Context) -> bool:
    """`missing` (True) or `keep` (False)."""
    return _choice(value, context, ("missing", "keep")) == "missing"


def charset(value: Any, context: Context) -> str:
    """The charset the message is written in."""
    return _choice(str(value).lower(), context, ("utf-8", "iso-2022-jp"))


def encoding(value: Any, context: Context) -> str:
    """A text encoding, as the codec that reads it."""
    written = text(value, context)
    try:
        name = codecs.lookup(written).name
    except (LookupError, ValueError):  # ValueError: a NUL, which text() has refused already
        name = ""
    if name not in ENCODINGS:
        raise WrongValueError(
            f"{shown(written, 60)!r} is not an encoding that is read here",
            remedy=nearest(written, ("utf-8", "utf-16", "shift_jis", "euc_jp", "iso2022_jp")),
        )
    return ENCODINGS[name]


def delimiter(value: Any, context: Context) -> str:
    """The CSV delimiter: itself or its name."""
    if value == "\t":
        return "\t"
    names = {",": ",", ";": ";", "tab": "\t", "comma": ",", "semicolon": ";"}
    return names[_choice(value, context, names)]


def switch(value: Any, _: Context) -> bool:
    """`true` or `false`, or the words of a header."""
    words = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in words:
        return words[value.lower()]
    raise WrongValueError(f"expected true or false, not {kind(value)}")


def moment(value: Any, context: Context) -> float:
    """A time: RFC 3339 with an offset, or `+2h` after the job is taken."""
    if isinstance(value, str) and value.startswith("+"):
        try:
            return context.now + parse_duration(value[1:].strip())
        except ValueError as error:
            raise WrongValueError(f"{shown(value, 40)!r}: {error}") from error
    example = 'write it as 2026-12-01T09:00:00+09:00 or as "+2h"'
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError as error:
            raise WrongValueError(f"{shown(value, 40)!r} is not a time", remedy=example) from error
    if not isinstance(value, datetime):
        what = "a date without a time" if isinstance(value, date) else kind(value)
        raise WrongValueError(f"expected a time, not {what}", remedy=example)
    if value.tzinfo is None:
        raise WrongValueError("the time has no offset, so it could mean any zone", remedy=example)
    try:
        return value.timestamp()
    except (OverflowError, ValueError) as error:
        raise WrongValueError("the time is out of range", remedy=example) from error


def pace(value: Any, context: Context) -> Pace:
    """`"500 per 10m"` or `{messages = 500, wait = "10m"}`."""
    example = 'write it as "500 per 10m" or {messages = 500, wait = "10m"}'
    if isinstance(value, dict):
        only(value, ("messages", "wait"))
        messages, wait = value.get("messages"), value.get("wait")
    else:
        found = _PACE.fullmatch(text(value, context))
        if found is None:
            raise WrongValueError("is not a pace", remedy=example)
        messages, wait = int(found.group(1)), found.group(2)
    if not isinstance(messages, int) or isinstance(messages, bool) or not 1 <= messages < 10**9:
        raise WrongValueError("`messages` must be a whole number from 1", remedy=example)
    if not isinstance(wait, str):
        raise WrongValueError("`wait` must be a duration in quotes", remedy=example)
    try:
        return Pace(messages, parse_duration(wait))
    except ValueError as error:
        raise WrongValueError(f"`wait`: {error}", remedy=example) from error


def headers(value: Any, context: Context) -> tuple[tuple[str, str], ...]:
    """A table of header names and values; values are templates."""
    found = []
    for name, content in table(value).items():
        if not _HEADER_NAME.fullmatch(name):
            raise WrongValueError(f"{shown(name, 80)!r} is not a header name", path=(name,))
        if name.lower() in RESERVED_HEADERS:
            raise WrongValueError(
                f"`{name}` is written by the engine",
                remedy="use the key of that name, or leave it out",
                path=(name,),
            )
        found.append((name, within(name, text, content, context)))
    return tuple(found)


def defaults(value: Any, context: Context) -> dict[str, str]:
    """A table of merge fields and the values that stand in for missing ones."""
    return {
        name: within(name, text, scalar(content), context) for name, content in table(value).items()
    }


def tracking(value: Any, context: Context) -> tuple[bool | None, bool | None]:
    """`true`, `false`, or `{opens = ..., clicks = ...}`; None means the configuration set's."""
    if not isinstance(value, dict):
        both = switch(value, context)
        return both, both
    asked = table(value)
    only(asked, ("opens", "clicks"))
    opens, clicks = (
        within(key, switch, asked[key], context) if key in asked else None
        for key in ("opens", "clicks")
    )
    return opens, clicks


def recipients(value: Any, context: Context) -> str | Sequence[Any]:
    """The recipients file's name in a job directory; the list itself in an inline job."""
    if context.shape is Shape.DIRECTORY:
        return filled(value, context)
    if isinstance(value, str):
        value = [value]
    if not isinstance(value, list):
        raise WrongValueError(
            f"expected a list of recipients, not {kind(value)}",
            remedy='write [{address = "a@example.com", name = "A"}] or ["a@example.com"]',
        )
    if not value:
        raise WrongValueError("there are no recipients")
    return value


def scalar(value: Any) -> Any:
    """Return a number or a truth value as text; anything else as it is."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, int | float) else value


def kind(value: Any) -> str:
    """Name a value's type as a person would."""
    names = {str: "text", bool: "true or false", int: "a number", float: "a number"}
    names |= {list: "a list", dict: "a table", type(None): "null"}
    return names.get(type(value), "a date or time")


def table(value: Any) -> dict[str, Any]:
    """A table, of at most as many entries as a row has fields."""
    if not isinstance(value, dict):
        raise WrongValueError(f"expected a table, not {kind(value)}")
    if len(value) > limits.MERGE_FIELDS:
        raise WrongValueError(f"has more than {limits.MERGE_FIELDS} entries")
    return value


def only(found: dict[str, Any], known: Sequence[str]) -> None:
    """Refuse a table with a key that is none of those known."""
    for key in found:
        if key not in known:
            raise WrongValueError(
                f"`{shown(key, 60)}` is not known here", remedy=nearest(key, known), path=(key,)
            )


def _choice(value: Any, context: Context, known: Any) -> str:
    written = text(value, context)
    if written not in known:
        raise WrongValueError(
            f"{shown(written, 60)!r} is not one of {', '.join(known)}",
            remedy=nearest(written, known),
        )
    return written


def within(step: str | int, convert: Convert, value: Any, context: Context) -> Any:
    """Convert a part of a value; an error's path gets the step that leads to it."""
    try:
        return convert(value, context)
    except WrongValueError as error:
        raise WrongValueError(error.what, remedy=error.remedy, path=(step, *error.path)) from error


def _surrogates(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return True
    return False
