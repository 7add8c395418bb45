"""What a message says and shows: body, text beside HTML, images, markup, leftovers. Pure."""

import re
from dataclasses import dataclass
from typing import Final

from ekiden.message.lint.fields import excesses, subject_of
from ekiden.message.lint.found import Found, quoted
from ekiden.message.lint.model import width
from ekiden.message.lint.page import Page, letters, read_page
from ekiden.message.lint.source import Part
from ekiden.message.lint.wire import filename, text_of
from ekiden.message.lint.words import URL, VIEW

HIDDEN_LETTERS: Final = 250  # a preheader is shorter
TEXT_COLUMNS: Final = 120  # less, beside images, is a picture of a mail
ALIKE: Final = 0.5  # of the smaller vocabulary that both must share
_WORDS_LEAST: Final = 15

_LEFT: Final = re.compile(
    r"\{\{[^{}\n]{1,80}\}\}|\{%[^%\n]{1,80}%\}|\*\|[A-Z0-9_:]{2,40}\|\*|%%[\w.]{2,40}%%"
    r"|\[\[[\w. ]{2,40}\]\]|\$\{[\w.]{2,40}\}"
)
_LATIN: Final = re.compile(r"[^\W\d_]{3,}")
_WIDE: Final = re.compile(r"[\u3041-\u30ff\u3400-\u9fff\uac00-\ud7af]+")


@dataclass(slots=True)
class Body:
    """The readable parts of a message."""

    html: str = ""
    html_name: str = ""
    html_line: int = 1
    html_bytes: int = 0
    text: str = ""
    text_name: str = ""
    page: Page | None = None
    cids: frozenset[str] = frozenset()
    text_is_last: bool = False

    @property
    def seen(self) -> str:
        """All that a reader can see, in text and HTML."""
        page = "" if self.page is None else self.page.text
        return f"{page}\n{self.text}"


def body_of(root: Part) -> Body:
    """Return the readable parts of a message."""
    body = Body()
    cids: set[str] = set()
    for part in root.walk():
        if part.type.startswith("multipart/"):
            continue
        identifier = part.get("content-id")
        if identifier is not None:
            cids.add(identifier.text.strip("<> "))
        disposition = part.get("content-disposition")
        if disposition is not None and disposition.text.lower().startswith("attachment"):
            continue
        if part.type == "text/html" and not body.html:
            body.html, body.html_name, body.html_line = text_of(part), part.name, part.line
            body.html_bytes = len(body.html.encode("utf-8", "replace"))
            body.page = read_page(body.html)
        elif part.type == "text/plain" and not body.text and not filename(part):
            body.text, body.text_name = text_of(part), part.name
            body.text_is_last = bool(body.html)
    body.cids = frozenset(cids)
    return body


def check_content(root: Part, body: Body, found: Found) -> None:
    """What can be seen."""
    if not body.html.strip() and not body.text.strip():
        if not any(map(_is_readable, root.walk())):
            found.add("no-body", "message")
    elif body.html and not body.text.strip():
        found.add("no-text", body.html_name)
    elif body.html and body.page is not None:
        _check_alike(body, body.page, found)
    if body.text_is_last:
        found.add("alternative-order", body.text_name)
    if body.html_bytes > found.options.size:
        found.add("html-large", body.html_name, f"The HTML has {body.html_bytes:,} bytes.")
    _check_left(root, body, found)
    if body.page is not None:
        _check_page(body, body.page, found)
    for line in (body.text or (body.page.text if body.page else "")).splitlines():
        for what in excesses(line):
            if what.startswith(("Letters", "Full")):
                found.add("excessive", body.text_name or body.html_name, f"{what}: {quoted(line)}.")


_SEALED: Final = frozenset({"application/pkcs7-mime", "application/x-pkcs7-mime"})


def _is_readable(part: Part) -> bool:
    """Whether a part that is no body can be read all the same.

    A file of text, a forwarded mail, or what only the recipient's key opens: S/MIME (RFC 8551
    section 3.2) and OpenPGP (RFC 3156 section 4).
    """
    if part.type == "multipart/encrypted":
        return bool(part.children)
    readable = part.type.startswith(("text/", "message/")) or part.type in _SEALED
    return readable and bool(part.body.strip())


def _check_left(root: Part, body: Body, found: Found) -> None:
    """Merge fields that nobody filled in."""
    places = [("Subject", subject_of(root)), (body.text_name, body.text)]
    if body.page is not None:
        places.append((body.html_name, body.page.text))
        places += [(f"{body.html_name}, line {one.line}", one.href) for one in body.page.links]
        places += [(f"{body.html_name}, line {one.line}", one.source) for one in body.page.images]
    sender = root.get("from")
    if sender is not None:
        places.append(("From", sender.text))
    for where, text in places:
        for left in _LEFT.findall(text):
            found.add("merge-left", where, f"{quoted(left)} is left as it was written.")


def _check_page(body: Body, page: Page, found: Found) -> None:
    def at(line: int) -> str:
        return f"{body.html_name}, line {line} of the HTML"

    for line, what in page.active:
        found.add("active-content", at(line), f"There is {what}.")
    for line, what in page.unbalanced:
        found.add("html-unbalanced", at(line), f"{what}.")
    for line, text in page.hidden:
        if letters(text) > HIDDEN_LETTERS:
            found.add("hidden-text", at(line), f"{letters(text)} letters: {quoted(text)}.")
    shown = [image for image in page.images if not image.tiny]
    for image in page.images:
        if image.alt is None and not image.tiny:
            found.add("image-alt", at(image.line), f"{quoted(image.source or '(no source)', 50)}")
        if image.source.lower().startswith("http://"):
            found.add("image-insecure", at(image.line), f"{quoted(image.source, 50)}")
        if image.source.lower().startswith("cid:") and image.source[4:] not in body.cids:
            found.add("image-cid", at(image.line), f"No part is {quoted(image.source[4:], 50)}.")
    if shown and width(URL.sub("", page.text)) < TEXT_COLUMNS:
        found.add("image-only", body.html_name)


def _check_alike(body: Body, page: Page, found: Found) -> None:
    """Whether text and HTML say the same: by the vocabulary that they share."""
    text, html = _vocabulary(body.text), _vocabulary(page.text)
    if len(html) < _WORDS_LEAST:
        return
    if len(text) < _WORDS_LEAST:
        if len(text) * 8 < len(html):
            stub = " It only says where to look." if VIEW.search(body.text) else ""
            found.add("text-differs", body.text_name, f"The text is nearly empty.{stub}")
        return
    shared = len(text & html) / min(len(text), len(html))
    if shared < ALIKE:
        found.add("text-differs", body.text_name, f"They share {shared:.0%} of their words.")


def _vocabulary(text: str) -> set[str]:
    text = URL.sub(" ", text)
    words = {word.lower() for word in _LATIN.findall(text)}
    for run in _WIDE.findall(text):
        words |= {run[at : at + 2] for at in range(len(run) - 1)}
    return words
