"""The MIME tree of a content: text, HTML, inline images, attachments (RFC 2045, 2046, 2387).

Pure. The shape follows from what there is:

    mixed( alternative( text, related( html, images ) ), attachments )

and each level that would hold one part only is left out. Boundaries are made from the content, so
the same content compiles to the same bytes in every process.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from ekiden.errors import RefusedError
from ekiden.message import content as contents
from ekiden.message.body import Piece, Segment, TextOfHtml, constant, text_segments
from ekiden.message.charset import encode as encode_charset
from ekiden.message.content import Attachment, Content
from ekiden.message.handlebars import translate
from ekiden.message.headers import RenderError, check_value, parameters
from ekiden.message.mime import Transfer, base64_lines, choose, is_content_type
from ekiden.message.rendered import Header
from ekiden.message.templates import Template, compile_template
from ekiden.message.totext import template_to_text


@dataclass(frozen=True, slots=True)
class Part:
    """A part of the tree: its Content-* fields and its body's segments."""

    headers: tuple[Header, ...]
    segments: tuple[Segment, ...]

    def head(self) -> bytes:
        """Return the fields as they stand inside a multipart."""
        return b"".join(b"%b:%b\r\n" % header for header in self.headers)


def build(
    content: Content, html: Template | None, text: Template | None, untracked: str = ""
) -> Part:
    """Return the tree's root for compiled templates.

    Args:
        content: The content.
        html: Its HTML.
        text: Its text, if it is given.
        untracked: The HTML whose links lead where they lead, for the text that is made of it; ""
            takes `html` itself.

    Raises:
        RefusedError: An attachment cannot be sent.
    """
    seed = hashlib.sha256(contents.encode(content)).hexdigest()[:24]
    alternatives: list[Part] = []
    images = [part for part in content.attachments if part.content_id is not None]
    files = [part for part in content.attachments if part.content_id is None]
    _distinct(images)
    if text is not None:
        alternatives.append(text_part(text.pieces, content, html=False))
    elif html is not None:
        alternatives.append(text_part(_text_of(content, html, untracked), content, html=False))
    if html is not None:
        page = text_part(html.pieces, content, html=True)
        if images:
            page = multipart(
                "related", [page, *map(file_part, images)], f"=_{seed}_r", ("type", "text/html")
            )
        alternatives.append(page)
    elif images:
        files = [*images, *files]
    root = alternatives[0]
    if len(alternatives) > 1:
        root = multipart("alternative", alternatives, f"=_{seed}_a")
    if files:
        root = multipart("mixed", [root, *map(file_part, files)], f"=_{seed}_m")
    return root


def _text_of(content: Content, html: Template, untracked: str) -> Sequence[Piece]:
    """Make the text part of the HTML: of the template if its tags survive, else per recipient."""
    try:
        return compile_template(
            template_to_text(translate(untracked, "html template") or html.source),
            html=False,
            on_missing=content.on_missing,
            where="text made from the HTML",
        ).pieces
    except RefusedError:
        if untracked:
            html = compile_template(untracked, html=True, on_missing=content.on_missing)
        return (TextOfHtml(html),)


def _distinct(images: Sequence[Attachment]) -> None:
    """Refuse a content id that means two images (RFC 2392: it is unique)."""
    seen: set[str] = set()
    for one in images:
        identifier = (one.content_id or "").strip("<>")
        if identifier in seen:
            raise RefusedError(
                f"two images have the content id {identifier!r}",
                where=one.filename,
                remedy="give each image its own cid",
            )
        seen.add(identifier)


def text_part(pieces: Sequence[Piece], content: Content, *, html: bool) -> Part:
    """Return a text/plain or text/html part of a template's pieces."""
    ended = list(pieces)
    if not (ended and isinstance(ended[-1], str) and ended[-1].endswith("\n")):
        ended.append("\n")
    literal = "".join(piece for piece in ended if isinstance(piece, str))
    is_constant = all(isinstance(piece, str) for piece in ended)
    try:
        raw = encode_charset(literal, content.charset, html=html)
    except UnicodeEncodeError as error:
        raise RefusedError(
            "a template holds text that is not valid Unicode", remedy="save it as UTF-8"
        ) from error
    if b"\0" in raw:
        raise RefusedError("a template holds a NUL character", remedy="save it as text in UTF-8")
    transfer = choose(raw, constant=is_constant, charset=content.charset)
    kind = "text/html" if html else "text/plain"
    charset = (
        "us-ascii"
        if is_constant and raw.isascii() and content.charset == "utf-8"
        else (content.charset)
    )
    return Part(
        _content_headers(parameters(kind, [("charset", charset)]), transfer),
        tuple(text_segments(ended, transfer, content.charset, html=html)),
    )


def _content_headers(content_type: bytes, transfer: Transfer) -> tuple[Header, ...]:
    return (
        (b"Content-Type", content_type),
        (b"Content-Transfer-Encoding", b" " + transfer.value.encode("ascii")),
    )


def file_part(file: Attachment) -> Part:
    """Return an attachment's or inline image's part.

    Raises:
        RefusedError: Its name, type or content id cannot be sent.
    """
    try:
        check_value("file name", file.filename)
        check_value("content id", file.content_id or "")
    except RenderError as error:
        raise RefusedError(
            error.reason, where=repr(file.filename), remedy="rename the attachment"
        ) from error
    if not is_content_type(file.content_type):
        raise RefusedError(
            f"{file.content_type!r} is not a content type",
            where=file.filename,
            remedy="give it as type/subtype, for example application/pdf",
        )
    kind = file.content_type.lower()
    if kind.startswith(("message/", "multipart/")):
        # RFC 2046 section 5.2.1 and 5.1: these may not be encoded; as plain bytes they may.
        kind = "application/octet-stream"
    headers = [
        *_content_headers(parameters(kind, [("name", file.filename)]), Transfer.BASE64),
        (
            b"Content-Disposition",
            parameters(
                "inline" if file.content_id is not None else "attachment",
                [("filename", file.filename)],
            ),
        ),
    ]
    if file.content_id is not None:
        identifier = file.content_id.strip("<>")
        if not identifier.isascii() or any(char in identifier for char in ' <>"') or not identifier:
            raise RefusedError(
                f"{file.content_id!r} is not a content id",
                where=file.filename,
                remedy="use letters, digits, dots and @",
            )
        headers.append((b"Content-ID", b" <%b>" % identifier.encode("ascii")))
    return Part(tuple(headers), (constant(base64_lines(file.data)),))


def multipart(kind: str, parts: Sequence[Part], boundary: str, *params: tuple[str, str]) -> Part:
    """Wrap parts; the boundary cannot occur in them (`=_` is in no encoding, see `is_plain`)."""
    mark = boundary.encode("ascii")
    segments: list[Segment] = []
    for part in parts:
        segments.append(constant(b"--%b\r\n%b\r\n" % (mark, part.head())))
        segments.extend(part.segments)
    segments.append(constant(b"--%b--\r\n" % mark))
    content_type = parameters(f"multipart/{kind}", [("boundary", boundary), *params])
    return Part(((b"Content-Type", content_type),), tuple(segments))
