"""What a key of the configuration knows about itself.

A key's type and default are its field (`schema.py` says in which file); everything else (what it
does, its unit, its bounds, why the default is what it is) stands in the same line as a `Key`.
Loading, `config.toml`, `docs/configuration.md` and the error messages are all derived from there,
so they cannot disagree.
"""

import types
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, Union, get_args, get_origin, get_type_hints

import msgspec

NO_DEFAULT: Final = msgspec.NODEFAULT


@dataclass(frozen=True, slots=True)
class Key:
    """The documentation and the bounds of one key.

    Args:
        doc: What it does, in one or two sentences.
        why: Why the default is what it is, or where the number comes from.
        unit: "duration" or "size" for numbers written with a unit, "" for plain ones; "pattern",
            "host", "zone" or "span" for strings that are checked further.
        minimum: The smallest value; for numbers only.
        maximum: The largest value; for numbers only.
        example: The value shown where there is no default, as it is written in TOML.
    """

    doc: str
    why: str = ""
    unit: str = ""
    minimum: float | None = None
    maximum: float | None = None
    example: str = ""


@dataclass(frozen=True, slots=True)
class Field:
    """One key of a section, as `fields` finds it: its name in TOML and in Python, type, default."""

    name: str
    attribute: str
    hint: Any
    key: Key
    default: Any

    @property
    def required(self) -> bool:
        """Whether the key must be given."""
        return self.default is NO_DEFAULT

    @property
    def section(self) -> type[msgspec.Struct] | None:
        """The section it holds (one, an array or a table of them); None for a plain value."""
        for candidate in (self.hint, *get_args(self.hint)):
            if isinstance(candidate, type) and issubclass(candidate, msgspec.Struct):
                return candidate
        return None

    @property
    def repeated(self) -> bool:
        """Whether it is an array of sections: `[[name]]`."""
        return self.section is not None and get_origin(self.hint) is tuple

    @property
    def named(self) -> bool:
        """Whether it is a table of named sections: `[name.NAME]`."""
        return self.section is not None and get_origin(self.hint) is dict


def fields(section: type[msgspec.Struct]) -> Iterator[Field]:
    """Yield the keys of `section` in the order they are written in."""
    hints = get_type_hints(section, include_extras=True)
    for info in msgspec.structs.fields(section):
        hint = hints[info.name]
        key = next(extra for extra in hint.__metadata__ if isinstance(extra, Key))
        default = info.default
        if info.default_factory is not NO_DEFAULT:
            default = info.default_factory()
        yield Field(info.encode_name, info.name, hint.__origin__, key, default)


def optional(type_: Any) -> tuple[Any, bool]:
    """Return `type_` without `None`, and whether it allowed `None`."""
    if get_origin(type_) in {Union, types.UnionType}:
        rest = [member for member in get_args(type_) if member is not type(None)]
        if len(rest) < len(get_args(type_)):
            return (rest[0] if len(rest) == 1 else Union[tuple(rest)]), True  # noqa: UP007 - made at run time
    return type_, False
