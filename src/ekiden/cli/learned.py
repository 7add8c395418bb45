"""What sending has taught about receivers, in words: rates and lengths of sessions, and why."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from ekiden.control.pacing_requests import LearnedView

SHOWN: Final = 10  # paths at most in `ekiden status`


def because(one: "LearnedView") -> str:
    """Return how the length of sessions was found."""
    return "the receiver said so" if one.length_said else "it ended sessions after so many"


def facts_of(learned: "Sequence[LearnedView]") -> dict[str, str | int]:
    """Return the limits that were found, by path; of many the first few."""
    facts: dict[str, str | int] = {
        f"found at {one.site} from {one.source}": _limits(one) for one in learned[:SHOWN]
    }
    if len(learned) > SHOWN:
        facts["found elsewhere"] = "more: ekiden config explain DESTINATION"
    return facts


def _limits(one: "LearnedView") -> str:
    words = []
    if one.messages_per_session is not None:
        words.append(f"{one.messages_per_session:,} messages a session ({because(one)})")
    if one.rate is not None:
        slow = one.rate < 1.0
        rate = f"{one.rate * 60:.3g} per minute" if slow else f"{one.rate:.3g} per second"
        words.append(f"{rate} (by asking)")
    return ", ".join(words)
