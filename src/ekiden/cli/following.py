"""The last lines of a file that others write and rename away, and then what they append."""

import os
import time
from collections.abc import Generator
from pathlib import Path
from typing import BinaryIO, Final

_POLL: Final = 0.3  # seconds between looks


def followed(path: Path, last: int, *, follow: bool) -> Generator[bytes, None, None]:
    """Yield whole lines of a file, without their line feeds.

    Args:
        path: The file, by the name under which it is written; it need not be there yet.
        last: How many of the lines that are there.
        follow: Then go on with what is appended, also after the file was renamed and begun anew.
    """
    file = _opened(path)
    try:
        *there, rest = (b"" if file is None else file.read()).split(b"\n")
        yield from there[max(0, len(there) - last) :]
        while follow:
            # Asked before reading: what was appended until the file was renamed is not missed.
            left = file is None or _renamed(path, file)
            if file is not None and (piece := file.read()):
                *whole, rest = (rest + piece).split(b"\n")
                yield from whole
            elif left and (begun := _opened(path)) is not None:
                if file is not None:
                    file.close()
                file, rest = begun, b""
            else:
                time.sleep(_POLL)
    finally:
        if file is not None:
            file.close()


def _opened(path: Path) -> BinaryIO | None:
    try:
        return path.open("rb")
    except FileNotFoundError:
        return None


def _renamed(path: Path, file: BinaryIO) -> bool:
    try:
        return path.stat().st_ino != os.fstat(file.fileno()).st_ino
    except FileNotFoundError:
        return False
