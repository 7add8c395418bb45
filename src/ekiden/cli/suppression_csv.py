"""Suppressions as CSV: what `export` writes, `import` takes back, and plain lists of addresses.

A file whose first line names an address column is CSV with a heading: the columns `reason`,
`scope`, `at` and `note` are read, others are ignored. A reason of somebody else's vocabulary is
kept in the note. Any other file has one address per line. What SES and SendGrid export is
understood as well (`suppression_vendors`).
"""

import csv
import time
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from itertools import chain, islice
from typing import Final, TextIO

from ekiden.cli import suppression_vendors
from ekiden.cli.lines import BLANK_MOST, Lines
from ekiden.control.requests import SuppressionView
from ekiden.lists.suppression import Reason

COLUMNS: Final = ("address", "reason", "scope", "at", "note")
ADDRESS_NAMES: Final = ("address", "email", "e-mail", "email address", "email_address",
                        "emailaddress", "mail", "recipient")  # fmt: skip

# Characters; more than any address has, so that a request stays below its longest line.
ADDRESS_MOST: Final = 400
NOTE_MOST: Final = 500


def read(lines: Iterable[str], reason: str, note: str = "") -> Iterator[SuppressionView]:
    """Yield the entries of a file.

    Args:
        lines: Its lines.
        reason: The reason of entries that give none that is known here.
        note: The note of entries that have none.

    Raises:
        csv.Error: It is no CSV, or a line of it is too long.
        RefusedError: It is no JSON, though it begins like it.
    """
    stream = iter(lines)
    head = next((line for line in islice(stream, BLANK_MOST) if line.strip()), "")
    if suppression_vendors.is_json(head):
        for cells in suppression_vendors.objects(head, stream):
            yield _entry(cells, reason, note)
        return
    found = csv.reader(Lines(chain([head], stream)))
    rows = (row for row in found if any(cell.strip() for cell in row))
    first = next(rows, None)
    if first is None:
        return
    names = [cell.strip().removeprefix("\ufeff").casefold() for cell in first]
    heading = any(name in ADDRESS_NAMES for name in names) and not any(
        "@" in cell for cell in first
    )
    if not heading:
        yield _entry(_bare(first), reason, note)
    place = next((at for at, name in enumerate(names) if name in ADDRESS_NAMES), 0)
    for row in rows:
        cells = dict(zip(names, row, strict=False)) if heading else _bare(row)
        cells["address"] = row[place] if place < len(row) else ""
        yield _entry(cells, reason, note)


def _bare(row: list[str]) -> dict[str, str]:
    """The cells of a row without a heading: an address, and SES's reason behind it."""
    cells = {"address": row[0].removeprefix("\ufeff")}
    if len(row) > 1 and suppression_vendors.meaning({"reason": row[1]}):
        cells["reason"] = row[1]
    return cells


def _entry(cells: dict[str, str], reason: str, note: str) -> SuppressionView:
    said = cells.get("reason", "").strip()
    known = said in set(Reason)
    if not known and (told := suppression_vendors.meaning(cells)):
        reason = told
    notes = [cells.get("note", "").strip() or note, "" if known else said]
    return SuppressionView(
        address=cells["address"].strip()[:ADDRESS_MOST],
        reason=said if known else reason,
        scope=cells.get("scope", "").strip()[:ADDRESS_MOST] or "all",
        at=_moment(suppression_vendors.moment(cells)),
        note="; ".join(filter(None, notes))[:NOTE_MOST],
    )


def _moment(text: str) -> float | None:
    """Return ISO 8601 as UNIX seconds; None when it is none, or lies in the future."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return None
    seconds = (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()
    return seconds if 0 <= seconds <= time.time() else None


class Writer:
    """Writes entries as CSV with a heading.

    Args:
        file: Where to.
    """

    def __init__(self, file: TextIO) -> None:
        self._rows = csv.writer(file, lineterminator="\n")
        self._rows.writerow(COLUMNS)

    def write(self, one: SuppressionView) -> None:
        """Write one entry."""
        at = datetime.fromtimestamp(one.at or 0.0, UTC).isoformat(timespec="milliseconds")
        self._rows.writerow((one.address, one.reason, one.scope, at, one.note))
