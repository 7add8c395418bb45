"""Seen never calls a known address new, whatever the hashes."""

from hypothesis import given
from hypothesis import strategies as st

from ekiden.queue.seen import Seen


@given(
    batches=st.lists(st.lists(st.integers(0, 300), max_size=60), max_size=12),
    spread=st.sampled_from([1, 3, 1 << 8, (1 << 40) + 257, -((1 << 41) + 513)]),
)
def test_every_repeated_value_is_suspected_and_found(batches: list[list[int]], spread: int) -> None:
    """Values are hashed badly on purpose: they share tables and prints."""
    seen, number_of, number = Seen(), {}, 1
    for values in batches:
        hashes = [value // 3 * spread for value in values]
        suspects = seen.screen(hashes, number)
        for place, value in enumerate(values):
            if place not in suspects:
                assert value not in number_of
                number_of[value] = number
                number += 1
        for place in suspects:
            candidates = seen.suspects(hashes[place])
            assert candidates
            if values[place] in number_of:
                assert number_of[values[place]] in candidates
            else:
                seen.add(hashes[place], number)
                number_of[values[place]] = number
                number += 1


def test_it_grows_and_forgets_nothing() -> None:
    seen = Seen()
    hashes = [hash(f"{n}@example") for n in range(50_000)]
    assert seen.screen(hashes, 1) == []
    assert seen.screen(hashes, 50_001) == list(range(50_000))
    assert all(place + 1 in seen.suspects(hash_) for place, hash_ in enumerate(hashes))
