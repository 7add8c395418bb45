"""Why a destination waits: the queue's reasons, the engine's, and which comes first."""

import pytest

from ekiden.control.waiting import span, why
from ekiden.queue.shown import Backlog

NOW = 1_700_000_000.0


def waiting(**given: object) -> Backlog:
    facts: dict[str, object] = {
        "destination": "a.example",
        "ready": 5,
        "deferred": 0,
        "sending": 0,
        "held": 0,
        "oldest": NOW - 60,
        "next_due": NOW - 60,
        "begins": NOW - 60,
        "aside": NOW - 60,
    }
    return Backlog(**{**facts, **given})  # type: ignore[arg-type]  # checked by the dataclass


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({"suspended": ""}, "suspended"),
        ({"suspended": "they asked"}, "suspended: they asked"),
        ({"paused": "sale", "begins": None, "aside": None}, "job sale is paused"),
        ({"begins": NOW + 7200}, "its job begins later (send_at), 2 h more"),
        ({"next_due": NOW + 90, "aside": NOW + 90}, "its next try is later, 90 s more"),
        ({"ready": 0, "held": 2, "next_due": None}, "held: it may have arrived"),
    ],
)
def test_what_holds_it_back_is_said_with_and_without_a_daemon(
    facts: dict[str, object], words: str
) -> None:
    one = waiting(**facts)
    assert words in why(one, NOW, None)
    assert words in why(one, NOW, lambda _: "it waits for its site")


def test_else_the_engine_says_why() -> None:
    assert why(waiting(), NOW, lambda name: f"2 of 2 sessions of {name}") == (
        "2 of 2 sessions of a.example"
    )
    assert why(waiting(), NOW, None) == "no daemon runs"


def test_what_the_scheduler_has_put_aside_says_until_when() -> None:
    aside = waiting(aside=NOW + 600)
    assert why(aside, NOW, lambda _: "") == (
        "put aside while its receiver takes no more, 10 min more"
    )
    assert why(aside, NOW, lambda _: "blocked: 554 listed") == "blocked: 554 listed"
    assert why(waiting(), NOW, lambda _: "") == "its turn comes after others"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.2, "1 s"), (45, "45 s"), (119, "119 s"), (600, "10 min"), (7200, "2 h"), (200_000, "2 d")],
)
def test_spans_are_said_as_people_say_them(seconds: float, words: str) -> None:
    assert span(seconds) == words
