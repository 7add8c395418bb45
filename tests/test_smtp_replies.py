"""The reply reader: whole, byte by byte, with trailing bytes, and with everything hostile."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ekiden import limits
from ekiden.smtp.replies import ProtocolViolation, ReplyReader
from ekiden.smtp.reply import Reply

GOOD: list[tuple[bytes, list[Reply]]] = [
    (b"250 Ok\r\n", [Reply(250, "Ok")]),
    (b"250 2.1.0 Ok\n", [Reply(250, "2.1.0 Ok")]),  # bare LF
    (b"250\r\n", [Reply(250, "")]),
    (b"250 \r\n", [Reply(250, "")]),
    (b"250-a\r\n250-b\r\n250 c\r\n", [Reply(250, "a\nb\nc")]),
    (b"250-a\r\n250\r\n", [Reply(250, "a\n")]),
    (b"250-\r\n250-\r\n250 x\r\n", [Reply(250, "\n\nx")]),
    (b"250 a\r\n550 b\r\n354 c\r\n", [Reply(250, "a"), Reply(550, "b"), Reply(354, "c")]),
    (b"250 a\r\n550-b\r\n550 c\r\n", [Reply(250, "a"), Reply(550, "b\nc")]),
    (b"550 \xff\x1b[31m\x00\r\n", [Reply(550, "\\xff\\x1b[31m\\x00")]),
    (
        "550 宛先不明\r\n".encode(),
        [Reply(550, "\\xe5\\xae\\x9b\\xe5\\x85\\x88\\xe4\\xb8\\x8d\\xe6\\x98\\x8e")],
    ),
    (b"550 a\rb\r\n", [Reply(550, "a\\x0db")]),
    (b"250  two  spaces \r\n", [Reply(250, " two  spaces ")]),
    (b"299 low\r\n599 high\r\n", [Reply(299, "low"), Reply(599, "high")]),
]

BAD: list[bytes] = [
    b"2_5 underscore\r\n",
    b" 25 space\r\n",
    b"+25 plus\r\n",
    b"25 short\r\n",
    b"2500 long\r\n",
    b"250_sep\r\n",
    b"250\ttab\r\n",
    b"150 one\r\n",
    b"600 six\r\n",
    b"000 zero\r\n",
    b"\r\n",
    b"\n",
    b"hello\r\n",
    b"\xd9\xa2\xd9\xa5\xd9\xa0 arabic digits\r\n",
    b"250-a\r\n550 b\r\n",
    b"250-a\r\n250+b\r\n",
    b"250-a\r\nmore\r\n",
    b"250" + b"x" * (limits.REPLY_LINE_BYTES + 1),
    b"250-" + b"x" * (limits.REPLY_LINE_BYTES + 1) + b"\r\n",
    b"250-a\r\n" * (limits.REPLY_LINES + 1),
    (b"250-" + b"x" * 4000 + b"\r\n") * 9,
    b"\x00" * (limits.REPLY_LINE_BYTES + 1),
]


def portions(data: bytes, size: int) -> list[bytes]:
    return [data[at : at + size] for at in range(0, len(data), size)]


def read(data: bytes, size: int = 1 << 20) -> list[Reply]:
    reader = ReplyReader()
    return [reply for portion in portions(data, size) for reply in reader.feed(portion)]


def test_the_same_replies_again_are_read_again_and_others_are_not_mistaken_for_them() -> None:
    three = b"250 a\r\n250 b\r\n354 c\r\n"
    replies = [Reply(250, "a"), Reply(250, "b"), Reply(354, "c")]
    reader = ReplyReader()
    for _ in range(2):
        left = []
        for place, reply in enumerate(reader.feed(three)):
            assert reply == replies[place]
            left.append(reader.pending)
        assert left == [True, True, False]
        assert list(reader.feed(b"250 queued\r\n")) == [Reply(250, "queued")]
    assert list(reader.feed(b"250 a\r\n250 b\r\n554 c\r\n"))[2] == Reply(554, "c")
    assert list(reader.feed(b"250-x\r\n")) == []
    assert list(reader.feed(three)) == [Reply(250, "x\na"), *replies[1:]]


@pytest.mark.parametrize(("data", "expected"), GOOD)
@pytest.mark.parametrize("size", [1 << 20, 1, 2, 3, 7])
def test_replies_in_any_portions(data: bytes, expected: list[Reply], size: int) -> None:
    assert read(data, size) == expected


@pytest.mark.parametrize(("data", "expected"), GOOD)
@pytest.mark.parametrize("size", [1 << 20, 1])
def test_trailing_bytes_stay_pending(data: bytes, expected: list[Reply], size: int) -> None:
    reader = ReplyReader()
    found = [r for portion in portions(data + b"250-ne", size) for r in reader.feed(portion)]
    assert found == expected
    assert reader.pending
    assert list(reader.feed(b"xt\r\n250 end\r\n")) == [Reply(250, "next\nend")]
    assert not reader.pending


@pytest.mark.parametrize("data", BAD, ids=lambda data: repr(data[:16]))
@pytest.mark.parametrize("size", [1 << 20, 1, 5])
def test_what_is_no_reply_is_a_violation(data: bytes, size: int) -> None:
    with pytest.raises(ProtocolViolation):
        read(data, size)


def test_nothing_is_yielded_after_a_violation() -> None:
    reader = ReplyReader()
    with pytest.raises(ProtocolViolation):
        list(reader.feed(b"nonsense\r\n250 late\r\n"))
    with pytest.raises(ProtocolViolation):
        list(reader.feed(b"250 later\r\n"))


def test_the_reply_before_a_violation_is_seen_by_whoever_iterates() -> None:
    found = []
    try:
        for reply in ReplyReader().feed(b"550 no\r\ngarbage\r\n"):
            found.append(reply)  # noqa: PERF402 - the point is what was seen before the exception
    except ProtocolViolation as violation:
        found.append(Reply(599, str(violation)))
    assert found == [Reply(550, "no"), Reply(599, "not a reply: garbage")]


def test_text_is_capped_for_people_and_whole_for_ehlo() -> None:
    data = b"".join(b"250-" + b"k" * 100 + b"\r\n" for _ in range(30)) + b"250 end\r\n"
    (short,) = ReplyReader().feed(data)
    (whole,) = ReplyReader(text_cap=limits.REPLY_BYTES).feed(data)
    assert len(short.text) == limits.REPLY_TEXT_KEPT
    assert short.text.endswith("...")
    assert len(whole.text) == 30 * 101 + 3
    (line,) = ReplyReader().feed(b"250 " + b"y" * 2000 + b"\r\n")
    assert len(line.text) == limits.REPLY_TEXT_KEPT


@given(st.binary(max_size=400), st.integers(1, 50))
def test_only_violations_leave_the_reader(data: bytes, size: int) -> None:
    try:
        replies = read(data, size)
    except ProtocolViolation:
        return
    for reply in replies:
        assert 200 <= reply.code <= 599
        assert reply.text.replace("\n", "").isascii()
        assert reply.text.replace("\n", "").isprintable()


@given(
    st.lists(
        st.tuples(
            st.integers(200, 599),
            st.lists(
                st.binary(max_size=60).filter(lambda b: b"\n" not in b), min_size=1, max_size=4
            ),
        ),
        max_size=5,
    ),
    st.integers(1, 40),
)
def test_portions_make_no_difference(replies: list[tuple[int, list[bytes]]], size: int) -> None:
    data = b"".join(
        b"%d%b%b\r\n" % (code, b" " if at == len(lines) - 1 else b"-", line)
        for code, lines in replies
        for at, line in enumerate(lines)
    )
    assert read(data, size) == read(data)
    assert [reply.code for reply in read(data)] == [code for code, _ in replies]
