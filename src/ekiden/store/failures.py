"""The driver's errors become ours, here and nowhere else.

A full disk, a failed write or sync and a locked file may pass: `UnavailableError`. A damaged file
does not pass by waiting: `DamagedError`. A broken constraint is a bug in the caller and stays what
it is.
"""

import sqlite3
from typing import Final

from ekiden.errors import EkidenError, UnavailableError


class DamagedError(EkidenError):
    """The database file is not a database, or its pages contradict each other."""


_PASSING: Final = {
    sqlite3.SQLITE_FULL: ("the disk or the database's page limit is full", "free some space"),
    sqlite3.SQLITE_IOERR: ("the disk refused a read, write or sync", "look at the system's log"),
    sqlite3.SQLITE_BUSY: ("the database is locked by another process", "end that process"),
    sqlite3.SQLITE_CANTOPEN: ("the database cannot be opened", "check the path and its rights"),
    sqlite3.SQLITE_READONLY: ("the database is not writable", "check the file's owner and rights"),
    sqlite3.SQLITE_NOMEM: ("memory ran out", "give the process more memory"),
}
_DAMAGED: Final = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}


def translate(error: sqlite3.Error, path: str) -> EkidenError | None:
    """What a driver's error means to a person.

    Args:
        error: The driver's error.
        path: The database file, for `where`.

    Returns:
        The error to raise instead; None when it is a programming error that should stay visible.
    """
    # The low byte is the primary code, the rest says where (sqlite.org/rescode.html).
    primary = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if primary in _PASSING:
        what, remedy = _PASSING[primary]
        return UnavailableError(f"{what} ({error})", where=path, remedy=remedy)
    if primary in _DAMAGED:
        return DamagedError(
            f"the database is damaged ({error})",
            where=path,
            remedy="stop the daemon, keep a copy, and restore a backup or run sqlite3's .recover",
        )
    return None
