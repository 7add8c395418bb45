"""The example `config.toml` and `docs/configuration.md`, rendered from the schema.

In the example, lines that begin with `# ` are prose and lines that begin with `#` alone are
settings that have no default: take the `#` away to use them. What is left active says the defaults,
so loading the file changes nothing.
"""

import inspect
import re
import textwrap
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network, IPv6Address
from pathlib import Path
from typing import Any, Final, Literal, get_args, get_origin

import msgspec

from ekiden.config import keys, units
from ekiden.config.convert import bounds
from ekiden.config.places import HttpListen, Listen, Nameserver, Place
from ekiden.config.schema import Config
from ekiden.config.sending import Backoff

WIDTH: Final = 96

_HEAD: Final = """\
# The configuration of Ekiden, complete: every key with its type, its default and the reason.
#
# Lines that begin with "# " explain. A line that begins with "#" alone is a setting without a
# default: take the "#" away to use it. What is active below is the default, so a file of your own
# needs only the keys that you change. Generated from the program (python -m ekiden.config).
"""


def example() -> str:
    """Return the complete, commented `config.toml`."""
    return _HEAD + "".join(_sections(Config, ()))


def reference() -> str:
    """Return `docs/configuration.md`: every section with a table of its keys."""
    return (
        "# Configuration\n\n"
        "Generated from the program (`python -m ekiden.config`), as is the example "
        "[`config.toml`](../config.toml). `ekiden config check` says what is wrong with a file; "
        "`ekiden config show` prints every value in force. Unknown keys are refused. Relative "
        "paths start at the directory of the file.\n\n"
        'Durations are written `"90s"`, `"20h"`, `"3d"`, `"1d12h"` (ms, s, m, h, d, w); sizes '
        '`"64KiB"`, `"25MB"`; rates `"100/s"`, `"20/min"`, `"3000/h"`, `"500/d"`, several in a '
        "list all hold. A pattern is `example.com` (that domain), `*.example.com` (those below "
        "it) or `*`.\n" + "".join(_tables(Config, ()))
    )


def show(config: Config) -> str:
    """Return every value in force as TOML, which loads as `config` again."""
    return "".join(_values(config, ())).lstrip("\n")


def _values(section: msgspec.Struct, path: tuple[str, ...]) -> Iterator[str]:
    for field in _plain(type(section)):
        value = getattr(section, field.attribute)
        if value is not None:
            yield f"{field.name} = {toml(value, field.key)}\n"
    for field, _, _, _ in _walk(type(section), ()):
        value = getattr(section, field.attribute)
        here = (*path, field.name)
        if field.repeated:
            for one in value:
                yield f"\n[[{_dotted(here)}]]\n"
                yield from _values(one, here)
        elif field.named:
            for name, one in value.items():
                yield f"\n[{_dotted((*here, name))}]\n"
                yield from _values(one, (*here, name))
        else:
            yield f"\n[{_dotted(here)}]\n"
            yield from _values(value, here)


def _dotted(path: tuple[str, ...]) -> str:
    bare = re.compile(r"[A-Za-z0-9_-]+")
    return ".".join(part if bare.fullmatch(part) else _quoted(part) for part in path)


def _walk(
    section: type[msgspec.Struct], path: tuple[str, ...]
) -> Iterator[tuple[keys.Field, type[msgspec.Struct], tuple[str, ...], str]]:
    """Yield each section below `section`: its field, class, path, and the header that opens it."""
    for field in keys.fields(section):
        inner = field.section
        if inner is None or not (field.repeated or field.named or field.hint is inner):
            continue
        here = (*path, field.name)
        if field.named:
            here = (*here, field.key.example)
        name = ".".join(here)
        yield field, inner, here, f"[[{name}]]" if field.repeated else f"[{name}]"


def _sections(section: type[msgspec.Struct], path: tuple[str, ...]) -> Iterator[str]:
    for field, inner, here, header in _walk(section, path):
        off = "#" if field.repeated or field.named else ""
        yield f"\n\n{_prose(_intro(inner))}{off}{header}\n"
        for key in _plain(inner):
            yield "\n" + _setting(key, off=bool(off))
        yield from _sections(inner, here)


