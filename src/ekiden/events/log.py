"""The event log: JSON Lines in a directory, rotated, and never in the way of delivery.

```
DIRECTORY/events.jsonl                      written now; `tail -F` follows it across rotations
DIRECTORY/events-20261123T081500.250Z.jsonl closed at that time, and never touched again
DIRECTORY/.lock                             held by the one daemon that writes
```

Theory. A batch of lines is one append, then one fsync, and only then is the reader's mark in the
queue moved. So a crash can leave lines that the mark does not cover: they are written again, with
the same ids (at least once), and a torn last line, which is cut off at the next start. A write that
fails (disk full) is undone by truncating to where it began; the same batch is tried again later,
and nothing has been lost, because the queue still has it.

Contract: every method blocks and belongs on one thread beside the loop (`exporter.py` does that).
`OSError` leaves as `UnavailableError`.
"""

import contextlib
import datetime as dt
import fcntl
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, Self

import msgspec

from ekiden import limits
from ekiden.disk import sync_directory
from ekiden.errors import UnavailableError
from ekiden.events.model import Event

CURRENT: Final = "events.jsonl"
_CLOSED: Final = "events-*.jsonl"
_APPEND: Final = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
_DAY: Final = 86_400.0


@dataclass(frozen=True, slots=True)
class LogOptions:
    """How the log is kept.

    Args:
        directory: Where the files are; made when missing.
        rotate: Bytes at which a file is closed.
        keep: Seconds that closed files are kept; 0 keeps them for ever.
        daily: Close the file at midnight UTC as well.
        sync: `batch` syncs each append before it counts as written; `never` leaves it to the
            system (a power failure then loses what the mark already covers).
        clock: UNIX seconds.
    """

    directory: Path
    rotate: int = 100_000_000
    keep: float = 90 * _DAY
    daily: bool = True
    sync: Literal["batch", "never"] = "batch"
    clock: Callable[[], float] = time.time


class EventLog:
    """The open log; make it with `EventLog.open`."""

    def __init__(self, options: LogOptions, lock: int) -> None:
        self._options = options
        self._lock = lock
        self._encoder = msgspec.json.Encoder()
        self._file = -1
        self._size = 0
        self._day = 0
        self.cut = 0  # bytes of a torn line that were cut off when it was opened

    @classmethod
    def open(cls, options: LogOptions) -> Self:
        """Open the log for appending, mending a torn end.

        Raises:
            UnavailableError: Another daemon writes there, or the directory cannot be used.
        """
        with _told(options.directory):
            options.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            lock = os.open(
                options.directory / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600
            )
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(lock)
            raise UnavailableError(
                "Another process writes this event log",
                where=str(options.directory),
                remedy="Stop the other daemon, or give this one its own `events.directory`.",
            ) from error
        log = cls(options, lock)
        try:
            with _told(options.directory):
                log._begin()
        except BaseException:
            os.close(lock)
            raise
        return log

    @property
    def path(self) -> Path:
        """The file that is written now."""
        return self._options.directory / CURRENT

    def append(self, events: Sequence[Event]) -> int:
        """Write events, all of them or none.

        Returns:
            The bytes written.

        Raises:
            UnavailableError: The disk is full or failing; the log is as it was before.
        """
        return self.append_lines(b"".join(self._encoder.encode(event) + b"\n" for event in events))

    def append_lines(self, data: bytes) -> int:
        """Write whole lines, all of them or none; see `append`."""
        if not data:
            return 0
        with _told(self.path):
            self._rotate_if_due(len(data))
            start = self._size
            try:
                self._write(data)
                if self._options.sync == "batch":
                    os.fsync(self._file)
            except OSError:
                self._undo(start)
                raise
        return len(data)

    def last(self) -> Event | None:
        """Return the last event written, in this file or the newest closed one."""
        paths = [self.path, *sorted(self._options.directory.glob(_CLOSED), reverse=True)[:1]]
        for path in paths:
            with _told(path):
                line = _last_line(path)
            if line:
                with contextlib.suppress(msgspec.DecodeError):
                    return msgspec.json.decode(line, type=Event)
        return None

    def close(self) -> None:
        """Close the file and let others have the log."""
        for descriptor in (self._file, self._lock):
            if descriptor >= 0:
                os.close(descriptor)
        self._file = self._lock = -1

    # --- the file ------------------------------------------------------------------------------

    def _begin(self) -> None:
        self._file = os.open(self.path, _APPEND, 0o600)
        facts = os.fstat(self._file)
        self._size = self._mend(facts.st_size)
        self._day = self._today() if not self._size else int(facts.st_mtime // _DAY)

    def _mend(self, size: int) -> int:
        """Cut off what follows the last newline; return the size that is left."""
        end = size
        while end:
            start = max(0, end - limits.EVENT_LINE_BYTES)
            found = os.pread(self._file, end - start, start).rfind(b"\n")
            if found >= 0:
                end = start + found + 1
                break
            end = start
        if end != size:
            os.ftruncate(self._file, end)
            os.fsync(self._file)
            self.cut = size - end
        return end

    def _write(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            written = os.write(self._file, view)
            self._size += written
            view = view[written:]

    def _undo(self, start: int) -> None:
        # If this fails too, the torn end is cut off at the next start.
        with contextlib.suppress(OSError):
            os.ftruncate(self._file, start)
            self._size = start

    # --- rotation ------------------------------------------------------------------------------

    def _today(self) -> int:
        return int(self._options.clock() // _DAY)

    def _rotate_if_due(self, coming: int) -> None:
        today = self._today()
        due = self._size + coming > self._options.rotate
        due = due or (self._options.daily and today > self._day)
        if not due or not self._size:
            self._day = max(today, self._day)
            return
        os.fsync(self._file)
        self.path.rename(self._closed_name())
        os.close(self._file)
        self._file = -1
        self._begin()
        self._day = today
        sync_directory(self._options.directory)
        self._prune()

    def _closed_name(self) -> Path:
        at = dt.datetime.fromtimestamp(self._options.clock(), dt.UTC)
        while True:
            stamp = f"{at:%Y%m%dT%H%M%S}.{at.microsecond // 1000:03d}Z"
            path = self._options.directory / f"events-{stamp}.jsonl"
            if not path.exists():
                return path
            at += dt.timedelta(milliseconds=1)  # several in one millisecond stay in order

    def _prune(self) -> None:
        if not self._options.keep:
            return
        oldest = self._options.clock() - self._options.keep
        for path in self._options.directory.glob(_CLOSED):
            at = _closed_at(path)
            if at is not None and at < oldest:
                path.unlink(missing_ok=True)


def _closed_at(path: Path) -> float | None:
    """Return when a file was closed, by its name; None if the name is not ours."""
    try:
        at = dt.datetime.strptime(path.name, "events-%Y%m%dT%H%M%S.%f%z.jsonl")
    except ValueError:
        return None
    return at.timestamp()


@contextlib.contextmanager
def _told(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UnavailableError(
            f"The event log cannot be written: {error.strerror or error}",
            where=str(path),
            remedy="Make room or mend the permissions; events wait in the queue until then.",
        ) from error


def _last_line(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            end = file.seek(0, os.SEEK_END)
            file.seek(max(0, end - limits.EVENT_LINE_BYTES))
            lines = file.read().splitlines()
    except FileNotFoundError:
        return b""
    return lines[-1] if lines else b""
