"""What commands print: tables on a terminal, tab-separated lines in a pipe, or JSON.

Everything that came from outside passes through `visible`, so that a job's name or a remote reply
can neither move the cursor nor break a line. JSON carries values as they are: its strings escape.
"""

import os
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ekiden.errors import EkidenError


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table: its heading, and whether it holds numbers (aligned right)."""

    name: str
    number: bool = False


def visible(text: str) -> str:
    """Return `text` with every character that is not for reading escaped; letters stay letters."""
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape", "surrogatepass").decode()
        for char in text
    )


def complain(error: EkidenError) -> None:
    """Print an error for a person on standard error: what is wrong, and what to do."""
    sentences = getattr(error, "sentences", None)
    for line in sentences() if sentences else [str(error)]:
        print(f"ekiden: {visible(line)}", file=sys.stderr)


def note(text: str) -> None:
    """Print a remark on standard error, where it is in no program's way."""
    print(visible(text), file=sys.stderr)


def print_json(value: Any) -> None:
    """Print one JSON document."""
    import msgspec  # noqa: PLC0415 - only commands that print JSON need it

    text = msgspec.json.format(msgspec.json.encode(value, enc_hook=str), indent=2)
    sys.stdout.buffer.write(text + b"\n")
    sys.stdout.flush()


def print_table(
    columns: Sequence[Column], rows: Iterable[Sequence[str | int]], *, empty: str = ""
) -> None:
    """Print rows: a table on a terminal, else one tab-separated line each, without a heading.

    Args:
        columns: The columns; programs count on their order.
        rows: Their cells.
        empty: What to say on a terminal when there is no row.
    """
    if not sys.stdout.isatty():
        for row in rows:
            print("\t".join(visible(str(cell)) for cell in row))
        return
    from rich.table import Table  # noqa: PLC0415 - rich is slow to import and for terminals only
    from rich.text import Text  # noqa: PLC0415

    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column.name, justify="right" if column.number else "left")
    for row in rows:
        table.add_row(*(Text(visible(str(cell))) for cell in row))  # Text: no markup is read
    if table.row_count or not empty:
        _console().print(table)
    else:
        print(empty)


def print_facts(facts: Mapping[str, str | int]) -> None:
    """Print names with their values, one a line."""
    if not sys.stdout.isatty():
        for name, value in facts.items():
            print(f"{name}\t{visible(str(value))}")
        return
    width = max(map(len, facts), default=0)
    for name, value in facts.items():
        print(f"{name:<{width}}  {visible(str(value))}")


def _console() -> Any:
    from rich.console import Console  # noqa: PLC0415 - as above

    return Console(highlight=False, soft_wrap=False, no_color="NO_COLOR" in os.environ)


def moment(at: float | None) -> str:
    """Return a time as people and programs read it: local, ISO 8601; "-" for never."""
    if at is None:
        return "-"
    shape = "%Y-%m-%d %H:%M:%S" if sys.stdout.isatty() else "%Y-%m-%dT%H:%M:%S%z"
    return time.strftime(shape, time.localtime(at))


def count(number: int) -> str:
    """Return a number with its thousands apart on a terminal, plain in a pipe."""
    return f"{number:,}" if sys.stdout.isatty() else str(number)
