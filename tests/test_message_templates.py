"""The template language: what it can do, what it refuses, and that no bomb goes off."""

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jinja2 import Environment

from ekiden import limits
from ekiden.errors import RefusedError
from ekiden.message.content import OnMissing
from ekiden.message.filters import Budget
from ekiden.message.headers import RenderError
from ekiden.message.templates import Field, compile_template


def render(
    source: str,
    values: dict[str, object] | None = None,
    *,
    html: bool = True,
    on_missing: OnMissing = "refuse",
) -> str:
    template = compile_template(source, html=html, on_missing=on_missing)
    return template.render(values or {}, Budget())


VALUES: dict[str, object] = {
    "name": "<山田> & Co",
    "n": 3,
    "price": 1234567,
    "xs": ["a", "<b>", "c"],
    "user": {"name": "Taro", "tags": ["x", "y"]},
    "rows": [{"item": "pen", "count": 2}, {"item": "ink", "count": 0}],
    "空": "",
    "氏名": "山田",
}


@pytest.mark.parametrize(
    ("source", "html", "expected"),
    [
        ("{{ name }}", True, "&lt;山田&gt; &amp; Co"),
        ("{{ name }}", False, "<山田> & Co"),
        ("{{ name|safe }}{{ 氏名 }}様", True, "<山田> & Co山田様"),
        ("{{ user.name }} {{ user['tags'][1] }} {{ xs[0] }}", True, "Taro y a"),
        (
            (
                "{% for x in xs %}{{ loop.index }}{{ x }}{% if not loop.last %},{% endif %}"
                "{% endfor %}"
            ),
            True,
            "1a,2&lt;b&gt;,3c",
        ),
        ("{% for r in rows if r.count %}{{ r.item }}{% else %}none{% endfor %}", True, "pen"),
        (
            "{% if n > 2 and name is defined %}many{% elif n == 1 %}one{% else %}few{% endif %}",
            True,
            "many",
        ),
        ("{% if gone %}x{% else %}y{% endif %}{{ gone|default('z') }}", True, "yz"),
        ("{{ xs|join(', ') }}", True, "a, &lt;b&gt;, c"),
        ("{{ price|comma }} {{ n * 2 + 1 }} {{ 7 // 2 }} {{ 7 % 4 }}", True, "1,234,567 7 3 3"),
        ("{{ 'a-' ~ n ~ '-' ~ user.name|upper }}", True, "a-3-TARO"),
        ("{{ user.name.upper() }} {{ ' x '.strip() }}", True, "TARO x"),
        ("{% for k, v in user.items() %}{{ k }};{% endfor %}", True, "name;tags;"),
        ("{% set t = n + 1 %}{{ t }}", True, "4"),
        ("{{ name|replace('&', 'und') }}|{{ name|truncate(4) }}", False, "<山田> und Co|<山田…"),
        ("{{ 'a b&c'|urlencode }}", True, "a%20b%26c"),
        ("{{ '<b>x</b> &amp; y'|striptags }}", False, "x & y"),
        ("{{ '<b>x</b>'|safe }}", False, "x"),
        ("{{ xs|length }}{{ xs|first }}{{ xs|last }}{{ xs[:1]|join }}", True, "3aca"),
        ("{% raw %}{{ name }}{% endraw %}{# note #}", True, "{{ name }}"),
        (
            "{{ loop_cycle|default('') }}{% for x in xs %}{{ loop.cycle('o', 'e') }}{% endfor %}",
            True,
            "oeo",
        ),
        ("{{ 'yes' if n else 'no' }}{{ gone is defined }}", True, "yesFalse"),
        ("  {% if n %}\n  x\n  {% endif %}\ny", False, "  x\ny"),
    ],
)
def test_language(source: str, html: bool, expected: str) -> None:
    assert render(source, VALUES, html=html) == expected


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("{{name}}", "&lt;山田&gt; &amp; Co"),
        ("{{{name}}}{{& name}}", "<山田> & Co<山田> & Co"),
        ("{{#if gone}}a{{else}}b{{/if}}", "b"),
        ("{{#if name}}a{{else}}b{{/if}}", "a"),
        ("{{#unless 空}}a{{/unless}}", "a"),
        (
            "{{#each xs}}{{@index}}{{this}}{{#if @last}}.{{else}},{{/if}}{{/each}}",
            "0a,1&lt;b&gt;,2c.",
        ),
        ("{{#each rows}}{{item}}x{{this.count}} {{../n}};{{/each}}", "penx2 3;inkx0 3;"),
        (
            "{{#each rows}}{{#each ../xs}}{{this}}{{../item}} {{/each}}{{/each}}",
            "apen &lt;b&gt;pen cpen aink &lt;b&gt;ink cink ",
        ),
        ("{{! note }}{{!-- {{name}} --}}x{{#if n}}{{user.name}}{{/if}}", "xTaro"),
    ],
)
def test_handlebars(source: str, expected: str) -> None:
    assert render(source, VALUES) == expected


