"""Opening what other people put into the spool, without being led astray (CVE-2010-2023's kind).

A name is walked one component at a time from a directory that is already open, never through a
symbolic link, and what is found is judged by the descriptor that is then read, so nothing can be
swapped between the check and the use. Only plain files with one name and an allowed owner pass:

* a symbolic link would read a file that the writer may not read;
* a FIFO or a device would hang the reader or have effects;
* a hard link makes another user's file appear under an allowed directory.

Contract: `UnsafeFileError` for everything refused and for what is missing; `OSError` only for
trouble of the machine (I/O error, no descriptors).
"""

import errno
import hashlib
import os
import stat
from collections.abc import Collection
from typing import Final

from ekiden.errors import RefusedError
from ekiden.spool.jobspec import shown

_FILE: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_DIRECTORY: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_CHUNK: Final = 1024 * 1024
_DEPTH: Final = 8  # components of a path inside a job directory


class UnsafeFileError(RefusedError):
    """A file of a job that is missing, or that must not be read."""


def open_entry(folder: int, name: str, owners: Collection[int]) -> int:
    """Open a file or directory of `folder` and return its descriptor.

    Args:
        folder: An open directory.
        name: One name, without a slash.
        owners: The user ids it may belong to.

    Raises:
        UnsafeFileError: It is missing, a link, a device, a FIFO, a socket, has several names, or
            belongs to somebody else.
    """
    descriptor = _open(name, _FILE, folder, shown(name))
    return _judged(descriptor, shown(name), owners)


def open_inside(job: int, path: str, owners: Collection[int]) -> int:
    """Open a plain file inside a job directory and return its descriptor.

    Args:
        job: The job directory, open.
        path: A relative path as the job names it, `/` between its components.
        owners: The user ids that it and the directories on the way may belong to.

    Raises:
        UnsafeFileError: As `open_entry`; also for an absolute path and one with `..`.
    """
    where = shown(path)
    *folders, name = _components(path, where)
    at = os.dup(job)
    try:
        for folder in folders:
            inner = _open(folder, _DIRECTORY, at, where)
            os.close(at)
            at = inner
            _owned(os.fstat(at), where, owners)
        descriptor = _judged(_open(name, _FILE, at, where), where, owners)
    finally:
        os.close(at)
    if stat.S_ISDIR(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise UnsafeFileError("This is a directory; a file is needed.", where=where)
    return descriptor


def read_whole(descriptor: int, where: str, cap: int) -> bytes:
    """Return the whole content of an open file.

    Raises:
        UnsafeFileError: It is longer than `cap` bytes.
    """
    parts: list[bytes] = []
    size = 0
    while part := os.read(descriptor, _CHUNK):
        size += len(part)
        if size > cap:
            raise UnsafeFileError(
                f"The file is larger than {cap:,} bytes.", where=where, remedy="make it smaller"
            )
        parts.append(part)
    return b"".join(parts)


def digest_into(descriptor: int, digest: "hashlib._Hash") -> None:
    """Add an open file's content, and its length, to a digest; the position is left at 0."""
    size = 0
    os.lseek(descriptor, 0, os.SEEK_SET)
    while part := os.read(descriptor, _CHUNK):
        size += len(part)
        digest.update(part)
    digest.update(b"\0%d\0" % size)
    os.lseek(descriptor, 0, os.SEEK_SET)


def signature(descriptor: int) -> tuple[int, int, int]:
    """Return what changes when a file's content does: inode, size, time of modification."""
    facts = os.fstat(descriptor)
    return facts.st_ino, facts.st_size, facts.st_mtime_ns


def _components(path: str, where: str) -> list[str]:
    if path.startswith("/"):
        raise UnsafeFileError(
            "An absolute path leaves the job directory.",
            where=where,
            remedy="put the file into the job directory and name it relative to job.toml",
        )
    parts = [part for part in path.split("/") if part not in ("", ".")]
    if ".." in parts:
        raise UnsafeFileError(
            "`..` leaves the job directory.",
            where=where,
            remedy="put the file into the job directory",
        )
    if not parts or "\0" in path:
        raise UnsafeFileError("This is not the name of a file.", where=where)
    if len(parts) > _DEPTH:
        raise UnsafeFileError(f"The path is deeper than {_DEPTH} directories.", where=where)
    return parts


_REFUSALS: Final = {
    errno.ENOENT: "There is no such file.",
    errno.ENOTDIR: "Part of its path is a link or not a directory.",
    errno.ELOOP: "It is a symbolic link, and links are not followed.",
    errno.EACCES: "The daemon may not read it.",
    errno.EPERM: "The daemon may not read it.",
    errno.ENXIO: "It is a socket or a device, and only plain files are read.",
    errno.ENODEV: "It is a device, and only plain files are read.",
    errno.ENAMETOOLONG: "Its name is too long.",
    errno.EINVAL: "This is not the name of a file.",
    errno.EILSEQ: "Its name cannot be encoded.",
}


def _open(name: str, flags: int, folder: int, where: str) -> int:
    try:
        return os.open(name, flags, dir_fd=folder)
    except UnicodeEncodeError as error:
        raise UnsafeFileError(_REFUSALS[errno.EILSEQ], where=where) from error
    except OSError as error:
        what = _REFUSALS.get(error.errno or 0)
        if what is None:
            raise
        raise UnsafeFileError(what, where=where, remedy=_remedy(error.errno)) from error


def _remedy(number: int | None) -> str:
    if number in (errno.ELOOP, errno.ENOTDIR):
        return "copy the file itself into the spool"
    if number in (errno.EACCES, errno.EPERM):
        return "make it readable for the daemon's user"
    return "check the name" if number == errno.ENOENT else ""


def _judged(descriptor: int, where: str, owners: Collection[int]) -> int:
    try:
        _judge(os.fstat(descriptor), where, owners)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _judge(facts: os.stat_result, where: str, owners: Collection[int]) -> None:
    if stat.S_ISFIFO(facts.st_mode):
        raise UnsafeFileError("It is a FIFO, and only plain files are read.", where=where)
    if not (stat.S_ISREG(facts.st_mode) or stat.S_ISDIR(facts.st_mode)):
        raise UnsafeFileError("It is a device, and only plain files are read.", where=where)
    if stat.S_ISREG(facts.st_mode) and facts.st_nlink != 1:
        raise UnsafeFileError(
            f"The file has {facts.st_nlink} names (hard links), so it may be somebody else's.",
            where=where,
            remedy="copy it instead of linking it",
        )
    _owned(facts, where, owners)


def _owned(facts: os.stat_result, where: str, owners: Collection[int]) -> None:
    if facts.st_uid not in owners:
        raise UnsafeFileError(
            f"It belongs to user {facts.st_uid}, whose files are not taken.",
            where=where,
            remedy="add that user to `owners` in [spool] of the configuration, or submit it"
            " as the daemon's user",
        )
