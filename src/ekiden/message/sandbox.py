"""The template language, fenced in: a white list of syntax over Jinja2's immutable sandbox.

Pure. A template comes from whoever submits a job, its values from a file of addresses; neither may
reach Python, and neither may stop the daemon (docs/hostile.md M7). Three fences, one behind
the other:

1. **Syntax.** `fence` walks the tree and refuses every node that is not listed: no macros, imports,
   includes, blocks, calls (except the few methods that are filters in truth), powers, no name or
   attribute with a leading underscore, no list literals of variables (they nest without bound).
   Most attacks end here, when the job comes in.
2. **Cost.** Loops, concatenation, comparison, slices and filters are rewritten to pay from a
   `Budget` *before* they work; output is counted piece by piece. What a template may cost is
   bounded by `limits.RENDER_STEPS` and `RENDER_OUTPUT_BYTES`, whatever it says.
3. **Values.** Attribute and item access read tables and lists only; Jinja2's sandbox stands behind
   it for what this module forgot.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final, NoReturn

from jinja2 import ChainableUndefined, StrictUndefined, TemplateSyntaxError, Undefined, nodes
from jinja2.runtime import Context, LoopContext
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.visitor import NodeTransformer

from ekiden import limits
from ekiden.errors import RefusedError
from ekiden.message.filters import (
    FILTERS,
    INTEGER_MAX,
    INTERNAL,
    METHODS,
    TESTS,
    budget_of,
    shown,
    without_tags,
)
from ekiden.message.headers import RenderError

TAGS_MAX: Final = 5_000  # {{ }} and {% %} in one template
TAG_CHARS_MAX: Final = 200_000  # inside all of them together
ONE_TAG_MAX: Final = 10_000  # characters inside one
DEPTH_MAX: Final = 40
NODES_PER_STEP: Final = 8  # a loop's body of so many nodes costs one step

_ALLOWED: Final = (
    *(nodes.Template, nodes.Output, nodes.TemplateData, nodes.Name, nodes.Const, nodes.If),
    *(nodes.For, nodes.Assign, nodes.Filter, nodes.Test, nodes.Getattr, nodes.Getitem),
    *(nodes.Slice, nodes.Compare, nodes.Operand, nodes.And, nodes.Or, nodes.Not, nodes.CondExpr),
    *(nodes.Add, nodes.Sub, nodes.Mul, nodes.Div, nodes.FloorDiv, nodes.Mod, nodes.Neg, nodes.Pos),
    *(nodes.Concat, nodes.Tuple, nodes.List, nodes.Dict, nodes.Pair, nodes.Call),
)
_RESERVED: Final = frozenset({"self", "super", "caller", "varargs", "kwargs", "context"})
_LOOP_ATTRIBUTES: Final = frozenset(
    {"index", "index0", "revindex", "revindex0", "first", "last", "length", "cycle"}
)


class Missing(StrictUndefined):
    """A field without value: false in a condition, a `RenderError` by name anywhere else."""

    __slots__ = ()

    def _fail_with_undefined_error(self, *_args: Any, **_kwargs: Any) -> NoReturn:
        name = str(self._undefined_name)
        raise RenderError(f"the merge field {name!r} has no value", name)

    __iter__ = __str__ = __len__ = _fail_with_undefined_error
    __eq__ = __ne__ = __hash__ = _fail_with_undefined_error
    __add__ = __radd__ = __sub__ = __rsub__ = _fail_with_undefined_error
    __mul__ = __rmul__ = __truediv__ = __rtruediv__ = _fail_with_undefined_error
    __lt__ = __le__ = __gt__ = __ge__ = __contains__ = _fail_with_undefined_error
    __int__ = __float__ = __getitem__ = __html__ = _fail_with_undefined_error

    def __bool__(self) -> bool:  # type: ignore[override]  # Jinja2 types the refusal as Never
        return False


class Empty(ChainableUndefined):
    """A field without value under `on_missing = "empty"`: nothing, everywhere."""

    __slots__ = ()


class Environment(ImmutableSandboxedEnvironment):
    """The fenced environment; made by `environment`.

    Args:
        html: Escape values.
        lenient: A field without value is empty.
    """

    intercepted_binops = frozenset({"+", "-", "*", "/", "//", "%", "**"})

    def __init__(self, *, html: bool, lenient: bool) -> None:
        super().__init__(
            autoescape=html,
            undefined=Empty if lenient else Missing,
            finalize=shown,
            optimized=False,
            keep_trailing_newline=True,
            trim_blocks=True,
            lstrip_blocks=True,
            cache_size=0,
        )
        self.globals.clear()
        self.filters.clear()
        self.filters.update(FILTERS)
        self.filters.update(INTERNAL)
        if not html:
            self.filters["safe"] = _safe_in_text
        for name in set(self.tests) - TESTS:
            del self.tests[name]

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """Arithmetic on numbers; `+` also joins texts and lists, and pays for it."""
        if isinstance(left, int | float) and isinstance(right, int | float):
            made = self.binop_table[operator](left, right)
            if isinstance(made, int) and abs(made) >= INTEGER_MAX:
                raise RenderError("the template computes a number that is too large")
            return made
        if operator == "+" and isinstance(left, str | list) and isinstance(right, str | list):
            budget_of(context).weigh(len(left) + len(right))
            return left + right  # type: ignore[operator]  # text and list: TypeError, as it should
        for side in (left, right):
            if isinstance(side, Missing):
                str(side)  # names the field
        raise RenderError(f"the template's {operator!r} is for numbers")

    def getattr(self, obj: Any, attribute: str) -> Any:
        """Read `x.name`: a table's entry, or a fact about the loop."""
        if isinstance(obj, LoopContext) and attribute in _LOOP_ATTRIBUTES:
            return getattr(obj, attribute)
        return self.getitem(obj, attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        """Read `x[name]` or `x[0]`: tables by name, lists and texts by position."""
        if isinstance(obj, Undefined):
            return obj[argument]
        try:
            if isinstance(obj, Mapping) and isinstance(argument, str | int):
                return obj[argument]
            if isinstance(obj, str | Sequence) and isinstance(argument, int | slice):
                return obj[argument]
        except LookupError:
            pass
        return self.undefined(obj=obj, name=argument)

    def is_safe_callable(self, obj: Any) -> bool:
        """Nothing is called but `loop.cycle`."""
        owner = getattr(obj, "__self__", None)
        return isinstance(owner, LoopContext) and getattr(obj, "__name__", "") == "cycle"


def _safe_in_text(value: Any) -> Any:
    """In a text part, a value that holds HTML loses its tags."""
    return value if isinstance(value, Undefined) else without_tags(str(shown(value)))


@lru_cache(maxsize=4)
def environment(*, html: bool, lenient: bool) -> Environment:
    """Return the environment for HTML or text, for missing fields refused or empty."""
    return Environment(html=html, lenient=lenient)


def parse(env: Environment, source: str, where: str) -> nodes.Template:
    """Parse and fence a template.

    Args:
        env: Its environment.
        source: The template.
        where: Its name, for a person.

    Raises:
        RefusedError: It is wrong, forbidden or too large; `where` names the line.
    """
    _check_size(source, where)
    try:
        tree = env.parse(source)
        return _Fence(env, where).run(tree)
    except TemplateSyntaxError as error:
        raise RefusedError(
            f"the template cannot be read: {error.message}",
            where=f"{where}, line {error.lineno}",
            remedy="correct the template (docs/templates.md)",
        ) from error
    except (RecursionError, ValueError, OverflowError, MemoryError) as error:
        raise RefusedError(
            "the template is nested too deeply or holds too long a number",
            where=where,
            remedy="make it simpler",
        ) from error


def compile_nodes(env: Environment, body: list[nodes.Node], where: str) -> Callable[[Context], Any]:
    """Compile fenced nodes to the function that yields their output.

    Raises:
        RefusedError: Python cannot compile what they become (loops nested too deeply).
    """
    tree = nodes.Template(body, lineno=1)
    tree.set_environment(env)
    try:
        code = env.compile(tree)
        template = env.template_class.from_code(env, code, {})
    except (SyntaxError, RecursionError, MemoryError, TemplateSyntaxError) as error:
        raise RefusedError(
            "the template is nested too deeply", where=where, remedy="make it simpler"
        ) from error
    return template.root_render_func


def _check_size(source: str, where: str) -> None:
    if len(source) > limits.TEMPLATE_BYTES:
        raise RefusedError(
            f"the template has more than {limits.TEMPLATE_BYTES} characters",
            where=where,
            remedy="send links to large parts",
        )
    tags = inside = longest = 0
    position = 0
    while (position := source.find("{", position)) >= 0:
        closing = {"{": "}}", "%": "%}", "#": "#}"}.get(source[position + 1 : position + 2])
        if closing is None:
            position += 1
            continue
        end = source.find(closing, position + 2)
        if end < 0:
            break  # the parser says it better
        tags += 1
        if closing != "#}":
            inside += end - position
            longest = max(longest, end - position)
        position = end + 2
    if tags > TAGS_MAX or inside > TAG_CHARS_MAX or longest > ONE_TAG_MAX:
        raise RefusedError(
            f"the template has more than {TAGS_MAX} tags, {ONE_TAG_MAX} characters in one of them"
            f" or {TAG_CHARS_MAX} in all",
            where=where,
            remedy="move repeated parts into a loop",
        )


class _Fence(NodeTransformer):
    """Refuse what is not listed; make the rest pay."""

    def __init__(self, env: Environment, where: str) -> None:
        self.env = env
        self.where = where
        self.depth = 0

    def run(self, tree: nodes.Template) -> nodes.Template:
        fenced = self.visit(tree)
        assert isinstance(fenced, nodes.Template)  # noqa: S101 - for the type checker
        fenced.set_environment(self.env)
        return fenced

    def visit(self, node: nodes.Node, *args: Any, **kwargs: Any) -> Any:
        if not isinstance(node, _ALLOWED):
            raise self.refuse(node, f"{type(node).__name__} is not part of the template language")
        self.depth += 1
        if self.depth > DEPTH_MAX:
            raise self.refuse(node, "the template is nested too deeply")
        try:
            return super().visit(node, *args, **kwargs)
        finally:
            self.depth -= 1

    def refuse(self, node: nodes.Node, what: str) -> RefusedError:
        return RefusedError(
            what,
            where=f"{self.where}, line {node.lineno}",
            remedy="docs/templates.md lists what templates can do",
        )

    def charge(self, node: nodes.Expr) -> nodes.Expr:
        if isinstance(node, nodes.Const):
            return node
        return nodes.Filter(node, "_weighed", [], [], None, None, lineno=node.lineno)

    def name(self, node: nodes.Node, name: str) -> None:
        if name.startswith("_") or name in _RESERVED:
            raise self.refuse(node, f"the name {name!r} is reserved")

    def visit_Name(self, node: nodes.Name) -> nodes.Node:  # noqa: N802 - the visitor's protocol
        self.name(node, node.name)
        return node

    def visit_Getattr(self, node: nodes.Getattr) -> nodes.Node:  # noqa: N802
        self.name(node, node.attr)
        return self.generic_visit(node)

    def visit_Getitem(self, node: nodes.Getitem) -> nodes.Node:  # noqa: N802
        if isinstance(node.arg, nodes.Const) and isinstance(node.arg.value, str):
            self.name(node, node.arg.value)
        self.generic_visit(node)
        if isinstance(node.arg, nodes.Slice):
            node.node = self.charge(node.node)
        return node

    def visit_For(self, node: nodes.For) -> nodes.Node:  # noqa: N802
        if node.recursive:
            raise self.refuse(node, "recursive loops are not part of the template language")
        size = sum(1 for _ in node.find_all(nodes.Node))
        self.generic_visit(node)
        cost = nodes.Const(1 + size // NODES_PER_STEP, lineno=node.lineno)
        node.iter = nodes.Filter(node.iter, "_steps", [cost], [], None, None, lineno=node.lineno)
        return node

    def visit_Assign(self, node: nodes.Assign) -> nodes.Node:  # noqa: N802
        names = node.target.items if isinstance(node.target, nodes.Tuple) else [node.target]
        if not all(isinstance(name, nodes.Name) for name in names):
            raise self.refuse(node, "only plain names can be set")
        return self.generic_visit(node)

    def visit_Call(self, node: nodes.Call) -> nodes.Node:  # noqa: N802
        method = node.node
        if not isinstance(method, nodes.Getattr) or node.kwargs or node.dyn_args or node.dyn_kwargs:
            raise self.refuse(node, "calls are not part of the template language")
        if isinstance(method.node, nodes.Name) and (method.node.name, method.attr) == (
            "loop",
            "cycle",
        ):
            return self.generic_visit(node)
        if method.attr not in METHODS:
            raise self.refuse(node, f"the call .{method.attr}() is not part of the language")
        made = nodes.Filter(
            method.node, METHODS[method.attr], node.args, [], None, None, lineno=node.lineno
        )
        return self.generic_visit(made)

    def visit_Filter(self, node: nodes.Filter) -> nodes.Node:  # noqa: N802
        if node.name not in FILTERS or node.node is None or node.dyn_args or node.dyn_kwargs:
            raise self.refuse(node, f"there is no filter {node.name!r}")
        if node.kwargs:
            raise self.refuse(node, "filters take their arguments by position")
        return self.generic_visit(node)

    def visit_Test(self, node: nodes.Test) -> nodes.Node:  # noqa: N802
        if node.name not in TESTS or node.kwargs or node.dyn_args or node.dyn_kwargs:
            raise self.refuse(node, f"there is no test {node.name!r}")
        self.generic_visit(node)
        if node.name not in {"defined", "undefined"}:
            node.node = self.charge(node.node)
            node.args = [self.charge(arg) for arg in node.args]
        return node

    def visit_Compare(self, node: nodes.Compare) -> nodes.Node:  # noqa: N802
        self.generic_visit(node)
        node.expr = self.charge(node.expr)
        for operand in node.ops:
            operand.expr = self.charge(operand.expr)
        return node

    def visit_Concat(self, node: nodes.Concat) -> nodes.Node:  # noqa: N802
        self.generic_visit(node)
        parts = nodes.Tuple(node.nodes, "load", lineno=node.lineno)
        return nodes.Filter(parts, "_concat", [], [], None, None, lineno=node.lineno)

    def visit_List(self, node: nodes.List) -> nodes.Node:  # noqa: N802
        return self.constants(node, node.items)

    def visit_Tuple(self, node: nodes.Tuple) -> nodes.Node:  # noqa: N802
        if node.ctx == "store":
            return self.generic_visit(node)
        return self.constants(node, node.items)

    def visit_Dict(self, node: nodes.Dict) -> nodes.Node:  # noqa: N802
        return self.constants(
            node, [part for pair in node.items for part in (pair.key, pair.value)]
        )

    def constants(self, node: nodes.Expr, items: Sequence[nodes.Expr]) -> nodes.Node:
        """A list of variables could hold itself many times over, and print for ever."""
        if not all(isinstance(item, nodes.Const | nodes.List | nodes.Tuple) for item in items):
            raise self.refuse(node, "a list in a template holds constants only")
        return self.generic_visit(node)