@pytest.mark.parametrize(
    "source",
    [
        "{{#if a}}",
        "{{/if}}{{#if a}}",
        "{{#each xs}}{{else}}{{/each}}",
        "{{#with a}}{{/with}}",
        "{{#if (eq a b)}}{{/if}}",
        "{{#each xs}}{{../../a}}{{/each}}",
        "{{@index}}{{#if a}}{{/if}}",
        "{{> partial}}",
    ],
)
def test_handlebars_that_is_not_understood_is_refused(source: str) -> None:
    with pytest.raises(RefusedError):
        compile_template(source, html=True)


class TestMissing:
    """A field without value, by policy."""

    @pytest.mark.parametrize(
        "source",
        [
            "{{ city }}",
            "{{ city|upper }}",
            "{{ city.name }}",
            "{% for x in city %}{% endfor %}",
            "{{ city + 1 }}",
            "{{ city ~ 'x' }}",
            "{{ city == 'x' }}",
            "{{ city|join }}",
            "{{ city|length }}",
            "{{ city|replace('a','b') }}",
            "{{ city|safe }}",
            "{{ 'x' in city }}",
            "{{ city|int }}",
        ],
    )
    def test_refuse_names_the_field(self, source: str) -> None:
        with pytest.raises(RenderError, match="'city'") as caught:
            render(source, VALUES)
        assert caught.value.field == "city"

    def test_missing_entry_of_a_table_is_named(self) -> None:
        with pytest.raises(RenderError, match="'zip'"):
            render("{{ user.zip }}", VALUES)

    def test_empty(self) -> None:
        assert render("a{{ city }}b{{ city.name }}c{{ city|upper }}", on_missing="empty") == "abc"

    def test_fields(self) -> None:
        template = compile_template(
            "{{ a }}{% if b %}{{ c }}{% endif %}{% for d in e %}{{ d }}{{ f }}{% endfor %}"
            "{{ g|default('') }}{{ h if i else j }}{{ k|upper }}{{ l.m }}",
            html=True,
        )
        assert template.names == frozenset("abcefghijkl")
        assert template.required == frozenset("aeikl")


def test_plain_templates_stay_pieces() -> None:
    template = compile_template("Dear {{ name }},\n{{ x|safe }} {{ name }}", html=True)
    assert [
        piece if isinstance(piece, str) else piece.name
        for piece in template.pieces
        if isinstance(piece, str | Field)
    ] == [*("Dear ", "name", ",\n", "x", " ", "name")]
    assert compile_template("constant", html=True).constant == "constant"
    assert compile_template("", html=True).constant == ""


SOURCES = st.lists(
    st.sampled_from(
        [
            "{{ a }}",
            "{{ b|safe }}",
            "x\n",
            " < ",
            "日本",
            "{% if a %}{{ b }}{% endif %}",
            "{{ a|upper }}",
            "{% for c in d %}{{ c }}{% endfor %}",
            "{% set z = a %}",
            "{{ z|default('-') }}",
            "{% if b %}\n",
            "{% endif %}",
        ]
    ),
    max_size=25,
).map("".join)