def _plain(section: type[msgspec.Struct]) -> Iterator[keys.Field]:
    nested = {field.name for field, *_ in _walk(section, ())}
    return (field for field in keys.fields(section) if field.name not in nested)


def _intro(section: type[msgspec.Struct]) -> str:
    return inspect.getdoc(section) or ""


def _setting(field: keys.Field, *, off: bool) -> str:
    unset = field.required or field.default is None or field.default in {(), ""}
    value = field.key.example if unset and field.key.example else toml(field.default, field.key)
    if unset and not field.key.example:
        value = '""'
    text = _prose(field.key.doc)
    text += _prose(f"Type: {kind(field)}. Default: {default(field)}.")
    if field.key.why:
        text += _prose(f"Why: {field.key.why}")
    return f"{text}{'#' if off or (unset and field.key.example) else ''}{field.name} = {value}\n"


def _prose(text: str) -> str:
    return "".join(f"# {line}\n" for line in textwrap.wrap(" ".join(text.split()), WIDTH))


def _tables(section: type[msgspec.Struct], path: tuple[str, ...]) -> Iterator[str]:
    for field, inner, here, header in _walk(section, path):
        shown = header.replace(field.key.example, "NAME") if field.named else header
        yield f"\n## `{shown}`\n\n{' '.join(_intro(inner).split())}\n\n"
        yield "| key | type | default | what it does |\n|---|---|---|---|\n"
        for key in _plain(inner):
            what = f"{key.key.doc} *{key.key.why}*" if key.key.why else key.key.doc
            cells = (f"`{key.name}`", kind(key), f"`{default(key)}`", what)
            yield "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n"
        yield from _tables(inner, here)


def default(field: keys.Field) -> str:
    """Return the default as it is written in TOML; "none: it must be given" when there is none."""
    if field.required:
        return "none, it must be given"
    return "unset" if field.default is None else toml(field.default, field.key)


def kind(field: keys.Field) -> str:
    """Return the type of a key in a person's words."""
    type_, _ = keys.optional(field.hint)
    if field.section is Backoff:
        return "list of durations, or { first, factor, ceiling }"
    if get_origin(type_) is tuple:
        member = get_args(type_)[0]
        return f"list of {_word(member, field.key, plural=True)}"
    return _word(type_, field.key) + bounds(field.key)


def _word(type_: Any, key: keys.Key, *, plural: bool = False) -> str:
    if get_origin(type_) is Literal:
        return ("any of " if plural else "one of ") + ", ".join(
            f'"{member}"' for member in get_args(type_)
        )
    members = get_args(type_) or (type_,)
    words = {
        bool: "true or false",
        int: "whole number",
        float: "number",
        str: "string",
        Path: "path",
        units.Rate: "rate",
        Nameserver: "address with port",
        Listen: "address with port",
        HttpListen: "address with port",
        IPv4Address: "IP address",
        IPv6Address: "IPv6 address",
        IPv4Network: "network",
    }
    said = {"pattern": "pattern", "host": "host name", "ehlo": "host name"}
    said |= {"duration": "duration", "size": "size"}
    word = said.get(key.unit) or words[members[0]]
    return (
        word if not plural else {"address with port": "addresses with ports"}.get(word, word + "s")
    )


def toml(value: Any, key: keys.Key) -> str:
    """Return a value of the program as it is written in TOML."""
    if isinstance(value, Backoff):
        pairs = (
            f"{field.name} = {toml(getattr(value, field.attribute), field.key)}"
            for field in keys.fields(Backoff)
        )
        return "{ " + ", ".join(pairs) + " }"
    if isinstance(value, Place):
        shown = f"[{value.address}]" if ":" in value.address else value.address
        return _quoted(f"{shown}:{value.port}")
    if isinstance(value, tuple):
        return "[" + ", ".join(toml(one, key) for one in value) + "]"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float) and key.unit == "duration":
        return f'"{units.format_duration(value)}"'
    if isinstance(value, int) and key.unit == "size":
        return f'"{units.format_size(value)}"'
    return repr(value) if isinstance(value, int | float) else _quoted(str(value))


def _quoted(text: str) -> str:
    """Return a TOML basic string; whatever cannot be printed is written by its number."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    shown = "".join(char if char.isprintable() else rf"\U{ord(char):08x}" for char in escaped)
    return f'"{shown}"'
