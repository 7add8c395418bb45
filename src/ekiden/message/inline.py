"""CSS worked into the HTML, for mail programs that read `style` attributes only. Pure.

Theory. It is done to the template, once, when the job is taken. The source is never written anew:
the HTML is read for its elements and their places, the rules of its `<style>` elements are matched,
and a `style` attribute is spliced into the start tags they match. So every byte that is not such an
attribute stays: merge fields, loops, conditional comments, doctype, entities.

The cascade is CSS's: by specificity, then by order; what a `style` attribute says already is
stronger, `!important` is stronger still. The style sheets stay where they are: `@media`, `:hover`
and what depends on a merge field (`class="{{ kind }}"`) are theirs alone.

Contract. Nothing is fetched: `<link>` and `@import` are left as they are. A style sheet with
`{% %}` or `{{# }}` in it is not worked in, nor one for other media than screens. `RefusedError` for
more elements or rules than are worked in; nothing else leaves.
"""

import re
from html import escape, unescape
from typing import Final

from ekiden.errors import RefusedError
from ekiden.message.css import Declaration, Element, Index, Rule, Work, declarations, rules
from ekiden.message.held import Held
from ekiden.message.markup import Attributes, MarkupReader

ELEMENTS_MAX: Final = 20_000
DEPTH_MAX: Final = 200

_VOID: Final = frozenset(
    {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "wbr"}
)
# What a start tag closes when it is still open (HTML section 13.1.2.4, as far as mail goes).
_CLOSES: Final = {
    "li": frozenset({"li"}),
    "tr": frozenset({"tr", "td", "th"}),
    "td": frozenset({"td", "th"}),
    "th": frozenset({"td", "th"}),
    "dt": frozenset({"dt", "dd"}),
    "dd": frozenset({"dt", "dd"}),
}
_UNSTYLED: Final = frozenset({"head", "style", "title", "meta", "link", "script", "base"})
_STYLE: Final = re.compile(r"""\sstyle\s*=\s*("[^"]*"|'[^']*'|[^\s"'>]+)""", re.IGNORECASE)
_TAG_END: Final = re.compile(r"\s*/?>\Z")
_SCREEN: Final = re.compile(r"\s*(?:all|(?:only\s+)?screen)?\s*", re.IGNORECASE)


def inline_css(html: str, where: str = "html template") -> str:
    """Return an HTML template with its style sheets worked into `style` attributes.

    Args:
        html: The template.
        where: Its name, for a person.

    Raises:
        RefusedError: It has more elements or rules than are worked in.
    """
    if "<style" not in html.lower():
        return html
    held = Held(html)
    if not held.clean:
        return html
    source = held.text
    tree = _Tree(source, where)
    sheets = [sheet for sheet in tree.sheets if not any(map(_branches, held.within(sheet)))]
    index, work = Index(rules(sheets)), Work()
    made: list[str] = []
    position = 0
    for element in tree.elements:
        if element.tag in _UNSTYLED:
            continue
        matched = index.of(element, work)
        if matched:
            end = element.start + element.length
            made += (
                source[position : element.start],
                _styled(source[element.start : end], matched),
            )
            position = end
    made.append(source[position:])
    return held.put_back("".join(made))


def _branches(tag: str) -> bool:
    """Whether a tag of the template language decides about what follows it."""
    return tag.startswith(("{%", "{{#", "{{/", "{{~#"))


def _styled(tag: str, matched: list[Rule]) -> str:
    """Return a start tag with what its rules declare."""
    present = _STYLE.search(tag)
    written = _unquoted(present[1]).strip() if present else ""
    own = {one.name for one in declarations(unescape(written))}
    normal: dict[str, list[Declaration]] = {}
    strong: dict[str, list[Declaration]] = {}
    for rule in matched:
        taken: set[tuple[bool, str]] = set()
        for one in rule.declarations:
            kept = strong if one.important else normal
            if (one.important, one.name) not in taken:
                kept.pop(one.name, None)  # a stronger rule: its place is the last, too
            taken.add((one.important, one.name))
            kept.setdefault(one.name, []).append(one)
    before = [
        one for name, found in normal.items() if name not in own | strong.keys() for one in found
    ]
    after = [one for found in strong.values() for one in found]
    pieces = [_written(one) for one in before]
    pieces += [written.rstrip("; ")] if written else []
    pieces += [_written(one) for one in after]
    style = "; ".join(pieces).replace('"', "&quot;")
    if present:
        return f'{tag[: present.start(1)]}"{style}"{tag[present.end(1) :]}'
    end = _TAG_END.search(tag)
    at = end.start() if end else len(tag) - 1
    return f'{tag[:at]} style="{style}"{tag[at:]}'


def _unquoted(value: str) -> str:
    return value[1:-1] if value[:1] in {'"', "'"} else value


def _written(one: Declaration) -> str:
    value = one.value if "'" in one.value else one.value.replace('"', "'")
    return f"{one.name}: {escape(value, quote=False)}"


class _Tree(MarkupReader):
    """The elements of an HTML text in order, each with its place, and its style sheets."""

    def __init__(self, html: str, where: str) -> None:
        super().__init__()
        self.elements: list[Element] = []
        self.sheets: list[str] = []
        self._where = where
        self._open: list[Element] = [Element("", {}, None)]
        self._sheet = False
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: Attributes) -> None:
        closes = _CLOSES.get(tag, frozenset())
        while len(self._open) > 1 and self._open[-1].tag in closes:
            self._open.pop()
        values = {name: value or "" for name, value in reversed(attrs)}
        length = self.tag_end - self.tag_start
        element = Element(tag, values, self._open[-1], self.tag_start, length)
        self.elements.append(element)
        if len(self.elements) > ELEMENTS_MAX:
            raise RefusedError(
                f"the HTML has more than {ELEMENTS_MAX} elements",
                where=self._where,
                remedy="make it smaller, or leave `inline_css` off",
            )
        if tag not in _VOID and len(self._open) < DEPTH_MAX:
            self._open.append(element)
        if tag == "style":
            self._sheet = _SCREEN.fullmatch(values.get("media", "")) is not None
            self.sheets += [""] if self._sheet else []

    def handle_startendtag(self, tag: str, attrs: Attributes) -> None:
        self.handle_starttag(tag, attrs)
        if self._open[-1].tag == tag and tag not in _VOID:
            self._open.pop()

    def handle_endtag(self, tag: str) -> None:
        if tag == "style":
            self._sheet = False
        for depth in range(len(self._open) - 1, 0, -1):
            if self._open[depth].tag == tag:
                del self._open[depth:]
                return

    def handle_data(self, data: str) -> None:
        if self._sheet:
            self.sheets[-1] += data
