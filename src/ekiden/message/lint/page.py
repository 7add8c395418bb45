"""What an HTML part holds: tags, links, images, text that is seen and text that is not. Pure."""

import re
from dataclasses import dataclass, field
from typing import Final

from ekiden.message.lint.looks import Look, at_first, inside
from ekiden.message.markup import Attributes, MarkupReader

VOID: Final = frozenset(
    {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "wbr"}
    | {"param", "track", "keygen", "basefont", "bgsound", "frame", "spacer"}
)
# End tags that HTML lets one leave out (HTML section 13.1.2.4).
OPTIONAL: Final = frozenset(
    {"html", "head", "body", "p", "li", "dt", "dd", "td", "th", "tr", "thead", "tbody", "tfoot"}
    | {"colgroup", "option", "optgroup", "rt", "rp"}
)
BLOCKS: Final = frozenset(
    {"p", "div", "td", "th", "tr", "table", "li", "ul", "ol", "h1", "h2", "h3", "h4", "h5", "h6"}
    | {"br", "hr", "body", "section", "header", "footer", "article", "center", "blockquote", "pre"}
)
_ACTIVE: Final = frozenset(
    {"script", "form", "input", "button", "select", "textarea", "iframe", "frame", "frameset"}
    | {"object", "embed", "applet"}
)
_UNSEEN: Final = frozenset({"head", "style", "script", "title", "template", "noscript"})
_HIDDEN: Final = re.compile(
    r"display\s*:\s*none|visibility\s*:\s*hidden|mso-hide\s*:\s*all"
    r"|max-height\s*:\s*0(?:px)?\s*(?:;|!|$)|opacity\s*:\s*0\s*(?:;|!|$)",
    re.IGNORECASE,
)
_NO_SIZE: Final = 1.0  # px; on a container it closes gaps, and what is inside has its own again
_TINY: Final = re.compile(r"[01](?:px)?")
_SCRIPT_URL: Final = re.compile(r"\s*(?:javascript|vbscript|data:text/html)", re.IGNORECASE)
# Data for machines, and the boxes by which style sheets fold and unfold.
_INERT: Final = frozenset({"application/ld+json", "application/json", "checkbox", "radio"})
_SPACE: Final = re.compile(r"\s+")
_LETTER: Final = re.compile(r"[^\W\d_]")


@dataclass(slots=True)
class Link:
    """A link: where it leads, and what it shows."""

    href: str
    line: int
    text: str = ""
    images: int = 0
    around: str = ""  # the block it stands in
    faint: str = ""  # why its text is hard to see
    legible: bool = False  # whether any of it is not


@dataclass(frozen=True, slots=True)
class Image:
    """An image."""

    source: str
    alt: str | None
    line: int
    tiny: bool


@dataclass(slots=True)
class Page:
    """An HTML part, read once."""

    links: list[Link] = field(default_factory=list)
    images: list[Image] = field(default_factory=list)
    unbalanced: list[tuple[int, str]] = field(default_factory=list)
    active: list[tuple[int, str]] = field(default_factory=list)
    hidden: list[tuple[int, str]] = field(default_factory=list)
    ids: set[str] = field(default_factory=set)
    text: str = ""  # what is seen, blocks on lines of their own
    responsive: bool = False  # its style sheets show on one width what they hide on another


def read_page(html: str) -> Page:
    """Read an HTML text; whatever it is, nothing is raised."""
    reader = _Reader()
    reader.page.responsive = "@media" in html
    reader.outside = at_first(styled="<style" in html.lower() or "stylesheet" in html.lower())
    reader.feed(html)
    return reader.finished()


class _Open:
    """An open element."""

    __slots__ = ("hides", "line", "look", "shown_elsewhere", "tag")

    def __init__(
        self, tag: str, line: int, *, hides: bool, look: Look, shown_elsewhere: bool
    ) -> None:
        self.tag = tag
        self.line = line
        self.hides = hides
        self.look = look
        self.shown_elsewhere = shown_elsewhere


