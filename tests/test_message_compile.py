"""Compiled content: the same bytes as the plain way, readable by the stdlib, refusing injection."""

import base64
import binascii
import json
import re
from email import message_from_bytes
from email.header import decode_header, make_header
from email.message import EmailMessage
from email.policy import default as modern
from email.utils import parseaddr

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ekiden.dkim.canonical import relaxed_body
from ekiden.errors import RefusedError
from ekiden.message import charset
from ekiden.message.body import Constant
from ekiden.message.compile import CompiledTemplates, compile_content
from ekiden.message.content import Attachment, Content, decode, encode
from ekiden.message.filters import Budget
from ekiden.message.headers import RenderError
from ekiden.message.mime import fault
from ekiden.message.rendered import Marks, Recipient, Rendered
from ekiden.message.templates import compile_template

MARKS = Marks("<1.abc@example.jp>", 1_700_000_000.0)
TO = Recipient("taro@example.com", {"name": "山田 太郎", "id": 7})
JAPANESE = [
    "吾輩は猫である。名前はまだ無い。どこで生れたかとんと見当がつかぬ。",
    "秋の新作コレクション　先行予約のご案内（2026年10月1日〜15日）",
    "髙島屋・﨑・ﾊﾝｶｸ・①②③・㈱・～・—・🍣🗾・が（結合濁点）",
    "あいうえお\tかきくけこ  さしすせそ   ",
    "。" * 400,
    "<b>太字</b> & \"引用\" 'one' = = =E3",
    "From 東京\n.\n..\n.から始まる行\n-- \n山田",
    "a" * 1200,
]


def content(**changes: object) -> Content:
    given_: dict[str, object] = {"from_": "山田屋 <news@example.jp>", "subject": "s", "text": "t\n"}
    return Content(**{**given_, **changes})  # type: ignore[arg-type]  # the test's own keywords


def made(what: Content, to: Recipient = TO, marks: Marks = MARKS) -> Rendered:
    return compile_content(what).render(to, marks)


def parsed(rendered: Rendered) -> EmailMessage:
    message = message_from_bytes(rendered.message(), policy=modern)
    assert isinstance(message, EmailMessage)
    for part in message.walk():
        assert part.defects == []
    return message


def name_of(rendered: Rendered, field: bytes) -> str:
    """Read a display name as RFC 2047 says.

    The modern parser of Python 3.11 leaves a space between adjacent encoded words of a phrase
    (section 6.2 says to drop it), so the older one reads here.
    """
    text = dict(rendered.headers)[field].decode().replace("\r\n", "")
    name, _ = parseaddr(text)
    return str(make_header(decode_header(name)))


def text_of(message: EmailMessage, kind: str = "plain") -> str:
    part = message.get_body((kind,))
    assert part is not None
    found = part.get_content()
    assert isinstance(found, str)
    # Inside a multipart the last line break belongs to the boundary (RFC 2046 section 5.1.1).
    return found.replace("\r\n", "\n").rstrip("\n")


@pytest.mark.parametrize("text", JAPANESE)
@pytest.mark.parametrize("as_value", [False, True])
def test_japanese_arrives_as_written(text: str, as_value: bool) -> None:
    source = "{{ v }}" if as_value else text.replace("{", "")
    one_line = text.replace("\n", " ").strip()
    text = one_line if as_value else text
    what = content(
        subject="{{ s }}" if as_value else one_line,
        text=f"本文\n{source}\n終",
        html=f"<p>前</p>\n<pre>{'{{ v }}' if as_value else 'x'}</pre>\n",
        to_name="{{ s }}",
        headers=(("X-Note", "{{ s }}"),),
    )
    rendered = made(what, Recipient("a@example.com", {"v": one_line, "s": one_line}))
    assert not fault(rendered.message(), ascii_only=True)
    message = parsed(rendered)
    assert text_of(message) == f"本文\n{text}\n終"
    assert message["Subject"] == re.sub(r"[ \t]+$", "", one_line)
    assert message["X-Note"] == one_line
    assert name_of(rendered, b"To") == one_line
    assert message["To"].addresses[0].addr_spec == "a@example.com"
    assert message["From"].addresses[0].display_name == "山田屋"


