"""What `ekiden submit PATH...` does: copy into `tmp/`, sync, rename into `new/`.

Any program can do the same with four system calls; this one also keeps NAME readable, refuses what
intake would refuse, and leaves nothing behind when it fails. It needs no daemon.

Root submits as the spool's owner: the daemon could not move a directory of root's out of `new/`,
and root should write nothing where another user may lay links.
"""

import contextlib
import os
import shutil
import socket
import stat
import time
from collections.abc import Iterator, Sequence
from itertools import count
from pathlib import Path
from typing import Final

from ekiden.disk import sync_directory, sync_tree
from ekiden.errors import EkidenError, RefusedError
from ekiden.spool.jobspec import shown
from ekiden.spool.layout import Folder
from ekiden.spool.loading import ENDINGS, JOB_FILE, stem

_SERIAL: Final = count()
_FILES: Final = 2000


def submit(paths: Sequence[Path], spool: Path) -> list[str]:
    """Put jobs into a spool.

    Args:
        paths: Job files (.eml, .json, .toml) and job directories.
        spool: The spool directory; it must exist.

    Returns:
        The name of each in the spool: its own with a unique part before the ending.

    Raises:
        RefusedError: One is of no known shape, or holds links or devices. Those before it were
            submitted.
        EkidenError: The spool is missing, cannot be written, or is of a daemon that could not
            take a directory from this user.
    """
    for path in paths:
        _check(path)
    for folder in (Folder.TMP, Folder.NEW):
        if not (spool / folder).is_dir():
            raise EkidenError(
                "This is not a spool.",
                where=str(spool),
                remedy="start the daemon once (ekiden run), or name another configuration",
            )
    owner = (spool / Folder.NEW).stat()
    for path in paths:
        _check_owner(path, owner.st_uid)
    return [_submit_one(path, spool, owner) for path in paths]


def unique_name(path: Path) -> str:
    """Return a name for a path's copy that no other submission uses (maildir(5))."""
    base, ending = path.name, ""
    if not path.is_dir():
        base = stem(path.name)
        ending = path.name[len(base) :]
    now = time.time_ns()
    host = "".join(c if c.isalnum() else "-" for c in socket.gethostname())[:32]
    return (
        f"{base[:100]}.{now // 10**9}.M{now // 1000 % 10**6:06d}P{os.getpid()}Q{next(_SERIAL)}"
        f".{host}{ending}"
    )


def _check(path: Path) -> None:
    where = shown(str(path), 300)
    if path.is_dir():
        if not (path / JOB_FILE).is_file():
            raise RefusedError(
                f"There is no {JOB_FILE} in this directory.",
                where=where,
                remedy=f"describe the job in {JOB_FILE} (docs/spool.md)",
            )
    elif not path.exists():
        raise RefusedError("There is no such file.", where=where, remedy="check the path")
    elif not path.is_file() or path.suffix not in ENDINGS:
        raise RefusedError(
            "This is none of the shapes that are taken.",
            where=where,
            remedy=f"submit a directory with {JOB_FILE}, or a {', '.join(ENDINGS)} file",
        )


def _check_owner(path: Path, owner: int) -> None:
    me = os.geteuid()
    if path.is_dir() and me not in (0, owner):
        # rename(2): to move a directory, one must be able to write into it.
        raise EkidenError(
            f"The daemon runs as user {owner} and cannot take a directory of user {me}.",
            where=shown(str(path), 300),
            remedy="submit it as that user or as root, or make one file of it (docs/spool.md)",
        )


@contextlib.contextmanager
def _acting_as(owner: os.stat_result) -> Iterator[None]:
    """Make and rename files as their owner to be, where root is asked to."""
    me, mine = os.geteuid(), os.getegid()
    if me or owner.st_uid == me:
        yield
        return
    os.setegid(owner.st_gid)
    os.seteuid(owner.st_uid)
    try:
        yield
    finally:
        os.seteuid(me)
        os.setegid(mine)


def _submit_one(path: Path, spool: Path, owner: os.stat_result) -> str:
    name = unique_name(path.resolve())
    building = spool / Folder.TMP / name
    try:
        if path.is_dir():
            _copy_directory(path.resolve(), building, owner)
        else:
            _copy_file(path.resolve(), building, owner)
        with _acting_as(owner):
            _hand_over(building, spool / Folder.NEW)
    except OSError as error:
        _remove(building)
        raise EkidenError(
            f"It cannot be submitted: {error.strerror}.",
            where=shown(str(error.filename or path), 300),
            remedy="check the rights and the free space of the spool's disk",
        ) from error
    except BaseException:
        _remove(building)
        raise
    return name


def _hand_over(building: Path, folder: Path) -> None:
    sync_directory(building.parent)
    # Older than the rename beyond any clock's grain: intake takes it without waiting for rest.
    earlier = time.time_ns() - 10**9
    os.utime(building, ns=(earlier, earlier))
    building.rename(folder / building.name)
    sync_directory(folder)


def _copy_directory(source: Path, target: Path, owner: os.stat_result) -> None:
    with _acting_as(owner):
        target.mkdir(mode=0o755)
    files = 0
    for entry in sorted(source.rglob("*")):
        relative = entry.relative_to(source)
        if any(part.startswith(".") for part in relative.parts):
            continue
        files += 1
        if files > _FILES:
            raise RefusedError(
                f"The directory holds more than {_FILES} files.", where=shown(str(source), 300)
            )
        mode = entry.lstat().st_mode
        if stat.S_ISDIR(mode):
            with _acting_as(owner):
                (target / relative).mkdir(mode=0o755)
        elif stat.S_ISREG(mode):
            _copy_file(entry, target / relative, owner)
        else:
            raise RefusedError(
                "It is a link, a FIFO or a device, and only plain files are taken.",
                where=shown(str(entry), 300),
                remedy="put the file itself into the job directory",
            )
    sync_tree(target)


def _copy_file(source: Path, target: Path, owner: os.stat_result) -> None:
    with source.open("rb") as reading, _acting_as(owner), target.open("xb") as writing:
        shutil.copyfileobj(reading, writing, 1024 * 1024)
        writing.flush()
        os.fsync(writing.fileno())


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