@given(SOURCES, st.text(max_size=8), st.text(max_size=8), st.lists(st.text(max_size=3), max_size=3))
def test_pieces_give_what_jinja2_gives(source: str, a: str, b: str, d: list[str]) -> None:
    if source.count("{% if b %}") != source.count("{% endif %}") - source.count("{% if a %}"):
        return
    plain = Environment(
        autoescape=True, keep_trailing_newline=True, trim_blocks=True, lstrip_blocks=True
    )
    values: dict[str, object] = {"a": a, "b": b, "d": d}
    try:
        ours = compile_template(source, html=True)
    except RefusedError:
        return  # unbalanced
    assert ours.render(values, Budget()) == plain.from_string(source).render(values)


LONG = "a" * 250_000
HOSTILE: dict[str, object] = {
    "x": list(range(1000)),
    "s": LONG,
    "t": LONG + "b",
    "a": "1",
    "d": {"__class__": "harmless", "items": "entry"},
    "deep": [[[["v"]]]],
}
BOMBS = [
    # out of the sandbox
    "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "{{ ''['__class__'] }}",
    "{{ ()|attr('__class__') }}",
    "{{ a|map(attribute='__class__')|list }}",
    "{{ self.__init__.__globals__ }}",
    "{{ cycler.__init__.__globals__.os.popen('id').read() }}",
    "{{ joiner.__init__ }}",
    "{{ namespace.__init__ }}",
    "{{ lipsum.__globals__['os'] }}",
    "{{ config.items() }}",
    "{{ request.application }}",
    "{{ get_flashed_messages.__globals__ }}",
    "{{ '{0.__class__}'.format(a) }}",
    "{{ '{0.__class__}'.format_map(d) }}",
    "{{ ('{0.__class__}'|safe).format(a) }}",
    "{{ a.upper.__func__ }}",
    "{{ loop.__class__ }}",
    "{% for i in x %}{{ loop._iterable }}{% endfor %}",
    "{{ x.append(1) }}",
    "{{ d.clear() }}",
    "{{ d.update(d) }}",
    "{% import 'os' as os %}",
    "{% include '/etc/passwd' %}",
    "{% extends 'x' %}",
    "{% from 'x' import y %}",
    "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
    "{% call a() %}{% endcall %}",
    "{% block b %}{{ self.b() }}{% endblock %}",
    "{% filter upper %}x{% endfilter %}",
    "{% set ns.x = 1 %}",
    "{% set a %}{{ a }}{% endset %}",
    "{% with %}{% endwith %}",
    "{% autoescape false %}{{ a }}{% endautoescape %}",
    "{% do a %}",
    "{{ [a, a] }}",
    "{{ {'k': a} }}",
    "{{ x|groupby('a') }}",
    "{{ x|sort }}",
    "{{ a|pprint }}",
    "{{ a|xmlattr }}",
    # too long
    "{{ 'a' * 1000000000 }}",
    "{{ 1000000000 * 'a' }}",
    "{{ x * 1000000 }}",
    "{{ '%1000000000d' % 1 }}",
    "{{ '%s' % s }}",
    "{{ '{:>1000000000}'.format(1) }}",
    "{{ a|center(1000000000) }}",
    "{{ a|indent(1000000000) }}",
    "{{ a|wordwrap(1) }}",
    "{{ a|format(1) }}",
    "{{ range(1000000000)|join }}",
    "{% for i in range(100000000) %}{% endfor %}",
    "{{ 10 ** 10 ** 10 }}",
    "{{ 9999999999999 * 9999999999999 }}",
    "{{ " + "9" * 10_000 + " }}",
    "{% set b = s ~ s %}" + "{% set b = b ~ b %}" * 60 + "{{ b }}",
    "{% set b = s + s %}" + "{% set b = b + b %}" * 60 + "{{ b }}",
    "{% set b = x + x %}" + "{% set b = b + b %}" * 60 + "{{ b|length }}",
    "{% set b = s %}" + "{% set b = b|replace('a', 'aaaaaaaaaa') %}" * 20 + "{{ b }}",
    "{{ s|replace('', s) }}",
    "{{ x|join(s) }}",
    "{% for i in x %}{{ s }}{% endfor %}",
    "{{ deep }}",
    "{{ d }}",
    # too slow
    "{% for i in x %}" * 4 + "." + "{% endfor %}" * 4,
    "{% for i in x %}{% for j in x %}{% for k in x %}{% endfor %}{% endfor %}{% endfor %}",
    "{% for i in x %}{% for j in x %}" + "{% if a %}{% endif %}" * 500 + "{% endfor %}{% endfor %}",
    "{% for i in x %}{% for j in x %}{{ 1 if s == t }}{% endfor %}{% endfor %}",
    "{% for i in x %}{% for j in x %}{% if 'b' in s %}{% endif %}{% endfor %}{% endfor %}",
    "{% for i in x %}{% for j in x %}{% if s is eq(t) %}{% endif %}{% endfor %}{% endfor %}",
    "{% for i in x %}{% for j in x %}{{ s[1:]|length }}{% endfor %}{% endfor %}",
    "{% for i in x %}{% for j in x %}{{ s|upper|length }}{% endfor %}{% endfor %}",
    "{% for i in s %}{% for j in s %}{% endfor %}{% endfor %}",
    "{% for i in x recursive %}{{ loop(x) }}{% endfor %}",
    # too large to compile
    "{{ a }}" * 5001,
    "{{ " + "(" * 5000 + "a" + ")" * 5000 + " }}",
    "{{ " + "-" * 5000 + "1 }}",
    "{{ " + "a and " * 20_000 + "a }}",
    "{{ a" + "|upper" * 20_000 + " }}",
    "{{ a" + ".b" * 20_000 + " }}",
    "{% if a %}" * 500 + "{% endif %}" * 500,
    "{% for i in x %}" * 30 + "{% endfor %}" * 30,
    "{{" * 500_000,
    "{%" * 500_000,
    "{# " * 500_000,
    "{{ '" + "a" * 300_000,
]


