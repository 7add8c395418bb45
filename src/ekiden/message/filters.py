"""The filters and tests that templates may use, each charged against the rendering's budget.

Pure. No filter calls a value, reads an attribute or makes text longer than its budget: the size of
a result is known and charged *before* it is built. What is not listed does not exist.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from html import unescape
from typing import Any, Final
from urllib.parse import quote

from jinja2 import Undefined, pass_context
from jinja2.runtime import Context
from markupsafe import Markup, escape

from ekiden import limits
from ekiden.message.headers import RenderError

BUDGET: Final = "_budget"  # the context's entry; templates cannot name it (leading underscore)
TRACKER: Final = "_tracker"  # the same: makes a URL that passes by our host of one
INTEGER_MAX: Final = 2**63
_TAG: Final = re.compile(r"<[^<>]*>")


class Budget:
    """What one rendering may still use.

    Args:
        steps: Loop iterations, each weighed by the size of its loop's body.
        weight: Characters and items that operations may touch.

    Attributes:
        output: Characters that loops, conditions and filters may still write, in all parts.
    """

    __slots__ = ("output", "steps", "weight")

    def __init__(
        self, steps: int = limits.RENDER_STEPS, weight: int = 4 * limits.RENDER_OUTPUT_BYTES
    ) -> None:
        self.steps = steps
        self.weight = weight
        self.output = limits.RENDER_OUTPUT_BYTES

    def write(self, size: int) -> None:
        """Pay for `size` characters of output.

        Raises:
            RenderError: Nothing is left.
        """
        self.output -= size
        if self.output < 0:
            raise RenderError("the template writes too much")

    def step(self, cost: int) -> None:
        """Pay for one loop iteration.

        Raises:
            RenderError: Nothing is left.
        """
        self.steps -= cost
        if self.steps < 0:
            raise RenderError("the template loops too long")

    def weigh(self, size: int) -> None:
        """Pay for touching `size` characters or items.

        Raises:
            RenderError: Nothing is left.
        """
        self.weight -= size
        if self.weight < 0:
            raise RenderError("the template does too much work")


class Counted:
    """An iterable that pays for each item; `loop.length` still works."""

    __slots__ = ("_budget", "_cost", "_items")

    def __init__(self, items: Any, budget: Budget, cost: int) -> None:
        self._items = items
        self._budget = budget
        self._cost = cost

    def __len__(self) -> int:
        return len(self._items)

    def __iter__(self) -> Iterator[Any]:
        for item in self._items:
            self._budget.step(self._cost)
            yield item


def budget_of(context: Context) -> Budget:
    """Return the rendering's budget."""
    found = context.parent[BUDGET]
    assert isinstance(found, Budget)  # noqa: S101 - templates cannot write this name
    return found


def shown(value: Any) -> Any:
    """Return what an expression may print: text or a number, never a list or an object.

    A list within a list within a list prints exponentially long; it is also never what an author
    meant.

    Raises:
        RenderError: It is something else.
    """
    if value is None:
        return ""
    if isinstance(value, str | int | float | Undefined):
        return value
    kind = "list" if isinstance(value, Sequence) else "table"
    raise RenderError(f"a {kind} cannot be printed: loop over it, or name one of its entries")


def text_of(value: Any) -> str:
    """Return a printable value as text; Markup stays Markup."""
    value = shown(value)
    return value if isinstance(value, str) else str(value)


def _size(value: Any) -> int:
    return len(value) if isinstance(value, str | Sequence | Mapping) else 1


@pass_context
def weighed(context: Context, value: Any) -> Any:
    """Pay for reading a value whole (comparisons, `in`, slices), and return it."""
    budget_of(context).weigh(_size(value))
    return value


@pass_context
def steps(context: Context, value: Any, cost: int) -> Any:
    """Wrap what a loop runs over."""
    if isinstance(value, Undefined):
        return value
    if not isinstance(value, str | Sequence | Mapping | Counted) and not hasattr(value, "__len__"):
        raise RenderError("the template loops over something that is no list")
    return Counted(value, budget_of(context), cost)


