"""A recipients file or list -> batches of checked recipients and refused rows. Pure.

A wrong row is refused by number and reason and never stops the job; a wrong file (no address
column, two columns of one name, a field that a template needs and no column has) is a `JobError`
before the first recipient.

A block of plain rows is taken a column at a time, in a few calls for all of its rows; where one of
them asks for a closer look, its block goes row by row. Memory is bounded by the block, whatever the
file's size.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any, Final

import msgspec

from ekiden import limits
from ekiden.message.addresses import AddressError, parse_address, plain_addresses
from ekiden.queue.model import NewDelivery, RefusedRow
from ekiden.spool.csvrows import CsvReader, Fault, Records
from ekiden.spool.decoding import MARK, decoded, marked
from ekiden.spool.jobspec import JobError, nearest, shown
from ekiden.spool.values import kind

ADDRESS_COLUMNS: Final = ("address", "email")
SET_COLUMN: Final = "configuration_set"
TABLE_ENDINGS: Final = (".csv", ".tsv", ".txt")
LINES_ENDINGS: Final = (".jsonl", ".ndjson")
NESTING: Final = 8  # of lists and tables in merge data

_ESCAPED: Final = re.compile(r'["\\\x00-\x1f]')
_FORBIDDEN: Final = re.compile("[\r\n\0]")
_DELIMITERS: Final = (",", ";", "\t")
_NAMES: Final = {"\r": "CR", "\n": "LF", "\0": "NUL"}
_REASON: Final = 300  # characters


@dataclass(slots=True)
class Batch:
    """What one block of the input came to.

    Args:
        rows: The recipients.
        refused: The rows that are not mailed.
        chosen: The configuration sets that rows name, by row; it may name refused ones, too.
    """

    rows: list[NewDelivery] = field(default_factory=list)
    refused: list[RefusedRow] = field(default_factory=list)
    chosen: dict[int, str] = field(default_factory=dict)

    def refuse(self, row: int, recipient: str, reason: str, *, lacks: bool = False) -> None:
        """Add a refused row; `lacks`: it has no value for a merge field."""
        one = RefusedRow(row, shown(recipient, 254), shown(reason, _REASON), lacks=lacks)
        self.refused.append(one)


@dataclass(frozen=True, slots=True)
class Plan:
    """How to read recipients.

    Args:
        file: For messages.
        address: The address column; "" for the first of `ADDRESS_COLUMNS` that is there.
        sets: The column by which a row chooses its configuration set; "" for `SET_COLUMN`, if it
            is there.
        delimiter: Of CSV; "" to go by the header line.
        encoding: The declared codec; "" for UTF-8, or UTF-16 by its BOM.
        required: Merge fields without which a recipient cannot be mailed.
        mentioned: Merge fields that a template uses at all: an address column among them is merge
            data, too.
        blank_is_missing: An empty value counts as missing.
    """

    file: str
    address: str = ""
    sets: str = ""
    delimiter: str = ""
    encoding: str = ""
    required: frozenset[str] = frozenset()
    mentioned: frozenset[str] = frozenset()
    blank_is_missing: bool = True


def read_recipients(chunks: Iterable[bytes], plan: Plan) -> Iterator[Batch]:
    """Read a recipients file, its kind told by the ending of its name.

    Raises:
        JobError: The file as a whole cannot be used.
    """
    ending = plan.file.lower()
    if ending.endswith(LINES_ENDINGS):
        return read_lines(chunks, plan)
    if ending.endswith(TABLE_ENDINGS):
        return read_table(chunks, plan)
    raise JobError.one(
        "The recipients file is neither CSV nor JSON Lines by its name.",
        where=plan.file,
        remedy=f"let its name end in one of {', '.join((*TABLE_ENDINGS, *LINES_ENDINGS))}",
    )


# --- CSV ---------------------------------------------------------------------------------------


def read_table(chunks: Iterable[bytes], plan: Plan) -> Iterator[Batch]:
    """Read CSV: a header, then a recipient per row.

    Raises:
        JobError: The header cannot be used, or the quoting is broken.
    """
    texts = decoded(chunks, plan.encoding, plan.file)
    head = next(texts, "")
    while "\n" not in head and "\r" not in head and len(head) < limits.ROW_BYTES:
        more = next(texts, "")
        if not more:
            break
        head += more
    delimiter = plan.delimiter or _sniff(head, plan)
    blocks = CsvReader(delimiter, plan.file).read(_before(head, texts))
    table: _Table | None = None
    for block in blocks:
        batch = Batch()
        if isinstance(block, Fault):
            if table is None:
                raise JobError.one(f"The header: {block.reason}.", where=f"{plan.file}:row 1")
            batch.refuse(block.row, "", block.reason)
        else:
            records = block
            if table is None:
                table = _Table(block.rows[0], plan)
                records = Records(block.first + 1, block.rows[1:], block.plain)
            table.check(records, batch)
        yield batch
    if table is None:
        raise JobError.one("The recipients file is empty.", where=plan.file)


def _before(first: str, rest: Iterator[str]) -> Iterator[str]:
    yield first
    yield from rest


def _sniff(head: str, plan: Plan) -> str:
    """The delimiter that makes the address column appear in the header line."""
    if plan.file.lower().endswith(".tsv"):
        return "\t"
    line = head.replace("\r", "\n").partition("\n")[0]
    wanted = {plan.address} if plan.address else set(ADDRESS_COLUMNS)
    for delimiter in _DELIMITERS:
        if wanted & {name.strip().strip('"').strip() for name in line.split(delimiter)}:
            return delimiter
    return max(_DELIMITERS, key=line.count)


class _Table:
    """The header of a CSV file, and the check of its rows."""

    def __init__(self, header: Sequence[str], plan: Plan) -> None:
        where = f"{plan.file}:row 1"
        names = [name.strip() for name in header]
        if len(names) > limits.MERGE_FIELDS:
            raise JobError.one(
                f"The header has {len(names):,} columns; at most {limits.MERGE_FIELDS} are read.",
                where=where,
            )
        _check_names(names, where)
        self.width = len(names)
        self.at = _address_column(names, plan, where)
        absent = sorted(plan.required - set(names))
        if absent:
            raise JobError.one(
                f"No column `{shown(absent[0], 100)}`, which a template needs.",
                where=where,
                remedy=nearest(absent[0], [name for name in names if name])
                + ' (or set on_missing = "empty" or "default")',
            )
        self.names = names
        self.chooses = _set_column(names, plan, where)
        self.required = {index for index, name in enumerate(names) if name in plan.required}
        if not plan.blank_is_missing:
            self.required = set()
        # The address is stored beside the merge data, not in it, unless a template wants it there;
        # so is the set.
        beside, wanted = {self.at, self.chooses}, plan.required | plan.mentioned
        self.keep = [
            index
            for index, name in enumerate(names)
            if name and (index not in beside or name in wanted)
        ]
        self.all_but_address = self.keep == [i for i in range(self.width) if i != self.at]
        kept = [names[index] for index in self.keep]
        struct = _struct(kept)
        self.pack = _packer(kept, struct)
        self.pack_all = None if struct is None else _column_packer(struct)

    def check(self, records: Records, batch: Batch) -> None:
        """Add every record to the batch, as a recipient or as refused."""
        rows = records.rows
        suspect = not records.plain or not _innocent(rows)
        if not suspect and set(map(len, rows)) <= {self.width}:
            if not self._together(rows, records.first, batch):
                self._plain(rows, records.first, batch)
            return
        for number, row in enumerate(rows, records.first):
            if not any(row):
                continue  # an empty line, or the empty rows below a spreadsheet's table
            if len(row) > self.width and not any(row[self.width :]):
                del row[self.width :]
            if len(row) != self.width:
                named = row[self.at] if self.at < len(row) else ""
                reason = f"the row has {len(row)} fields, the header has {self.width}"
                batch.refuse(number, named, reason)
            elif suspect and (reason := _forbidden(row, self.names)):
                batch.refuse(number, row[self.at], reason)
            else:
                self._plain([row], number, batch)

    def _together(self, rows: list[list[str]], first: int, batch: Batch) -> bool:
        """The path that a million rows take: all of a block's, or none of them and False."""
        if not rows or not self.pack_all:
            return False
        columns = list(zip(*rows, strict=True))
        if any("" in columns[index] for index in self.required):
            return False
        found = plain_addresses(columns[self.at])
        if found is None:
            return False
        self._note_sets(columns[self.chooses], first, batch)
        merges = self.pack_all([columns[index] for index in self.keep], len(rows))
        batch.rows.extend(map(NewDelivery, *found, merges, count(first)))
        return True

    def _plain(self, rows: list[list[str]], first: int, batch: Batch) -> None:
        """Rows of full width and without forbidden characters, one by one."""
        at, keep, pack = self.at, self.keep, self.pack
        required, simple = self.required, self.all_but_address
        append = batch.rows.append
        self._note_sets((row[self.chooses] for row in rows), first, batch)
        number = first - 1
        for row in rows:
            number += 1
            text = row[at]
            try:
                local, domain, _ = parse_address(text)
            except AddressError as error:
                cleaned = text.strip()
                if cleaned == text or not self._repaired(row, cleaned):
                    if any(row):
                        batch.refuse(number, text, str(error) if text else "no address")
                    continue
                local, domain, _ = parse_address(cleaned)
            if required and "" in row and (name := self._blank(row)):
                reason = f"`{name}` is empty, and a template needs it"
                batch.refuse(number, text, reason, lacks=True)
                continue
            if simple:
                del row[at]
                append(NewDelivery(f"{local}@{domain}", domain, pack(row), number))
            else:
                kept = [row[index] for index in keep]
                append(NewDelivery(f"{local}@{domain}", domain, pack(kept), number))

    def _note_sets(self, values: Iterable[str], first: int, batch: Batch) -> None:
        """Note which rows choose a configuration set; `values` stand in its column, if any."""
        if self.chooses >= 0:
            named = enumerate(map(str.strip, values), first)
            batch.chosen.update((number, value) for number, value in named if value)

    def _repaired(self, row: list[str], cleaned: str) -> bool:
        """White space around an address is the spreadsheet's, not the address's."""
        try:
            parse_address(cleaned)
        except AddressError:
            return False
        row[self.at] = cleaned
        return True

    def _blank(self, row: list[str]) -> str:
        return next((self.names[i] for i in sorted(self.required) if not row[i]), "")


