"""Signed return addresses: only what we made verifies, for what we made it, while it lasts."""

import hmac
import random
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ekiden.bounce.verp import ALPHABET, DAY, Refusal, ReturnAddresses, Returned
from ekiden.errors import EkidenError

NOW = 1_800_000_000.0
WEEK = 7 * DAY
OURS = ReturnAddresses([b"k" * 32], "return.example.com")


def made(delivery: int = 42, *, now: float = NOW, lifetime: float = WEEK) -> str:
    return OURS.make(delivery, now=now, lifetime=lifetime)


@given(st.integers(min_value=0, max_value=2**63 - 1))
def test_round_trip(delivery: int) -> None:
    address = made(delivery)
    found = OURS.verify(address, now=NOW)
    assert isinstance(found, Returned)
    assert found.delivery == delivery
    assert found.expires_at >= NOW + WEEK
    assert OURS.verify(address.upper(), now=NOW) == found, "a receiver may change the case"
    assert OURS.verify(f"<{address}>", now=NOW) == found
    local = address.partition("@")[0]
    assert len(local) <= 64
    assert set(local) <= set(string.ascii_lowercase + string.digits + "-")


@pytest.mark.parametrize("key", [b"k" * 16, b"k" * 64, b"a key longer than a block" * 5])
def test_the_code_is_plain_hmac_sha_256(key: bytes) -> None:
    local = ReturnAddresses([key], "return.example.com").make(42, now=NOW, lifetime=WEEK)
    number = 0
    for char in local.partition("@")[0].removeprefix("b-"):
        number = number << 5 | ALPHABET.index(char)
    raw = (number >> 4).to_bytes(27, "big")
    said = b"ekiden return address\0b-\0return.example.com\0" + raw[:11]
    assert raw[11:] == hmac.digest(key, said, "sha256")[:16]


def test_it_lasts_at_least_its_lifetime_and_a_day_at_most_longer() -> None:
    address = made(lifetime=WEEK)
    assert isinstance(OURS.verify(address, now=NOW + WEEK), Returned)
    assert OURS.verify(address, now=NOW + WEEK + DAY) is Refusal.EXPIRED


def test_ten_thousand_forged_mutated_expired_and_swapped_addresses_prove_nothing() -> None:
    dice = random.Random(5)
    good = made(7)
    local, _, domain = good.partition("@")
    others = ReturnAddresses([b"other key of ours" * 2], "return.example.com")
    elsewhere = ReturnAddresses([b"k" * 32], "return.example.net")
    answers = []
    for number in range(2_500):
        forged = "".join(dice.choice(ALPHABET) for _ in range(44))
        answers.append(OURS.verify(f"b-{forged}@{domain}", now=NOW))
        place = dice.randrange(2, len(local))
        mutated = dice.choice([char for char in ALPHABET if char != local[place]])
        mutant = f"{local[:place]}{mutated}{local[place + 1 :]}@{domain}"
        answers.append(OURS.verify(mutant, now=NOW))
        old = made(number, now=NOW - 30 * DAY, lifetime=WEEK)
        answers.append(OURS.verify(old, now=NOW))
        swapped = others.make(number, now=NOW, lifetime=WEEK)
        moved = elsewhere.make(number, now=NOW, lifetime=WEEK).replace(".net", ".com")
        answers.append(OURS.verify(swapped if number % 2 else moved, now=NOW))
    assert len(answers) == 10_000
    assert not [answer for answer in answers if isinstance(answer, Returned)]
    assert set(answers) == {Refusal.FORGED, Refusal.NOT_OURS, Refusal.EXPIRED}


def test_a_body_cannot_be_given_another_delivery_or_expiry() -> None:
    """The first characters hold version, day and number: each other value is refused."""
    local, _, domain = made(1).partition("@")
    far = made(1, lifetime=400 * DAY).partition("@")[0]
    assert OURS.verify(f"{far[:8]}{local[8:]}@{domain}", now=NOW) is Refusal.FORGED
    other = made(2).partition("@")[0]
    assert OURS.verify(f"{other[:20]}{local[20:]}@{domain}", now=NOW) is Refusal.FORGED


def test_keys_rotate() -> None:
    old, new = b"o" * 32, b"n" * 32
    address = ReturnAddresses([old], "return.example.com").make(9, now=NOW, lifetime=WEEK)
    both = ReturnAddresses([new, old], "return.example.com")
    assert isinstance(both.verify(address, now=NOW), Returned)
    fresh = both.make(9, now=NOW, lifetime=WEEK)
    only_old = ReturnAddresses([old], "return.example.com")
    assert only_old.verify(fresh, now=NOW) is Refusal.FORGED


@pytest.mark.parametrize(
    "address",
    [
        "",
        "@",
        "b-@return.example.com",
        "postmaster@return.example.com",
        "b-" + "b" * 44,
        "b" * 5000,
    ],
)
def test_other_addresses_are_not_ours(address: str) -> None:
    assert OURS.verify(address, now=NOW) is Refusal.NOT_OURS


@given(st.text(max_size=300))
def test_never_raises(address: str) -> None:
    assert not isinstance(OURS.verify(address, now=NOW), Returned)


def test_bad_settings_say_what_to_do() -> None:
    with pytest.raises(EkidenError, match="fewer than 16 bytes"):
        ReturnAddresses([b"short"], "example.com")
    with pytest.raises(EkidenError, match="prefix"):
        ReturnAddresses([b"k" * 32], "example.com", prefix="b" * 21)
    with pytest.raises(EkidenError, match="prefix"):
        ReturnAddresses([b"k" * 32], "example.com", prefix="b@")
