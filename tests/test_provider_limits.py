"""Every shipped profile against a receiver that enforces its limits, or tighter ones, in its words.

The whole table, for longer: `python -m bench.providers`.
"""

import pytest

from provider_cases import (
    PROFILES,
    WORDS,
    Words,
    follows,
    full_speed,
    measure,
    of_profile,
    rated,
    rest,
    tighter,
)

USED = 0.90  # at least, of the limit, in steady state
SHORT = 0.85  # of sessions so short that the gap between two is a tenth of the time
REFUSED = 0.02  # at most, of all transactions
HOURS = 0.5


def _distinct() -> list[Words]:
    """Return one of those who say and allow the same: more of them would show nothing new."""
    found: dict[object, Words] = {}
    for words in WORDS:
        says = (words.full, words.enough, words.slower, words.resets, words.rests)
        found.setdefault((*says, of_profile(words.name)), words)
    return list(found.values())


DISTINCT = _distinct()
ASK_LESS = [words for words in DISTINCT if not words.rests or words.resets]
RATED = [words for words in DISTINCT if of_profile(words.name).rate]
FOLLOWED = [words for words in WORDS if words.name in {"icloud", "jcom"}]
REST = [words for words in DISTINCT if words not in ASK_LESS]


def name(words: Words) -> str:
    return words.name


def test_every_profile_has_its_receiver() -> None:
    assert [words.name for words in WORDS] == [each.name for each in PROFILES]
    for words in WORDS:
        provider = PROFILES.match(words.destination, [words.mx])
        assert provider is not None
        assert provider.name == words.name
        assert provider.has_host(words.mx)


@pytest.mark.parametrize("words", DISTINCT, ids=name)
def test_its_own_numbers_are_kept_to(words: Words) -> None:
    found = measure(words, of_profile(words.name), 0.25)
    assert found.used >= USED
    assert found.refused == 0, "a rate of ours is kept where the receiver counts"
    assert found.reactions == ()


@pytest.mark.parametrize("words", RATED, ids=name)
def test_its_own_rate_is_kept_to_when_time_varies(words: Words) -> None:
    """A tenth more or less for each session and message: some come too close to each other."""
    found = measure(words, of_profile(words.name), 0.5, jitter=0.1)
    assert found.used >= 0.85
    assert found.refused < 0.005
    assert found.reactions == ()


@pytest.mark.parametrize("words", DISTINCT, ids=name)
def test_tighter_limits_are_found(words: Words) -> None:
    limits = tighter(words.name)
    found = measure(words, limits, HOURS)
    assert found.used >= (SHORT if limits.sessions * limits.each < 10 else USED)
    assert found.refused < REFUSED
    assert found.reactions == (), "what the window answers needs no reaction"


@pytest.mark.parametrize("words", ASK_LESS[:6], ids=name)
def test_a_rate_that_nobody_published_is_found(words: Words) -> None:
    found = measure(words, rated(words.name), HOURS)
    assert found.used >= USED
    assert found.refused < REFUSED
    assert found.reactions == ()


@pytest.mark.parametrize("words", FOLLOWED, ids=name)
def test_a_rate_that_doubles_is_used_within_minutes(words: Words) -> None:
    assert follows(words, rated(words.name)) <= 5


@pytest.mark.parametrize("words", REST, ids=name)
def test_who_asks_for_a_rest_is_left_in_peace(words: Words) -> None:
    pause, tries = rest(words, rated(words.name))
    assert pause >= words.rests * 0.99
    assert tries <= 20, "what was on its way when it said so, and no more"


@pytest.mark.parametrize("words", DISTINCT, ids=name)
def test_who_never_throttles_gets_full_speed_within_a_minute(words: Words) -> None:
    assert full_speed(words) <= 60
