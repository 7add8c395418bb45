"""Contacts as files: CSV with SES's columns, and JSON Lines; what is written here is read here.

CSV has a heading. `emailAddress` (or another common name of it) is needed; `unsubscribeAll`,
`attributesData` (a JSON object) and `topicPreferences.NAME` (OPT_IN, OPT_OUT or nothing) are SES's;
`consentAt`, `consentMethod`, `consentSource`, `consentForm` and `consentIp` are the record. Columns
that an export has besides (`mails`, `lastSentAt` and so on) say what happened and are not read. Any
other column is an attribute.

In JSON Lines the names are the same; `topicPreferences` is an object, or SES's list of
`{topicName, subscriptionStatus}`, and `attributesData` an object, or SES's string of one.
"""

import csv
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final, NamedTuple, TextIO

import msgspec

from ekiden import limits
from ekiden.cli.lines import Lines
from ekiden.cli.suppression_csv import ADDRESS_NAMES
from ekiden.lists.model import Act, Consent, Contact, Method, NewContact, Preference

CONSENT: Final = ("consentAt", "consentMethod", "consentSource", "consentForm", "consentIp")
HISTORY: Final = ("createdAt", "mails", "lastSentAt", "lastOpenAt", "lastClickAt", "lastReplyAt")
TOPIC: Final = "topicpreferences."
_encode = msgspec.json.Encoder().encode
_TRUE: Final = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
_PREFERENCES: Final = {str(one): one for one in Preference}
_NO_ATTRIBUTE: Final = frozenset(name.casefold() for name in (*CONSENT, *HISTORY))


class WrongRowError(ValueError):
    """A row that is no contact, and why."""


class Row(NamedTuple):
    """A row of a file: a contact, or what is wrong with it."""

    line: int
    contact: NewContact | None
    wrong: str = ""


def read(lines: Iterable[str], *, jsonl: bool, consent: Consent | None = None) -> Iterator[Row]:
    """Yield the contacts of a file.

    Args:
        lines: Its lines.
        jsonl: It is JSON Lines and not CSV.
        consent: The consent of rows that give none of their own.

    Raises:
        csv.Error: It is no CSV.
        WrongRowError: Its heading names no address column.
    """
    found = _jsonl(lines) if jsonl else _csv(lines)
    if consent is None:
        yield from found
        return
    for row in found:
        if row.contact is not None and row.contact.consent is None:
            yield Row(row.line, msgspec.structs.replace(row.contact, consent=consent))
        else:
            yield row


def _jsonl(lines: Iterable[str]) -> Iterator[Row]:
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            fields = json.loads(line[: limits.ROW_BYTES])
            if not isinstance(fields, dict):
                raise WrongRowError("it is no JSON object")
            yield Row(number, _from_object(fields))
        except (ValueError, RecursionError) as error:
            yield Row(number, None, str(error))


def _csv(lines: Iterable[str]) -> Iterator[Row]:
    rows = csv.reader(Lines(lines))
    try:
        heading = next((row for row in rows if any(cell.strip() for cell in row)), None)
    except csv.Error as error:
        raise WrongRowError(f"its heading cannot be read: {error}") from None
    if heading is None:
        return
    contact_of = _columns([cell.strip().removeprefix("\ufeff") for cell in heading])
    while True:
        try:
            row = next(rows, None)
            if row is None:
                return
            if row:
                yield Row(rows.line_num, contact_of(row))
        except (ValueError, csv.Error) as error:  # after either the reader is at the next row
            yield Row(rows.line_num, None, str(error))


def _columns(names: list[str]) -> Callable[[list[str]], NewContact]:
    """Return what turns a row under this heading into a contact."""
    lower = [name.casefold() for name in names]
    address = next((at for at, name in enumerate(lower) if name in ADDRESS_NAMES), None)
    if address is None:
        raise WrongRowError("its heading names no address column, such as emailAddress")
    leaves = lower.index("unsubscribeall") if "unsubscribeall" in lower else -1
    data = lower.index("attributesdata") if "attributesdata" in lower else -1
    topics = [(at, names[at][len(TOPIC) :]) for at, name in enumerate(lower)
              if name.startswith(TOPIC)]  # fmt: skip
    record = [lower.index(name.casefold()) if name.casefold() in lower else -1 for name in CONSENT]
    taken = {address, leaves, data, *(at for at, _ in topics)}
    others = [(at, names[at]) for at, name in enumerate(lower)
              if at not in taken and name and name not in _NO_ATTRIBUTE]  # fmt: skip
    width = len(names)
    with_record = record[0] >= 0

    def contact(row: list[str]) -> NewContact:
        if len(row) < width:
            row += [""] * (width - len(row))
        attributes = _attributes(row[data]) if data >= 0 and row[data] else {}
        for at, name in others:
            if row[at]:
                attributes[name] = row[at]
        return NewContact(
            row[address].strip(),
            {name: _preference(row[at]) for at, name in topics if row[at]},
            leaves >= 0 and _boolean(row[leaves]),
            attributes,
            _consent([row[at] if at >= 0 else "" for at in record]) if with_record else None,
        )

    return contact


