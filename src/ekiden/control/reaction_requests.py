"""What can be asked about reactions: what holds, and its end before its time."""

from typing import Any, ClassVar

import msgspec

from ekiden.control.requests import Question


class ReactionView(msgspec.Struct, frozen=True, kw_only=True):
    """A reaction that holds."""

    id: int
    rule: str
    where: str  # what it holds for, in words
    what: str  # what is done, in words
    since: float
    until: float | None
    reply: str  # what brought it about


class ShowReactions(Question[list[ReactionView]], frozen=True):
    """Every reaction that holds, the latest first."""

    method: ClassVar[str] = "reactions"


class CancelReaction(Question[bool], frozen=True):
    """End a reaction now; answers whether there was one of that number."""

    method: ClassVar[str] = "reactions.cancel"
    id: int


REACTION_REQUESTS: dict[str, type[Any]] = {
    kind.method: kind for kind in (ShowReactions, CancelReaction)
}
"""By method, for the wire."""
