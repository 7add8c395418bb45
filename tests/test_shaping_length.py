"""How many messages a session may carry: found by counting, asked again by one session for all."""

from ekiden.shaping.length import ALIKE, MESSAGES, WHILE, Length

START = 1_000_000.0


def found(limit: int = 10) -> Length:
    """Return a length whose limit has shown."""
    length = Length()
    for number in range(ALIKE):
        assert length.cut(limit, START, rate=None) == (number == ALIKE - 1)
        length.ended(limit, START, asked=False, cut=True)
    return length


def test_the_same_end_three_times_is_a_limit() -> None:
    length = found(10)
    assert length.limit == 10
    assert length.expects(10)
    assert not length.expects(9)


def test_ends_at_any_number_are_none() -> None:
    length = Length()
    for carried in (5, 7, 5, 8, 8, 9, 7, 7):
        assert not length.cut(carried, START, rate=None)
    assert length.limit is None


def test_ends_short_of_the_furthest_do_not_hide_it() -> None:
    """It hangs up on who is too fast, too: after any number, up to its limit."""
    length = Length()
    ends = (100, 37, 100, 12, 55)
    assert not any(length.cut(carried, START, rate=1.0) for carried in ends)
    assert length.expects(100)
    assert not length.expects(37)
    assert length.cut(100, START, rate=1.0)
    assert length.limit == 100


def test_a_session_that_carried_more_says_that_it_was_none() -> None:
    length = Length()
    for _ in range(ALIKE - 1):
        length.cut(10, START, rate=None)
    length.ended(30, START, asked=False, cut=False)
    assert not length.expects(10)
    assert not length.cut(10, START, rate=None)
    assert length.limit is None


def test_a_session_that_is_open_and_has_carried_more_says_so_too() -> None:
    length = Length()
    for _ in range(2 * ALIKE):
        assert not length.cut(3, START, rate=None, others=4)
    assert length.limit is None
    for number in range(1, ALIKE):
        assert length.cut(3, START, rate=None, others=3) == (number == ALIKE - 1)


def test_an_end_for_another_reason_leaves_the_limit() -> None:
    """A receiver that hangs up on whoever is too fast ends a session after any number."""
    length = found(10)
    assert not length.cut(2, START, rate=2.0)
    assert length.limit == 10
    assert not length.cut(7, START, rate=2.0)
    assert length.limit == 10


def test_a_limit_that_fell_shows_as_it_did_at_first() -> None:
    length = found(10)
    for _ in range(ALIKE):
        length.cut(5, START, rate=None)
    assert length.limit == 5


def test_one_session_asks_for_all_and_not_before_its_time() -> None:
    length = found(10)
    assert not length.ask(START + WHILE - 1)
    assert length.ask(START + WHILE)
    assert not length.ask(START + WHILE), "one is out already"
    length.cut(10, START + WHILE, rate=None)
    length.ended(10, START + WHILE, asked=True, cut=True)
    assert length.limit == 10
    assert not length.ask(START + WHILE + 1)
    assert length.ask(START + 2 * WHILE)


def test_a_slow_path_is_asked_after_as_many_messages() -> None:
    length = Length()
    for _ in range(ALIKE):
        length.cut(10, START, rate=1.0)
    assert not length.ask(START + MESSAGES - 1)
    assert length.ask(START + MESSAGES)


def test_a_limit_that_rose_is_followed_and_one_that_is_gone_is_forgotten() -> None:
    length = found(10)
    assert length.ask(START + WHILE)
    length.cut(15, START + WHILE, rate=None)
    length.ended(15, START + WHILE, asked=True, cut=True)
    assert length.limit == 15
    assert length.ask(START + WHILE + 1), "the next one at once"
    length.ended(30, START + WHILE + 2, asked=True, cut=False)
    assert not length.expects(15)
    assert not length.ask(START + 2 * WHILE), "there is nothing to ask"


def test_an_answer_that_did_not_come_is_asked_for_again() -> None:
    length = found(10)
    assert length.ask(START + WHILE)
    length.ended(4, START + WHILE + 1, asked=True, cut=False)
    assert length.limit == 10
    assert length.ask(START + WHILE + 2)


def test_it_survives_a_restart() -> None:
    length, again = found(10), Length()
    assert Length().state() == []
    again.restore(length.state())
    assert again.limit == 10
    assert not again.spoken
    assert not again.ask(START + WHILE - 1)
    assert again.ask(START + WHILE)
    again.restore([])
    assert again.limit == 10


def test_words_are_a_limit_at_once() -> None:
    length = Length()
    length.said(20, START, rate=None)
    length.ended(20, START, asked=False, cut=True)
    assert length.limit == 20
    again = Length()
    again.restore(length.state())
    assert again.spoken, "why is kept with it"
    assert not length.ask(START + WHILE - 1)
    assert length.ask(START + WHILE)
    length.said(20, START + WHILE, rate=None)
    length.ended(20, START + WHILE, asked=True, cut=True)
    assert length.limit == 20
    assert not length.ask(START + WHILE + 1), "it said the same: asked again after a while"


def test_words_raise_and_lower_what_was_known() -> None:
    length = found(10)
    length.said(7, START, rate=None)
    assert length.limit == 7
    assert length.ask(START + WHILE)
    length.said(12, START + WHILE, rate=None)
    length.ended(12, START + WHILE, asked=True, cut=True)
    assert length.limit == 12
    kept = Length()
    kept.restore(length.state())
    assert kept.limit == 12
    assert not kept.ask(START + WHILE + 1)