def _from_object(fields: Mapping[str, Any]) -> NewContact:
    known = {name.casefold(): value for name, value in fields.items()}
    address = next((known[name] for name in ADDRESS_NAMES if name in known), None)
    if not isinstance(address, str):
        raise WrongRowError("it has no address")
    given = known.get("topicpreferences") or {}
    if isinstance(given, list):
        given = {
            one["topicName"]: one["subscriptionStatus"]
            for one in given
            if isinstance(one, dict) and one.keys() >= {"topicName", "subscriptionStatus"}
        }
    if not isinstance(given, dict):
        raise WrongRowError("topicPreferences is no object")
    data = known.get("attributesdata") or {}
    attributes = _attributes(data) if isinstance(data, str) else data
    if not isinstance(attributes, dict):
        raise WrongRowError("attributesData is no object")
    said = known.get("unsubscribeall", False)
    return NewContact(
        address.strip(),
        {str(name): _preference(str(value)) for name, value in given.items()},
        said if isinstance(said, bool) else _boolean(str(said)),
        attributes,
        _consent([str(known.get(name.casefold()) or "") for name in CONSENT]),
    )


def _attributes(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        raise WrongRowError("attributesData is no JSON") from None
    if not isinstance(found, dict):
        raise WrongRowError("attributesData is no JSON object")
    return found


def _preference(text: str) -> Preference:
    if (known := _PREFERENCES.get(text)) is not None:
        return known
    try:
        return Preference(text.strip().upper())
    except ValueError:
        raise WrongRowError(f"a preference is OPT_IN or OPT_OUT, not {text[:30]!r}") from None


def _boolean(text: str) -> bool:
    if (known := _TRUE.get(text)) is not None:
        return known
    said = text.strip().casefold()
    if said and said not in _TRUE:
        raise WrongRowError(f"unsubscribeAll is true or false, not {text[:30]!r}")
    return _TRUE.get(said, False)


def _consent(cells: list[str]) -> Consent | None:
    at, method, source, form, ip = cells
    if not at.strip():
        return None
    try:
        how = Method(method.strip().casefold() or "single")
        return Consent(moment_of(at.strip()), Act.GIVEN, "", how, source.strip(), form, ip.strip())
    except ValueError as error:
        raise WrongRowError(f"its consent: {error}") from None


def moment_of(text: str) -> float:
    """Return an ISO 8601 time as UNIX seconds.

    Raises:
        ValueError: It is none.
    """
    at = datetime.fromisoformat(text)
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()


@lru_cache(4096)  # those who came with one file, or got one mail, have the same times
def written(at: float | None) -> str:
    """Return UNIX seconds as ISO 8601, "" for never."""
    return "" if at is None else datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")


class Writer:
    """Writes contacts.

    Args:
        file: Where to.
        topics: The topics of the list, in the order of their columns.
        jsonl: JSON Lines and not CSV.
    """

    def __init__(self, file: TextIO, topics: list[str], *, jsonl: bool) -> None:
        self._file = file
        self._topics = topics
        self._jsonl = jsonl
        self._rows = csv.writer(file, lineterminator="\n")
        if not jsonl:
            names = [f"topicPreferences.{name}" for name in topics]
            head = ("emailAddress", "unsubscribeAll", "attributesData")
            self._rows.writerow((*head, *names, *CONSENT, *HISTORY))

    def write(self, one: Contact) -> None:
        """Write one contact."""
        consent = one.consent
        record = ["", "", "", "", ""]
        if consent is not None:
            method = str(consent.method or "")
            record = [written(consent.at), method, consent.source, consent.form, consent.ip]
        reactions = (one.last_sent_at, one.opened_at, one.clicked_at, one.replied_at)
        history = [written(one.created_at), one.mails, *map(written, reactions)]
        gone = one.unsubscribed_at is not None
        if self._jsonl:
            fields = {
                "emailAddress": one.address,
                "unsubscribeAll": gone,
                "attributesData": dict(one.attributes),
                "topicPreferences": {name: str(value) for name, value in one.topics.items()},
            }
            more = dict(zip((*CONSENT, *HISTORY), (*record, *history), strict=True))
            fields |= {name: value for name, value in more.items() if value != ""}
            self._file.write(_encode(fields).decode() + "\n")
            return
        attributes = _encode(one.attributes).decode() if one.attributes else ""
        chosen = [str(one.topics.get(name, "")) for name in self._topics]
        self._rows.writerow(
            (one.address, str(gone).lower(), attributes, *chosen, *record, *history)
        )
