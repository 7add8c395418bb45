"""What the world's mail hosts say, and what must follow: the wording is theirs, the hosts are ours.

The replies are in `data/bounce_replies.toml`, by what must follow. A rule may change, and a class
may be split; what follows must not.
"""

import tomllib
from pathlib import Path

import pytest

from ekiden.bounce.classify import Action, Classifier, ReplyContext, stage_of

CLASSIFIER = Classifier.load()
REPLIES: dict[str, list[str]] = tomllib.loads(
    (Path(__file__).parent / "data" / "bounce_replies.toml").read_text("utf-8")
)
ALLOWED: dict[str, set[Action]] = {
    "slower": {Action.THROTTLE_DESTINATION, Action.BLOCKED_REPUTATION}
}


@pytest.mark.parametrize(
    ("follows", "reply"), [(follows, reply) for follows, all_ in REPLIES.items() for reply in all_]
)
def test_what_follows(follows: str, reply: str) -> None:
    verdict = CLASSIFIER.classify(ReplyContext(reply))
    assert verdict.action in (ALLOWED.get(follows) or {Action(follows)})
    assert verdict.why


@pytest.mark.parametrize("stage", ["connect", "ehlo", "mail"])
@pytest.mark.parametrize("reply", REPLIES["suppress_recipient"])
def test_before_rcpt_nobody_is_suppressed(reply: str, stage: str) -> None:
    """A receiver that has not heard of the recipient cannot mean it."""
    bare = reply.removesuffix(" (in reply to RCPT TO command)")
    verdict = CLASSIFIER.classify(ReplyContext(bare, stage=stage_of(stage)))
    assert verdict.action is not Action.SUPPRESS_RECIPIENT
