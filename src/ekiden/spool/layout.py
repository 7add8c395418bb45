"""The spool directory: five folders on one filesystem, opened once and never again by path.

```
spool/tmp/     writers build here; nothing reads it
spool/new/     renamed in: the writer's commit point
spool/cur/     taken by intake, under the name it keeps from here on
spool/done/    accepted jobs, and the answers to them
spool/failed/  refused jobs, each beside its NAME.error.txt
```

Every move is one rename(2) between two folders that are held open, followed by an fsync of both, so
that after a crash each entry is in exactly one folder and the folder tells what had happened to it.
A spool that somebody else owns or may write to is a way to send mail in the owner's name: it is
refused at the start, with the command that mends it.

Contract: `Spool.open` raises `ConfigError`; everything else raises `OSError`, which intake
translates. All of it blocks: call it from a thread.
"""

import os
import secrets
import stat
from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final, Self

from ekiden.errors import ConfigError

_DIRECTORY: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_WRITE_NEW: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class Folder(StrEnum):
    """The folders of a spool."""

    TMP = "tmp"
    NEW = "new"
    CUR = "cur"
    DONE = "done"
    FAILED = "failed"


# Writers other than the daemon's user may share these two by group; the others are the daemon's.
_SHARED: Final = frozenset({Folder.TMP, Folder.NEW})


@dataclass(frozen=True, slots=True)
class Spool:
    """An open spool.

    Args:
        path: Where it is, for messages.
        owners: The user ids whose files are taken, the daemon's own included.
        folders: An open descriptor per folder.
    """

    path: Path
    owners: frozenset[int]
    folders: dict[Folder, int]

    @classmethod
    def open(cls, path: Path, *, owners: Collection[int] = ()) -> Self:
        """Open the spool at `path`, making what is missing.

        Args:
            path: The spool directory.
            owners: User ids whose files are taken besides the daemon's own. When there are any,
                `tmp/` and `new/` may be writable by their group.

        Raises:
            ConfigError: It cannot be made, is not ours, is writable by others, or spans
                filesystems; the remedy is a command.
        """
        allowed = frozenset({os.geteuid(), *owners})
        opened: dict[Folder, int] = {}
        try:
            _make(path)
            root = os.open(path, _DIRECTORY)
            try:
                _check(root, path, shared=False)
                for folder in Folder:
                    opened[folder] = _open_folder(root, path, folder, shared=len(allowed) > 1)
                os.fsync(root)
            finally:
                os.close(root)
            _one_filesystem(path, opened)
        except BaseException as error:
            for descriptor in opened.values():
                os.close(descriptor)
            if isinstance(error, OSError):
                raise ConfigError(
                    f"The spool cannot be opened: {error.strerror}.",
                    where=str(path),
                    remedy=f"make it a directory that this user owns: install -d -m 0755 {path}",
                ) from error
            raise
        return cls(path, allowed, opened)

    def close(self) -> None:
        """Close the folders' descriptors."""
        for descriptor in self.folders.values():
            os.close(descriptor)
        self.folders.clear()

    def names(self, folder: Folder) -> list[str]:
        """Return the entries of `folder`, sorted; undecodable names carry surrogates (PEP 383)."""
        return sorted(os.listdir(self.folders[folder]))  # noqa: PTH208 - pathlib has no descriptors

    def status(self, folder: Folder, name: str) -> os.stat_result | None:
        """Return what lstat says of an entry, None when it is not there."""
        try:
            return os.stat(name, dir_fd=self.folders[folder], follow_symlinks=False)
        except FileNotFoundError:
            return None

    def move(self, name: str, source: Folder, target: Folder, new_name: str) -> None:
        """Rename an entry between folders and sync both: the commit point of each step.

        The caller chose `new_name` free; intake is the only writer of the target, so it stays so.
        """
        os.rename(name, new_name, src_dir_fd=self.folders[source], dst_dir_fd=self.folders[target])
        os.fsync(self.folders[target])
        os.fsync(self.folders[source])

    def write(self, folder: Folder, name: str, data: bytes) -> None:
        """Write a whole file so that after a crash it is there complete or not at all."""
        temporary = f".{name[:200]}.{secrets.token_hex(4)}.tmp"
        descriptor = self.create(folder, temporary)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            self.rename(folder, temporary, name)
        except BaseException:
            self.remove(folder, temporary)
            raise

    def create(self, folder: Folder, name: str) -> int:
        """Create a file that must not exist; return a descriptor for writing."""
        return os.open(name, _WRITE_NEW, 0o644, dir_fd=self.folders[folder])

    def rename(self, folder: Folder, old: str, new: str) -> None:
        """Rename within a folder, replacing `new`, and sync the folder."""
        descriptor = self.folders[folder]
        os.rename(old, new, src_dir_fd=descriptor, dst_dir_fd=descriptor)
        os.fsync(descriptor)

    def remove(self, folder: Folder, name: str) -> None:
        """Remove a file; it is no error when it is not there."""
        try:
            os.unlink(name, dir_fd=self.folders[folder])
        except FileNotFoundError:
            return

    def free_bytes(self) -> int:
        """Return how much an unprivileged writer could still write."""
        facts = os.fstatvfs(self.folders[Folder.CUR])
        return facts.f_bavail * facts.f_frsize


def _make(path: Path) -> None:
    """Make the spool's own directory; its parents get the usual modes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        path.mkdir(mode=0o755)
    except FileExistsError:
        return
    path.chmod(0o755)


def _open_folder(root: int, path: Path, folder: Folder, *, shared: bool) -> int:
    made = True
    try:
        os.mkdir(folder, 0o755, dir_fd=root)
    except FileExistsError:
        made = False
    descriptor = os.open(folder, _DIRECTORY, dir_fd=root)
    try:
        if made:  # whatever the umask left out: group and others may read answers
            os.fchmod(descriptor, 0o755)
        _check(descriptor, path / folder, shared=shared and folder in _SHARED)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _check(descriptor: int, path: Path, *, shared: bool) -> None:
    """Refuse a directory that somebody else controls."""
    facts = os.fstat(descriptor)
    me = os.geteuid()
    if facts.st_uid != me:
        raise ConfigError(
            f"This directory belongs to user {facts.st_uid}, and the daemon runs as user {me}:"
            " whoever owns it can send mail in your name.",
            where=str(path),
            remedy=f"chown {me} {path}",
        )
    forbidden = stat.S_IWOTH if shared else stat.S_IWOTH | stat.S_IWGRP
    if facts.st_mode & forbidden:
        who = "everybody" if facts.st_mode & stat.S_IWOTH else "its group"
        raise ConfigError(
            f"This directory can be written by {who} (mode {stat.S_IMODE(facts.st_mode):04o}):"
            " a file in it is sent in your name.",
            where=str(path),
            remedy=f"chmod {'o-w' if shared else 'go-w'} {path}",
        )


def _one_filesystem(path: Path, folders: dict[Folder, int]) -> None:
    """A rename is atomic within one filesystem only (rename(2), EXDEV)."""
    devices = {folder: os.fstat(descriptor).st_dev for folder, descriptor in folders.items()}
    for folder, device in devices.items():
        if device != devices[Folder.NEW]:
            raise ConfigError(
                f"{folder}/ is on another filesystem than new/, so nothing can be renamed"
                " between them.",
                where=str(path / folder),
                remedy=f"umount {path / folder}, or put the whole spool on one filesystem",
            )
