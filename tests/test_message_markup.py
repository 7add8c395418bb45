"""The HTML tokenizer: what the standard says of tags, and a cost that is the length of the text."""

import time
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ekiden.message.inline import inline_css
from ekiden.message.markup import Attributes, MarkupReader
from ekiden.message.totext import html_to_text

Event = tuple[str, str, tuple[tuple[str, str | None], ...]]


class Ours(MarkupReader):
    def __init__(self, html: str) -> None:
        super().__init__()
        self.events: list[Event] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: Attributes) -> None:
        self.events.append(("start", tag, tuple(attrs)))

    def handle_endtag(self, tag: str) -> None:
        self.events.append(("end", tag, ()))

    def handle_data(self, data: str) -> None:
        if self.events and self.events[-1][0] == "data":
            self.events[-1] = ("data", self.events[-1][1] + data, ())
        else:
            self.events.append(("data", data, ()))


class Library(HTMLParser):
    """Python's own parser: the other opinion, for markup that is in order."""

    handle_starttag = Ours.handle_starttag
    handle_endtag = Ours.handle_endtag
    handle_data = Ours.handle_data

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.events: list[Event] = []
        self.feed(html)
        self.close()


ORDERLY = st.lists(
    st.sampled_from(
        (
            *(
                "<p>",
                "</p>",
                '<a href="x&amp;y" title=\'a"b\'>',
                "</a>",
                "<br/>",
                "<br />",
                "<IMG>",
            ),
            *(
                "text",
                "&amp;",
                "&nbsp;",
                "日本語",
                "\n",
                " a > b ",
                "<!-- <p> -->",
                "<!DOCTYPE html>",
            ),
            *("<td width=5 nowrap>", "<style>p > a { b: c }</style>", "<script>'<p>'</script>"),
            *("<div\n class = x >", "<h1 data-x='1'\tid=a>", "</h1 >", "<?xml version='1.0'?>"),
        )
    ),
    max_size=30,
).map("".join)


@settings(max_examples=300, deadline=None)
@given(ORDERLY)
def test_orderly_markup_is_read_as_the_library_reads_it(html: str) -> None:
    assert Ours(html).events == Library(html).events


@pytest.mark.parametrize(
    ("html", "events"),
    [
        ("a<b", [("data", "a", ())]),
        ("a < b", [("data", "a < b", ())]),
        ("a<!-- b", [("data", "a", ())]),
        ("<!-->a", [("data", "a", ())]),
        ("<!--->a", [("data", "a", ())]),
        ("<!-- a --!>b", [("data", "b", ())]),
        ("<![foo[x]>a", [("data", "a", ())]),
        ("</>a", [("data", "a", ())]),
        ("</ p>a", [("data", "a", ())]),
        ("</p x=1>", [("end", "p", ())]),
        ("<p/ x>", [("start", "p", (("x", None),))]),
        ("<p =x>", [("start", "p", (("=x", None),))]),
        ("<p x='a", []),
        ("<p x=a/>", [("start", "p", (("x", "a/"),))]),
        ('<a href="?a=1&copy=2&lt;">', [("start", "a", (("href", "?a=1&copy=2<"),))]),
        ("<title>a &amp; <b>", [("start", "title", ()), ("data", "a & <b>", ())]),
        ("<style>a</styles></STYLE >b", [
            ("start", "style", ()), ("data", "a</styles>", ()), ("end", "style", ()),
            ("data", "b", ()),
        ]),
    ],
)  # fmt: skip
def test_disorder_is_read_as_the_standard_has_it(html: str, events: list[Event]) -> None:
    assert Ours(html).events == events


@settings(max_examples=300, deadline=None)
@given(st.text("<>/!-='\"& a\n[", max_size=60))
def test_nothing_makes_it_fail(html: str) -> None:
    reader = Ours(html)
    assert reader.at_line <= html.count("\n") + 1


BOMBS = [
    piece * (600_000 // len(piece))
    for piece in (
        *("<!--", "<div style='", '<a href="', "<", "</", "<![", "<?", "<style>", "<p a=", "&"),
        *("<title>", "<a b c d ", "<!-->", "&#", "{{", "<p x=''"),
    )
]


@pytest.mark.parametrize("bomb", BOMBS, ids=[bomb[:8] for bomb in BOMBS])
def test_unclosed_markup_costs_its_length(bomb: str) -> None:
    """Each of these took Python's parser from minutes to hours."""
    before = time.process_time()
    Ours(bomb)
    assert time.process_time() - before < 5


@pytest.mark.parametrize("bomb", BOMBS[:6], ids=[bomb[:8] for bomb in BOMBS[:6]])
def test_what_reads_templates_does_not_hang_on_them(bomb: str) -> None:
    before = time.process_time()
    html_to_text(bomb)
    inline_css(f"<style>p{{top:0}}</style>{bomb[:60_000]}")
    assert time.process_time() - before < 10
