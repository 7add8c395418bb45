"""Rules over replies of the past: what would have fired, when, and for how long. Pure."""

from collections.abc import Iterable, Sequence

from ekiden.shaping.reactions import Reaction, Reactions, Rule, Seen


def replay(rules: Sequence[Rule], past: Iterable[Seen]) -> list[Reaction]:
    """Return every reaction that `rules` would have begun, in their order.

    The past went on although a rule would have stopped it: replies while a reaction would have held
    bring about nothing more, as they would not have come.

    Args:
        rules: The rules.
        past: Replies in the order of their times.
    """
    reactions = Reactions(rules)
    begun = []
    for seen in past:
        reactions.lapsed(seen.at)
        begun += reactions.observe(seen)
    return begun
