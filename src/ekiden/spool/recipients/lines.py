"""A JSON Lines file -> batches of recipients: an object (or an address) per line."""

from collections.abc import Iterable, Iterator

import msgspec

from ekiden import limits
from ekiden.spool.recipients.decoding import MARK, decoded, marked
from ekiden.spool.recipients.model import Batch, Plan
from ekiden.spool.recipients.objects import Objects


def read_lines(chunks: Iterable[bytes], plan: Plan) -> Iterator[Batch]:
    """Read JSON Lines: an object (or an address) per line, numbered from 1.

    Args:
        chunks: The file's octets, in order, in pieces of any size.
        plan: How to read it.

    Raises:
        JobError: The encoding is wrong, or not one recipient has the address field.
    """
    check = Objects(plan)
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
