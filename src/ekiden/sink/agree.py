"""Do the queue and the world agree? Address by address, in words.

The queue says what became of each delivery; the record says what each receiver took. Delivered
means taken, and nothing else does. The one excuse is doubt: a message that was taken without an
answer (drop-after-dot, or a client that was killed) may have been sent again, so such copies may be
there and may be counted.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

import idna

from ekiden.sink.record import Line

FINAL: Final = frozenset({"delivered", "bounced", "expired", "suppressed", "cancelled"})


@dataclass(frozen=True, slots=True)
class Disagreement:
    """One recipient about whom the two differ.

    Args:
        recipient: The address.
        states: What the queue says of it, one per delivery.
        taken: How often a receiver took a message for it.
        words: What is wrong, as a sentence.
    """

    recipient: str
    states: tuple[str, ...]
    taken: int
    words: str

    def __str__(self) -> str:
        return f"{self.recipient}: {self.words}"


@dataclass(slots=True)
class _Seen:
    states: list[str] = field(default_factory=list)
    certain: int = 0  # taken, and the client was told
    doubtful: int = 0  # taken, and the client was not told


def fold(address: str) -> str:
    """Return the address as both sides compare it: the domain in lower case A-labels."""
    local, at, domain = address.rpartition("@")
    try:
        domain = idna.encode(domain.casefold(), uts46=True).decode("ascii")
    except idna.IDNAError:
        domain = domain.casefold()
    return f"{local}{at}{domain}"


def disagreements(
    states: Iterable[tuple[str, str]],
    lines: Iterable[Line],
    *,
    in_doubt: Iterable[str] = (),
) -> list[Disagreement]:
    """Compare the queue's states with the sink's record.

    Args:
        states: Recipient and state of every delivery; a recipient of two jobs comes twice.
        lines: The record.
        in_doubt: Recipients of deliveries that the queue itself reported as in doubt: for them a
            copy more than was counted as delivered is no disagreement.

    Returns:
        What differs, sorted by recipient; empty when the two agree.
    """
    seen: dict[str, _Seen] = {}
    for recipient, state in states:
        seen.setdefault(fold(recipient), _Seen()).states.append(state)
    for line in lines:
        if line.kind == "transaction" and line.accepted:
            one = seen.setdefault(fold(line.recipient), _Seen())
            if line.answered:
                one.certain += 1
            else:
                one.doubtful += 1
    doubted = {fold(recipient) for recipient in in_doubt}
    found = []
    for recipient, one in sorted(seen.items()):
        words = _judge(one, doubted=recipient in doubted)
        if words:
            found.append(
                Disagreement(recipient, tuple(one.states), one.certain + one.doubtful, words)
            )
    return found


def _judge(one: _Seen, *, doubted: bool) -> str:
    taken = one.certain + one.doubtful
    delivered = one.states.count("delivered")
    open_states = sorted({state for state in one.states if state not in FINAL})
    if not one.states:
        return f"taken {_times(taken)}, but the queue has no such delivery"
    if open_states:
        return f"still {' and '.join(open_states)}; taken {_times(taken)}"
    if taken < delivered:
        return f"delivered {_times(delivered)} by the queue, but taken {_times(taken)}"
    if one.certain <= delivered or doubted:
        return ""
    if not delivered:
        others = Counter(one.states)
        return f"taken {_times(taken)}, but the queue says {', '.join(sorted(others))}"
    return f"taken {_times(taken)}, but delivered {_times(delivered)}: a duplicate"


def _times(count: int) -> str:
    return {0: "never", 1: "once", 2: "twice"}.get(count, f"{count} times")
