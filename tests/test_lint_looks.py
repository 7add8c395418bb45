"""How the linter sees text: sizes by unit, colours, and what it does not claim."""

import pytest

from ekiden.message.lint.looks import at_first, inside
from ekiden.message.lint.page import read_page


@pytest.mark.parametrize(
    ("style", "size"),
    [
        ("font-size:8px", 8.0),
        ("FONT-SIZE : 6pt", 8.0),
        ("font-size:.5em", 8.0),
        ("font-size:50%", 8.0),
        ("font-size:2rem", 32.0),
        ("font-size:20px; font-size:8px !important", 8.0),  # the last one holds
        ("font-size:small", 16.0),
        ("x-font-size:1px", 16.0),
    ],
)
def test_sizes(style: str, size: float) -> None:
    assert inside(at_first(styled=False), "p", {"style": style}).size == pytest.approx(size)


LEAVE = "Unsubscribe</a>"
WHITE = f'<a href="/u" style="color:#fff">{LEAVE}'


@pytest.mark.parametrize(
    ("html", "faint"),
    [
        (WHITE, "in the colour of its background"),
        (
            f'<a href="/u" style="color:rgb(250, 250, 250)">{LEAVE}',
            "in the colour of its background",
        ),
        (f'<table bgcolor="#00F"><td><a href="/u" style="color:blue">{LEAVE}', ""),  # not known
        (
            f'<td style="background-color:#00f"><a href="/u" style="color:#0000ff">{LEAVE}',
            "in the co",
        ),
        (f'<td style="background:#036">{WHITE}', ""),
        (f'<td bgcolor="black">{WHITE}', ""),
        (f'<td style="background:url(x.png)">{WHITE}', ""),
        (f'<td background="x.png">{WHITE}', ""),
        (f"<style>td {{background: navy}}</style><td>{WHITE}", ""),
        (f'<p style="color:#fff"><a href="/u">{LEAVE}', ""),  # links have a colour of their own
        (f'<p style="font-size:8px"><a href="/u">{LEAVE}', "in type of 8px"),
        (f'<p style="font-size:8px"><a href="/u" style="font-size:12px">{LEAVE}', ""),
        (f'<p style="font-size:9px"><a href="/u">{LEAVE}', ""),
    ],
)
def test_links_that_are_hard_to_see(html: str, faint: str) -> None:
    (link,) = read_page(html).links
    assert link.text == "Unsubscribe"
    assert link.faint.startswith(faint) if faint else not link.faint
    assert link.legible is not bool(faint)


@pytest.mark.parametrize("size", ["1em", "1rem", "0.9em", "1.0em"])
def test_a_size_in_em_is_not_hidden_text(size: str) -> None:
    page = read_page(f'<div style="font-size:{size}">All of this is read by everybody.</div>')
    assert not page.hidden
    assert page.text == "All of this is read by everybody."


def test_no_size_hides() -> None:
    page = read_page(
        '<div style="font-size:0">a preheader <b style="font-size:14px">seen</b></div>'
    )
    assert page.text == "seen"
    assert page.hidden
