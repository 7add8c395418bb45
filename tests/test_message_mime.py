"""Transfer encodings: the stdlib's bytes, line by line, and the choice between them."""

import base64
import quopri

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ekiden.message.mime import (
    Transfer,
    base64_lines,
    choose,
    fault,
    is_content_type,
    quoted_printable,
)


@pytest.mark.parametrize("size", [0, 1, 56, 57, 58, 114, 57 * 4096, 57 * 4096 + 1, 300_000])
def test_base64_is_the_stdlibs(size: int) -> None:
    data = bytes(range(256)) * (size // 256 + 1)
    assert base64_lines(data[:size]) == base64.encodebytes(data[:size]).replace(b"\n", b"\r\n")


LINES = st.lists(st.text(st.characters(exclude_characters="\r\n", exclude_categories=["Cs"]))).map(
    lambda lines: "".join(f"{line}\n" for line in lines).encode()
)


@given(st.lists(LINES))
def test_quoted_printable_works_line_by_line(blocks: list[bytes]) -> None:
    encoded = b"".join(map(quoted_printable, blocks))
    assert encoded == quoted_printable(b"".join(blocks))
    assert quopri.decodestring(encoded).replace(b"\r\n", b"\n") == b"".join(blocks)
    assert all(len(line) <= 76 for line in encoded.split(b"\r\n"))
    assert not fault(encoded, ascii_only=True)


@pytest.mark.parametrize(
    ("text", "constant", "charset", "expected"),
    [
        ("short\n", True, "utf-8", Transfer.SEVEN_BIT),
        ("short\n", False, "utf-8", Transfer.QUOTED_PRINTABLE),
        ("x" * 77 + "\n", True, "utf-8", Transfer.QUOTED_PRINTABLE),
        ("trailing \n", True, "utf-8", Transfer.QUOTED_PRINTABLE),
        ("From me\n", True, "utf-8", Transfer.QUOTED_PRINTABLE),
        ("--=_boundary\n", True, "utf-8", Transfer.QUOTED_PRINTABLE),
        ("\x0b\n", True, "utf-8", Transfer.QUOTED_PRINTABLE),
        ("Cet été, le soleil revient.\n" * 20, True, "utf-8", Transfer.QUOTED_PRINTABLE),
        ("日本語だけの本文です。\n" * 20, False, "utf-8", Transfer.BASE64),
        ("日本語\n", True, "iso-2022-jp", Transfer.SEVEN_BIT),
        ("日" * 400 + "\n", True, "iso-2022-jp", Transfer.BASE64),
    ],
)
def test_choice(text: str, constant: bool, charset: str, expected: Transfer) -> None:
    assert choose(text.encode(charset), constant=constant, charset=charset) is expected


@pytest.mark.parametrize(
    ("data", "what"),
    [
        *((b"a\r\n", ""), (b"a\nb\r\n", "CRLF"), (b"a\rb\r\n", "CRLF"), (b"a\n\rb", "CRLF")),
        *((b"a\0\r\n", "NUL"), (b"\xe5\r\n", "ASCII"), (b"x" * 998 + b"\r\n", "")),
        *((b"x" * 999 + b"\r\n", "998"), (b"\r\n.\r\n", "")),
    ],
)
def test_faults_of_finished_bytes(data: bytes, what: str) -> None:
    assert what in fault(data, ascii_only=True)
    assert bool(what) == bool(fault(data, ascii_only=True))


@pytest.mark.parametrize("text", ["text", "text/", "a/b/c", "a/b; c", "a/b\r\nX: y", "", "é/b"])
def test_wrong_content_types(text: str) -> None:
    assert not is_content_type(text)


@pytest.mark.parametrize("white", [b" ", b"\t"])
@pytest.mark.parametrize("length", range(70, 80))
def test_white_space_at_the_end_of_a_full_line_keeps_to_76_columns(
    length: int, white: bytes
) -> None:
    text = b"a" * length + white + b"\nnext\n"
    encoded = quoted_printable(text)
    assert max(map(len, encoded.split(b"\r\n"))) <= 76
    assert quopri.decodestring(encoded).replace(b"\r\n", b"\n") == text
