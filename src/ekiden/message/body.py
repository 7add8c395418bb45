"""A body as segments: what is the same for everybody, encoded once, and what is not.

Pure. A text part's template is cut at line ends. Lines without merge fields become `Constant`s in
their transfer encoding, with their canonical form for DKIM beside them; lines with merge fields
become `Varying`s, rendered and encoded per recipient. Both encodings and relaxed canonicalisation
work line by line, so the joined segments are byte for byte what encoding the whole text gives.
Base64 does not work line by line: such a part is one segment.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from ekiden import limits
from ekiden.dkim.canonical import end_of_body, relaxed_lines
from ekiden.message import charset as charsets
from ekiden.message.filters import Budget
from ekiden.message.headers import RenderError
from ekiden.message.mime import Transfer, encode_text, fault
from ekiden.message.templates import Dynamic, Field, Link, Template, Values
from ekiden.message.totext import html_to_text

PLAIN_LINE: Final = 73  # characters; longer ones may be broken in two
# One line that quoted-printable leaves as it is, as most are: printable ASCII without "=", not
# empty, no space at its end, and no dot at its start (it is encoded where it stands alone).
_LEFT_ALONE: Final = re.compile(rf"[ -\-/-<>-~][ -<>-~]{{0,{PLAIN_LINE - 2}}}+(?<! )\n")


@dataclass(frozen=True, slots=True)
class TextOfHtml:
    """A piece that makes text of an HTML template per recipient.

    For templates whose tags do not survive the conversion (an `{% if %}` that opens in the head and
    closes in the body).
    """

    template: Template

    def render(self, values: Values, budget: Budget) -> str:
        """Return the text of the rendered HTML."""
        return html_to_text(self.template.render(values, budget))


Piece = str | Field | Link | Dynamic | TextOfHtml


@dataclass(frozen=True, slots=True)
class Constant:
    """Whole lines as they go on the wire, and their relaxed form."""

    wire: bytes
    canonical: bytes


@dataclass(frozen=True, slots=True)
class Varying:
    """Whole lines that hold merge fields.

    Args:
        pieces: What they are made of.
        transfer: The part's transfer encoding.
        charset: The part's charset.
        html: Whether the part is HTML.
    """

    pieces: tuple[Piece, ...]
    transfer: Transfer
    charset: str
    html: bool

    def render(self, values: Values, budget: Budget) -> tuple[bytes, bytes]:
        """Return the lines for one recipient, encoded, and their relaxed form.

        Raises:
            RenderError: A field is missing or cannot be sent, or the budget is used up.
        """
        text = "".join(
            [
                piece if isinstance(piece, str) else piece.render(values, budget)
                for piece in self.pieces
            ]
        )
        if (
            self.transfer is Transfer.QUOTED_PRINTABLE
            and self.charset == charsets.UTF8
            and _LEFT_ALONE.fullmatch(text)
        ):
            wire = text[:-1].encode("ascii") + b"\r\n"
            return wire, wire if "  " not in text else relaxed_lines(wire)
        wire = self._encoded(text, values)
        return wire, wire if self.transfer is Transfer.BASE64 else relaxed_lines(wire)

    def _encoded(self, text: str, values: Values) -> bytes:
        if "\r" in text:
            text = text.replace("\r\n", "\n").replace("\r", "\n")
        if "\0" in text:
            raise self._blame("a NUL character", "\0", values)
        try:
            raw = charsets.encode(text, self.charset, html=self.html)
        except UnicodeEncodeError as error:
            raise self._blame(
                "text that is not valid Unicode", error.object[error.start], values
            ) from None
        if (
            self.transfer is Transfer.SEVEN_BIT
            and len(max(raw.split(b"\n"), key=len)) > limits.LINE_OCTETS
        ):
            raise RenderError(f"a line longer than {limits.LINE_OCTETS} bytes in {self.charset}")
        return encode_text(raw, self.transfer)

    def _blame(self, what: str, char: str, values: Values) -> RenderError:
        for name, value in values.items():
            if isinstance(value, str) and char in value:
                return RenderError(f"the merge field {name!r} holds {what}", name)
        return RenderError(f"the body holds {what}")


Segment = Constant | Varying


def constant(wire: bytes) -> Constant:
    """Return whole lines as a segment.

    Raises:
        RenderError: They cannot go on the wire.
    """
    wrong = fault(wire, ascii_only=True)
    if wrong:
        raise RenderError(f"the body holds {wrong}")
    canonical = relaxed_lines(wire)
    return Constant(wire, wire if canonical == wire else canonical)


def text_segments(
    pieces: Sequence[Piece], transfer: Transfer, charset: str, *, html: bool
) -> list[Segment]:
    """Cut a text part at its line ends.

    Args:
        pieces: The template's; the text ends in a line break.
        transfer: Its transfer encoding.
        charset: Its charset.
        html: Whether it is HTML.
    """

    def encoded(text: str) -> Constant:
        return constant(encode_text(charsets.encode(text, charset, html=html), transfer))

    if all(isinstance(piece, str) for piece in pieces):
        return [encoded("".join(piece for piece in pieces if isinstance(piece, str)))]
    if transfer is Transfer.BASE64:
        return [Varying(tuple(pieces), transfer, charset, html)]
    found: list[Segment] = []
    line: list[Piece] = []  # the current line, once it holds a field
    for piece in _by_lines(pieces):
        if isinstance(piece, str) and not line and piece.endswith("\n"):
            found.append(encoded(piece))
            continue
        line.append(piece)
        if isinstance(piece, str) and piece.endswith("\n"):
            found.append(Varying(tuple(line), transfer, charset, html))
            line = []
    return found


def _by_lines(pieces: Iterable[Piece]) -> Iterable[Piece]:
    """Cut literals into: the rest of a field's line, whole lines, the start of a field's line."""
    in_line = False
    for piece in pieces:
        if not isinstance(piece, str):
            in_line = True
            yield piece
            continue
        text = piece
        if in_line and "\n" in text:
            cut = text.index("\n") + 1
            yield text[:cut]
            text = text[cut:]
            in_line = False
        if not in_line and "\n" in text:
            cut = text.rindex("\n") + 1
            yield text[:cut]
            text = text[cut:]
        if text:
            in_line = True
            yield text


@dataclass(frozen=True, slots=True)
class Body:
    """A compiled body.

    Args:
        segments: In order; never two constants in a row.
    """

    segments: tuple[Segment, ...]

    def render(self, values: Values, budget: Budget) -> tuple[bytes, bytes]:
        """Return the body and its relaxed canonical form.

        Raises:
            RenderError: This recipient's cannot be made.
        """
        wire: list[bytes] = []
        canonical: list[bytes] = []
        for segment in self.segments:
            if isinstance(segment, Constant):
                lines, relaxed = segment.wire, segment.canonical
            else:
                lines, relaxed = segment.render(values, budget)
            wire.append(lines)
            canonical.append(relaxed)
        body = b"".join(wire)
        if len(body) > limits.MESSAGE_BYTES:
            raise RenderError(f"the message is larger than {limits.MESSAGE_BYTES} bytes")
        return body, end_of_body(body if canonical == wire else b"".join(canonical))


def merged(segments: Iterable[Segment]) -> tuple[Segment, ...]:
    """Join neighbouring constants."""
    found: list[Segment] = []
    run: list[Constant] = []

    def flush() -> None:
        if run:
            wire = b"".join(part.wire for part in run)
            canonical = b"".join(part.canonical for part in run)
            found.append(Constant(wire, wire if canonical == wire else canonical))
            run.clear()

    for segment in segments:
        if isinstance(segment, Constant):
            run.append(segment)
        else:
            flush()
            found.append(segment)
    flush()
    return tuple(found)