def test_lines_are_folded_and_words_short() -> None:
    rendered = made(content(subject="秋" * 200 + " {{ name }}", to_name="{{ name }}" * 9))
    for line in rendered.head().decode("ascii").split("\r\n"):
        assert len(line) <= 78
        for word in re.findall(r"=\?.*?\?=", line):
            assert len(word) <= 75
            charset, kind, data = word[2:-2].split("?")
            assert (charset, kind) == ("utf-8", "B")
            base64.b64decode(data, validate=True).decode("utf-8")  # whole characters


# --- the plain way, written independently: render whole, encode whole, put together -------------


def plain_part(source: str, what: Content, values: dict[str, object], *, html: bool) -> str:
    """Render one template whole; its own last line break is the part's."""
    whole = compile_template(source, html=html, on_missing=what.on_missing)
    text = "".join(
        piece if isinstance(piece, str) else piece.render(values, Budget())
        for piece in whole.pieces
    )
    last = whole.pieces[-1] if whole.pieces else ""
    if not (isinstance(last, str) and last.endswith("\n")):
        text += "\n"
    return text.replace("\r\n", "\n").replace("\r", "\n")


def plain_encoded(text: str, transfer: str) -> bytes:
    raw = text.encode()
    if transfer == "base64":
        return base64.encodebytes(raw.replace(b"\n", b"\r\n")).replace(b"\n", b"\r\n")
    if transfer == "quoted-printable":
        # b2a_qp breaks a line of exactly 76 characters when CRLF follows, not when LF does.
        lines = binascii.b2a_qp(raw, istext=True).split(b"\n")
        # Nor does it break before the white space that it encodes at the end of a full line.
        return b"\r\n".join(
            line if len(line) <= 76 else line[:-3] + b"=\r\n" + line[-3:] for line in lines
        )
    return raw.replace(b"\n", b"\r\n")


SOURCES = st.lists(
    st.sampled_from(
        [
            *(
                "{{ a }}",
                "{{ b }}",
                "x",
                " ",
                "\t",
                "\n",
                "\n\n",
                "日本語の文",
                "=",
                ".",
                "<p>",
                "  \n",
            ),
            *(
                "{% if a %}{{ b }}\n{% endif %}",
                "{% for c in d %}{{ c }} {% endfor %}",
                "{{ a|upper }}",
            ),
            *("長い行。" * 30, "word " * 40, "{{ a }}{{ b }}\n", "{{ b|safe }}", "x" * 100),
        ]
    ),
    min_size=1,
    max_size=25,
).map("".join)
WORDS = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0\r\n"), max_size=30
) | st.sampled_from(["", " ", ".", "trailing ", "x" * 1500, "=3D", "語" * 90])


@settings(max_examples=100, deadline=None)
@given(SOURCES, WORDS, WORDS, st.lists(WORDS, max_size=2))
def test_compiled_is_plain(source: str, a: str, b: str, d: list[str]) -> None:
    what = content(text=source)
    values: dict[str, object] = {"a": a, "b": b, "d": d}
    rendered = made(what, Recipient("a@example.com", values))
    transfer = dict(rendered.headers)[b"Content-Transfer-Encoding"].decode().strip()
    text = plain_part(source, what, values, html=False)
    assert rendered.body == plain_encoded(text, transfer)
    assert rendered.canonical == relaxed_body(rendered.body)
    assert not fault(rendered.message(), ascii_only=True)
    assert text_of(parsed(rendered)) == text.rstrip("\n")


@settings(max_examples=40, deadline=None)
@given(SOURCES, SOURCES, WORDS, st.booleans(), st.binary(max_size=200))
def test_whole_trees_are_plain(html: str, text: str, a: str, image: bool, data: bytes) -> None:
    files = [Attachment("請求書.pdf", "application/pdf", data)]
    if image:
        files.append(Attachment("logo.png", "image/png", data, "logo@x"))
    what = content(text=text, html=html, attachments=tuple(files))
    values: dict[str, object] = {"a": a, "b": "b", "d": [a]}
    rendered = made(what, Recipient("a@example.com", values))
    message = parsed(rendered)
    assert text_of(message) == plain_part(text, what, values, html=False).rstrip("\n")
    assert text_of(message, "html") == plain_part(html, what, values, html=True).rstrip("\n")
    (attached,) = message.iter_attachments()
    assert (attached.get_filename(), attached.get_content()) == ("請求書.pdf", data)
    assert rendered.canonical == relaxed_body(rendered.body)
    assert not fault(rendered.message(), ascii_only=True)
    if image:
        (inline,) = [part for part in message.walk() if part["Content-ID"] == "<logo@x>"]
        assert inline.get_content() == data


