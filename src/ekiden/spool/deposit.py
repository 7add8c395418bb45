"""Jobs that come by another way than as files: put into the spool, and what became of them.

Whoever deposits gives the name, so that the same submission made again is the same entry. From
there on it is a file in `new/` like any other: the same intake, the same checks, the same answers.

Blocking; call it from a thread.
"""

import errno
import io
import os
import shutil
import tarfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import PurePosixPath
from typing import Final

from ekiden import limits
from ekiden.disk import sync_tree
from ekiden.errors import RefusedError, UnavailableError
from ekiden.spool.answers import ERROR
from ekiden.spool.jobspec import shown
from ekiden.spool.layout import Folder, Spool
from ekiden.spool.loading import JOB_FILE, stem

FILES: Final = 1000  # of one job
_PARTS: Final = 8  # folders deep
_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})


class Fate(StrEnum):
    """Where an entry of the spool is."""

    WAITING = "waiting"  # in new/ or cur/
    ACCEPTED = "accepted"
    REFUSED = "refused"
    UNKNOWN = "unknown"  # never here, or swept away


@dataclass(frozen=True, slots=True)
class Standing:
    """How an entry stands.

    Args:
        fate: Where it is.
        error: What NAME.error.txt says; "" unless it was refused.
    """

    fate: Fate
    error: str = ""


def deposit(spool: Spool, name: str, data: bytes) -> None:
    """Put a job of one file into the spool; when it returns, the job is on the disk.

    Args:
        spool: The spool.
        name: The entry's name with its ending; nothing in the spool has it.
        data: The file.

    Raises:
        UnavailableError: The disk refused.
    """
    with _translated(name), _built(spool, name):
        _write(spool.create(Folder.TMP, name), data)


def deposit_archive(spool: Spool, name: str, data: bytes, identity: str = "") -> None:
    """Put a job directory into the spool, out of a tar archive.

    Only plain files are taken, by relative paths without `..`; owners, modes and links of the
    archive mean nothing.

    Args:
        spool: The spool.
        name: The entry's name.
        data: The archive: tar, perhaps compressed with gzip.
        identity: Written as the `id` of its job file, unless it has one; "" for none.

    Raises:
        RefusedError: It is no such archive.
        UnavailableError: The disk refused.
    """
    files = archived(data)
    if JOB_FILE not in files:
        raise RefusedError(
            f"There is no {JOB_FILE} at the top of the archive.",
            remedy="tar -C DIRECTORY -cf job.tar .",
        )
    deposit_files(spool, name, files, identity)


def archived(data: bytes) -> dict[str, bytes]:
    """Return the files of an archive by their paths; see `deposit_archive`."""
    return dict(_members(data))


def deposit_files(spool: Spool, name: str, files: Mapping[str, bytes], identity: str = "") -> None:
    """Put a job directory into the spool.

    Args:
        spool: The spool.
        name: The entry's name.
        files: Its files by their paths, the job file among them.
        identity: Written as the `id` of its job file, unless it has one; "" for none.

    Raises:
        RefusedError: A path leads out of the directory, or is another's folder.
        UnavailableError: The disk refused.
    """
    safe = {_safe(path): content for path, content in files.items()}
    for path in safe:
        if above := next((str(one) for one in PurePosixPath(path).parents if str(one) in safe), ""):
            raise RefusedError("This is a file and a folder.", where=shown(above, 300))
    if identity:
        safe[JOB_FILE] = identified_toml(safe[JOB_FILE], identity)
    building = spool.path / Folder.TMP / name
    with _translated(name), _built(spool, name):
        building.mkdir(mode=0o755)
        for path, content in safe.items():
            target = building / path
            target.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            _write(os.open(target, flags, 0o644), content)
        sync_tree(building)


