"""Tokens: what is made is read, and nothing else is."""

import base64
import random
import secrets

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ekiden import limits
from ekiden.errors import EkidenError
from ekiden.message.tokens import About, Purpose, Tokens, job_mark, pack_link, unpack_link

KEY = secrets.token_bytes(32)
TOKENS = Tokens([KEY])


@given(st.sampled_from(Purpose), st.binary(max_size=limits.TOKEN_BYTES))
def test_what_is_made_is_read_for_its_purpose_alone(purpose: Purpose, content: bytes) -> None:
    token = TOKENS.make(purpose, content)
    assert token == TOKENS.make(purpose, content)
    assert len(token) <= limits.TOKEN_CHARS
    assert set(token) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")
    assert [other for other in Purpose if TOKENS.read(other, token) == content] == [purpose]
    assert [TOKENS.read(other, token) for other in Purpose if other is not purpose] == [None] * 4


@given(st.text(max_size=120))
def test_any_text_is_read_without_an_exception(text: str) -> None:
    assert TOKENS.read(Purpose.LEAVE, text) is None


def test_ten_thousand_forged_truncated_and_swapped_tokens() -> None:
    dice = random.Random(6)
    people = [About(7, n, f"reader{n}@example.jp", job_mark("j")) for n in range(1, 101)]
    tokens = [TOKENS.make(Purpose.LEAVE, one.pack()) for one in people]
    genuine = set(tokens)
    other = Tokens([secrets.token_bytes(32)])
    tried = 0
    while tried < 10_000:
        token = dice.choice(tokens)
        raw = bytearray(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
        kind = tried % 5
        if kind == 0:  # one bit
            raw[dice.randrange(len(raw))] ^= 1 << dice.randrange(8)
        elif kind == 1:  # cut off, or longer
            cut = dice.randrange(len(raw))
            raw = raw[:cut] if dice.random() < 0.5 else raw + dice.randbytes(cut)
        elif kind == 2:  # the head of one, the rest of another
            second = base64.urlsafe_b64decode((one := dice.choice(tokens)) + "=" * (-len(one) % 4))
            cut = dice.randrange(1, len(raw))
            raw = bytearray(bytes(raw[:cut]) + second[cut:])
        elif kind == 3:  # the right form, invented
            raw = bytearray(b"\x01" + dice.randbytes(len(raw) - 1))
        else:  # another's key
            made = other.make(Purpose.LEAVE, dice.choice(people).pack())
            raw = bytearray(base64.urlsafe_b64decode(made + "=" * (-len(made) % 4)))
        forged = base64.urlsafe_b64encode(bytes(raw)).rstrip(b"=").decode()
        if forged in genuine:
            continue
        tried += 1
        assert TOKENS.read(Purpose.LEAVE, forged) is None


def test_a_token_has_one_spelling() -> None:
    token = TOKENS.make(Purpose.SEEN, bytes(16))
    assert TOKENS.read(Purpose.SEEN, token) == bytes(16)
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    read = [one for one in alphabet if TOKENS.read(Purpose.SEEN, token[:-1] + one) is not None]
    assert read == [token[-1]]
    for spelt in (token + "=", token + "\n", " " + token, token + "A", token.swapcase()):
        assert TOKENS.read(Purpose.SEEN, spelt) is None


def test_it_says_nothing_to_who_sees_it() -> None:
    about = About(1, 2, "somebody@example.jp", job_mark("j"))
    token = TOKENS.make(Purpose.LEAVE, about.pack())
    raw = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
    assert b"somebody" not in raw
    assert b"example" not in raw


def test_keys_rotate() -> None:
    new = secrets.token_bytes(32)
    token = TOKENS.make(Purpose.VIEW, b"x" * 100)
    assert Tokens([new, KEY]).read(Purpose.VIEW, token) == b"x" * 100
    assert Tokens([new]).read(Purpose.VIEW, token) is None
    made = Tokens([new, KEY]).make(Purpose.VIEW, b"x" * 100)
    assert TOKENS.read(Purpose.VIEW, made) is None
    with pytest.raises(EkidenError):
        Tokens([])
    with pytest.raises(EkidenError):
        Tokens([b"short"])


def test_what_tokens_hold() -> None:
    about = About((1 << 40) - 1, (1 << 56) - 1, "利用者@例え.jp", job_mark("uid"))
    assert About.unpack(about.pack()) == about
    assert About.unpack(about.pack()[:15]) is None
    assert About.unpack(None) is None
    assert About.unpack(bytes(16) + b"\xff") is None
    link = pack_link(job_mark("uid"), 9, "https://example.com/ä?x=1")
    assert unpack_link(link) == (job_mark("uid"), 9, "https://example.com/ä?x=1")
    assert unpack_link(link[:9]) is None
    assert unpack_link(None) is None
    with pytest.raises(ValueError, match="do not fit"):
        TOKENS.make(Purpose.LINK, bytes(limits.TOKEN_BYTES + 1))
