"""Tracked links and pixels: what is changed, what never is, and that mail stays well-formed."""

import re
from collections.abc import Mapping
from email import message_from_bytes
from email.message import Message
from html import unescape

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ekiden import limits
from ekiden.message.compile import compile_content
from ekiden.message.content import Content
from ekiden.message.rendered import Marks, Recipient
from ekiden.message.tracking import SEEN, Tracking, is_trackable, track

WHO = "WHO-1_x"


def link(url: str) -> str:
    return f"https://news.example/c/{url.encode().hex()}/"


TRACKING = Tracking(link, "https://news.example/o/")
CLICKS = Tracking(link)


def marks() -> Marks:
    return Marks(
        "<1@news.example>",
        0.0,
        urls={
            SEEN: WHO,
            "unsubscribe_url": "https://news.example/u/T",
            "preferences_url": "https://news.example/p/T",
            "view_url": "https://news.example/v/T",
        },
        tracker=lambda url: link(url) + WHO if is_trackable(url) else url,
    )


def render(html: str, merge: Mapping[str, object] | None = None, **more: object) -> Message:
    content = Content(from_="a@news.example", subject="s", html=html, **more)  # type: ignore[arg-type]  # test data
    compiled = compile_content(content, TRACKING)
    assert SEEN not in compiled.fields
    made = compiled.render(Recipient("b@c.example", merge or {}), marks())
    return message_from_bytes(made.message())


def part(message: Message, kind: str) -> str:
    for one in message.walk():
        if one.get_content_type() == kind:
            payload = one.get_payload(decode=True)
            assert isinstance(payload, bytes)
            return payload.decode()
    raise AssertionError(kind)


def hrefs(html: str) -> list[str]:
    return [unescape(one) for one in re.findall(r'href\s*=\s*"([^"]*)"', html, re.IGNORECASE)]


@pytest.mark.parametrize(
    ("tag", "leads"),
    [
        ('<a href="https://shop.example/a?x=1&amp;y=2">', "https://shop.example/a?x=1&y=2"),
        ("<A class=x HREF='http://shop.example/a'>", "http://shop.example/a"),
        ("<a href=https://shop.example/>", "https://shop.example/"),
        ('<a\n title="a > b"\n href = " https://shop.example/ ">', "https://shop.example/"),
        ('<area shape="rect" href="https://shop.example/">', "https://shop.example/"),
        ('<a href="https://店.example/ä">', "https://店.example/ä"),
        (
            '<a href="https://shop.example/?u={{ id }}&amp;v=1">',
            "https://shop.example/?u=a&b c&v=1",
        ),
        (
            '<a href="https://shop.example/?u={{id|urlencode}}">',
            "https://shop.example/?u=a%26b%20c",
        ),
        ('<a href="{{ url }}">', "https://x.example/?q=1&r=2"),
        ('<a href="{{{ url }}}">', "https://x.example/?q=1&r=2"),
        ('<a href="{{ url|default("https://none.example/") }}">', "https://x.example/?q=1&r=2"),
    ],
)
def test_links_pass_by_our_host(tag: str, leads: str) -> None:
    merge = {"id": "a&b c", "url": "https://x.example/?q=1&r=2"}
    html = part(render(f"<p>{tag}go</a></p>", merge), "text/html")
    assert hrefs(html)[0] == link(leads) + WHO
    assert html.count("<p>") == 1


@pytest.mark.parametrize(
    "tag",
    [
        '<a href="mailto:a@b.example">',
        '<a href="tel:+81">',
        '<a href="#top">',
        '<a href="/relative">',
        '<a href="javascript:alert(1)">',
        '<a href="cid:logo">',
        '<a href="https:">',
        '<a name="https://x.example/">',
        '<a href="{{ unsubscribe_url }}">',
        '<a href="{{ preferences_url }}?lang=ja">',
        '<a href="{{amazonSESUnsubscribeUrl}}">',
        '<a href="mailto:{{ who }}">',
        '<a href="{% if who %}https://a.example/{% else %}https://b.example/{% endif %}">',
        '<abbr href="https://x.example/">',
        '<link href="https://x.example/style.css">',
        f'<a href="https://x.example/{"a" * limits.LINK_BYTES}">',
    ],
)
def test_what_is_never_changed(tag: str) -> None:
    assert track(f"<p>{tag}x</a>", CLICKS) == f"<p>{tag}x</a>"


