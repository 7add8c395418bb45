"""Mail that lies in files: a Maildir, an mbox. Yields one mail at a time, and marks what was taken.

Nothing is deleted. A Maildir's new mail is moved to `cur/` with the flag `S` (seen), as any mail
reader does; an mbox is left as it is. Taking the same mail twice changes nothing.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from ekiden import limits
from ekiden.errors import NotFoundError

_FROM: Final = b"From "


def maildir(path: Path) -> Iterator[tuple[bytes, Callable[[], None]]]:
    """Yield every mail of a Maildir that was not seen, with what marks it as seen.

    Raises:
        NotFoundError: It is no Maildir.
    """
    new, current = path / "new", path / "cur"
    if not (new.is_dir() and current.is_dir()):
        raise NotFoundError("this is no Maildir: it has no new/ and cur/", where=str(path))
    files = [*sorted(new.iterdir()), *(one for one in sorted(current.iterdir()) if not _seen(one))]
    for file in files:
        if file.is_symlink() or not file.is_file():
            continue
        with file.open("rb") as opened:
            raw = opened.read(limits.INBOUND_KEPT_BYTES)
        yield raw, lambda file=file: _mark(file, current)  # type: ignore[misc]  # binds this file


def _seen(file: Path) -> bool:
    _, found, flags = file.name.rpartition(":2,")
    return bool(found) and "S" in flags


def _mark(file: Path, current: Path) -> None:
    base, found, flags = file.name.rpartition(":2,")
    name, kept = (base, flags) if found else (file.name, "")
    file.rename(current / f"{name}:2,{''.join(sorted({*kept, 'S'}))}")


def mbox(path: Path) -> Iterator[bytes]:
    """Yield every mail of an mbox file (RFC 4155; `>From ` lines lose their mark).

    Raises:
        NotFoundError: There is no such file.
    """
    try:
        file = path.open("rb")
    except OSError as error:
        raise NotFoundError(f"cannot be read: {error.strerror}", where=str(path)) from error
    with file:
        lines: list[bytes] = []
        size, begun, blank = 0, False, True
        while line := file.readline(limits.INBOUND_KEPT_BYTES):
            if line.startswith(_FROM) and blank:
                if begun:
                    yield b"".join(lines)
                lines, size, begun = [], 0, True
            elif size < limits.INBOUND_KEPT_BYTES:
                lines.append(line[1:] if line.startswith(b">From ") else line)
                size += len(line)
            blank = line in {b"\n", b"\r\n"}
        if begun:
            yield b"".join(lines)
        elif size:
            raise NotFoundError("this is no mbox: it does not begin with From", where=str(path))
