"""Making names durable: a file is on the disk only when the directory that names it is, too."""

import os
from pathlib import Path


def sync_directory(path: Path) -> None:
    """Wait until the names in a directory are on the disk.

    Raises:
        OSError: The disk refuses.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_tree(top: Path) -> None:
    """Do that for a directory and all that are below it.

    Raises:
        OSError: The disk refuses.
    """
    for folder in [top, *(one for one in top.rglob("*") if one.is_dir())]:
        sync_directory(folder)
