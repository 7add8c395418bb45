"""Which entries of `new/` are complete, so that nothing half-written is ever read.

An entry is complete when it was **renamed in**: a rename changes an inode's ctime and not its
mtime, while a write changes both alike; so `ctime > mtime`, and nobody has it open for writing.
Anything else is complete when it has **come to rest**: unchanged for `rest` seconds, with no
writer. Whether a file has a writer is asked of the kernel with a read lease (fcntl(2)), which is
refused while there is one; where leases do not work, rest alone decides.

A job directory counts with everything in it, and needs its job.toml.

Blocking; intake runs `look` on a thread. `clock` is a monotonic clock: steps of the wall clock
neither hurry nor hold up a job.
"""

import errno
import fcntl
import os
import signal
import stat
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from ekiden.spool.layout import Folder, Spool
from ekiden.spool.loading import JOB_FILE

ENTRIES: Final = 2000  # files of a directory that are looked at
JOBLESS_REST: Final = 60.0  # a directory without job.toml is still being made, for so long

_IGNORED_ENDINGS: Final = ("~", ".tmp", ".part")
_OPEN: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_DIRECTORY: Final = _OPEN | os.O_DIRECTORY

Signature = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class _Seen:
    """An entry as it was, and since when it has been so."""

    signature: Signature
    since: float


@dataclass(frozen=True, slots=True)
class _Look:
    """One look at an entry."""

    signature: Signature
    renamed: bool
    written: bool  # somebody has it open for writing
    jobless: bool = False


class Arrivals:
    """Looks at `new/` again and again, and remembers what it saw.

    Args:
        spool: The spool.
        rest: Seconds without change after which a direct write is complete.
        clock: Monotonic seconds.
    """

    def __init__(self, spool: Spool, rest: float, clock: Callable[[], float]) -> None:
        self._spool = spool
        self._rest = rest
        self._clock = clock
        self._seen: dict[str, _Seen] = {}
        self.waiting = 0  # entries that were not complete at the last look

    def look(self, limit: int) -> list[str]:
        """Return the names of at most `limit` complete entries, oldest name first."""
        ready: list[str] = []
        seen: dict[str, _Seen] = {}
        now = self._clock()
        for name in self._spool.names(Folder.NEW):
            if name.startswith(".") or name.endswith(_IGNORED_ENDINGS):
                continue
            if len(ready) == limit:
                break  # the rest is looked at again, from scratch
            look = self._look(name)
            if look is None:
                continue
            before = self._seen.get(name)
            if before is None or before.signature != look.signature:
                before = _Seen(look.signature, now)
            seen[name] = before
            if self._complete(look, now - before.since):
                ready.append(name)
        self._seen = seen
        self.waiting = len(seen) - len(ready)
        return ready

    def _complete(self, look: _Look, quiet: float) -> bool:
        if look.written:
            return False
        if look.renamed:
            return True
        return quiet >= (max(self._rest, JOBLESS_REST) if look.jobless else self._rest)

    def _look(self, name: str) -> _Look | None:
        facts = self._spool.status(Folder.NEW, name)
        if facts is None:
            return None
        if stat.S_ISREG(facts.st_mode):
            return _Look(
                (facts.st_ino, facts.st_size, facts.st_mtime_ns),
                renamed=facts.st_ctime_ns > facts.st_mtime_ns,
                written=_being_written(name, self._spool.folders[Folder.NEW]),
            )
        if stat.S_ISDIR(facts.st_mode):
            return self._directory(name, facts)
        # A link, a FIFO, a device: complete as it is, to be refused.
        return _Look((facts.st_ino,), renamed=True, written=False)

    def _directory(self, name: str, facts: os.stat_result) -> _Look | None:
        try:
            descriptor = os.open(name, _DIRECTORY, dir_fd=self._spool.folders[Folder.NEW])
        except OSError:
            # Gone, or not ours to read: taken as it is, so that the refusal can say why.
            return _Look((facts.st_ino,), renamed=True, written=False)
        try:
            return _look_inside(descriptor, facts)
        finally:
            os.close(descriptor)


def _look_inside(descriptor: int, facts: os.stat_result) -> _Look:
    """Look at a directory's files, those of sub-directories included, to `ENTRIES` of them."""
    count = size = newest = 0
    written, jobless = False, True
    waiting = [""]
    while waiting:
        inner = waiting.pop()
        folder = os.dup(descriptor) if not inner else _open_folder(descriptor, inner)
        if folder is None:
            continue
        try:
            for name in os.listdir(folder):  # noqa: PTH208 - pathlib has no descriptors
                count += 1
                if count > ENTRIES:
                    break
                entry = _status(name, folder)
                if entry is None:
                    continue
                newest = max(newest, entry.st_mtime_ns)
                if stat.S_ISDIR(entry.st_mode):
                    waiting.append(f"{inner}/{name}".lstrip("/"))
                elif stat.S_ISREG(entry.st_mode):
                    size += entry.st_size
                    written = written or _being_written(name, folder)
                    jobless = jobless and bool(inner or name != JOB_FILE)
        finally:
            os.close(folder)
    renamed = facts.st_ctime_ns > facts.st_mtime_ns and newest <= facts.st_ctime_ns
    signature = (facts.st_ino, facts.st_mtime_ns, count, size, newest)
    return _Look(signature, renamed=renamed, written=written, jobless=jobless)


def _open_folder(descriptor: int, path: str) -> int | None:
    try:
        return os.open(path, _DIRECTORY, dir_fd=descriptor)
    except OSError:
        return None


def _status(name: str, folder: int) -> os.stat_result | None:
    try:
        return os.stat(name, dir_fd=folder, follow_symlinks=False)
    except OSError:
        return None


def _being_written(name: str, folder: int) -> bool:
    """Whether somebody has the file open for writing, as far as the kernel will tell."""
    try:
        descriptor = os.open(name, _OPEN, dir_fd=folder)
    except OSError:
        return False
    try:
        # Breaking a lease sends a signal to its holder; this one is ignored by default, while the
        # usual SIGIO would end the process.
        fcntl.fcntl(descriptor, fcntl.F_SETSIG, signal.SIGURG)
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    except OSError as error:
        return error.errno == errno.EAGAIN
    finally:
        os.close(descriptor)
    return False