@pass_context
def concat(context: Context, values: tuple[Any, ...]) -> str:
    """The `~` operator."""
    texts = [text_of(value) for value in values]
    budget_of(context).weigh(sum(map(len, texts)))
    if any(isinstance(text, Markup) for text in texts):
        return Markup("").join(texts)
    return "".join(texts)


def _plain(make: Callable[[str], str]) -> Callable[..., str]:
    """Make a filter of a function of text whose result is at most three times as long."""

    @pass_context
    def run(context: Context, value: Any) -> str:
        text = text_of(value)
        budget_of(context).weigh(4 * len(text))
        made = make(str(text))
        # Case and trimming keep escaped text escaped, except in entities: &amp; -> &AMP; so the
        # text is unescaped, changed and escaped again.
        return escape(make(unescape(str(text)))) if isinstance(text, Markup) else made

    return run


@pass_context
def replace(context: Context, value: Any, old: Any, new: Any) -> str:
    """Replace text, if the result is affordable."""
    text = text_of(value)
    if isinstance(text, Markup):
        old, new = str(escape(text_of(old))), str(escape(text_of(new)))
    else:
        old, new = str(text_of(old)), str(text_of(new))
    source = str(text)
    count = source.count(old)
    budget_of(context).weigh(len(source) + count * len(new))
    made = source.replace(old, new)
    return Markup(made) if isinstance(text, Markup) else made  # noqa: S704 - both were escaped


@pass_context
def join(context: Context, values: Any, separator: Any = "") -> str:
    """Join a list's texts."""
    if isinstance(values, Undefined):
        return str(values)
    between = text_of(separator)
    budget = budget_of(context)
    budget.weigh(len(values) * (1 + len(between)))
    texts = [text_of(value) for value in values]
    budget.weigh(sum(map(len, texts)))
    if context.eval_ctx.autoescape:
        return escape(between).join(texts)
    return between.join(texts)


@pass_context
def truncate(context: Context, value: Any, length: int = 255, end: str = "…") -> str:
    """Cut text to `length` characters, the end mark included."""
    text = text_of(value)
    budget_of(context).weigh(len(text))
    plain = unescape(str(text)) if isinstance(text, Markup) else text
    if len(plain) <= length:
        return text
    cut = plain[: max(0, int(length) - len(end))] + end
    return escape(cut) if isinstance(text, Markup) else cut


def default(value: Any, fallback: Any = "", boolean: bool = False) -> Any:  # noqa: FBT001, FBT002 - the template language's own signature
    """Stand in for a missing field, or with `true` for an empty one."""
    if isinstance(value, Undefined) or value is None or (boolean and not value):
        return fallback
    return value


def _number(value: Any) -> int | float:
    if isinstance(value, bool | int | float):
        return value
    text = str(text_of(value)).strip()
    try:
        return int(text)
    except ValueError:
        return float(text)


def to_int(value: Any, fallback: int = 0) -> int:
    """Return a whole number, or `fallback`."""
    try:
        number = int(_number(value))
    except (ValueError, OverflowError):
        return fallback
    return number if abs(number) < INTEGER_MAX else fallback


def to_float(value: Any, fallback: float = 0.0) -> float:
    """Return a number, or `fallback`."""
    try:
        return float(_number(value))
    except (ValueError, OverflowError):
        return fallback


def round_(value: Any, precision: int = 0) -> float:
    """Round half to even."""
    return round(float(_number(value)), max(-15, min(int(precision), 15)))


def absolute(value: Any) -> int | float:
    """Return a number without its sign."""
    return abs(_number(value))


def comma(value: Any) -> str:
    """Write a number with separators: 1,234,567."""
    number = _number(value)
    return f"{number:,}"


def length(value: Any) -> int:
    """Count characters or items."""
    return len(value)


def first(value: Any) -> Any:
    """Return the first item, "" of nothing."""
    return next(iter(value), "")


def last(value: Any) -> Any:
    """Return the last item, "" of nothing."""
    return value[-1] if len(value) else ""


