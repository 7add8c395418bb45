"""Text from HTML: what a reader of text gets."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ekiden.message.totext import html_to_text, template_to_text


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("plain", "plain"),
        ("<p>one</p><p>two</p>", "one\n\ntwo"),
        ("<h1>Title</h1>\n<p>a\n b   c</p>", "Title\n\na b c"),
        ("a<br>b<br/><br>c", "a\nb\n\nc"),
        ("<p>これは\n  日本語の\n文です</p>", "これは日本語の文です"),
        ("<p>English\nand 日本語\nwords</p>", "English and 日本語 words"),
        ("<ul><li>one<li>two</li></ul>after", "- one\n- two\n\nafter"),
        ("<ol><li>a</li><li>b<ul><li>c</li></ul></li></ol>", "1. a\n2. b\n  - c"),
        ("<a href='https://x.example/'>here</a>.", "here <https://x.example/>."),
        ("<a href='https://x.example/'>https://x.example/</a>", "https://x.example/"),
        ("<a href='mailto:a@x.jp'>a@x.jp</a> <a href='#top'>top</a>", "a@x.jp top"),
        ("<a href='https://x.example/'><img src=x alt='ロゴ'></a>", "ロゴ <https://x.example/>"),
        ("<a href='https://x.example/'><img src=x></a>", "<https://x.example/>"),
        (
            "<table><tr><th>品</th><th>価格</th></tr><tr><td>ペン</td><td>100円</td></tr></table>",
            "品  価格\nペン  100円",
        ),
        ("&lt;b&gt; &amp; &copy; &#12354; &nbsp;x&hearts;", "<b> & © あ  x♥"),
        ("<head><title>t</title></head><style>p{}</style><script>x()</script>y", "y"),
        ("<div style='display:none'>hidden<div>too</div></div>seen<p hidden>x</p>", "seen"),
        ("<blockquote><p>q1</p><p>q2</p></blockquote>r", "> q1\n\n> q2\n\nr"),
        ("<pre>  a\n    b</pre>", "  a\n    b"),
        ("a<hr>b", "a\n" + "-" * 40 + "\nb"),
        ("<!-- c --><p>x</p><!--[if mso]>y<![endif]-->", "x"),
        ("<p>unclosed <b>bold", "unclosed bold"),
        ("", ""),
    ],
)
def test_conversion(html: str, text: str) -> None:
    assert html_to_text(html).rstrip("\n") == text


def test_template_tags_travel_through() -> None:
    html = (
        "<p>{{ name|default('<x>') }} 様</p>"
        "{% if a > 1 %}<a href='{{ url }}?a=1&amp;b'>go</a>{% endif %}{# < #}"
    )
    text = "{{ name|default('<x>') }} 様\n\n{% if a > 1 %}go <{{ url }}?a=1&b>{% endif %}{# < #}\n"
    assert template_to_text(html) == text


@given(st.text(st.sampled_from("<>/abpliu =\"'&;!-\n 日{}%"), max_size=200))
def test_any_html_gives_text(html: str) -> None:
    text = html_to_text(html)
    assert text.endswith("\n")
    assert "\r" not in text


@pytest.mark.parametrize(
    "html",
    [
        "<div>" * 50_000,
        "<a href=x>" * 20_000,
        "<ul><li>" * 5_000,
        "<" * 50_000,
        "&" * 50_000,
        "<table>" * 20_000 + "x",
    ],
)
@pytest.mark.timeout(10)
def test_deep_html_is_no_bomb(html: str) -> None:
    assert len(html_to_text(html)) < 100 * len(html)


@pytest.mark.parametrize("markup", ["<![foo[x", "<![foo[x]]>b", "<![", "<![>b", "<![CDATA[x]]>b"])
def test_a_marked_section_of_any_kind_is_a_comment(markup: str) -> None:
    """Python's own parser raises an AssertionError for a word that it does not know."""
    assert html_to_text(f"a{markup}").startswith("a")