def standing(spool: Spool, name: str) -> Standing:
    """Return how an entry stands, by the folder it is in.

    Args:
        spool: The spool.
        name: The entry's name with its ending.
    """
    with _translated(name):
        # In the order in which it travels, so that it is not missed between two looks.
        for folder in (Folder.NEW, Folder.CUR):
            if spool.status(folder, name) is not None:
                return Standing(Fate.WAITING)
        if spool.status(Folder.DONE, name) is not None:
            return Standing(Fate.ACCEPTED)
        if spool.status(Folder.FAILED, name) is not None:
            return Standing(Fate.REFUSED, _told(spool, name))
    return Standing(Fate.UNKNOWN)


def identified_toml(data: bytes, identity: str) -> bytes:
    """Return a job file with an identity, unless it has one of its own."""
    lines = data.lstrip(b"\xef\xbb\xbf").splitlines()
    for line in lines:
        text = line.strip()
        if text.startswith(b"["):
            break
        if text.partition(b"=")[0].strip() in {b"id", b'"id"', b"'id'"}:
            return data
    return f'id = "{identity}"\n'.encode() + data.lstrip(b"\xef\xbb\xbf")


def _told(spool: Spool, name: str) -> str:
    answer = spool.path / Folder.FAILED / (stem(name) + ERROR)
    try:
        return answer.read_text("utf-8", "replace")[: limits.HTTP_FORM_BYTES]
    except FileNotFoundError:
        return ""


def _hand_over(spool: Spool, name: str) -> None:
    # Older than the rename beyond any clock's grain: intake takes it without waiting for rest.
    earlier = time.time_ns() - 10**9
    os.utime(name, ns=(earlier, earlier), dir_fd=spool.folders[Folder.TMP], follow_symlinks=False)
    spool.move(name, Folder.TMP, Folder.NEW, name)


def _write(descriptor: int, data: bytes) -> None:
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _members(data: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield the plain files of an archive.

    Raises:
        RefusedError: It is none, or holds what is not taken.
    """
    left = limits.HTTP_JOB_BYTES
    try:
        with tarfile.open(fileobj=io.BytesIO(data), mode="r:*") as archive:
            for number, member in enumerate(archive):
                if number > FILES:
                    raise RefusedError(f"The archive holds more than {FILES} files.")
                if member.isdir():
                    continue
                path = _safe(member.name)
                left -= member.size
                if not member.isreg() or left < 0:
                    what = "It is no plain file." if left >= 0 else "The archive is too large."
                    raise RefusedError(what, where=shown(member.name, 300))
                file = archive.extractfile(member)
                yield path, b"" if file is None else file.read()
    except (tarfile.TarError, OSError, EOFError, ValueError) as error:
        raise RefusedError(
            f"This is no tar archive that can be read: {error}", remedy="tar -cf job.tar ."
        ) from None


def _safe(name: str) -> str:
    path = PurePosixPath(name)
    parts = [part for part in path.parts if part != "."]
    if path.is_absolute() or ".." in parts or not 0 < len(parts) <= _PARTS or "\0" in name:
        raise RefusedError("This path leads out of the job.", where=shown(name, 300))
    return "/".join(parts)


@contextmanager
def _built(spool: Spool, name: str) -> Iterator[None]:
    """Clear the place in tmp/, have the entry built there, and hand it over; or leave nothing."""
    _clear(spool, name)
    try:
        yield
        _hand_over(spool, name)
    except BaseException:
        _clear(spool, name)
        raise


def _clear(spool: Spool, name: str) -> None:
    try:
        spool.remove(Folder.TMP, name)
    except IsADirectoryError:
        shutil.rmtree(spool.path / Folder.TMP / name, ignore_errors=True)


@contextmanager
def _translated(name: str) -> Iterator[None]:
    """Turn an OSError into what a person can act on."""
    try:
        yield
    except OSError as error:
        full = error.errno in _FULL
        raise UnavailableError(
            f"the spool cannot be written: {error.strerror}",
            where=shown(name, 100),
            remedy="make room on its disk" if full else "see the daemon's log",
        ) from error
