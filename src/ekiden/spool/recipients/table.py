"""A CSV file -> batches of recipients: a header, then a recipient per row.

A block of plain rows is taken a column at a time, in a few calls for all of its rows; where one of
them asks for a closer look, its block goes row by row.
"""

from collections.abc import Iterable, Iterator
from itertools import count

from ekiden import limits
from ekiden.message.addresses import AddressError, parse_address, plain_addresses
from ekiden.queue.model import NewDelivery
from ekiden.spool.jobspec import JobError
from ekiden.spool.recipients.csvrows import CsvReader, Fault, Records
from ekiden.spool.recipients.decoding import decoded
from ekiden.spool.recipients.forbidden import forbidden, innocent
from ekiden.spool.recipients.header import Header, delimiter_of, read_header
from ekiden.spool.recipients.model import Batch, Plan
from ekiden.spool.recipients.packing import column_packer, packer, struct_of


def read_table(chunks: Iterable[bytes], plan: Plan) -> Iterator[Batch]:
    """Read CSV (RFC 4180): a header, then a recipient per row, numbered as a spreadsheet does.

    Args:
        chunks: The file's octets, in order, in pieces of any size.
        plan: How to read it.

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
    delimiter = plan.delimiter or delimiter_of(head, plan)
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
                table = _Table(read_header(block.rows[0], plan))
                records = Records(block.first + 1, block.rows[1:], block.plain)
            table.check(records, batch)
        yield batch
    if table is None:
        raise JobError.one("The recipients file is empty.", where=plan.file)


def _before(first: str, rest: Iterator[str]) -> Iterator[str]:
    yield first
    yield from rest


class _Table:
    """The check of a table's rows, made for its header."""

    def __init__(self, header: Header) -> None:
        self.header = header
        self.at, self.width, self.required = header.at, header.width, header.required
        self.all_but_address = header.keep == tuple(i for i in range(self.width) if i != self.at)
        struct = struct_of(header.kept)
        self.pack = packer(header.kept, struct)
        self.pack_all = None if struct is None else column_packer(struct)

    def check(self, records: Records, batch: Batch) -> None:
        """Add every record to the batch, as a recipient or as refused."""
        rows = records.rows
        suspect = not records.plain or not innocent(rows)
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
            elif suspect and (reason := forbidden(row, self.header.names)):
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
        self._note_sets(columns[self.header.chooses], first, batch)
        merges = self.pack_all([columns[index] for index in self.header.keep], len(rows))
        batch.rows.extend(map(NewDelivery, *found, merges, count(first)))
        return True

    def _plain(self, rows: list[list[str]], first: int, batch: Batch) -> None:
        """Rows of full width and without forbidden characters, one by one."""
        at, keep, pack = self.at, self.header.keep, self.pack
        required, simple = self.required, self.all_but_address
        append = batch.rows.append
        self._note_sets((row[self.header.chooses] for row in rows), first, batch)
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
            if required and "" in row and (name := self.header.blank(row)):
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
        if self.header.chooses >= 0:
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
