"""CSS worked into HTML: the cascade, and every other byte left alone."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ekiden.errors import RefusedError
from ekiden.message.compile import compile_content
from ekiden.message.content import Content
from ekiden.message.css import Work, rules
from ekiden.message.inline import inline_css
from ekiden.message.rendered import Marks, Recipient


def styles(sheet: str, body: str) -> list[str]:
    """The style attributes that a sheet gives a body's elements, in order."""
    made = inline_css(f"<html><head><style>{sheet}</style></head><body>{body}</body></html>")
    return re.findall(r'style="([^"]*)"', made)


@pytest.mark.parametrize(
    ("sheet", "body", "expected"),
    [
        ("p { color: red }", "<p>a</p><i>b</i>", ["color: red"]),
        ("p { color: red } P.x { color: blue }", '<p class="y x">a</p>', ["color: blue"]),
        (".x { color: blue } p { color: red; top: 0 }", '<p class="x">', ["top: 0; color: blue"]),
        ("#a { color: red } p.x { color: blue }", '<p class="x" id="a">', ["color: red"]),
        ("p { color: red !important } p { color: blue }", "<p>", ["color: red"]),
        ("p { color: red; top: 0 }", '<p style="color: blue;">', ["top: 0; color: blue"]),
        ("p { color: red !important }", '<p style="color: blue">', ["color: blue; color: red"]),
        ("p { top: 0 }", "<p style='src: url(&quot;&quot;)'>", ["top: 0; src: url(&quot;&quot;)"]),
        ("p { margin: 0; margin: 1px }", "<p>", ["margin: 0; margin: 1px"]),
        ("p { margin: 0 } p { margin-top: 5px }", "<p>", ["margin: 0; margin-top: 5px"]),
        ('p { font-family: "A B", c }', "<p>", ["font-family: 'A B', c"]),
        ("td > a { color: red }", "<td><a>x</a><p><a>y</a></p></td>", ["color: red"]),
        ("td a { color: red }", "<td><p><a>y</a></p></td><a>z</a>", ["color: red"]),
        ("h1 + p { color: red }", "<h1></h1><p>a</p><p>b</p>", ["color: red"]),
        ("h1 ~ p { color: red }", "<h1></h1><p>a</p><p>b</p>", ["color: red", "color: red"]),
        ("td:first-child { color: red }", "<tr><td>a<td>b</tr>", ["color: red"]),
        ("td:last-child { color: red }", "<tr><td>a<td>b</tr>", ["color: red"]),
        ('a[href^="https:"] { top: 0 }', '<a href="https://x"></a><a href="b"></a>', ["top: 0"]),
        ("a, b { color: red }", "<a></a><b></b>", ["color: red", "color: red"]),
        ("br { color: red }", "<br/><br>", ["color: red", "color: red"]),
        # What stays in the sheet alone.
        ("a:hover { color: red }", "<a>x</a>", []),
        ("p::first-line { color: red }", "<p>x</p>", []),
        ("@media screen { p { color: red } }", "<p>x</p>", []),
        ("@import url(https://evil.example/x.css); p { color: red }", "<p>", ["color: red"]),
        ("p:not(.x) { color: red }", "<p>x</p>", []),
        ("{% if a %}p { color: red } i { color: red }{% endif %}", "<p><i>", []),
        ("p { color: {{ brand }} }", "<p>", ["color: {{ brand }}"]),
    ],
)  # fmt: skip
def test_the_cascade(sheet: str, body: str, expected: list[str]) -> None:
    assert styles(sheet, body) == expected


def test_a_sheet_for_print_is_left_alone() -> None:
    html = '<style media="print">p { color: red }</style><p>x</p>'
    assert inline_css(html) == html
    assert "<p style=" in inline_css(html.replace("print", "screen"))


def test_nothing_but_style_attributes_is_added() -> None:
    source = (
        '<!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.0 Transitional//EN" "http://www.w3.org/x">\n'
        "<html><head><style>\ntd, p, .b{color:red}\n</style></head><body class='b'>&nbsp;&copy;\n"
        "<!--[if mso]><table><tr><td><![endif]-->\n"
        "<table>{% for i in items %}<tr><td align=right>{{ i.name|upper }}</td></tr>{% endfor %}"
        '</table>{{#if x}}<p class="{{ kind }}" {{ more }}>{{{raw}}}</p>{{/if}}<P\n>é日本</P>'
    )
    made = inline_css(source)
    assert re.sub(' style="color: red"', "", made) == source
    assert made.count(' style="color: red"') == 4


PIECES = st.lists(
    st.sampled_from(
        (
            *("<p>", "</p>", "<div class='a b'>", "</div>", "<td>", "<tr>", "<table>", "</table>"),
            *("<a href='x'>", "</a>", "<br>", "<img alt='<x>'/>", "{{ a }}", "{% if a %}"),
            *("{% endif %}", "<!-- <p> -->", "text", "<", "&", "<p style='top: 0'>", "\n"),
            "<style>p{left:1px}</style>",
        )
    ),
    max_size=40,
).map("".join)


@settings(max_examples=300, deadline=None)
@given(PIECES)
def test_whatever_the_source_only_style_attributes_differ(body: str) -> None:
    sheet = "<style>p,div.b,td>a,tr td{color:red}</style>"
    made = inline_css(sheet + body)
    left = re.sub(r"""\s?style=("[^"]*"|'[^']*')""", "", made)
    assert left == re.sub(r"""\s?style=("[^"]*"|'[^']*')""", "", sheet + body)


def test_the_result_still_renders() -> None:
    html = (
        "<style>li { color: {{ brand }} }</style><ul>{% for one in items %}<li>{{ one }}</li>"
        "{% endfor %}</ul>"
    )
    compiled = compile_content(Content(from_="a@example.com", html=inline_css(html), subject="s"))
    to = Recipient("b@example.com", {"brand": 'red"><script>', "items": ["x", "y"]})
    body = compiled.render(to, Marks("<1@x>", 0.0)).body
    assert body.count(b"<li") == 2
    assert b"<script" not in body


def test_bombs_are_refused_or_cheap() -> None:
    deep = "<b>" * 5_000
    made = inline_css(f"<style>b b b b b b b b {{top:0}}</style>{deep}")
    assert made.count('style="') == 5_000 - 7
    with pytest.raises(RefusedError, match="elements"):
        inline_css("<style>p{top:0}</style>" + "<p>" * 20_001)
    with pytest.raises(RefusedError, match="rules"):
        inline_css("<style>" + "p{top:0}" * 5_001 + "</style><p>")
    with pytest.raises(RefusedError, match="too many rules"):
        inline_css("<style>" + "p{top:0}" * 5_000 + "</style>" + "<p>" * 1_000)
    assert rules(["(" * 20_000, "p{top:" + "(" * 20_000]) == []
    with pytest.raises(RefusedError):
        Work(0).pay()
