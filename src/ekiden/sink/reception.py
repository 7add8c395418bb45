"""Whether a recipient is taken at RCPT: the order of judgement is a receiver's.

Do we receive for its domain, are there too many recipients, is the client too fast, and only then
the mailbox, whose name says how it behaves. Nothing is said or recorded here; the ledger remembers.
"""

import asyncio
import ssl
from collections.abc import Callable
from dataclasses import dataclass

from ekiden.sink.behaviours import Behaviour, Do, Timing
from ekiden.sink.ledger import Ledger
from ekiden.sink.profiles import Profile, Profiles
from ekiden.sink.record import Record


@dataclass(frozen=True, slots=True)
class Shared:
    """What all conversations of one sink share.

    Args:
        profiles: The providers.
        ledger: Their memory.
        record: Where lines go.
        timing: The behaviours' seconds.
        clock: UNIX seconds.
        number: Gives each session its name.
        keep: Stores a message (session, number in it, octets); None to forget it.
        tls: The context for STARTTLS, or None.
        hostname: What EHLO says when the address has no name of its own.
        relay_check: At an address that plays one provider, refuse other providers' domains.
        idle: Seconds of silence before a session is closed.
        running: The tasks of all conversations.
        connections: The most of them.
    """

    profiles: Profiles
    ledger: Ledger
    record: Record
    timing: Timing
    clock: Callable[[], float]
    number: Callable[[], str]
    keep: Callable[[str, int, bytes], None] | None
    tls: ssl.SSLContext | None
    hostname: str
    relay_check: bool
    idle: float
    running: set[asyncio.Task[None]]
    connections: int


@dataclass(frozen=True, slots=True)
class Recipient:
    """One RCPT command.

    Args:
        address: As the client wrote it.
        behaviour: What the local part asks for.
        profile: The provider that the domain belongs to.
    """

    address: str
    behaviour: Behaviour
    profile: Profile


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a recipient is not taken.

    Args:
        words: The profile's words, with their places for names still in them.
        seconds: After how many seconds it would be taken; 0 where nothing is said of it.
    """

    words: str
    seconds: float = 0.0


def at_the_door(
    shared: Shared, recipient: Recipient, peer: str, *, foreign: bool, tried: int
) -> Refusal | None:
    """Return why the receiver refuses this client before it looks at the mailbox, if it does.

    Args:
        shared: What the sink's conversations share.
        recipient: Who is asked for.
        peer: The client's address.
        foreign: The connected address plays another provider than the recipient's.
        tried: RCPT commands of this transaction, this one included.
    """
    profile = recipient.profile
    if foreign and shared.relay_check:
        return Refusal(profile.replies["relay"].reply)
    if tried > profile.recipients:
        return Refusal(profile.replies["recipient_cap"].reply)
    if not shared.ledger.admit((profile.name, peer), profile.rate, shared.clock()):
        return Refusal(profile.replies["ratelimit"].reply)
    return None


def at_the_mailbox(shared: Shared, recipient: Recipient, peer: str, sender: str) -> Refusal | None:
    """Return why the mailbox refuses at this moment, if it does.

    Args:
        shared: What the sink's conversations share.
        recipient: Who is asked for.
        peer: The client's address.
        sender: The envelope sender.
    """
    behaviour, profile = recipient.behaviour, recipient.profile
    words = profile.replies[behaviour.words].reply
    now = shared.clock()
    key = (behaviour.name, peer, sender, recipient.address)
    if behaviour.do is Do.REFUSE:
        return Refusal(words)
    if behaviour.do is Do.ONCE and shared.ledger.first_seen(key, now)[1]:
        return Refusal(words)
    if behaviour.do is Do.RATE and not shared.ledger.admit(
        ("ratelimit", profile.name), shared.timing.ratelimit, now
    ):
        return Refusal(words)
    if behaviour.do is Do.DELAY:
        timing = shared.timing
        delay = timing.greylist if behaviour.name == "greylist" else timing.throttle
        left = shared.ledger.first_seen(key, now)[0] + delay - now
        return Refusal(words, left) if left > 0 else None
    return None
