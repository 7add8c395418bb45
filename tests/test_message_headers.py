"""Header fields: folding and encoding that unfold and decode to the same text."""

import shutil
import subprocess
from email.header import decode_header, make_header
from email.message import Message
from email.policy import compat32

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ekiden import limits
from ekiden.message.addresses import Mailbox, parse_address
from ekiden.message.headers import (
    RenderError,
    check_field_name,
    check_value,
    date,
    identifiers,
    mailboxes,
    parameters,
    unstructured,
)

VISIBLE = st.text(st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"]), max_size=300)
MIXED = VISIBLE | st.text(st.sampled_from("abc =?_日本 ,.:"), max_size=400)


def unfolded(value: bytes) -> str:
    assert value.startswith(b" ")
    for line in value.split(b"\r\n"):
        assert len(line) <= limits.LINE_OCTETS - 10
        assert line.strip()
    return value.decode("ascii").replace("\r\n", "")[1:]


@given(MIXED)
def test_unstructured_text_survives(text: str) -> None:
    text = text.strip(" ")
    if not text:
        return
    check_value("Subject", text)
    value = unfolded(unstructured("Subject", text))
    decoded = str(make_header(decode_header(value))) if "=?" in value else value
    assert decoded == text


@given(
    st.lists(
        st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=60),
        min_size=1,
        max_size=12,
    )
)
def test_tokens_fold_at_white_space_only(words: list[str]) -> None:
    text = " ".join(words)
    value = identifiers("List-Unsubscribe", text)
    assert unfolded(value) == text
    assert max(len(line) for line in value.split(b"\r\n")) <= max(80, max(map(len, words)) + 20)


@pytest.mark.parametrize("text", ["日本", "a\tb", "x" * 1000, "a\r\nb"])
def test_tokens_that_cannot_stand_are_refused(text: str) -> None:
    with pytest.raises(RenderError):
        identifiers("List-Id", text)


@given(
    st.lists(
        st.tuples(
            VISIBLE.map(str.strip), st.sampled_from(["a@x.jp", "山@x.jp", "b" * 60 + "@x.jp"])
        ),
        min_size=1,
        max_size=8,
    )
)
def test_mailboxes_survive(pairs: list[tuple[str, str]]) -> None:
    boxes = [Mailbox(name, parse_address(spec)) for name, spec in pairs]
    value = mailboxes("Reply-To", boxes)
    lines = value.split(b"\r\n")
    assert all(line.strip() for line in lines)
    assert max(map(len, lines)) <= 300
    for _, spec in pairs:
        assert spec.encode() in value


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ([("charset", "utf-8")], b" text/plain; charset=utf-8"),
        ([("name", "a b.txt")], b' text/plain; name="a b.txt"'),
        ([("name", 'q"\\')], b' text/plain; name="q\\"\\\\"'),
        ([("name", "é")], b" text/plain; name*=utf-8''%C3%A9"),
    ],
)
def test_parameters(params: list[tuple[str, str]], expected: bytes) -> None:
    assert parameters("text/plain", params) == expected


@given(VISIBLE)
def test_any_file_name_survives(name: str) -> None:
    message = Message(policy=compat32)
    value = parameters("attachment", [("filename", f"x{name}x")]).decode("ascii")
    message["Content-Disposition"] = value.replace("\r\n", "").strip()
    assert message.get_filename() == f"x{name}x"


@pytest.mark.parametrize("second", [0, 951782400, 1_700_000_000, 4_102_444_799])
def test_date(second: int) -> None:
    from datetime import UTC, datetime  # noqa: PLC0415
    from email.utils import format_datetime  # noqa: PLC0415 - the oracle of this test only

    assert date(second).decode() == " " + format_datetime(datetime.fromtimestamp(second, UTC))


@pytest.mark.parametrize("name", ["", "A B", "A:", "é", "A\r\nB", "x" * 77])
def test_wrong_field_names(name: str) -> None:
    with pytest.raises(RenderError):
        check_field_name(name)


@pytest.mark.skipif(shutil.which("perl") is None, reason="no Perl here")
@pytest.mark.parametrize("charset", ["utf-8", "iso-2022-jp"])
def test_perl_reads_our_encoded_words(charset: str) -> None:
    """An independent reader: Perl's Encode, which joins and decodes adjacent words itself."""
    subjects = [
        "秋の新作コレクション 先行予約のご案内（2026年10月1日〜15日）",
        "a 日本 b 語",
        "語" * 120,
        "=?utf-8?B?looks like one?=",
        "Grüße aus Köln" if charset == "utf-8" else "ひらがな カタカナ 漢字 ABC",
    ]
    folded = [unstructured("Subject", one, charset).decode("ascii").strip() for one in subjects]
    program = (
        "use Encode; binmode STDOUT, ':utf8'; undef $/; "
        "print join(qq{\\0}, map { decode('MIME-Header', $_) } split /\\0/, <STDIN>)"
    )
    made = subprocess.run(  # our own words to Perl's standard library
        ["perl", "-e", program], input="\0".join(folded).encode(), capture_output=True, check=True
    )
    assert made.stdout.decode("utf-8").split("\0") == subjects