@pytest.mark.parametrize("source", BOMBS, ids=range(len(BOMBS)))
@pytest.mark.timeout(10)
def test_bombs_are_defused(source: str) -> None:
    tracemalloc.start()
    try:
        with pytest.raises((RefusedError, RenderError)) as caught:
            render(source, dict(HOSTILE))
        assert tracemalloc.get_traced_memory()[1] < 100 * 1024 * 1024
    finally:
        tracemalloc.stop()
    assert len(str(caught.value)) < 1000


def test_names_of_python_are_only_names() -> None:
    """What looks like an attack but only reads tables reads tables."""
    assert render("{{ d['items'] }}", HOSTILE) == "entry"
    with pytest.raises(RenderError, match="'mro'"):
        render("{{ a['mro'] }}", HOSTILE)


def test_work_and_output_are_counted_over_the_whole_message() -> None:
    budget = Budget(steps=10, weight=100)
    template = compile_template("{% for i in x %}{{ i }}{% endfor %}", html=True)
    assert template.render({"x": [1, 2, 3]}, budget) == "123"
    for _ in range(2):
        template.render({"x": [1, 2, 3]}, budget)
    with pytest.raises(RenderError, match="loops too long"):
        template.render({"x": [1, 2, 3]}, budget)
    big = compile_template("{% for i in x %}{{ i }}{% endfor %}", html=False)
    with pytest.raises(RenderError, match="writes too much"):
        big.render({"x": ["a" * 100_000] * 100}, Budget(weight=10**9))
    assert limits.RENDER_OUTPUT_BYTES < 100 * 100_000


def test_errors_name_the_place() -> None:
    with pytest.raises(RefusedError) as caught:
        compile_template("ok\n\n{{ a b }}", html=True, where="body.html")
    assert caught.value.where == "body.html, line 3"


@given(st.text(st.sampled_from("{}%#/ |.'\"()[]=ab1+~*-\nifor endelse"), max_size=60))
def test_only_typed_errors_leave(source: str) -> None:
    try:
        compile_template(source, html=True).render({"a": "x", "b": [1]}, Budget())
    except (RefusedError, RenderError) as error:
        assert str(error)  # noqa: PT017 - either outcome is right; any other exception fails
