"""Style sheets for mail: rules, selectors, and which elements they match. Pure.

tinycss2 cuts the text into tokens (CSS Syntax Level 3); this module keeps the part of Selectors
that mail uses: types, classes, ids, attributes, `:first-child`, `:last-child`, four combinators.
A rule with anything else in its selector is left to the style sheet: `rules` does not return it.

Matching is memoised from an element to its ancestors, so its cost is elements times selectors and
never a power of the depth; each step is paid from a `Work`.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import tinycss2  # type: ignore[import-untyped]  # it ships no types

from ekiden.errors import RefusedError

RULES_MAX: Final = 5_000
STEPS_MAX: Final = 500_000
PARTS_MAX: Final = 20  # compounds in one selector

Specificity = tuple[int, int, int]  # ids; classes, attributes, pseudo-classes; types


class Work:
    """What matching may still cost."""

    __slots__ = ("steps",)

    def __init__(self, steps: int = STEPS_MAX) -> None:
        self.steps = steps

    def pay(self) -> None:
        """Pay for one comparison.

        Raises:
            RefusedError: Nothing is left.
        """
        self.steps -= 1
        if self.steps < 0:
            raise RefusedError(
                "the style sheets have too many rules for so many elements to be worked in",
                where="html template",
                remedy="make them smaller, or leave `inline_css` off",
            )


class Element:
    """An element of the HTML, as far as selectors ask.

    Args:
        tag: Its name in lower case.
        attributes: Its attributes; names in lower case.
        parent: The element around it.
        start: Where its start tag begins in the source.
        length: How long that tag is.
    """

    __slots__ = ("attributes", "children", "classes", "index", "length", "parent", "start", "tag")

    def __init__(
        self,
        tag: str,
        attributes: dict[str, str],
        parent: "Element | None",
        start: int = 0,
        length: int = 0,
    ) -> None:
        self.tag = tag
        self.attributes = attributes
        self.classes = frozenset(attributes.get("class", "").split())
        self.parent = parent
        self.start = start
        self.length = length
        self.children: list[Element] = []
        self.index = 0
        if parent is not None:
            self.index = len(parent.children)
            parent.children.append(self)

    @property
    def before(self) -> "Element | None":
        """The sibling before it."""
        if self.parent is None or not self.index:
            return None
        return self.parent.children[self.index - 1]


class Test(NamedTuple):
    """An attribute selector: `[name]`, `[name=value]`, `[name^=value]` and so on."""

    name: str
    operator: str
    value: str

    def holds(self, found: str | None) -> bool:
        """Whether an attribute's value passes."""
        if found is None:
            return False
        if not self.operator:
            return True
        if self.operator == "=":
            return found == self.value
        if self.operator == "~=":
            return self.value in found.split()
        if self.operator == "|=":
            return found == self.value or found.startswith(f"{self.value}-")
        if not self.value:
            return False
        if self.operator == "^=":
            return found.startswith(self.value)
        return found.endswith(self.value) if self.operator == "$=" else self.value in found


@dataclass(slots=True)
class Compound:
    """What one element must be: `td.price[align=right]:first-child`."""

    tag: str = ""
    id: str = ""
    classes: set[str] = field(default_factory=set)
    tests: list[Test] = field(default_factory=list)
    first: bool = False
    last: bool = False

    def is_met_by(self, element: Element) -> bool:
        """Whether an element is that."""
        if self.tag and self.tag != element.tag:
            return False
        if self.id and self.id != element.attributes.get("id"):
            return False
        if not self.classes <= element.classes or (self.first and element.index):
            return False
        if self.last and (
            element.parent is not None and element.index + 1 < len(element.parent.children)
        ):
            return False
        return all(test.holds(element.attributes.get(test.name)) for test in self.tests)


@dataclass(slots=True)
class Selector:
    """A selector from right to left: compounds, and what stands between them."""

    compounds: list[Compound]
    combinators: list[str]  # " ", ">", "+", "~"; one fewer than compounds
    _above: dict[tuple[int, int, str], bool] = field(default_factory=dict)

    @property
    def specificity(self) -> Specificity:
        """How strong it is (Selectors Level 3 section 9)."""
        ids = sum(bool(one.id) for one in self.compounds)
        classes = sum(
            len(one.classes) + len(one.tests) + one.first + one.last for one in self.compounds
        )
        return ids, classes, sum(bool(one.tag) for one in self.compounds)

    def matches(self, element: Element, work: Work, at: int = 0) -> bool:
        """Whether an element is meant.

        Raises:
            RefusedError: The work is used up.
        """
        work.pay()
        if not self.compounds[at].is_met_by(element):
            return False
        if at + 1 == len(self.compounds):
            return True
        combinator = self.combinators[at]
        if combinator == ">":
            return element.parent is not None and self.matches(element.parent, work, at + 1)
        if combinator == "+":
            return element.before is not None and self.matches(element.before, work, at + 1)
        return self._any_before(element, work, at + 1, combinator)

    def _any_before(self, element: Element, work: Work, at: int, combinator: str) -> bool:
        """Whether any ancestor, or any sibling before, matches from `at` on."""
        passed: list[tuple[int, int, str]] = []
        found = False
        one = element.parent if combinator == " " else element.before
        while one is not None:
            key = (id(one), at, combinator)
            if key in self._above:
                found = self._above[key]
                break
            passed.append(key)
            if self.matches(one, work, at):
                found = True
                break
            one = one.parent if combinator == " " else one.before
        for key in passed:
            self._above[key] = found
        return found


