"""Lines of a file that a person imports, each with a cap: one line must not hold up the others."""

import csv
from collections.abc import Iterable, Iterator
from typing import Final

from ekiden import limits

BLANK_MOST: Final = 100_000  # in a row; a file that goes on so is no list


class Lines(Iterator[str]):
    """The lines of a file, for `csv.reader`.

    `csv` caps a cell but not the cells of a row. Where a line is too long it raises `csv.Error`,
    and goes on with the next one when it is asked again.

    Args:
        lines: The lines.
    """

    def __init__(self, lines: Iterable[str]) -> None:
        self._lines = iter(lines)
        self._blank = 0

    def __next__(self) -> str:
        """Return the next line.

        Raises:
            csv.Error: It is too long, or there are only blank lines for too long.
        """
        line = next(self._lines)
        if len(line) > limits.ROW_BYTES:
            raise csv.Error(f"the line has more than {limits.ROW_BYTES:,} characters")
        self._blank = 0 if line.strip() else self._blank + 1
        if self._blank > BLANK_MOST:
            self._lines = iter(())
            raise csv.Error(f"more than {BLANK_MOST:,} blank lines in a row")
        return line
