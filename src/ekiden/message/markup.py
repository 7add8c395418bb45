"""HTML cut into tags and text, in one pass whose cost is the length of the text. Pure.

Python's `html.parser` looks for the end of an unclosed comment, tag or quote from each of them to
the end of the text, so a template of 600 KB stops a process for minutes; and it raises for some
declarations. This one follows the tokenizer of the HTML standard (section 13.2.5) as far as mail
goes, where what is never closed simply reaches to the end.

Contract. `feed` takes the whole text and raises nothing of its own. Names of tags and attributes
come in lower case, values and text with their character references read.
"""

import re
from html import unescape
from typing import Final

Attributes = list[tuple[str, str | None]]

_MARKUP: Final = re.compile(r"<[A-Za-z/!?]")  # any other `<` is text
_NAME: Final = re.compile(r"[A-Za-z][^\t\n\f\r />]*")
_GAP: Final = re.compile(r"[\t\n\f\r /]*")
_SPACE: Final = re.compile(r"[\t\n\f\r ]*")
_ATTRIBUTE: Final = re.compile(r"=?[^\t\n\f\r />=]*")
_UNQUOTED: Final = re.compile(r"[^\t\n\f\r >]*")
_REFERENCE: Final = re.compile(r"&(?:#[0-9]{1,8}|#[xX][0-9a-fA-F]{1,8}|[A-Za-z][A-Za-z0-9]{1,31});")
_COMMENT_END: Final = re.compile(r"--!?>")
_RAW: Final = {
    tag: re.compile(rf"</{tag}(?=[\t\n\f\r />])", re.IGNORECASE)
    for tag in ("script", "style", "title", "textarea", "xmp", "iframe", "noembed", "noframes")
}
_READ_IN_RAW: Final = frozenset({"title", "textarea"})  # character references


class MarkupReader:
    """Calls a method for each tag and each piece of text; subclasses say what to do with them.

    Attributes:
        tag_start: Where the tag begins that is being told of.
        tag_end: Where it ends.
    """

    def __init__(self) -> None:
        self.tag_start = 0
        self.tag_end = 0
        self._html = ""
        self._line = 1
        self._counted = 0

    def handle_starttag(self, tag: str, attrs: Attributes) -> None:
        """Hear of a start tag."""

    def handle_endtag(self, tag: str) -> None:
        """Hear of an end tag."""

    def handle_startendtag(self, tag: str, attrs: Attributes) -> None:
        """Hear of a start tag that ends in a slash."""
        self.handle_starttag(tag, attrs)
        self.handle_endtag(tag)

    def handle_data(self, data: str) -> None:
        """Hear of text; a run of it may come in pieces."""

    @property
    def at_line(self) -> int:
        """The line of the tag that is being told of, from 1."""
        self._line += self._html.count("\n", self._counted, self.tag_start)
        self._counted = self.tag_start
        return self._line

    def feed(self, html: str) -> None:
        """Read a whole text."""
        self._html = html
        at, size = 0, len(html)
        while at < size:
            found = _MARKUP.search(html, at)
            tag = found.start() if found else size
            if tag > at:
                self.handle_data(unescape(html[at:tag]))
            if tag == size:
                return
            self.tag_start = tag
            at = self._markup(tag)

    def _markup(self, at: int) -> int:
        """Read what begins with `<`; returns where it ends."""
        html = self._html
        following = html[at + 1 : at + 2]
        if following == "!":
            return self._declaration(at)
        if following == "?":
            return self._to(">", at)
        if following == "/":
            name = _NAME.match(html, at + 2)
            if name is None:
                return self._to(">", at + 2) if at + 2 < len(html) else len(html)
            _, self.tag_end, _ = self._attributes(name.end())
            if self.tag_end:
                self.handle_endtag(name.group().lower())
            return self.tag_end or len(html)
        return self._start_tag(at + 1)

    def _declaration(self, at: int) -> int:
        html = self._html
        if not html.startswith("<!--", at):
            return self._to(">", at)
        if html.startswith((">", "->"), at + 4):
            return html.index(">", at) + 1
        end = _COMMENT_END.search(html, at + 4)
        return end.end() if end else len(html)

    def _to(self, mark: str, at: int) -> int:
        return self._html.find(mark, at) + 1 or len(self._html)

    def _start_tag(self, at: int) -> int:
        name = _NAME.match(self._html, at)
        assert name is not None  # noqa: S101 - `_MARKUP` has seen a letter
        tag = name.group().lower()
        attributes, self.tag_end, slash = self._attributes(name.end())
        if not self.tag_end:  # the text ends within the tag, which is then none
            return len(self._html)
        end = self.tag_end
        if slash:
            self.handle_startendtag(tag, attributes)
            return end
        self.handle_starttag(tag, attributes)
        if tag not in _RAW:
            return end
        closing = _RAW[tag].search(self._html, end)
        stop = closing.start() if closing else len(self._html)
        if stop > end:
            text = self._html[end:stop]
            self.handle_data(unescape(text) if tag in _READ_IN_RAW else text)
        return stop

    def _attributes(self, at: int) -> tuple[Attributes, int, bool]:
        """Return a tag's attributes, where it ends (0: nowhere), and whether it ends in a slash."""
        html, size = self._html, len(self._html)
        found: Attributes = []
        while True:
            gap = _GAP.match(html, at)
            before, at = at, gap.end() if gap else at
            if at >= size:
                return found, 0, False
            if html[at] == ">":
                return found, at + 1, "/" in html[before:at]
            name = _ATTRIBUTE.match(html, at)
            at = name.end() if name else at + 1
            value = None
            after = _SPACE.match(html, at)
            equals = after.end() if after else at
            if html[equals : equals + 1] == "=":
                value, at = self._value(equals + 1)
                if value is None:
                    return found, 0, False
            found.append((name.group().lower() if name else "", value))

    def _value(self, at: int) -> tuple[str | None, int]:
        """Return an attribute's value and where it ends; None if the text ends within it."""
        html = self._html
        gap = _SPACE.match(html, at)
        at = gap.end() if gap else at
        quote = html[at : at + 1]
        if quote in {'"', "'"}:
            end = html.find(quote, at + 1)
            return (None, at) if end < 0 else (_read(html[at + 1 : end]), end + 1)
        bare = _UNQUOTED.match(html, at)
        return (_read(bare.group()), bare.end()) if bare else ("", at)


def _read(value: str) -> str:
    """Read the references of an attribute; `?a=1&copy=2` holds none (section 13.2.5.80)."""
    if "&" not in value:
        return value
    return _REFERENCE.sub(lambda found: unescape(found.group()), value)