_Struct = Callable[..., msgspec.Struct]


def _packer(names: Sequence[str], row: _Struct | None) -> Callable[[Iterable[str]], bytes]:
    """Return what turns a row's values into a JSON object with `names` as its keys."""
    encode = msgspec.json.Encoder().encode
    if row is None:
        return lambda values: encode(dict(zip(names, values, strict=True)))
    return lambda values: encode(row(*values))


def _column_packer(row: _Struct) -> Callable[[Sequence[Sequence[str]], int], list[bytes]]:
    """Return the same for many rows, given as columns and their number."""
    encode = msgspec.json.Encoder().encode_lines

    def pack_all(columns: Sequence[Sequence[str]], rows: int) -> list[bytes]:
        if not columns:
            return [b"{}"] * rows
        # No JSON holds a bare line feed.
        return encode(list(map(row, *columns))).split(b"\n")[:-1]

    return pack_all


def _struct(names: Sequence[str]) -> _Struct | None:
    """Return a struct made for the header: it encodes three times as fast as a dictionary per row.

    None when JSON escapes a name: it cannot be a struct's.
    """
    if any(_ESCAPED.search(name) for name in names):
        return None
    fields = [(f"f{index}", str) for index in range(len(names))]
    rename = {f"f{index}": name for index, name in enumerate(names)}
    return msgspec.defstruct("Merge", fields, rename=rename, gc=False)


