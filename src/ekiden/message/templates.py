"""Templates compiled into pieces: literal text, plain merge fields, and everything else.

Pure. Most templates are text with `{{ name }}` in it. Those never reach Jinja2's machinery at send
time: a `Template` is a tuple of pieces, and `message.compile` encodes the literal ones once per
job. A piece is

- `str`: literal text, as it is sent;
- `Field`: a merge field, escaped in HTML unless marked `|safe`;
- `Link`: a tracked link made of literal text and merge fields;
- `Dynamic`: a loop, a condition, a filter: compiled by Jinja2, run under the rendering's budget.

The pieces' outputs in order are the template's output; a test compares them with Jinja2's own.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from jinja2 import TemplateError, meta, nodes
from jinja2.runtime import Context
from markupsafe import escape

from ekiden.message.content import OnMissing
from ekiden.message.filters import BUDGET, Budget, shown, tracked_url
from ekiden.message.handlebars import translate
from ekiden.message.headers import RenderError
from ekiden.message.sandbox import Environment, compile_nodes, environment, parse

_SPECIAL: Final = re.compile("[&<>\"']")  # what HTML's escaping changes; most values have none

DYNAMIC_MAX: Final = 8  # more dynamic pieces than this cost more apart than together

Values = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Field:
    """A merge field that stands alone: `{{ name }}` or `{{ name|safe }}`.

    Args:
        name: The field.
        html: The value is escaped.
        lenient: No value is the empty text.
    """

    name: str
    html: bool
    lenient: bool

    def render(self, values: Values, _budget: Budget) -> str:
        """Return the value's text.

        Raises:
            RenderError: There is none, or it is a list or table.
        """
        try:
            value = values[self.name]
        except KeyError:
            if self.lenient:
                return ""
            raise RenderError(f"the merge field {self.name!r} has no value", self.name) from None
        if type(value) is str:
            return str(escape(value)) if self.html and _SPECIAL.search(value) else value
        return str(escape(shown(value)) if self.html else shown(value))


@dataclass(frozen=True, slots=True)
class Link:
    """A tracked link that stands alone: `{{ ("https://example.com/?id=" ~ (id))|tracked }}`.

    Args:
        pieces: Literal text and merge fields, none of them escaped.
        html: The finished link is escaped.
    """

    pieces: tuple[str | Field, ...]
    html: bool

    def render(self, values: Values, budget: Budget) -> str:
        """Return the link for one recipient.

        Raises:
            RenderError: A field is missing.
        """
        url = "".join(
            [
                piece if isinstance(piece, str) else piece.render(values, budget)
                for piece in self.pieces
            ]
        )
        budget.weigh(len(url))
        made = tracked_url(url, values)
        return str(escape(made)) if self.html else made


@dataclass(frozen=True, slots=True)
class Dynamic:
    """A part that Jinja2 renders.

    Args:
        run: The compiled part: context to pieces of output.
        env: Its environment.
        where: The template's name, for a person.
    """

    run: Callable[[Context], Iterable[str]]
    env: Environment
    where: str

    def render(self, values: Values, budget: Budget) -> str:
        """Run the part within the budget.

        Raises:
            RenderError: It failed, or the budget is used up.
        """
        context = Context(self.env, {**values, BUDGET: budget}, self.where, {})
        try:
            return "".join(_counted(self.run(context), budget))
        except RenderError:
            raise
        except (
            *(TemplateError, TypeError, ValueError, ArithmeticError, LookupError),
            *(AttributeError, RecursionError, MemoryError),
        ) as error:
            # Whatever Python says of a template's own mistake is told to its author.
            raise RenderError(f"{self.where}: {error}") from error


def _counted(output: Iterable[str], budget: Budget) -> Iterator[str]:
    for piece in output:
        budget.write(len(piece))
        yield piece


Piece = str | Field | Link | Dynamic


@dataclass(frozen=True, slots=True)
class Template:
    """A compiled template.

    Args:
        pieces: In order; never two literals in a row.
        names: Every merge field it mentions.
        required: Those it cannot do without: used outside conditions, loops and `default`.
        source: What it was compiled from, Handlebars translated.
    """

    pieces: tuple[Piece, ...]
    names: frozenset[str]
    required: frozenset[str]
    source: str = ""

    @property
    def constant(self) -> str | None:
        """The whole output, when no recipient changes it."""
        if not self.pieces:
            return ""
        return self.pieces[0] if len(self.pieces) == 1 and isinstance(self.pieces[0], str) else None

    def render(self, values: Values, budget: Budget) -> str:
        """Return the output for one recipient.

        Args:
            values: Merge fields by name.
            budget: What may be used; one per message.

        Raises:
            RenderError: A field is missing, or the budget is used up.
        """
        return "".join(
            [
                piece if isinstance(piece, str) else piece.render(values, budget)
                for piece in self.pieces
            ]
        )


def compile_template(
    source: str, *, html: bool, on_missing: OnMissing = "refuse", where: str = "template"
) -> Template:
    """Compile a template.

    Args:
        source: Jinja2, or Handlebars as SES uses it.
        html: Escape values.
        on_missing: What a field without value does; `default` is filled in by the caller.
        where: Its name, for a person.

    Raises:
        RefusedError: It is wrong, forbidden or too large.
    """
    lenient = on_missing == "empty"
    env = environment(html=html, lenient=lenient)
    source = translate(source.replace("\r\n", "\n").replace("\r", "\n"), where)
    tree = parse(env, source, where)
    names = frozenset(meta.find_undeclared_variables(tree))
    required = frozenset() if lenient else names & frozenset(_required(tree.body))
    pieces = _pieces(tree, env, where, html=html, lenient=lenient)
    return Template(pieces, names, required, source)


def _pieces(
    tree: nodes.Template, env: Environment, where: str, *, html: bool, lenient: bool
) -> tuple[Piece, ...]:
    children = list(_children(tree))
    found: list[Piece] = []
    dynamic = 0
    for child in children:
        piece: Piece
        if isinstance(child, nodes.TemplateData):
            piece = child.data
            if not piece:
                continue
        elif (plain := _plain(child, html=html, lenient=lenient)) is not None:
            piece = plain
        else:
            dynamic += 1
            node = nodes.Output([child]) if isinstance(child, nodes.Expr) else child
            piece = Dynamic(compile_nodes(env, [node], where), env, where)
        if found and isinstance(piece, str) and isinstance(found[-1], str):
            found[-1] += piece
        else:
            found.append(piece)
    # {% set %} reaches across pieces, so such a template stays in one.
    if dynamic > DYNAMIC_MAX or (dynamic and tree.find(nodes.Assign) is not None):
        return (Dynamic(compile_nodes(env, list(tree.body), where), env, where),)
    return tuple(found)


def _children(tree: nodes.Template) -> Iterator[nodes.Node]:
    for node in tree.body:
        if isinstance(node, nodes.Output):
            yield from node.nodes
        else:
            yield node


def _plain(node: nodes.Node, *, html: bool, lenient: bool) -> Field | Link | None:
    """Return what needs no Jinja2 at send time: a field, or a tracked link of fields."""
    if not (isinstance(node, nodes.Filter) and node.name == "tracked" and not node.args):
        return _field(node, html=html, lenient=lenient)
    inner = node.node
    if isinstance(inner, nodes.Filter) and inner.name == "_concat":
        assert isinstance(inner.node, nodes.Tuple)  # noqa: S101 - sandbox.visit_Concat made it
        parts = inner.node.items
    else:
        parts = [] if inner is None else [inner]
    pieces: list[str | Field] = []
    for part in parts:
        if isinstance(part, nodes.Const) and isinstance(part.value, str):
            pieces.append(part.value)
            continue
        field = _field(part, html=True, lenient=lenient)
        if field is None:
            return None
        pieces.append(Field(field.name, html=False, lenient=lenient))
    return Link(tuple(pieces), html) if pieces else None


def _field(node: nodes.Node, *, html: bool, lenient: bool) -> Field | None:
    if isinstance(node, nodes.Name):
        return Field(node.name, html, lenient)
    if (
        html  # in text, `safe` takes the tags out: not a plain field
        and isinstance(node, nodes.Filter)
        and node.name == "safe"
        and isinstance(node.node, nodes.Name)
        and not node.args
    ):
        return Field(node.node.name, html=False, lenient=lenient)
    return None


def _required(body: Iterable[nodes.Node]) -> Iterator[str]:
    """Yield the names that are used whatever the other values are."""
    for node in body:
        if isinstance(node, nodes.Name):
            if node.ctx == "load":
                yield node.name
        elif isinstance(node, nodes.For):
            yield from _required([node.iter])
        elif isinstance(node, nodes.CondExpr):
            yield from _required([node.test])
        elif isinstance(node, nodes.And | nodes.Or):
            yield from _required([node.left])
        elif not _guards(node):
            yield from _required(node.iter_child_nodes())


def _guards(node: nodes.Node) -> bool:
    """Whether a node does something sensible with a field that has no value."""
    if isinstance(node, nodes.Filter):
        return node.name in {"default", "d"}
    return isinstance(node, nodes.If | nodes.Test | nodes.Not)
