"""Where in a TOML file a key stands.

`tomllib` gives values without lines, and an error without a line sends people searching. This
scanner walks a text that `tomllib` has already accepted (so it need not judge, only find) and
returns the line of every key and every array element.

Grammar: TOML 1.0 (https://toml.io/en/v1.0.0), sections Keys, Table, Array of Tables.
"""

import re
import tomllib
from collections.abc import Callable
from typing import Final, TypeAlias

Path: TypeAlias = tuple[str | int, ...]

_BLANK: Final = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_SPACE: Final = re.compile(r"[ \t]*")
_PART: Final = re.compile(r"""[A-Za-z0-9_-]+|"(?:[^"\\]|\\.)*"|'[^']*'""")
_STRING: Final = re.compile(
    r'''"""(?:[^\\]|\\.)*?"{3,5}|\'\'\'.*?'{3,5}|"(?:[^"\\]|\\.)*"|'[^']*\'''', re.DOTALL
)
_SCALAR: Final = re.compile(r"[^\],}#\n]*")


def locate(text: str) -> dict[Path, int]:
    """Return the line (from 1) of every key in `text`, which must be valid TOML.

    The path of `[[route]] host = ...` is `("route", 0, "host")`: the position counts from 0.
    """
    return _Scanner(text).scan()


def line_of(lines: dict[Path, int], path: Path) -> int:
    """Return the line of `path`, or of the nearest thing around it; 0 when nothing is known."""
    for end in range(len(path), 0, -1):
        if path[:end] in lines:
            return lines[path[:end]]
    return 0


class _Scanner:
    """One pass over the text; `at` is the position, `lines` what was found."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.lines: dict[Path, int] = {}
        self._counted = (0, 1)  # a position and its line: lines are counted once, going forward
        self._arrays: dict[Path, int] = {}

    def scan(self) -> dict[Path, int]:
        base: Path = ()
        while self._skip(_BLANK) < len(self.text):
            if self.text[self.at] == "[":
                base = self._header()
            else:
                self._pair(base)
        return self.lines

    def _header(self) -> Path:
        start = self.at
        array = self.text.startswith("[[", start)
        self.at += 2 if array else 1
        names = self._key()
        self.at += 2 if array else 1
        path = self._inside(names[:-1])
        if array:
            table: Path = (*path, names[-1])
            self._arrays[table] = self._arrays.get(table, -1) + 1
            self._found(table, start)
            path = (*table, self._arrays[table])
        else:
            path = self._inside(names)
        self._found(path, start)
        return path

    def _inside(self, names: tuple[str, ...]) -> Path:
        """Return the path of a dotted header: an array of tables means its newest element."""
        path: Path = ()
        for name in names:
            path = (*path, name)
            if path in self._arrays:
                path = (*path, self._arrays[path])
        return path

    def _pair(self, base: Path) -> None:
        start = self.at
        path: Path = base
        for name in self._key():
            path = (*path, name)
            self._found(path, start)
        self.at += 1  # the equals sign
        self._skip(_SPACE)
        self._value(path)

    def _key(self) -> tuple[str, ...]:
        names: list[str] = []
        while True:
            self._skip(_SPACE)
            names.append(_unquote(self._take(_PART)))
            self._skip(_SPACE)
            if not self.text.startswith(".", self.at):
                return tuple(names)
            self.at += 1

    def _value(self, path: Path) -> None:
        opening = self.text[self.at : self.at + 1]
        if opening == "[":
            self._members("]", lambda index: self._element((*path, index)))
        elif opening == "{":
            self._members("}", lambda _: self._pair(path))
        elif opening in {'"', "'"}:
            self._take(_STRING)
        else:
            self._take(_SCALAR)

    def _members(self, closing: str, member: Callable[[int], None]) -> None:
        self.at += 1
        index = 0
        while self._skip(_BLANK) < len(self.text) and self.text[self.at] != closing:
            before = self.at
            member(index)
            index += 1
            self._skip(_BLANK)
            if self.text.startswith(",", self.at):
                self.at += 1
            if self.at == before:  # not TOML after all: move on, so that this always ends
                self.at += 1
        self.at += 1

    def _element(self, path: Path) -> None:
        self._found(path, self.at)
        self._value(path)

    def _skip(self, pattern: re.Pattern[str]) -> int:
        self._take(pattern)
        return self.at

    def _take(self, pattern: re.Pattern[str]) -> str:
        found = pattern.match(self.text, self.at)
        if found is None:
            self.at = min(self.at + 1, len(self.text))
            return ""
        self.at = found.end()
        return found.group()

    def _found(self, path: Path, position: int) -> None:
        at, line = self._counted
        line += self.text.count("\n", at, position) if position >= at else 0
        if position >= at:
            self._counted = (position, line)
        self.lines.setdefault(path, line)


def _unquote(part: str) -> str:
    if part[:1] in {'"', "'"}:
        value = tomllib.loads(f"x = {part}")["x"]
        return value if isinstance(value, str) else part
    return part