class _Reader(MarkupReader):
    """Walks the tags once."""

    def __init__(self) -> None:
        super().__init__()
        self.page = Page()
        self.outside = Look()
        self._open: list[_Open] = []
        self._pieces: list[str] = []
        self._unseen = 0
        self._hides = 0
        self._concealed: list[str] = []
        self._links: list[Link] = []  # open ones
        self._waiting: list[Link] = []  # of the block that is being read
        self._block: list[str] = []

    def handle_starttag(self, tag: str, attrs: Attributes) -> None:
        values = {name: value or "" for name, value in reversed(attrs)}
        line = self.at_line
        if "id" in values or "name" in values:
            self.page.ids |= {values.get("id", ""), values.get("name", "")}
        self._look_for_action(tag, values, line)
        if tag in BLOCKS:
            self._end_block()
        if tag == "img":
            self._image(values, line)
        elif tag in {"a", "area"} and "href" in values:
            link = Link(values["href"], line)
            self.page.links.append(link)
            self._waiting.append(link)
            if tag == "a":
                self._links.append(link)
        if tag not in VOID:
            self._begin(tag, values, line)

    def handle_startendtag(self, tag: str, attrs: Attributes) -> None:
        self.handle_starttag(tag, attrs)  # HTML ignores the slash, except in SVG and MathML
        if tag not in VOID and any(one.tag in {"svg", "math"} for one in self._open):
            self.handle_endtag(tag)

    def _begin(self, tag: str, values: dict[str, str], line: int) -> None:
        style = values.get("style", "")
        hides = "hidden" in values or _HIDDEN.search(style) is not None
        look = inside(self._look, tag, values)
        elsewhere = self.page.responsive and ("class" in values or "id" in values)
        self._open.append(_Open(tag, line, hides=hides, look=look, shown_elsewhere=elsewhere))
        self._unseen += tag in _UNSEEN
        self._hides += hides

    def _image(self, values: dict[str, str], line: int) -> None:
        decorative = values.get("role") in {"presentation", "none"} or "aria-hidden" in values
        alt = values.get("alt", "" if decorative else None)
        tiny = any(_TINY.fullmatch(values.get(side, "").strip()) for side in ("width", "height"))
        source = values.get("src", "") or values.get("data-src", "")
        self.page.images.append(Image(source.strip(), alt, line, tiny))
        for link in self._links:
            link.images += 1
            link.legible = True
            link.text += f" {alt or ''}"

    def _look_for_action(self, tag: str, values: dict[str, str], line: int) -> None:
        if tag in _ACTIVE and values.get("type", "") not in _INERT:
            self.page.active.append((line, f"<{tag}>"))
        if tag == "meta" and values.get("http-equiv", "").lower() == "refresh":
            self.page.active.append((line, "a refresh"))
        for name, value in values.items():
            if re.fullmatch(r"on[a-z]{3,}", name):
                self.page.active.append((line, f"the attribute {name}"))
            if name in {"href", "src", "action"} and _SCRIPT_URL.match(value):
                self.page.active.append((line, f"a script in {name}"))

    def handle_endtag(self, tag: str) -> None:
        if tag in VOID:
            return
        if tag in BLOCKS:
            self._end_block()
        line = self.at_line
        names = [one.tag for one in self._open]
        if tag not in names:
            if tag not in OPTIONAL or tag in {"td", "tr"}:
                self.page.unbalanced.append((line, f"</{tag}> closes nothing"))
            return
        while self._open:
            top = self._pop()
            if top.tag == tag:
                return
            if top.tag not in OPTIONAL:
                self.page.unbalanced.append((top.line, f"<{top.tag}> is not closed"))

    def _pop(self) -> _Open:
        top = self._open.pop()
        self._unseen -= top.tag in _UNSEEN
        if top.tag == "a" and self._links:
            self._links.pop()
        self._hides -= top.hides
        if self._concealed and not self._hides and not self._tiny:
            text = _SPACE.sub(" ", "".join(self._concealed)).strip()
            if text and not top.shown_elsewhere:
                self.page.hidden.append((top.line, text))
            self._concealed.clear()
        return top

    @property
    def _tiny(self) -> bool:
        return self._look.size <= _NO_SIZE

    @property
    def _look(self) -> Look:
        return self._open[-1].look if self._open else self.outside

    def handle_data(self, data: str) -> None:
        if self._unseen:
            return
        if self._hides or self._tiny:
            self._concealed.append(data)
            return
        for link in self._links:
            link.text += data
            if data.strip():
                link.faint = self._look.faint
                link.legible |= not link.faint
        self._block.append(data)

    def _end_block(self) -> None:
        text = _SPACE.sub(" ", "".join(self._block)).strip()
        self._block.clear()
        for link in self._waiting:
            link.around = text
        self._waiting.clear()
        if text:
            self._pieces.append(text)

    def finished(self) -> Page:
        """Close what is open and return the page."""
        while self._open:
            top = self._pop()
            if top.tag not in OPTIONAL:
                self.page.unbalanced.append((top.line, f"<{top.tag}> is not closed"))
        self._end_block()
        for link in self.page.links:
            link.text = _SPACE.sub(" ", link.text).strip()
        self.page.text = "\n".join(self._pieces)
        self.page.unbalanced.sort()
        return self.page


def letters(text: str) -> int:
    """Return how many letters a text has; those of preheader padding are none."""
    return len(_LETTER.findall(text))
