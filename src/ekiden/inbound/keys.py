"""The secrets that sign return addresses: a small file beside the queue.

One key a line in hexadecimal; lines that begin with `#` are remarks. The first key signs, all of
them verify, so a new key goes on top and an old one stays until the last address it signed has
expired. The file is made on the first start, readable by its owner alone, and one that others can
read is refused: whoever has a key can have anybody suppressed.
"""

import contextlib
import os
import secrets
import stat
from pathlib import Path
from typing import Final

from ekiden.disk import sync_directory
from ekiden.errors import ConfigError, UnavailableError

KEY_BYTES: Final = 32
_FILE_BYTES: Final = 64 * 1024
_HEAD: Final = "# Signs the return addresses of Ekiden's mail. The first key signs, all verify.\n"


def load_keys(path: Path) -> list[bytes]:
    """Return the keys, the one that signs first; makes the file if there is none.

    Raises:
        ConfigError: The file is no list of keys, or others may read it.
        UnavailableError: It cannot be read or made.
    """
    try:
        return _read(path)
    except FileNotFoundError:
        _write(path, [secrets.token_bytes(KEY_BYTES)], new=True)
        return _read(path)


def rotate(path: Path) -> int:
    """Put a new key in front; returns how many keys there are now.

    Raises:
        ConfigError: As for `load_keys`.
        UnavailableError: The file cannot be written.
    """
    keys = [secrets.token_bytes(KEY_BYTES), *load_keys(path)]
    _write(path, keys, new=False)
    return len(keys)


def _read(path: Path) -> list[bytes]:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise UnavailableError(
            f"the keys of return addresses cannot be read: {error.strerror}", where=str(path)
        ) from error
    try:
        facts = os.fstat(descriptor)
        if facts.st_mode & 0o077:
            raise ConfigError(
                f"others may read the keys (mode {stat.S_IMODE(facts.st_mode):04o})",
                where=str(path),
                remedy=f"chmod 600 {path}",
            )
        text = os.read(descriptor, _FILE_BYTES).decode("ascii", "replace")
    finally:
        os.close(descriptor)
    return _parse(text, path)


def _parse(text: str, path: Path) -> list[bytes]:
    lines = [line.strip() for line in text.splitlines()]
    try:
        keys = [bytes.fromhex(line) for line in lines if line and not line.startswith("#")]
    except ValueError:
        keys = []
    if not keys or any(len(key) < KEY_BYTES // 2 for key in keys):
        raise ConfigError(
            "this is no list of keys",
            where=str(path),
            remedy="one key a line, 32 hex digits or more; `openssl rand -hex 32` makes one",
        )
    return keys


def _write(path: Path, keys: list[bytes], *, new: bool) -> None:
    text = _HEAD + "".join(f"{key.hex()}\n" for key in keys)
    # A key that is half on the disk would make every address signed with it worthless.
    building = path.with_name(f"{path.name}.{secrets.token_hex(4)}.new")
    try:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        with os.fdopen(os.open(building, flags, 0o600), "w", encoding="ascii") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        if new:
            # Of two that start at once, one makes the file and the other takes it as it is.
            with contextlib.suppress(FileExistsError):
                os.link(building, path)
            building.unlink()
        else:
            building.rename(path)
        sync_directory(path.parent)
    except OSError as error:
        raise UnavailableError(
            f"the keys of return addresses cannot be written: {error.strerror}",
            where=str(path),
            remedy="set inbound.keys to a file in a directory that the daemon may write to",
        ) from error
