"""The words of this room: what is asked about a reply, and what is answered."""

from dataclasses import dataclass
from enum import StrEnum

from ekiden.smtp.outcome import Stage


class Action(StrEnum):
    """What follows from a class; the engine's decision table reads nothing else."""

    SUPPRESS_RECIPIENT = "suppress_recipient"  # the mailbox is gone: do not mail it again
    RETRY_LATER = "retry_later"  # a state that passes
    THROTTLE_DESTINATION = "throttle_destination"  # the receiver asks for less
    BLOCKED_REPUTATION = "blocked_reputation"  # our address or name is refused, not this recipient
    FIX_SENDER = "fix_sender"  # the sender's set-up is at fault; `why` says what to mend
    CONTENT_REJECTED = "content_rejected"  # this message is refused; the recipient is kept
    MAILBOX_FULL_RETRY = "mailbox_full_retry"
    OTHER = "other"  # nothing certain; neither the recipient nor the source is judged


@dataclass(frozen=True, slots=True)
class ReplyContext:
    r"""A reply, and everything known about where it came from.

    Args:
        reply: The reply's text, with or without its code; bytes may be escaped as `\xNN`.
        code: The three-digit code; 0 to read it from the text.
        enhanced: The enhanced status code; "" to read it from the text.
        stage: Where in the dialogue it came; None to read it from the text.
        mx: The host that answered.
        destination: The recipient's domain.
        recipient: The recipient's address.
        provider: The provider's name; "" to tell it from `mx` and `destination`.
        tls: Description of the session's TLS; "" for none or not known.
    """

    reply: str
    code: int = 0
    enhanced: str = ""
    stage: Stage | None = None
    mx: str = ""
    destination: str = ""
    recipient: str = ""
    provider: str = ""
    tls: str = ""


@dataclass(frozen=True, slots=True)
class Listing:
    """A blocklist entry that a reply speaks of.

    Args:
        name: The list's name for people; "" if the reply does not name it.
        ip: The listed address as the reply gives it; "" if it does not.
        url: Where to look it up and ask for removal; "" if not known.
    """

    name: str = ""
    ip: str = ""
    url: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a reply means.

    Args:
        klass: The bounce class, a name out of `classes.CLASSES`.
        action: What follows.
        rule: The rule that decided; `code` if only the reply code was left to go by.
        provider: The provider's name; "" if not known.
        why: One sentence for a person: what it means, or what to mend.
        retry_after: Seconds the receiver asked to wait; None if it did not say.
        listing: The blocklist that is named; None if the class is not about one.
    """

    klass: str
    action: Action
    rule: str
    provider: str
    why: str
    retry_after: float | None = None
    listing: Listing | None = None