@dataclass(frozen=True, slots=True)
class Declaration:
    """`name: value`, with or without `!important`."""

    name: str
    value: str
    important: bool


@dataclass(frozen=True, slots=True)
class Rule:
    """A selector with its declarations, at its place in the cascade."""

    selector: Selector
    declarations: tuple[Declaration, ...]
    order: int


def rules(sheets: Iterable[str]) -> list[Rule]:
    """Return the rules of style sheets that can stand in `style` attributes.

    Raises:
        RefusedError: There are too many.
    """
    found: list[Rule] = []
    for sheet in sheets:
        for node in tinycss2.parse_stylesheet(sheet, skip_comments=True, skip_whitespace=True):
            if node.type != "qualified-rule":
                continue  # @media and its like stay in the sheet
            made = tuple(declarations(node.content))
            for selector in _selectors(node.prelude) if made else ():
                found.append(Rule(selector, made, len(found)))
            if len(found) > RULES_MAX:
                raise RefusedError(
                    f"the style sheets have more than {RULES_MAX} rules",
                    where="html template",
                    remedy="make them smaller, or leave `inline_css` off",
                )
    return found


def declarations(source: Any) -> Iterator[Declaration]:
    """Yield the declarations of a rule's block or of a `style` attribute."""
    for one in tinycss2.parse_blocks_contents(source, skip_comments=True, skip_whitespace=True):
        if one.type != "declaration":
            continue
        try:
            value = tinycss2.serialize(one.value).strip()
        except RecursionError:
            continue
        yield Declaration(one.lower_name, " ".join(value.split()), one.important)


class Index:
    """Rules by what their rightmost compound names, so that an element asks few of them."""

    def __init__(self, found: Iterable[Rule]) -> None:
        self._by: dict[tuple[str, str], list[Rule]] = defaultdict(list)
        for rule in found:
            last = rule.selector.compounds[0]
            if last.id:
                key = ("#", last.id)
            elif last.classes:
                key = (".", min(last.classes))
            else:
                key = ("", last.tag)
            self._by[key].append(rule)

    def of(self, element: Element, work: Work) -> list[Rule]:
        """Return the rules that match an element, the weakest first."""
        keys = [("", ""), ("", element.tag), ("#", element.attributes.get("id", ""))]
        keys += [(".", name) for name in element.classes]
        found = [
            rule
            for key in keys
            for rule in self._by.get(key, ())
            if rule.selector.matches(element, work)
        ]
        found.sort(key=lambda rule: (rule.selector.specificity, rule.order))
        return found


def _selectors(prelude: Sequence[Any]) -> Iterator[Selector]:
    """Yield the selectors of a rule; those that are not understood are left out."""
    group: list[Any] = []
    for token in (*prelude, None):
        if token is None or (token.type == "literal" and token.value == ","):
            made = _selector(group)
            if made is not None:
                yield made
            group = []
        elif token.type != "comment":
            group.append(token)


def _selector(tokens: Sequence[Any]) -> Selector | None:
    compounds: list[Compound] = [Compound()]
    combinators: list[str] = []
    begun = False  # the last compound has something in it
    gap = ""
    rest = list(reversed(tokens))
    while rest:
        token = rest.pop()
        if token.type == "whitespace":
            gap = gap or " "
            continue
        if token.type == "literal" and token.value in {">", "+", "~"}:
            if not begun or gap.strip():
                return None
            gap = str(token.value)
            continue
        if gap and begun:
            combinators.append(gap)
            compounds.append(Compound())
        gap, begun = "", True
        if not _add(compounds[-1], token, rest):
            return None
    if not begun or gap.strip() or len(compounds) > PARTS_MAX:
        return None
    return Selector(compounds[::-1], combinators[::-1])


def _add(compound: Compound, token: Any, rest: list[Any]) -> bool:
    """Add a simple selector to a compound; False if it is not understood."""
    if token.type == "ident":
        compound.tag = str(token.lower_value)
        return True
    if token.type == "hash" and token.is_identifier:
        compound.id = str(token.value)
        return True
    if token.type == "[] block":
        return _add_test(compound, [one for one in token.content if one.type != "whitespace"])
    if token.type != "literal":
        return False
    if token.value == "*":
        return True
    following = rest.pop() if rest else None
    if following is None or following.type != "ident":
        return False
    if token.value == ".":
        compound.classes.add(str(following.value))
        return True
    if token.value == ":" and following.lower_value in {"first-child", "last-child"}:
        compound.first = compound.first or following.lower_value == "first-child"
        compound.last = compound.last or following.lower_value == "last-child"
        return True
    return False


def _add_test(compound: Compound, tokens: Sequence[Any]) -> bool:
    kinds = [token.type for token in tokens]
    if kinds == ["ident"]:
        compound.tests.append(Test(tokens[0].lower_value, "", ""))
        return True
    if (
        len(tokens) == 3
        and kinds[:2] == ["ident", "literal"]
        and kinds[2] in {"ident", "string"}
        and tokens[1].value in {"=", "~=", "|=", "^=", "$=", "*="}
    ):
        compound.tests.append(Test(tokens[0].lower_value, tokens[1].value, tokens[2].value))
        return True
    return False
