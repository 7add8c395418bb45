"""What an operation sees of the database: a few verbs on the one writing connection.

Operations are plain functions that run on the database's thread, inside the group's transaction.
They take batches as one JSON parameter and return batches as one JSON value: SQLite gives the GIL
back and forth on every row it steps over, and under a busy event loop each of those hand-overs may
wait for the interpreter's switch interval (5 ms). docs/queue.md has the figures. A row of many
columns is taken apart from JSON again for each of them: such rows go as parameters of one statement
(`Tx.each`), which is one step as well.
"""

import re
import sqlite3
from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import chain
from typing import Any, Final

import msgspec

Params = Sequence[Any] | Mapping[str, Any]
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode


def pack(values: Any) -> str:
    """A batch as one parameter for `json_each`."""
    return _encode(values).decode()


# Rows to a step: enough that steps do not count, and few enough that a statement for each number of
# rows stays prepared (`cached_statements`).
_ROWS: Final = 32
_ROW: Final = re.compile(r"(?<=VALUES )(\([?, ]+\))")


class Tx:
    """The writing side during one operation; not to be kept after it."""

    __slots__ = ("_connection",)

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def execute(self, sql: str, params: Params = ()) -> int:
        """Run a statement that writes; returns how many rows it changed."""
        return self._connection.execute(sql, params).rowcount

    def each(self, sql: str, rows: Sequence[Sequence[Any]]) -> None:
        """Write many rows of many columns.

        Args:
            sql: A statement for one row, with `VALUES (?, ...)` in it once.
            rows: The values of each row, in that order.
        """
        for start in range(0, len(rows), _ROWS):
            some = rows[start : start + _ROWS]
            values = list(chain.from_iterable(some))
            self._connection.execute(_for_rows(sql, len(some)), values)

    def rows(self, sql: str, params: Params = ()) -> list[tuple[Any, ...]]:
        """All rows of a query; for few rows (see above)."""
        return self._connection.execute(sql, params).fetchall()

    def one(self, sql: str, params: Params = ()) -> tuple[Any, ...] | None:
        """The first row of a query, or None."""
        row: tuple[Any, ...] | None = self._connection.execute(sql, params).fetchone()
        return row

    def json(self, sql: str, params: Params = ()) -> Any:
        """The decoded JSON value of a query that answers with one (json_group_array)."""
        row = self._connection.execute(sql, params).fetchone()
        return None if row is None or row[0] is None else _decode(row[0])


@lru_cache(maxsize=4 * _ROWS)
def _for_rows(sql: str, number: int) -> str:
    """Return a statement for one row as one for several."""
    before, row, after = _ROW.split(sql)
    return f"{before}{','.join([row] * number)}{after}"
