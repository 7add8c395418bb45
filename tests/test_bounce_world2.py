"""More of what the world says: most is read rightly, and nobody is suppressed who is kept.

`data/bounce_world2.toml` to `bounce_world4.toml` were written down before the rules were looked at.
Single replies in them may be read otherwise (their labels are opinions too), but the shares below
must hold, and a recipient who should be kept is never suppressed.
"""

import tomllib
from pathlib import Path
from typing import Any

import pytest

from ekiden.bounce.classify import Action, Classifier, ReplyContext, Verdict, stage_of

CLASSIFIER = Classifier.load()
DATA = Path(__file__).parent / "data"
BY_FILE: dict[str, list[dict[str, Any]]] = {
    name: tomllib.loads((DATA / name).read_text("utf-8"))["set"]
    for name in ("bounce_world2.toml", "bounce_world3.toml", "bounce_world4.toml")
}
SETS = [one for sets in BY_FILE.values() for one in sets]
SAMPLES = [(one, reply) for one in SETS for reply in one["replies"]]


def read(reply: str) -> Verdict:
    """A reply may begin with `%stage`, `@provider` and `&host`."""
    known = {"%": "", "@": "", "&": ""}
    while reply[:1] in known:
        mark, _, reply = reply.partition(" ")
        known[mark[0]] = mark[1:]
    return CLASSIFIER.classify(
        ReplyContext(reply, stage=stage_of(known["%"]), provider=known["@"], mx=known["&"])
    )


def allowed(one: dict[str, Any]) -> set[str]:
    return {one["action"], *one.get("also", ())}


@pytest.mark.parametrize("name", BY_FILE)
def test_most_are_read_rightly(name: str) -> None:
    verdicts = [(one, read(reply).action) for one in BY_FILE[name] for reply in one["replies"]]
    assert len(verdicts) > 150
    strict = sum(action == one["action"] for one, action in verdicts)
    lenient = sum(action in allowed(one) for one, action in verdicts)
    assert strict / len(verdicts) > 0.92
    assert lenient / len(verdicts) > 0.98


@pytest.mark.parametrize("one", SETS, ids=[one["what"] for one in SETS])
def test_each_kind_is_read_rightly(one: dict[str, Any]) -> None:
    right = sum(read(reply).action in allowed(one) for reply in one["replies"])
    assert right / len(one["replies"]) > 0.95


@pytest.mark.parametrize(
    "reply",
    [reply for one, reply in SAMPLES if Action.SUPPRESS_RECIPIENT not in allowed(one)],
)
def test_nobody_is_suppressed_who_is_kept(reply: str) -> None:
    assert read(reply).action is not Action.SUPPRESS_RECIPIENT


@pytest.mark.parametrize("stage", ["connect", "ehlo", "mail"])
def test_before_rcpt_nobody_is_suppressed(stage: str) -> None:
    for _, reply in SAMPLES:
        text = reply.rpartition("%rcpt ")[2]
        if "in reply to RCPT" not in text:
            verdict = read(f"%{stage} {text}")
            assert verdict.action is not Action.SUPPRESS_RECIPIENT, text
