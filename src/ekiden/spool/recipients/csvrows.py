"""CSV text in blocks -> records in blocks (RFC 4180). Pure.

A block without a quote character is split at line ends and delimiters, which is all that RFC 4180
asks for then and several times faster than a CSV parser. A block with quotes goes through the `csv`
module; a record that the block's end cuts in two waits for the next block.

Records are numbered as a spreadsheet numbers rows: the header is row 1, empty lines count, a record
with line ends inside quotes is one row.

A quote that is never closed would swallow the rest of the file. Such a record is a `Fault` of its
row alone: reading goes on at the line after it. `FAULTS` of them, and the file is refused.
"""

import csv
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Final

from ekiden import limits
from ekiden.spool.jobspec import JobError

FAULTS: Final = 100  # each can cost reading limits.ROW_BYTES again

_SENTINEL: Final = "\ue000ekiden"  # behind a block's lines: shows whether the last record is whole


@dataclass(frozen=True, slots=True)
class Records:
    """Consecutive records.

    Args:
        first: The row number of the first.
        rows: Their fields.
        plain: No field holds a line end (line ends are all LF here).
    """

    first: int
    rows: list[list[str]]
    plain: bool


@dataclass(frozen=True, slots=True)
class Fault:
    """A row that cannot be read as a record."""

    row: int
    reason: str


class CsvReader:
    """Reads one file's text.

    Args:
        delimiter: One character.
        file: For messages.
    """

    def __init__(self, delimiter: str, file: str) -> None:
        self._delimiter = delimiter
        self._file = file
        self._row = 1
        self._faults = 0
        self._pending = ""
        self._skipping = False  # inside a line that was refused for its length

    def read(self, chunks: Iterable[str]) -> Iterator[Records | Fault]:
        """Yield the records of `chunks`, which are cut anywhere.

        Raises:
            JobError: The quoting is broken in many places.
        """
        for chunk in chain(chunks, (None,)):
            text = self._pending + (chunk or "")
            if "\r" in text:
                # A CR at the very end may be half of a CRLF.
                held = "\r" if text.endswith("\r") and chunk is not None else ""
                text = text[: len(text) - len(held)].replace("\r\n", "\n").replace("\r", "\n")
            else:
                held = ""
            if chunk is None and text and not text.endswith("\n"):
                text += "\n"
            cut = text.rfind("\n") + 1
            self._pending = text[cut:] + held
            if cut:
                yield from self._block(text[:cut], last=chunk is None)
            if len(self._pending) > limits.ROW_BYTES:
                yield from self._overlong()

    def _overlong(self) -> Iterator[Fault]:
        """A line that has no end within the cap: dropped as it comes, refused once."""
        self._pending = self._pending[-1:] if self._pending.endswith("\r") else ""
        if not self._skipping:
            self._skipping = True
            yield self._fault(f"the row is longer than {limits.ROW_BYTES:,} characters")

    def _block(self, text: str, *, last: bool) -> Iterator[Records | Fault]:
        if self._skipping:
            self._skipping = False
            text = text[text.index("\n") + 1 :]
            if not text:
                return
        if '"' not in text:
            lines = text[:-1].split("\n")
            if len(text) <= limits.ROW_BYTES or max(map(len, lines)) <= limits.ROW_BYTES:
                yield self._records([line.split(self._delimiter) for line in lines], plain=True)
                return
        yield from self._quoted([line + "\n" for line in text[:-1].split("\n")], last=last)

    def _quoted(self, lines: list[str], *, last: bool) -> Iterator[Records | Fault]:
        at = 0
        while at < len(lines):
            rows, ends, trouble = self._parse(lines[at:])
            used = ends[-1] if ends else 0
            if rows:
                yield self._records(rows, plain=used == len(rows))
            at += used
            if at == len(lines):
                return
            rest = lines[at:]
            if not trouble and not last and sum(map(len, rest)) <= limits.ROW_BYTES:
                self._pending = "".join(rest) + self._pending
                return
            yield self._fault(trouble or "a quote opened in this row is never closed")
            at += 1

    def _parse(self, lines: list[str]) -> tuple[list[list[str]], list[int], str]:
        """Return the whole records, the line count at each one's end, and what stopped it."""
        reader = csv.reader([*lines, _SENTINEL], delimiter=self._delimiter)
        rows: list[list[str]] = []
        ends: list[int] = []
        trouble = ""
        try:
            for row in reader:
                rows.append(row)
                ends.append(reader.line_num)
        except csv.Error as error:
            trouble = f"not a CSV record: {error}"
        else:
            rows.pop()  # the sentinel, or the open record that swallowed it
            ends.pop()
        if sum(map(len, lines)) > limits.ROW_BYTES:
            for index, row in enumerate(rows):
                if sum(map(len, row)) > limits.ROW_BYTES:
                    del rows[index:], ends[index:]
                    return rows, ends, f"the row is longer than {limits.ROW_BYTES:,} characters"
        return rows, ends, trouble

    def _records(self, rows: list[list[str]], *, plain: bool) -> Records:
        found = Records(self._row, rows, plain)
        self._row += len(rows)
        return found

    def _fault(self, reason: str) -> Fault:
        self._faults += 1
        if self._faults > FAULTS:
            raise JobError.one(
                f"More than {FAULTS} rows cannot be read: the quoting of the file is broken.",
                where=f"{self._file}:row {self._row}",
                remedy="write the file with a CSV library: quotes inside a field are doubled",
            )
        fault = Fault(self._row, reason)
        self._row += 1
        return fault