def _innocent(rows: list[list[str]]) -> bool:
    """Whether no field of a plain block holds a NUL or an undecodable byte."""
    text = "".join(map("".join, rows))
    return "\0" not in text and not marked(text)


def _forbidden(values: Sequence[str], names: Sequence[str]) -> str:
    for name, value in zip(names, values, strict=True):
        if reason := _forbidden_value(value):
            return f"column `{name}` holds {reason}"
    return ""


def _forbidden_value(value: str) -> str:
    """Why a value may not enter a message (docs/hostile.md M1); nothing is stripped in silence."""
    if found := _FORBIDDEN.search(value):
        return _NAMES[found.group()]
    if MARK.search(value):
        return "bytes that are not of the declared encoding"
    return ""


def _check_names(names: Sequence[str], where: str) -> None:
    seen: set[str] = set()
    for name in names:
        if not name:
            continue
        if reason := _forbidden_value(name):
            raise JobError.one(f"A column name holds {reason}.", where=where)
        if name in seen:
            raise JobError.one(
                f"Two columns are called `{shown(name, 100)}`.",
                where=where,
                remedy="rename or remove one of them",
            )
        seen.add(name)


def _address_column(names: Sequence[str], plan: Plan, where: str) -> int:
    wanted = (plan.address,) if plan.address else ADDRESS_COLUMNS
    for name in wanted:
        if name in names:
            return names.index(name)
    folded = [name.casefold() for name in names]
    for name in wanted:
        if folded.count(name.casefold()) == 1:
            return folded.index(name.casefold())
    raise JobError.one(
        f"No column `{shown(wanted[0], 100)}` for the address.",
        where=where,
        remedy=f"{nearest(wanted[0], [name for name in names if name])}; name the column with"
        " `address` in the job",
    )