def test_only_lines_with_fields_vary() -> None:
    html = "<p>line</p>\n" * 200 + "<p>{{ name }}</p>\n" + "<p>line  x </p>\n" * 200
    compiled = compile_content(content(html=html, text="same\n"))
    assert isinstance(compiled, CompiledTemplates)
    kinds = [isinstance(segment, Constant) for segment in compiled.body.segments]
    assert kinds == [True, False, True]


def test_constant_body_is_hashed_once() -> None:
    compiled = compile_content(content(subject="{{ name }}", text="always the same \n\n\n"))
    first = compiled.render(TO, MARKS)
    second = compiled.render(Recipient("b@example.com", {"name": "x"}), MARKS)
    assert first.body is second.body
    assert first.digest is not None
    assert first.digest is second.digest
    assert first.body_hash() == Rendered(first.headers, first.body).body_hash()


def test_same_content_same_bytes() -> None:
    what = content(html="<p>x</p>", attachments=(Attachment("a", "text/plain", b"x"),))
    assert made(what).message() == made(decode(encode(what))).message()


@pytest.mark.parametrize(
    "char", ["\r", "\n", "\r\n", "\0", "\x0b", "\x1c", "\x85", "\u2028", "\ud800"]
)
@pytest.mark.parametrize(
    "place", ["subject", "to_name", "header", "message_id", "extra", "extra_name", "address"]
)
def test_injection_is_refused_by_name(char: str, place: str) -> None:
    bad = f"x{char}Bcc: evil@example.net"
    what = content(
        subject="{{ v }}" if place == "subject" else "s",
        to_name="{{ v }}" if place == "to_name" else "",
        headers=(("X-A", "{{ v }}"),) if place == "header" else (),
    )
    marks = Marks(
        f"<1{bad}@x>" if place == "message_id" else "<1@x>",
        0.0,
        ((bad if place == "extra_name" else "X-B", bad if place == "extra" else "b"),),
    )
    to = Recipient(bad + "@example.com" if place == "address" else "a@example.com", {"v": bad})
    with pytest.raises(RenderError) as caught:
        made(what, to, marks)
    assert caught.value.reason
    if place in {"subject", "to_name", "header"}:
        assert "'v'" in caught.value.reason


@pytest.mark.parametrize("char", ["\r", "\n", "\r\n", "\0"])
@pytest.mark.parametrize("data", [{"v": "%s"}, {"v": ["a", "%s"]}, {"v": {"%s": 1}}, {"w": "%s"}])
def test_a_line_end_in_merge_data_is_refused_as_the_spool_does(
    char: str, data: dict[str, object]
) -> None:
    """docs/hostile.md M1: wherever it would be printed, and also where it would not be."""
    (name,) = data
    values = json.loads(json.dumps(data).replace("%s", json.dumps(f"a{char}b")[1:-1]))
    with pytest.raises(RenderError, match=f"the merge field '{name}' holds a") as caught:
        made(content(text="{{ v|default('')|length }}"), Recipient("a@example.com", values))
    assert caught.value.field == name


@pytest.mark.parametrize("place", ["text", "html", "subject"])
def test_nul_is_refused_everywhere(place: str) -> None:
    what = content(**{place: "{{ v }}"})
    with pytest.raises(RenderError, match="NUL") as caught:
        made(what, Recipient("a@example.com", {"v": "a\0b"}))
    assert "v" in caught.value.field
    with pytest.raises(RefusedError):
        compile_content(content(**{place: "a\0b"}))


@pytest.mark.parametrize(
    "name",
    [
        '"',
        "\\",
        'a" <evil@example.net>, "b',
        "=?utf-8?q?=0d=0aBcc:?=",
        "<b@example.net>",
        "a, b",
        "(x)",
        "a;b:",
        "x" * 500,
    ],
)
def test_display_names_stay_names(name: str) -> None:
    rendered = made(content(to_name="{{ v }}"), Recipient("a@example.com", {"v": name}))
    message = parsed(rendered)
    (address,) = message["To"].addresses
    assert address.addr_spec == "a@example.com"
    assert name_of(rendered, b"To") == name


