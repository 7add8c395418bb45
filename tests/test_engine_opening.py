"""Sessions begin as fast as the loop bears, and never stop to."""

from ekiden.engine.opening import LATE, LEAST, MOST, Opening


def test_a_loop_in_time_opens_as_many_as_a_turn_takes() -> None:
    opening = Opening()
    for _ in range(1000):
        opening.woke(LATE / 2)
    assert opening.most == MOST


def test_a_late_loop_opens_fewer_and_a_few_always() -> None:
    opening = Opening()
    opening.woke(2 * LATE)
    assert opening.most == MOST // 2
    for _ in range(100):
        opening.woke(10.0)
    assert opening.most == LEAST


def test_a_storm_settles_where_turns_are_short() -> None:
    """A loop on which each session costs 2 ms, in the turn after the one that begins it."""
    opening, late, longest = Opening(), 0.0, []
    for _ in range(300):
        opening.woke(late)
        late = opening.most * 0.002
        longest.append(late)
    assert max(longest[10:]) < 0.020