def _set_column(names: Sequence[str], plan: Plan, where: str) -> int:
    """Where the column is by which rows choose their set; -1 if they do not."""
    if not plan.sets:
        return names.index(SET_COLUMN) if SET_COLUMN in names else -1
    if plan.sets in names:
        return names.index(plan.sets)
    raise JobError.one(
        f"No column `{shown(plan.sets, 100)}` for the configuration set.",
        where=where,
        remedy=f"{nearest(plan.sets, [name for name in names if name])}; or leave `set_column` out",
    )


# --- JSON Lines and inline lists ---------------------------------------------------------------


def read_lines(chunks: Iterable[bytes], plan: Plan) -> Iterator[Batch]:
    """Read JSON Lines: an object (or an address) per line, numbered from 1.

    Raises:
        JobError: The encoding is wrong, or not one recipient has the address field.
    """
    check = _Objects(plan)
    decode = msgspec.json.Decoder().decode
    number = 0
    for lines in _lines(decoded(chunks, plan.encoding, plan.file)):
        batch = Batch()
        # Without escapes JSON cannot hold a control character.
        plain = not any(line is None or "\\" in line or marked(line) for line in lines)
        for line in lines:
            number += 1
            if line is None:
                batch.refuse(number, "", f"longer than {limits.ROW_BYTES:,} characters")
            elif not plain and MARK.search(line):
                batch.refuse(number, "", "bytes that are not of the declared encoding")
            elif line and not line.isspace():
                try:
                    value = decode(line)
                except (msgspec.DecodeError, ValueError, RecursionError) as error:
                    batch.refuse(number, "", f"not JSON: {error}")
                else:
                    check.add(value, number, batch, plain=plain)
        yield batch
    check.finish()


def read_list(values: Sequence[Any], plan: Plan, *, size: int = 1000) -> Iterator[Batch]:
    """Read an inline job's recipients: tables or plain addresses, numbered from 1.

    Raises:
        JobError: Not one recipient has the address field.
    """
    check = _Objects(plan)
    for start in range(0, len(values), size):
        batch = Batch()
        for number, value in enumerate(values[start : start + size], start + 1):
            check.add(value, number, batch, plain=False)
        yield batch
    check.finish()