def test_missing_fields_by_policy() -> None:
    with pytest.raises(RenderError, match="'city'"):
        made(content(text="{{ city }}"))
    with pytest.raises(RenderError, match="'city'"):
        made(content(text="{{ city }}"), Recipient("a@example.com", {"city": None}))
    assert made(content(text="[{{ city }}]", on_missing="empty")).body == b"[]\r\n"
    by_default = content(text="[{{ city }}]", on_missing="default", defaults={"city": "Kyoto"})
    assert made(by_default).body == b"[Kyoto]\r\n"
    assert made(by_default, Recipient("a@example.com", {"city": ""})).body == b"[Kyoto]\r\n"
    assert made(by_default, Recipient("a@example.com", {"city": "Nara"})).body == b"[Nara]\r\n"
    with pytest.raises(RenderError, match="'town'"):
        made(content(text="{{ town }}", on_missing="default", defaults={"city": "Kyoto"}))


def test_fields_are_those_a_recipients_file_must_have() -> None:
    what = content(
        subject="{{ a }}",
        text="{{ b }} {{ unsubscribe_url }} {{ recipient }} {{ c|default('') }}",
        html="{% if d %}{{ e }}{% endif %}{{amazonSESUnsubscribeUrl}}",
        to_name="{{ f }}",
        headers=(("X-G", "{{ g }}"),),
    )
    compiled = compile_content(what)
    assert compiled.fields == {"a", "b", "f", "g"}
    assert compiled.names == set("abcdefg")


def test_engine_values_and_headers() -> None:
    marks = Marks(
        "<1@example.jp>",
        1_700_000_000.9,
        (
            ("List-Unsubscribe", f"<mailto:u@x.jp>, <https://u.example/{'t' * 90}>"),
            ("X-Own", "e"),
        ),
        {"unsubscribe_url": "https://u.example/?a=1&b=2"},
    )
    what = content(
        text="{{ unsubscribe_url }} {{ amazonSESUnsubscribeUrl }} {{ recipient }}\n",
        html="<a href='{{ unsubscribe_url }}'>x</a>",
        headers=(("X-Own", "content"), ("X-Other", "o")),
        reply_to='"Help, Desk" <h@example.jp>, i@例え.jp',
        language="ja",
    )
    message = parsed(made(what, marks=marks))
    url = "https://u.example/?a=1&b=2"
    assert text_of(message) == f"{url} {url} taro@example.com"
    assert "?a=1&amp;b=2" in text_of(message, "html")
    assert message["List-Unsubscribe"].split(", ")[1] == f"<https://u.example/{'t' * 90}>"
    assert message.get_all("X-Own") == ["e"]
    assert message["X-Other"] == "o"
    assert message["Date"] == "Tue, 14 Nov 2023 22:13:20 +0000"
    assert [box.addr_spec for box in message["Reply-To"].addresses] == [
        *("h@example.jp", "i@xn--r8jz45g.jp")
    ]
    assert message["Content-Language"] == "ja"
    assert [name for name, _ in message.items()].count("MIME-Version") == 1


def test_text_is_made_from_html_with_the_recipients_values() -> None:
    html = (
        "<html><head><title>t</title><style>p{}</style></head><body><p>{{ name }} &amp; 様</p>"
        "{% for x in xs %}<li>{{ x }}</li>{% endfor %}"
        "<a href='https://x.example/{{ id }}'>開く</a></body>"
    )
    message = parsed(
        made(
            content(text="", html=html),
            Recipient("a@x.jp", {"name": "<A>", "xs": ["1", "2"], "id": 5}),
        )
    )
    assert text_of(message) == "<A> & 様\n\n- 1\n- 2\n開く <https://x.example/5>"


def test_text_is_made_per_recipient_when_the_tags_do_not_survive() -> None:
    html = (
        "<head>{% if a %}<title>x</title></head><body>"
        "{% else %}</head><body>{% endif %}<p>{{ a }}</p>"
    )
    message = parsed(made(content(text="", html=html), Recipient("a@x.jp", {"a": "<yes>"})))
    assert text_of(message) == "<yes>"


def test_preheader_is_in_the_html_only() -> None:
    what = content(text="", html="<body class='x'><p>y</p></body>", preheader="{{ name }}様だけ")
    message = parsed(made(what))
    assert "<body class='x'><div style=\"display:none" in text_of(message, "html")
    assert "山田 太郎様だけ</div>" in text_of(message, "html")
    assert "だけ" not in text_of(message)


