"""Behaviours: what the local part of an address makes the sink do.

The part before a `+` is the name, so `bounce+tanaka17@...` is one of many addresses that do not
exist, and any name that is not in the table is a mailbox that works. `docs/sink.md` carries the
table, and a test compares the two.
"""

from dataclasses import dataclass
from enum import Enum
from typing import Final


class Do(Enum):
    """What is done with the recipient, in words that the conversation understands."""

    ACCEPT = "accept"
    REFUSE = "refuse"  # always, at RCPT
    REFUSE_BODY = "refuse the message"  # always, after the final dot
    DELAY = "refuse until"  # at RCPT, until the profile's seconds have gone since the first try
    ONCE = "refuse once"  # the first try of this recipient, at RCPT
    RATE = "limit"  # at RCPT, when this recipient is tried too often
    SLOW = "slow"  # every reply of the transaction comes late
    CLOSE = "close"  # at RCPT, without a reply
    RESET = "reset"  # at RCPT, with a TCP reset
    DROP = "drop"  # after the final dot: the message is kept, the connection closed without a reply
    RAW = "raw"  # a reply that RFC 5321 does not allow, at RCPT
    RAW_BODY = "raw reply"  # accepted, with a reply that has strange bytes


@dataclass(frozen=True, slots=True)
class Timing:
    """How long the behaviours take, in seconds (and the rate, per second).

    Args:
        greylist: From a first try until the address is taken.
        throttle: The same for `throttle`.
        slow: How late each reply of `slow` comes.
        ratelimit: Messages per second that all `ratelimit` addresses of a provider take.
    """

    greylist: float = 3.0
    throttle: float = 3.0
    slow: float = 1.0
    ratelimit: float = 2.0


@dataclass(frozen=True, slots=True)
class Behaviour:
    """One row of the table.

    Args:
        name: The local part.
        do: What is done.
        doc: For people.
        words: The profile's occasion whose words are said.
        raw: For RAW and RAW_BODY: the bytes.
    """

    name: str
    do: Do
    doc: str
    words: str = "accepted"
    raw: bytes = b""


_TABLE: Final = (
    Behaviour("success", Do.ACCEPT, "Takes the message. So does every name not listed here."),
    Behaviour("bounce", Do.REFUSE, "The mailbox does not exist.", "bounce"),
    Behaviour("mailboxfull", Do.REFUSE, "The mailbox is full, and stays so.", "mailboxfull"),
    Behaviour(
        "greylist",
        Do.DELAY,
        "Refused for the moment; the same client address, sender and recipient is taken "
        "`greylist_seconds` after its first try.",
        "greylist",
    ),
    Behaviour("tempfail", Do.REFUSE, "A temporary failure, every time.", "tempfail"),
    Behaviour(
        "tempfail-once",
        Do.ONCE,
        "A temporary failure at the first try; then the message is taken.",
        "tempfail",
    ),
    Behaviour("blocklisted", Do.REFUSE, "The client's address is on a blocklist.", "blocklisted"),
    Behaviour(
        "throttle",
        Do.DELAY,
        "The provider's words for *slow down*; taken `throttle_seconds` after the first try.",
        "throttle",
    ),
    Behaviour(
        "ratelimit",
        Do.RATE,
        "Takes `ratelimit_rate` messages a second for all such addresses of a provider; refuses "
        "the rest in its words.",
        "ratelimit",
    ),
    Behaviour("badsender", Do.REFUSE, "The sender's domain has no DNS records.", "sender_domain"),
    Behaviour("filtered", Do.REFUSE_BODY, "Refused after the message, by a filter.", "filtered"),
    Behaviour(
        "authfail", Do.REFUSE_BODY, "Refused after the message: not authenticated.", "authfail"
    ),
    Behaviour("toolarge", Do.REFUSE_BODY, "Refused after the message: too large.", "toolarge"),
    Behaviour("slow", Do.SLOW, "Takes the message; each reply comes `slow_seconds` late."),
    Behaviour("disconnect", Do.CLOSE, "Closes the connection at RCPT, without a reply."),
    Behaviour("reset", Do.RESET, "Resets the TCP connection at RCPT (au's block looks so)."),
    Behaviour(
        "drop-after-dot",
        Do.DROP,
        "Takes the message, records it, and closes without a reply: delivered, and in doubt for "
        "the sender.",
    ),
    Behaviour("malformed", Do.RAW, "Answers RCPT with bytes that are no reply.", raw=b"2_5 OK\r\n"),
    Behaviour(
        "endless",
        Do.RAW,
        "Answers RCPT with a reply of 2,000 lines.",
        raw=b"250-and so on\r\n" * 2000 + b"250 end\r\n",
    ),
    Behaviour(
        "binary",
        Do.RAW_BODY,
        "Takes the message with a reply that holds bytes outside ASCII and control characters.",
        raw=b"250 2.0.0 \xff\xfe \x1b[31mtaken\x00\r\n",
    ),
)
BEHAVIOURS: Final = {row.name: row for row in _TABLE}


def behaviour_of(local_part: str) -> Behaviour:
    """Return what the local part asks for; `+label` and case do not matter."""
    name = local_part.partition("+")[0].casefold()
    return BEHAVIOURS.get(name, BEHAVIOURS["success"])
