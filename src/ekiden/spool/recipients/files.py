"""Which reader a recipients file takes: the ending of its name decides."""

from collections.abc import Iterable, Iterator
from typing import Final

from ekiden.spool.jobspec import JobError
from ekiden.spool.recipients.lines import read_lines
from ekiden.spool.recipients.model import Batch, Plan
from ekiden.spool.recipients.table import read_table

TABLE_ENDINGS: Final = (".csv", ".tsv", ".txt")
LINES_ENDINGS: Final = (".jsonl", ".ndjson")


def read_recipients(chunks: Iterable[bytes], plan: Plan) -> Iterator[Batch]:
    """Read a recipients file, its kind told by the ending of its name.

    Args:
        chunks: Its octets, in order, in pieces of any size.
        plan: How to read it.

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
