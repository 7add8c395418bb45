"""Reading a configuration file: everything wrong with it is found and told at once.

`tomllib` parses, `schema` says what is allowed, `locate` knows the lines. Each problem names the
file and line, the key's path, what is wrong and what to do; a key that does not exist is answered
with the nearest one that does. Nothing of a wrong file is used: `load` returns a whole `Config` or
raises.
"""

import difflib
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec

from ekiden.config import convert, keys, locate
from ekiden.config.check import check
from ekiden.config.schema import Config
from ekiden.errors import ConfigError
from ekiden.text import printable

FILE_BYTES: Final = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong.

    Args:
        key: The key's path, such as `route[2].tls`; "" for the file itself.
        line: Its line, from 1; 0 when there is none (a key that is missing altogether).
        what: What is wrong.
        remedy: What to do about it.
    """

    key: str
    line: int
    what: str
    remedy: str = ""


class BadConfigError(ConfigError):
    """All that is wrong with a configuration file, in the order of its lines."""

    def __init__(self, path: Path, problems: Iterable[Problem]) -> None:
        self.path = path
        self.problems = tuple(sorted(problems, key=lambda problem: problem.line))
        first = self.problems[0]
        what = f"{first.key}: {first.what}" if first.key else first.what
        super().__init__(what, where=place(path, first), remedy=first.remedy)

    def __str__(self) -> str:
        return "\n".join(self.sentences())

    def sentences(self) -> list[str]:
        """Return every problem as one line for a person."""
        return [
            f"{place(self.path, problem)}: "
            + (f"{problem.key}: " if problem.key else "")
            + problem.what
            + (f" -- {problem.remedy}" if problem.remedy else "")
            for problem in self.problems
        ]


def place(path: Path, problem: Problem) -> str:
    """Return `FILE:LINE` of a problem."""
    return f"{path}:{problem.line}" if problem.line else str(path)


def load(path: str | Path) -> Config:
    """Return the configuration in the file at `path`, with its relative paths made absolute.

    Raises:
        BadConfigError: The file cannot be read, is not TOML, or does not fit the schema; it lists
            everything that is wrong.
    """
    path = Path(path)
    return loads(_read(path), path)


def loads(text: str, path: Path) -> Config:
    """Return the configuration in `text`, as if it were the content of the file at `path`.

    Raises:
        BadConfigError: As for `load`.
    """
    try:
        raw = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise BadConfigError(path, [_not_toml(error, text)]) from None
    reader = _Reader(locate.locate(text), Path(path).absolute().parent)
    config = reader.section(Config, raw, ())
    if not reader.problems and isinstance(config, Config):
        for found in check(config):
            reader.refuse(found.path, found.what, found.remedy)
    if reader.problems or not isinstance(config, Config):
        raise BadConfigError(path, reader.problems)
    return config


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(FILE_BYTES + 1)
    except FileNotFoundError:
        remedy = "name another with --config, or write one: ekiden config show --example"
        raise BadConfigError(path, [Problem("", 0, "there is no such file", remedy)]) from None
    except OSError as error:
        what = f"cannot be read ({error.strerror})"
        remedy = ""
        if isinstance(error, PermissionError):
            remedy = "run the command as the daemon's user, or as root"
        raise BadConfigError(path, [Problem("", 0, what, remedy)]) from None
    if len(data) > FILE_BYTES:
        raise BadConfigError(path, [Problem("", 0, f"is larger than {FILE_BYTES} bytes")])
    try:
        return data.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        problem = Problem("", line, "is not UTF-8", "save the file in the encoding UTF-8")
        raise BadConfigError(path, [problem]) from None


def _not_toml(error: Exception, text: str) -> Problem:
    """Return the problem of a file that is not TOML; the parser names the line in its message."""
    if isinstance(error, RecursionError):
        return Problem("", 0, "is nested too deeply")
    words, _, where = str(error).removesuffix(" (at end of document)").partition(" (at line ")
    line = int(where.split(",")[0]) if where else text.count("\n") + 1
    return Problem(
        "", line, f"is not TOML: {printable(words)}", "see https://toml.io for the rules"
    )


class _Reader:
    """Turns parsed TOML into sections, and collects what is wrong on the way."""

    def __init__(self, lines: Mapping[locate.Path, int], base: Path) -> None:
        self.lines = dict(lines)
        self.base = base
        self.problems: list[Problem] = []

    def refuse(self, path: locate.Path, what: str, remedy: str = "") -> None:
        line = locate.line_of(self.lines, path)
        self.problems.append(Problem(dotted(path), line, what, remedy))

    def section(
        self, kind: type[msgspec.Struct], table: Any, path: locate.Path
    ) -> msgspec.Struct | None:
        """Return `table` as a section; None when anything in it was refused."""
        if not isinstance(table, dict):
            name = dotted(path)
            self.refuse(path, f"expected a table, got {convert.show(table)}", f"write [{name}]")
            return None
        before = len(self.problems)
        known = {field.name: field for field in keys.fields(kind)}
        for name in table:
            if name not in known:
                self._unknown(name, known, path)
        values: dict[str, Any] = {}
        for field in known.values():
            if field.name in table:
                values[field.attribute] = self._field(field, table[field.name], (*path, field.name))
            elif field.required:
                self.refuse(path, f'the key "{field.name}" is missing', field.key.doc)
            elif isinstance(field.default, Path):
                values[field.attribute] = self.base / field.default
            elif field.section is not None and isinstance(field.default, field.section):
                values[field.attribute] = self.section(field.section, {}, (*path, field.name))
        return kind(**values) if len(self.problems) == before else None

    def _field(self, field: keys.Field, value: Any, path: locate.Path) -> Any:
        section = field.section
        if section is None:
            return self._value(field, value, path)
        if field.repeated:
            if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
                self.refuse(path, "expected an array of tables", f"write [[{dotted(path)}]]")
                return None
            return tuple(self.section(section, one, (*path, at)) for at, one in enumerate(value))
        if field.named:
            if not isinstance(value, dict):
                self.refuse(path, "expected named tables", f"write [{dotted(path)}.NAME]")
                return None
            return {name: self.section(section, one, (*path, name)) for name, one in value.items()}
        if not isinstance(value, dict) and field.hint is not section:
            return self._value(field, value, path)  # a plain value is allowed as well
        return self.section(section, value, path)

    def _value(self, field: keys.Field, value: Any, path: locate.Path) -> Any:
        try:
            return convert.convert(value, field.hint, field.key, self.base)
        except convert.WrongValueError as error:
            self.refuse((*path, *error.path), str(error), error.remedy)
            return None

    def _unknown(self, name: str, known: Mapping[str, keys.Field], path: locate.Path) -> None:
        near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
        names = ", ".join(sorted(known))
        remedy = f'did you mean "{near[0]}"?' if near else f"known here: {names}"
        self.refuse((*path, name), "there is no such key", remedy)


def dotted(path: locate.Path) -> str:
    """Return a path as people write it: `route[1].host`, the first element being 1."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part + 1}]"
        else:
            shown = part if part.replace("-", "").replace("_", "").isalnum() else f'"{part}"'
            text += f".{shown}" if text else shown
    return printable(text, 200)
