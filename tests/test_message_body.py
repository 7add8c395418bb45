"""A line with merge fields: the short way for plain lines gives what the encoder gives."""

from hypothesis import example, given
from hypothesis import strategies as st

from ekiden.dkim.canonical import relaxed_lines
from ekiden.message.body import Varying
from ekiden.message.filters import Budget
from ekiden.message.mime import Transfer, quoted_printable


@given(st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7F) | st.sampled_from("=. é\t")))
@example(".")
@example("..")
@example(". ")
@example("a" * 72)
@example("a" * 73)
@example("a" * 75 + " ")
@example("a ")
@example("")
@example("=3D")
@example(" two  spaces")
def test_a_line_is_what_the_encoder_makes_of_it(line: str) -> None:
    varying = Varying((line, "\n"), Transfer.QUOTED_PRINTABLE, "utf-8", html=False)
    encoded = quoted_printable(f"{line}\n".encode())
    assert varying.render({}, Budget()) == (encoded, relaxed_lines(encoded))


@given(st.text(st.sampled_from("ab =.\né")))
def test_several_lines_are_what_the_encoder_makes_of_them(text: str) -> None:
    varying = Varying((text, "\n"), Transfer.QUOTED_PRINTABLE, "utf-8", html=False)
    encoded = quoted_printable(f"{text}\n".encode())
    assert varying.render({}, Budget()) == (encoded, relaxed_lines(encoded))
