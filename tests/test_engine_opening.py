"""Sessions begin as fast as the loop bears, and never stop to."""

import heapq

import pytest

from ekiden.engine.opening import BUSY, FEW, LATE, LEAST, MOST, Opening

BREATH = 0.005  # seconds between two looks, as the dispatcher takes
# Of each answer: seconds until it comes, milliseconds that it then costs.
PLAIN = [(0.3, 0.3), (0.3, 0.3), (0.3, 0.1), (0.3, 0.3)]
TLS = [(0.3, 0.3), (0.3, 0.2), (0.3, 0.3), (0.0, 0.8), (0.3, 0.4), (0.3, 0.3)]


def test_a_loop_in_time_opens_as_many_as_a_turn_takes() -> None:
    opening = Opening()
    for _ in range(10_000):
        opening.woke(LATE / 2)
    assert opening.most == MOST


def test_a_late_loop_opens_fewer_and_a_few_always() -> None:
    opening = Opening()
    for session in range(FEW + 1):
        opening.begun(session)
    for _ in range(10_000):
        opening.woke(0.0)
    opening.woke(2 * LATE)
    assert opening.most == MOST // 2
    for _ in range(100):
        opening.woke(10.0)
    assert opening.most == LEAST


def test_a_loop_that_is_late_of_other_work_does_not_hold_openings_back() -> None:
    opening = Opening()
    for session in range(2 * FEW):
        opening.begun(session)
    opening.woke(10.0)
    assert opening.most == LEAST
    for session in range(FEW):
        opening.over(session)
        opening.over(session)  # it stood, and has ended since
    assert opening.most == BUSY


@pytest.mark.parametrize("answers", [PLAIN, TLS], ids=["plain", "tls"])
def test_ten_thousand_sessions_open_in_short_turns(answers: list[tuple[float, float]]) -> None:
    """A loop on which each session costs 0.4 ms at once and more with each of its answers."""
    opening, opened, now, look = Opening(), 0, 0.0, 0.0
    due: list[tuple[float, int, int]] = []
    turns = []
    while opened < 10_000 or due:
        began = now
        while due and due[0][0] <= began:
            _, stage, session = heapq.heappop(due)
            now += answers[stage][1] / 1000
            if stage + 1 < len(answers):
                heapq.heappush(due, (now + answers[stage + 1][0], stage + 1, session))
            else:
                opening.over(session)
        if began >= look and opened < 10_000:
            opening.woke(began - look if look else 0.0)
            for _ in range(opening.most):
                opened += 1
                now += 0.0004
                opening.begun(opened)
                heapq.heappush(due, (now + answers[0][0], 0, opened))
            look = now + BREATH
        if now > began:
            turns.append(now - began)
        now = max(now, began + 0.0005)
    turns.sort()
    assert turns[len(turns) * 99 // 100] < 0.020
    assert now < 2 * 10_000 * (0.4 + sum(cost for _, cost in answers)) / 1000
