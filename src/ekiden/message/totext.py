"""Text from HTML: the text/plain part when the job gives none.

Pure. Readers of text get what the HTML says: paragraphs, lists, table rows, links with their
addresses, images by their alt text. Style sheets, scripts, comments and hidden elements (the
preheader) are left out. A line break in the source between two wide characters joins them without
a space, as Japanese is set.

`template_to_text` does it to a template, before any recipient's values are in it: the tags of the
template language travel through as opaque characters.
"""

import re
from typing import Final

from ekiden.message.markup import Attributes, MarkupReader

_SKIPPED: Final = frozenset({"head", "style", "script", "title", "template", "noscript", "svg"})
_VOID: Final = frozenset(
    {"br", "hr", "img", "input", "meta", "link", "wbr", "col", "area", "base", "source", "embed"}
)
_PARAGRAPHS: Final = frozenset(
    {"p", "h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "dl", "table", "blockquote", "pre"}
)
_BLOCKS: Final = frozenset(
    {"div", "tr", "li", "dt", "dd", "section", "article", "header", "footer", "main", "center"}
    | {"address", "figure", "form", "thead", "tbody", "tfoot", "caption", "nav", "aside", "body"}
)
_SPACE: Final = re.compile(r"[ \t\r\n\f]+")
_WIDE_BREAK: Final = re.compile(
    r"(?<=[\u3000-\u30ff\u3400-\u9fff\uf900-\ufaff\uff00-\uffef])[ \t]*\n\s*"
    r"(?=[\u3000-\u30ff\u3400-\u9fff\uf900-\ufaff\uff00-\uffef])"
)
_HIDDEN: Final = re.compile(r"display\s*:\s*none|mso-hide\s*:\s*all", re.IGNORECASE)
_TAGS: Final = re.compile(r"\{\{.*?\}\}|\{%.*?%\}|\{#.*?#\}", re.DOTALL)
_OPEN, _CLOSE = "\U0010fff0", "\U0010fff1"  # private use, plane 16: no handset's pictographs
_TOKEN: Final = re.compile(f"{_OPEN}(\\d+){_CLOSE}")
DEPTH: Final = 500
INDENT_MAX: Final = 10


class _Writer(MarkupReader):
    """Turns tags into line breaks and marks; text into words."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []
        self.line = ""
        self.blank = False  # an empty line is owed before the next text
        self.open: list[str] = []
        self.skipped: int | None = None  # the depth at which skipping began
        self.lists: list[int] = []  # per open list: the next number, 0 for bullets
        self.quotes = 0
        self.preformatted = 0
        self.links: list[tuple[str, int]] = []

    def handle_starttag(self, tag: str, attrs: Attributes) -> None:
        values = dict(attrs)
        if tag not in _VOID:
            if len(self.open) < DEPTH:
                self.open.append(tag)
            hidden = "hidden" in values or _HIDDEN.search(values.get("style") or "")
            if self.skipped is None and (tag in _SKIPPED or hidden):
                self.skipped = len(self.open)
        if self.skipped is not None:
            return
        if tag in _PARAGRAPHS:
            self.end_line(blank=not (tag in {"ul", "ol"} and self.lists))
        elif tag in _BLOCKS:
            self.end_line()
        self.start(tag, values)

    def start(self, tag: str, values: dict[str, str | None]) -> None:
        """What a tag writes or begins."""
        if tag == "br":
            self.lines.append(self.prefix() + self.line.rstrip())
            self.line = ""
        elif tag == "hr":
            self.end_line()
            self.line = "-" * 40
            self.end_line()
        elif tag == "img":
            self.words(values.get("alt") or "")
        elif tag == "a":
            self.links.append(((values.get("href") or "").strip(), len(self.line)))
        elif tag in {"ul", "ol"}:
            self.lists.append(1 if tag == "ol" else 0)
        elif tag == "li":
            self.item()
        elif tag in {"td", "th"} and self.line:
            self.line = self.line.rstrip() + "  "
        elif tag == "blockquote":
            self.quotes += 1
        elif tag == "pre":
            self.preformatted += 1

    def item(self) -> None:
        """Begin a list item."""
        indent = "  " * min(len(self.lists) - 1, INDENT_MAX)
        if self.lists and self.lists[-1]:
            self.line = f"{indent}{self.lists[-1]}. "
            self.lists[-1] += 1
        else:
            self.line = f"{indent}- "

    def handle_endtag(self, tag: str) -> None:
        if tag in self.open:
            while self.open and self.open.pop() != tag:
                pass
        if self.skipped is not None:
            if len(self.open) < self.skipped:
                self.skipped = None
            return
        if tag == "a" and self.links:
            self.link(*self.links.pop())
        elif tag in _PARAGRAPHS:
            if tag in {"ul", "ol"} and self.lists:
                self.lists.pop()
            self.end_line(blank=not self.lists)
            if tag == "blockquote":
                self.quotes = max(0, self.quotes - 1)
            if tag == "pre":
                self.preformatted = max(0, self.preformatted - 1)
        elif tag in _BLOCKS:
            self.end_line()

    def link(self, href: str, start: int) -> None:
        """Write a link's address behind its text, once."""
        text = self.line[start:].strip()
        bare = href.removeprefix("mailto:").removeprefix("tel:")
        if not href or href.startswith(("#", "javascript:")) or text in {href, bare}:
            return
        self.line = f"{self.line.rstrip()} <{bare}>" if text else f"{self.line}<{bare}>"

    def handle_data(self, data: str) -> None:
        if self.skipped is not None:
            return
        if self.preformatted:
            first, *rest = data.split("\n")
            self.line += first
            for line in rest:
                self.lines.append(self.prefix() + self.line)
                self.line = line
            return
        self.words(data)

    def words(self, data: str) -> None:
        """Write running text, its white space collapsed."""
        text = _SPACE.sub(" ", _WIDE_BREAK.sub("", data)).replace("\xa0", " ")
        if not self.line or self.line.endswith(" "):
            text = text.lstrip(" ")
        self.line += text

    def prefix(self) -> str:
        """What stands before a line; the empty line that is owed goes first."""
        if self.blank and self.lines and self.lines[-1]:
            self.lines.append("")
        self.blank = False
        return "> " * min(self.quotes, INDENT_MAX)

    def end_line(self, *, blank: bool = False) -> None:
        """End the line if there is one; owe an empty line after a paragraph."""
        line = self.line.rstrip()
        if line:
            self.lines.append(self.prefix() + line)
        self.line = ""
        self.blank = self.blank or blank


def html_to_text(html: str) -> str:
    r"""Return what HTML says, as text with `\n` line ends and one at the end."""
    writer = _Writer()
    writer.feed(html)
    writer.end_line()
    return "\n".join(writer.lines).strip("\n") + "\n"


def template_to_text(template: str) -> str:
    """Return an HTML template as a text template: its tags stay where they were."""
    tags: list[str] = []

    def protect(found: re.Match[str]) -> str:
        tags.append(found.group())
        return f"{_OPEN}{len(tags) - 1}{_CLOSE}"

    if _OPEN in template or _CLOSE in template:
        template = template.replace(_OPEN, "").replace(_CLOSE, "")
    text = html_to_text(_TAGS.sub(protect, template))
    return _TOKEN.sub(lambda found: tags[int(found.group(1))], text)
