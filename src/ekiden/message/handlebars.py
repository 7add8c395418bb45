r"""Handlebars as SES templates use it, rewritten into the template language.

Pure. A plain `{{name}}` means the same in both, so only templates that hold `{{{`, `{{#`, `{{/`,
`{{else}}`, `{{!`, `{{this}}` or `{{@` are touched:

| Handlebars | becomes |
|---|---|
| `{{{name}}}`, `{{&name}}` | `{{ name\|safe }}` |
| `{{#if x}} … {{else}} … {{/if}}` | `{% if x is defined and x %} … {% else %} … {% endif %}` |
| `{{#unless x}} … {{/unless}}` | `{% if x is not defined or not x %} … {% endif %}` |
| `{{#each xs}} {{name}} {{this}} {{@index}} {{/each}}` | a loop; bare names mean the item's |
| `{{../x}}` | the name one level out |
| `{{! … }}`, `{{!-- … --}}` | nothing |

Anything else after `{{#` is refused with its line: a half-understood template must not go out.
"""

import re
from typing import Final

from ekiden.errors import RefusedError

_MARKS: Final = re.compile(r"\{\{\{|\{\{&|\{\{~?[#/!^]|\{\{\s*else\s*\}\}|\{\{\s*(?:this|@|\.\./)")
_TAG: Final = re.compile(r"\{\{\{(?P<raw>[^{}]*)\}\}\}|\{\{(?P<sigil>[#/!&^]?)(?P<body>[^{}]*)\}\}")
_PATH: Final = re.compile(r"(?:\.\./)*(?:this|@?[^\W\d]\w*)(?:\.\w+)*")
_LOOP: Final = {"@index": "index0", "@first": "first", "@last": "last"}
DEPTH: Final = 20


def is_handlebars(template: str) -> bool:
    """Whether the template uses more of Handlebars than `{{name}}`."""
    return _MARKS.search(template) is not None


def translate(template: str, where: str = "") -> str:
    """Rewrite a Handlebars template; others are returned as they are.

    Raises:
        RefusedError: A helper or a nesting that is not understood.
    """
    if not is_handlebars(template):
        return template
    return _Translator(template, where).run()


class _Translator:
    """One pass over the tags with a stack of open blocks."""

    def __init__(self, template: str, where: str) -> None:
        self.template = template
        self.where = where
        self.blocks: list[str] = []
        self.open_comment = False  # one begins and none ends
        self.items: list[str] = []  # the loop variable of each open {{#each}}

    def run(self) -> str:
        out: list[str] = []
        position = at = 0
        while (at := self.template.find("{{", at)) >= 0:
            end, made = self._comment(at)
            if not end:
                tag = _TAG.match(self.template, at)
                if tag is None:
                    at += 1
                    continue
                end, made = tag.end(), self._tag(tag)
            out += (self.template[position:at], made)
            position = at = end
        out.append(self.template[position:])
        if self.blocks:
            raise self._refuse(f"{{{{#{self.blocks[-1]}}}}} is never closed", len(self.template))
        return "".join(out)

    def _comment(self, at: int) -> tuple[int, str]:
        """Return where a `{{!-- ... --}}` ends, 0 if none is here; its text may hold braces."""
        if not self.template.startswith("{{!--", at) or self.open_comment:
            return 0, ""
        end = self.template.find("--}}", at)
        self.open_comment = end < 0  # then no other one is closed either
        return end + 4 if end >= 0 else 0, ""

    def _tag(self, tag: re.Match[str]) -> str:
        raw, sigil = tag["raw"], tag["sigil"]
        body = (tag["body"] if raw is None else raw).strip()
        if raw is not None or sigil == "&":
            return f"{{{{ {self._path(body, tag)}|safe }}}}"
        if sigil == "!":
            return ""
        if sigil == "#":
            return self._open(body, tag)
        if sigil == "/":
            return self._close(body, tag)
        if body == "else" or (sigil == "^" and not body):
            if not self.blocks or self.blocks[-1] == "each":
                raise self._refuse("{{else}} without {{#if}}", tag.start())
            return "{% else %}"
        if sigil == "^":
            raise self._refuse(f"{{{{^{body}}}}} is not understood", tag.start())
        if not _PATH.fullmatch(body):
            return tag.group()  # the template language's own expression
        return f"{{{{ {self._path(body, tag)} }}}}"

    def _open(self, body: str, tag: re.Match[str]) -> str:
        helper, _, argument = body.partition(" ")
        if helper not in {"if", "unless", "each"} or len(self.blocks) >= DEPTH:
            raise self._refuse(f"{{{{#{body}}}}} is not understood", tag.start())
        path = self._path(argument.strip(), tag)
        self.blocks.append(helper)
        if helper == "if":
            return f"{{% if {path} is defined and {path} %}}"
        if helper == "unless":
            return f"{{% if {path} is not defined or not {path} %}}"
        self.items.append(f"item{len(self.items) + 1}")
        return f"{{% for {self.items[-1]} in {path} %}}"

    def _close(self, body: str, tag: re.Match[str]) -> str:
        if not self.blocks or self.blocks[-1] != body:
            raise self._refuse(f"{{{{/{body}}}}} closes nothing", tag.start())
        self.blocks.pop()
        if body == "each":
            self.items.pop()
            return "{% endfor %}"
        return "{% endif %}"

    def _path(self, path: str, tag: re.Match[str]) -> str:
        if not _PATH.fullmatch(path):
            raise self._refuse(f"{path!r} is not a name", tag.start())
        out = path.count("../")
        name = path.replace("../", "")
        if name in _LOOP:
            if out or not self.items:
                raise self._refuse(f"{{{{{path}}}}} outside {{{{#each}}}}", tag.start())
            return f"loop.{_LOOP[name]}"
        if name.startswith("@") or out > len(self.items):
            raise self._refuse(f"{{{{{path}}}}} is not understood", tag.start())
        scope = self.items[: len(self.items) - out]
        if name == "this" or name.startswith("this."):
            if not scope:
                raise self._refuse("{{this}} outside {{#each}}", tag.start())
            return scope[-1] + name.removeprefix("this")
        return f"{scope[-1]}.{name}" if scope else name

    def _refuse(self, what: str, position: int) -> RefusedError:
        line = self.template.count("\n", 0, position) + 1
        return RefusedError(
            what,
            where=f"{self.where or 'template'}, line {line}",
            remedy="use {{#if}}, {{#unless}}, {{#each}}, {{else}}, or Jinja2 instead",
        )
