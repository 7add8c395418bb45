"""What to do about deliveries that failed, in one sentence per kind of failure. Pure."""

from typing import Final

from ekiden.bounce.classes import CLASSES
from ekiden.bounce.model import Action
from ekiden.queue.model import State
from ekiden.smtp.outcome import Cause

_BY_ACTION: Final = {
    Action.SUPPRESS_RECIPIENT: "The address is gone: it is suppressed and will not be mailed again;"
    " remove it from your list.",
    Action.RETRY_LATER: "The receiver was in trouble until the time was up: send to these"
    " recipients again in a new job, later.",
    Action.THROTTLE_DESTINATION: "The receiver takes less from you than you sent: lower the caps"
    " for it, spread the job with `pace`, or leave it more time.",
    Action.BLOCKED_REPUTATION: "Your sending address is refused, not the recipient: look it up on"
    " the list that the reply names, find the cause, then ask for removal.",
    Action.FIX_SENDER: "Your set-up is refused: check SPF, DKIM, DMARC, reverse DNS and TLS, then"
    " send to these recipients again.",
    Action.CONTENT_REJECTED: "The message itself was refused: look at its links, attachments and"
    " size, then send to these recipients again.",
    Action.MAILBOX_FULL_RETRY: "The mailbox was full until the time was up: keep the recipient and"
    " try again with the next mailing.",
    Action.OTHER: "The reply says nothing certain: read it, and ask the receiver's postmaster if"
    " many recipients share it.",
}
_BY_FATE: Final = {
    State.EXPIRED.value: "The time was up before it could be delivered: leave the job more time, or"
    " see `ekiden queue` for what held it up.",
    State.SUPPRESSED.value: "The address was suppressed before and was not mailed: remove it from"
    " your list (see `ekiden suppressions list`).",
    State.CANCELLED.value: "The job was cancelled before this was sent.",
    State.HELD.value: "It may have arrived, so it is held until a person decides.",
    "refused": "The row is wrong and was never mailed: mend it and send it in a new job.",
}
_BY_CAUSE: Final = {
    Cause.UNSUPPORTED.value: "The receiver does not take such a message, though it takes others:"
    " send these recipients a smaller one, or one without what it lacks, as the reply says.",
}
_BY_REFUSAL: Final = {
    "unsubscribed": "They left the list, so they were not mailed: leave them out.",
    "opted_out": "They left the topic, so they were not mailed: leave them out of its jobs.",
    "not_opted_in": "They have not chosen the topic, which asks for that: leave them out.",
    "unengaged": "They have not reacted for as long as the sunset rule allows: ask them if they"
    " want to stay, or leave them out.",
    "erased": "They asked to be forgotten, so they were not mailed: delete them from your files.",
}


def advise(fate: str, klass: str) -> str:
    """Return what the sender should do.

    Args:
        fate: A delivery's final state, or "refused" for a row that intake refused.
        klass: The bounce class of its last reply, or why there was no try; "" for neither.
    """
    if fate == State.SUPPRESSED and klass in _BY_REFUSAL:
        return _BY_REFUSAL[klass]
    if fate in (State.SUPPRESSED, State.CANCELLED, State.HELD, "refused"):
        return _BY_FATE[fate]
    known = CLASSES.get(klass)
    if known is not None:
        return _BY_ACTION[known.action]
    return _BY_CAUSE.get(klass) or _BY_FATE.get(fate, _BY_ACTION[Action.OTHER])
