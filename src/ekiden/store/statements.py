"""Named SQL: every statement lives in a `.sql` file of the room that owns it.

A file holds any number of statements, each under a line `-- name: NAME`. Names are unique within a
room. Statements are read once and kept.
"""

import re
from functools import cache
from importlib import resources

_NAME = re.compile(r"^-- name: (\w+)$", re.MULTILINE)


@cache
def statements(room: str) -> dict[str, str]:
    """All named statements of a room.

    Args:
        room: The sub-package, such as "queue".

    Raises:
        ValueError: Two statements of the room share a name.
    """
    found: dict[str, str] = {}
    files = resources.files(f"ekiden.{room}")
    for file in sorted(files.iterdir(), key=lambda entry: entry.name):
        if not file.name.endswith(".sql"):
            continue
        parts = _NAME.split(file.read_text(encoding="utf-8"))
        for name, text in zip(parts[1::2], parts[2::2], strict=True):
            if name in found:
                raise ValueError(f"{room}: two statements are named {name}")
            found[name] = text.strip().rstrip(";")
    return found


def migrations() -> list[tuple[int, str]]:
    """The schema's steps in order: `(version, script)`; versions run from 1 without a gap.

    Raises:
        ValueError: A number is missing or used twice.
    """
    folder = resources.files("ekiden.store") / "migrations"
    names = sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(".sql"))
    steps = [(int(name[:4]), (folder / name).read_text(encoding="utf-8")) for name in names]
    if [version for version, _ in steps] != list(range(1, len(steps) + 1)):
        raise ValueError(f"migrations must be numbered from 0001 without a gap: {names}")
    return steps