class _Objects:
    """The check of recipients that come as objects, each with fields of its own."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.wanted = (plan.address,) if plan.address else ADDRESS_COLUMNS
        self.sets = plan.sets or SET_COLUMN
        self.encode = msgspec.json.Encoder().encode
        self.addressed = False
        self.sample: Mapping[str, Any] = {}

    def add(self, value: Any, number: int, batch: Batch, *, plain: bool) -> None:
        """Add one recipient to the batch, or refuse it."""
        if isinstance(value, str):
            value = {self.wanted[0]: value}
        if not isinstance(value, dict):
            batch.refuse(number, "", f"expected an object, not {kind(value)}")
            return
        key = next((name for name in self.wanted if name in value), "")
        given = value.get(key) if key else None
        if not isinstance(given, str) or not given.strip():
            self.sample = self.sample or value
            batch.refuse(number, "", f"no address in `{self.wanted[0]}`")
            return
        self.addressed = True
        try:
            address = parse_address(given.strip())
        except AddressError as error:
            batch.refuse(number, given, str(error))
            return
        chosen = value.get(self.sets) or ""
        merge, reason, lacks = self._merge(value, key, plain=plain)
        if not isinstance(chosen, str):
            lacks, reason = (
                False,
                f"`{self.sets}` is {kind(chosen)}, not the name of a configuration set",
            )
        if reason:
            batch.refuse(number, given, reason, lacks=lacks)
            return
        if chosen := chosen.strip():
            batch.chosen[number] = chosen
        batch.rows.append(NewDelivery(address.spec, address.domain, self.encode(merge), number))

    def _merge(
        self, value: dict[str, Any], key: str, *, plain: bool
    ) -> tuple[dict[str, Any], str, bool]:
        """Return the merge data, why there is none, and whether that is for want of a field.

        `plain`: there are no control characters in it.
        """
        required = self.plan.required
        if len(value) > limits.MERGE_FIELDS:
            return value, f"more than {limits.MERGE_FIELDS} fields", False
        wanted = required | self.plan.mentioned
        if key not in wanted:
            del value[key]
        if self.sets in value and self.sets not in wanted:
            del value[self.sets]
        if not plain or not set(map(type, value.values())) <= _TEXT:
            if reason := _unfit(value):
                return value, reason, False
            value = {name: each for name, each in value.items() if each is not None}
        absent = [
            name
            for name in required
            if name not in value or (value[name] == "" and self.plan.blank_is_missing)
        ]
        if absent:
            return value, f"`{min(absent)}` is missing, and a template needs it", True
        return value, "", False

    def finish(self) -> None:
        """Refuse the job when the address field's name was wrong for all of it.

        Raises:
            JobError: Not one recipient had the field.
        """
        if not self.addressed and self.sample:
            raise JobError.one(
                f"No recipient has an address in `{shown(self.wanted[0], 100)}`.",
                where=self.plan.file,
                remedy=f"{nearest(self.wanted[0], self.sample)}; name the field with `address` in"
                " the job",
            )


_TEXT: Final = frozenset({str})


def _unfit(value: Mapping[str, Any]) -> str:
    """Why an object cannot be merge data, "" when it can: looks into lists and tables, too."""
    size = 0
    waiting: list[tuple[str, Any, int]] = [(name, each, 0) for name, each in value.items()]
    while waiting:
        name, each, depth = waiting.pop()
        if depth > NESTING:
            return f"`{name}` is nested deeper than {NESTING} levels"
        texts: Iterable[Any] = (each,)
        if isinstance(each, dict):
            texts = each
            waiting += [(name, inner, depth + 1) for inner in each.values()]
        elif isinstance(each, list):
            waiting += [(name, inner, depth + 1) for inner in each]
        elif not isinstance(each, str | int | float | None):
            return f"`{name}` is {kind(each)}; merge data are texts, numbers, lists and tables"
        for text in (name, *texts):
            if isinstance(text, str):
                size += len(text)
                if reason := _forbidden_value(text):
                    return f"`{name}` holds {reason}"
    return f"more than {limits.ROW_BYTES:,} characters" if size > limits.ROW_BYTES else ""


def _lines(texts: Iterable[str]) -> Iterator[list[str | None]]:
    """Yield blocks of lines; None stands for one that is longer than the cap."""
    pending = ""
    skipping = False
    for text in texts:
        *lines, rest = (pending + text).split("\n")
        found: list[str | None] = [
            line if len(line) <= limits.ROW_BYTES else None for line in lines
        ]
        if skipping and found:
            found[0] = None
            skipping = False
        skipping = skipping or len(rest) > limits.ROW_BYTES
        pending = "" if skipping else rest
        if found:
            yield found
    if skipping or pending:
        yield [None if skipping else pending]
