"""One process per database: an exclusive flock on `<path>.lock`, with the holder's pid inside.

Two processes that write and checkpoint one WAL can corrupt it (fixed in SQLite 3.51.3; Python ships
older ones), so the lock is taken before the database is touched. The file is never deleted: a
deleted lock file can be locked by two. It is separate from the database because closing any
descriptor of the database itself would drop SQLite's own locks.
"""

import fcntl
import os
from pathlib import Path

from ekiden.errors import UnavailableError


class Lock:
    """The right to use a database; held from `take` until `release` or the process's end."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None

    def take(self) -> None:
        """Lock, or say who holds it.

        Raises:
            UnavailableError: Another process has it, or the lock file cannot be written.
        """
        try:
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise UnavailableError(
                f"the lock file cannot be opened ({error.strerror})",
                where=str(self._path),
                remedy="check that the directory exists and is yours",
            ) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.read(descriptor, 20).decode("ascii", "replace").strip() or "unknown"
            os.close(descriptor)
            raise UnavailableError(
                f"another process (pid {holder}) uses this queue",
                where=str(self._path),
                remedy="stop it first, or speak to it through its control socket",
            ) from error
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        self._descriptor = descriptor

    def release(self) -> None:
        """Give it up; harmless when it is not held."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