def test_a_value_that_is_no_web_address_stays_what_it_is() -> None:
    html = part(render('<a href="{{ url }}">x</a>', {"url": "tel:+81-3&x"}), "text/html")
    assert hrefs(html)[0] == "tel:+81-3&x"


def test_marked_links_are_left_alone_and_the_mark_is_not_sent() -> None:
    html = (
        '<a href="https://a.example/" data-ekiden-no-track>a</a>'
        '<a ses:no-track href="https://b.example/">b</a>'
        '<a href="https://c.example/">c</a>'
    )
    made = part(render(html), "text/html")
    assert hrefs(made) == [
        "https://a.example/",
        "https://b.example/",
        link("https://c.example/") + WHO,
    ]
    assert "no-track" not in made


def test_links_in_loops_and_handlebars() -> None:
    html = (
        "{{#each items}}<a href='https://shop.example/{{path}}'>{{name}}</a>{{/each}}"
        "{{#if vip}}<a href='https://shop.example/{{vip}}'>v</a>{{/if}}"
    )
    items = [{"path": "p&1", "name": "<1>"}, {"path": "p2", "name": "2"}]
    made = part(render(html, {"items": items, "vip": "gold"}), "text/html")
    assert hrefs(made) == [
        link(f"https://shop.example/{path}") + WHO for path in ("p&1", "p2", "gold")
    ]
    assert "&lt;1&gt;" in made


def test_the_text_part_leads_where_it_leads() -> None:
    message = render('<p><a href="https://shop.example/{{ id }}">Shop</a></p>', {"id": "7"})
    assert part(message, "text/plain").strip() == "Shop <https://shop.example/7>"


@pytest.mark.parametrize(
    ("html", "before"),
    [
        ("<html><body><p>x</p></body></html>", "</body>"),
        ("<p>x</p></HTML>", "</HTML>"),
        ("<p>x</p>", ""),
        ("<p>{{ses:openTracker}}</p><i>end</i>", "</p><i>"),
    ],
)
def test_one_pixel_and_where(html: str, before: str) -> None:
    made = part(render(html), "text/html")
    assert made.count("<img") == 1
    src = re.search(r'<img src="([^"]*)"[^>]*>', made)
    assert src is not None
    assert src[1] == f"https://news.example/o/{WHO}.gif"
    assert made[src.end() :].startswith(before)
    assert 'alt=""' in src[0]


def test_without_tracking_nothing_is_added_and_the_place_for_the_pixel_goes() -> None:
    assert track('<a href="https://x.example/">{{ses:openTracker}}', None) == (
        '<a href="https://x.example/">'
    )
    content = Content(from_="a@b.example", subject="s", html="<p>{{ ses:openTracker }}x</p>")
    made = compile_content(content).render(Recipient("b@c.example"), Marks("<1@b.example>", 0.0))
    assert part(message_from_bytes(made.message()), "text/html").strip() == "<p>x</p>"


def test_a_constant_link_costs_no_token_of_its_own() -> None:
    asked: list[str] = []
    content = Content(
        from_="a@b.example", subject="s", html='<a href="https://x.example/{{ a }}">x</a>' * 2
        + '<a href="https://y.example/">y</a>' * 5,
    )  # fmt: skip
    compiled = compile_content(content, Tracking(link))
    given_marks = marks()

    def tracker(url: str) -> str:
        asked.append(url)
        return url

    compiled.render(
        Recipient("b@c.example", {"a": "1"}),
        Marks("<1@b.example>", 0.0, urls=given_marks.urls, tracker=tracker),
    )
    assert asked == ["https://x.example/1"] * 2


def test_at_most_so_many_links() -> None:
    html = '<a href="https://x.example/">x</a>' * (limits.LINKS_TRACKED + 5)
    made = track(html, CLICKS)
    assert made.count("/c/") == limits.LINKS_TRACKED
    assert made.count('href="https://x.example/"') == 5


def test_many_unclosed_quotes_take_no_time() -> None:
    html = '<a href="' * 20_000
    assert track(html, CLICKS) == html


@given(st.text(alphabet="<a hrefhttps:/.x\"'={}%#|~>\\\n日", max_size=200))
def test_any_template_survives(html: str) -> None:
    made = track(html, CLICKS)
    if "href" not in html:
        assert made == html


@given(st.text(max_size=60))
def test_any_value_arrives_where_it_leads(value: str) -> None:
    if not value.isprintable() or "\u2028" in value:
        return
    made = part(render('<a href="https://x.example/{{ v }}">x</a>', {"v": value}), "text/html")
    assert hrefs(made)[0] == link(f"https://x.example/{value}") + WHO