def test_iso_2022_jp() -> None:
    what = content(
        subject="①髙橋様へ {{ name }}" + "長" * 60,
        text="﨑～①㈱\n{{ name }}🍣",
        html="<p>🍣{{ name }}</p>",
        charset="iso-2022-jp",
        to_name="{{ name }}",
    )
    rendered = made(what)
    assert not fault(rendered.message(), ascii_only=True)
    message = parsed(rendered)
    assert message["Subject"] == "1高橋様へ 山田 太郎" + "長" * 60
    assert text_of(message) == "崎〜1(株)\n山田 太郎〓"
    assert text_of(message, "html") == "<p>&#127843;山田 太郎</p>"
    part = message.get_body(("plain",))
    assert part is not None
    assert part["Content-Transfer-Encoding"] == "7bit"
    assert part.get_content_charset() == "iso-2022-jp"
    with pytest.raises(RenderError, match="line longer"):
        made(what, Recipient("a@x.jp", {"name": "長" * 600}))


def test_addresses_beyond_ascii() -> None:
    rendered = made(content(), Recipient("山田@例え.jp"))
    assert rendered.smtputf8
    assert dict(rendered.headers)[b"To"].decode() == " 山田@xn--r8jz45g.jp"
    assert not made(content(), Recipient("taro@例え.jp")).smtputf8
    dotty = made(content(), Recipient("a..b@docomo.ne.jp"))
    assert dict(dotty.headers)[b"To"] == b' "a..b"@docomo.ne.jp'


@pytest.mark.parametrize(
    "changes",
    [
        *({"from_": ""}, {"from_": "x"}, {"from_": "a@x.jp\r\nBcc: b@x.jp"}, {"reply_to": "x"}),
        *({"text": "", "html": ""}, {"subject": "a\nb"}, {"subject": "{{ a }}\n{{ b }}"}),
        *({"headers": (("Subject", "x"),)}, {"headers": (("X A", "x"),)}, {"language": "a b\r\n"}),
        *({"headers": (("Bcc", "x"),)}, {"headers": (("X-Ekiden-Ref", "x"),)}),
        *({"text": "{{ a b }}"}, {"html": "{% if %}"}, {"to_name": "{{ }}"}),
        {"headers": (("List-Id", "日本"),)},
        {"attachments": (Attachment("a\nb", "text/plain", b""),)},
        {"attachments": (Attachment("a", "text", b""),)},
        {"attachments": (Attachment("a", "text/plain\r\nX: y", b""),)},
        {"attachments": (Attachment("a", "image/png", b"", "a b"),)},
    ],
)
def test_content_that_nobody_can_get_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(RefusedError) as caught:
        compile_content(content(**changes))
    assert caught.value.remedy


def test_damaged_storage_is_a_refusal() -> None:
    data = encode(content())
    for cut in range(0, len(data), 7):
        with pytest.raises(RefusedError):
            decode(data[:cut])
    with pytest.raises(RefusedError):
        decode(b"\xff" * 50)


@pytest.mark.parametrize("size", [1, 10, 26, 57, 58, 300])
def test_file_names_arrive(size: int) -> None:
    for letter in ("a", "漢", "é", "🍣", "%", '"', "\\", "x ", "'"):
        name = (letter * size)[:size] + ".pdf"
        what = content(attachments=(Attachment(name, "application/pdf", b"x"),))
        rendered = made(what)
        assert max(map(len, rendered.body.split(b"\r\n"))) <= 78
        (part,) = parsed(rendered).iter_attachments()
        assert part.get_filename() == name


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("ｶﾞｷﾞｸﾞ ﾊﾟﾝ ｳﾞ", "ガギグ パン ヴ"),
        ("｢ｱ､ｲ｡｣･ｰ", "「ア、イ。」・ー"),
        ("ﾞ と ﾟ", "゛ と ゜"),
        ("か\u3099き", "がき"),
        ("①㈱髙﨑№", "1(株)高崎No"),
        ("吉野家の🍵", "吉野家の〓"),
    ],
)
def test_what_iso_2022_jp_makes_of_letters_it_lacks(written: str, said: str) -> None:
    assert charset.encode(written, "iso-2022-jp").decode("iso2022_jp") == said


def test_a_price_in_iso_2022_jp_is_no_backslash() -> None:
    """JIS X 0201's yen sign is a backslash to most readers (found with npm's mailparser)."""
    what = content(
        subject="¥1,980", text="¥1,980 ‾\n", html="<p>&yen;1 ¥2</p>", charset="iso-2022-jp"
    )
    rendered = made(what)
    assert b"\x1b(J" not in rendered.message()
    message = parsed(rendered)
    assert (message["Subject"], text_of(message)) == ("￥1,980", "￥1,980 ￣")
    assert text_of(message, "html") == "<p>&yen;1 ￥2</p>"