def items(value: Any) -> Any:
    """Return a table's pairs."""
    return list(value.items()) if isinstance(value, Mapping) else value


def keys(value: Any) -> Any:
    """Return a table's names."""
    return list(value) if isinstance(value, Mapping) else value


def values(value: Any) -> Any:
    """Return a table's values."""
    return list(value.values()) if isinstance(value, Mapping) else value


def safe(value: Any) -> Any:
    """Mark a value as HTML: it is not escaped."""
    return value if isinstance(value, Undefined) else Markup(text_of(value))  # noqa: S704 - the author's word


def without_tags(text: str) -> str:
    """Take the tags out and read the entities."""
    return unescape(_TAG.sub("", text))


def _lines(text: str) -> str:
    return text.replace("\n", "<br>\n")


@pass_context
def nl2br(context: Context, value: Any) -> str:
    """Escape, and turn line breaks into `<br>`."""
    text = str(escape(text_of(value)))
    budget_of(context).weigh(len(text) + 5 * text.count("\n"))
    return Markup(_lines(text))  # noqa: S704 - escaped above


def _urlencode(text: str) -> str:
    return quote(text, safe="")


def _title(text: str) -> str:
    return " ".join(word[:1].upper() + word[1:].lower() for word in text.split(" "))


def _charged(make: Callable[..., Any]) -> Callable[..., Any]:
    """Charge a function that reads its value once."""

    @pass_context
    def run(context: Context, value: Any, *args: Any) -> Any:
        budget_of(context).weigh(_size(value))
        return make(value, *args)

    return run


@pass_context
def tracked(context: Context, value: Any) -> str:
    """`url|tracked`: the URL by way of our own host, where clicks are tracked."""
    text = text_of(value)
    budget_of(context).weigh(_size(text))
    return tracked_url(unescape(text) if isinstance(text, Markup) else text, context.parent)


def tracked_url(url: str, values: Mapping[str, Any]) -> str:
    """Return a URL by way of our own host, if clicks are tracked and it is one of the web."""
    tracker = values.get(TRACKER)
    return tracker(url) if callable(tracker) else url


FILTERS: Final[dict[str, Callable[..., Any]]] = {
    "abs": _charged(absolute),
    "capitalize": _plain(str.capitalize),
    "comma": _charged(comma),
    "count": length,
    "d": default,
    "default": default,
    "e": _charged(lambda value: escape(shown(value))),
    "escape": _charged(lambda value: escape(shown(value))),
    "first": first,
    "float": _charged(to_float),
    "int": _charged(to_int),
    "items": _charged(items),
    "join": join,
    "keys": _charged(keys),
    "last": last,
    "length": length,
    "lower": _plain(str.lower),
    "nl2br": nl2br,
    "replace": replace,
    "round": _charged(round_),
    "safe": _charged(safe),
    "striptags": _plain(without_tags),
    "title": _plain(_title),
    "tracked": tracked,
    "trim": _plain(str.strip),
    "truncate": truncate,
    "upper": _plain(str.upper),
    "urlencode": _plain(_urlencode),
    "values": _charged(values),
}
INTERNAL: Final[dict[str, Callable[..., Any]]] = {
    "_weighed": weighed,
    "_steps": steps,
    "_concat": concat,
}
# Methods people call out of habit, and the filter that does the same.
METHODS: Final = {
    "capitalize": "capitalize",
    "items": "items",
    "keys": "keys",
    "lower": "lower",
    "replace": "replace",
    "strip": "trim",
    "title": "title",
    "upper": "upper",
    "values": "values",
}
TESTS: Final = frozenset(
    {
        *("boolean", "defined", "divisibleby", "eq", "equalto", "even", "false", "float"),
        *("ge", "gt", "in", "integer", "iterable", "le", "lower", "lt"),
        *("mapping", "ne", "none", "number", "odd", "sequence", "string", "true"),
        *("undefined", "upper", "==", "!=", ">", ">=", "<", "<="),
    }
)
