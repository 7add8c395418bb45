"""Agreement between the queue and the record, as sentences."""

import pytest

from ekiden.sink.agree import disagreements
from ekiden.sink.record import Line


def took(recipient: str, *, answered: bool = True, accepted: bool = True) -> Line:
    return Line(
        kind="transaction",
        time=0.0,
        session="1",
        recipient=recipient,
        accepted=accepted,
        answered=answered,
    )


A = "a@x.test"


@pytest.mark.parametrize(
    ("states", "lines", "words"),
    [
        (["delivered"], [took(A)], ""),
        (["bounced"], [took(A, accepted=False)], ""),
        (["expired"], [], ""),
        (["delivered", "delivered"], [took(A), took(A)], ""),
        (["delivered"], [], "delivered once by the queue, but taken never"),
        (["delivered"], [took(A, accepted=False)], "delivered once by the queue, but taken never"),
        (["delivered"], [took(A), took(A)], "taken twice, but delivered once: a duplicate"),
        (["delivered"], [took(A, answered=False), took(A)], ""),
        (["expired"], [took(A, answered=False)], ""),
        (["bounced"], [took(A)], "taken once, but the queue says bounced"),
        (["sending"], [took(A)], "still sending; taken once"),
        (["ready", "held"], [], "still held and ready; taken never"),
        ([], [took(A)], "taken once, but the queue has no such delivery"),
        (["delivered"], [took(A)] * 5, "taken 5 times, but delivered once: a duplicate"),
    ],
)
def test_each_case(states: list[str], lines: list[Line], words: str) -> None:
    found = disagreements([(A, state) for state in states], lines)
    assert [one.words for one in found] == ([words] if words else [])
    assert all(str(one) == f"{A}: {words}" for one in found)


def test_what_the_queue_called_doubtful_may_be_there_twice() -> None:
    assert disagreements([(A, "delivered")], [took(A), took(A)], in_doubt=[A]) == []
    missing = disagreements([(A, "delivered")], [], in_doubt=[A])
    assert len(missing) == 1


def test_domains_are_compared_as_a_labels_and_local_parts_as_they_are() -> None:
    states = [("taro@日本語.example", "delivered"), ("Taro@X.test", "delivered")]
    lines = [took("taro@xn--wgv71a119e.example"), took("Taro@x.test"), took("taro@x.test")]
    assert [one.recipient for one in disagreements(states, lines)] == ["taro@x.test"]


def test_frames_and_refusals_do_not_count() -> None:
    assert disagreements([], [Line(kind="open", time=0.0, session="1")]) == []
