"""Files that commands read lists of addresses from, or write them to."""

import sys
from pathlib import Path
from typing import Any


def opened(file: Path) -> Any:
    """Return a file opened for reading CSV, `-` for standard input.

    A byte that is no UTF-8 spoils its line alone.

    Raises:
        NotFoundError: It cannot be read.
    """
    import contextlib  # noqa: PLC0415 - help must not wait for it

    from ekiden.errors import NotFoundError  # noqa: PLC0415

    if str(file) == "-":
        return contextlib.nullcontext(sys.stdin)
    try:
        return file.open(encoding="utf-8-sig", errors="backslashreplace", newline="")
    except OSError as error:
        raise NotFoundError(f"cannot be read: {error.strerror}", where=str(file)) from None


def created(file: Path) -> Any:
    """Return a file opened for writing CSV, readable by its owner alone.

    Raises:
        RefusedError: It cannot be written.
    """
    import os  # noqa: PLC0415 - as above

    from ekiden.errors import RefusedError  # noqa: PLC0415

    try:  # addresses are nobody else's business
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise RefusedError(f"cannot be written: {error.strerror}", where=str(file)) from None
    return os.fdopen(descriptor, "w", encoding="utf-8", newline="")
