"""A message as it lies there: fields and MIME parts with their lines, faults and all. Pure.

The parsers of libraries mend what is broken, which is right for readers and wrong for lint; this
one keeps what it sees. It never raises: what is no message comes out as a part without fields.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from email.message import Message
from typing import Final

DEPTH_MAX: Final = 20
PARTS_MAX: Final = 500

_BREAK: Final = re.compile(rb"\r\n|\r|\n")
_FIELD: Final = re.compile(rb"([!-9;-~]+)[ \t]*:")
_TYPE: Final = re.compile(r"\s*[\w!#$&^.+-]+/[\w!#$&^.+*-]+\s*(?:;|\Z)")


@dataclass(frozen=True, slots=True)
class HeaderField:
    r"""A field.

    Args:
        name: As written.
        raw: Everything after the colon, folds included, `\n` line ends.
        line: Its first line in the file, from 1.
    """

    name: str
    raw: bytes
    line: int

    @property
    def text(self) -> str:
        """The value, unfolded, bytes that are not UTF-8 as lone surrogates."""
        return self.raw.replace(b"\n", b"").decode("utf-8", "surrogateescape").strip(" \t")


@dataclass(slots=True)
class Part:
    r"""A MIME part.

    Args:
        name: For a person: "message", "part 2.1 (text/html)".
        fields: Its header.
        body: Its lines, `\n` line ends.
        line: The first line of its body.
        children: Its parts, if it is a multipart.
        faults: What is wrong with its boundaries.
        stray: A line of its header that is no field.
    """

    name: str
    fields: list[HeaderField]
    body: bytes
    line: int
    children: list["Part"] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    stray: tuple[int, bytes] | None = None
    _type: Message | None = None

    def get(self, name: str) -> HeaderField | None:
        """Return the first field of a name."""
        return next((one for one in self.fields if one.name.lower() == name), None)

    @property
    def declared(self) -> Message:
        """What Content-Type says, as the library reads it."""
        if self._type is None:
            self._type = Message()
            found = self.get("content-type")
            if found is not None:
                text = found.text.encode("utf-8", "surrogateescape").decode("ascii", "replace")
                self._type["Content-Type"] = text
        return self._type

    @property
    def type(self) -> str:
        """`type/subtype`; text/plain where nothing is said."""
        return self.declared.get_content_type()

    @property
    def type_is_readable(self) -> bool:
        """Whether Content-Type, if it is there, has the form it must have."""
        found = self.get("content-type")
        return found is None or _TYPE.match(found.text) is not None

    def param(self, name: str) -> str:
        """Return a parameter of Content-Type, "" if there is none."""
        try:
            value = self.declared.get_param(name)
        except (ValueError, LookupError):
            return ""
        if isinstance(value, tuple):
            value = value[2]
        return value or ""

    @property
    def transfer(self) -> str:
        """Content-Transfer-Encoding in lower case, "" where nothing is said."""
        found = self.get("content-transfer-encoding")
        return "" if found is None else found.text.partition(";")[0].strip().lower()

    def walk(self) -> Iterator["Part"]:
        """Yield the part and all parts in it."""
        yield self
        for child in self.children:
            yield from child.walk()


def parse(data: bytes) -> Part:
    """Return a message's tree."""
    text = _BREAK.sub(b"\n", data)
    skipped = 0
    if text.startswith(b"From ") and b"\n" in text:
        text = text[text.index(b"\n") + 1 :]  # an mbox separator
        skipped = 1
    return _Parser().part("message", text, 1 + skipped, 0)


class _Parser:
    """Cuts parts until there are too many."""

    def __init__(self) -> None:
        self.parts = 0

    def part(self, name: str, text: bytes, line: int, depth: int) -> Part:
        """Return a part of its text."""
        self.parts += 1
        fields, body, body_line, stray = _split(text, line)
        made = Part(name, fields, body, body_line, stray=stray)
        if depth:
            made.name = f"{name} ({made.type})"
        if made.type.startswith("multipart/") and depth < DEPTH_MAX:
            self._children(made, name if depth else "part", depth)
        return made

    def _children(self, parent: Part, name: str, depth: int) -> None:
        boundary = parent.param("boundary").rstrip()
        if not boundary:
            parent.faults.append("it names no boundary")
            return
        mark = b"--" + boundary.encode("utf-8", "replace")
        closed = False
        begun: int | None = None
        lines = parent.body.split(b"\n")
        for number, one in enumerate(lines):
            if not one.startswith(mark):
                continue
            rest = one[len(mark) :].rstrip(b" \t")
            if rest not in {b"", b"--"}:
                continue
            if begun is not None and self.parts < PARTS_MAX:
                inner = b"\n".join(lines[begun:number])
                label = (
                    f"{name} {len(parent.children) + 1}"
                    if depth == 0
                    else (f"{name}.{len(parent.children) + 1}")
                )
                parent.children.append(self.part(label, inner, parent.line + begun, depth + 1))
            begun = number + 1
            if rest == b"--":
                closed = True
                break
        if begun is None:
            parent.faults.append("its boundary never occurs")
        elif not closed:
            parent.faults.append("its last part is not closed")
            if begun < len(lines) and self.parts < PARTS_MAX:
                label = f"{name}{'.' if depth else ' '}{len(parent.children) + 1}"
                inner = b"\n".join(lines[begun:])
                parent.children.append(self.part(label, inner, parent.line + begun, depth + 1))


def _split(
    text: bytes, line: int
) -> tuple[list[HeaderField], bytes, int, tuple[int, bytes] | None]:
    """Return fields, body, the body's first line, and a line of the header that is no field."""
    if text.startswith(b"\n"):
        return [], text[1:], line + 1, None
    head, blank, body = text.partition(b"\n\n")
    fields: list[HeaderField] = []
    stray = None
    lines = head.removesuffix(b"\n").split(b"\n")
    for number, one in enumerate(lines):
        if one[:1] in {b" ", b"\t"} and fields:
            last = fields[-1]
            fields[-1] = HeaderField(last.name, last.raw + b"\n" + one, last.line)
            continue
        found = _FIELD.match(one)
        if found is None:
            if one:
                stray = stray or (line + number, one)
            continue
        name = found[1].decode("ascii")
        fields.append(HeaderField(name, one[found.end() :], line + number))
    return fields, body if blank else b"", line + len(lines) + 1, stray
