"""How long each reply may take (RFC 5321 section 4.5.3.2), and a timer that is cheap to move."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from operator import attrgetter
from typing import Final

from ekiden import limits
from ekiden.smtp.transaction import Step


@dataclass(frozen=True, slots=True)
class Deadlines:
    """Seconds from a command (or the reply before) until its whole reply must be there."""

    connect: float = limits.CONNECT_TIMEOUT
    greeting: float = limits.GREETING_TIMEOUT
    ehlo: float = limits.EHLO_TIMEOUT
    tls: float = limits.TLS_TIMEOUT
    mail: float = limits.MAIL_TIMEOUT
    rcpt: float = limits.RCPT_TIMEOUT
    data: float = limits.DATA_TIMEOUT
    block: float = limits.BLOCK_TIMEOUT
    dot: float = limits.DOT_TIMEOUT
    quit: float = limits.QUIT_TIMEOUT
    rset: float = limits.RSET_TIMEOUT

    def of(self, step: Step) -> float:
        """Return the seconds that the reply to `step` may take."""
        return _OF_STEP[step](self)


_OF_STEP: Final[Mapping[Step, Callable[[Deadlines], float]]] = {
    Step.RSET: attrgetter("rset"),
    Step.MAIL: attrgetter("mail"),
    Step.RCPT: attrgetter("rcpt"),
    Step.DATA: attrgetter("data"),
    Step.DOT: attrgetter("dot"),
    Step.LONE_DOT: attrgetter("rset"),  # nothing is to be delivered any more
    Step.BDAT: attrgetter("dot"),
}


class Alarm:
    """One deadline that moves with every reply.

    A session waits for four replies per message; a timer made and cancelled for each would cost
    more than the reply. So the event loop's timer is only made again when the deadline comes
    nearer; when it moves away, the old timer rings, sees that it is too early, and goes on.

    Args:
        loop: The event loop.
        ring: Called when the deadline has passed.
    """

    __slots__ = ("_deadline", "_handle", "_loop", "_ring")

    def __init__(self, loop: asyncio.AbstractEventLoop, ring: Callable[[], None]) -> None:
        self._loop = loop
        self._ring = ring
        self._deadline = 0.0
        self._handle: asyncio.TimerHandle | None = None

    def set(self, seconds: float) -> None:
        """Ring in `seconds`, unless moved or cleared before."""
        deadline = self._loop.time() + seconds
        self._deadline = deadline
        handle = self._handle
        if handle is not None:
            if handle.when() <= deadline:
                return
            handle.cancel()
        self._handle = self._loop.call_at(deadline, self._rung)

    def clear(self) -> None:
        """Do not ring; the loop's timer may still run out, unseen."""
        self._deadline = 0.0

    def close(self) -> None:
        """Do not ring, and let go of the loop's timer: the session is over."""
        self._deadline = 0.0
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def _rung(self) -> None:
        self._handle = None
        if not self._deadline:
            return
        if self._loop.time() < self._deadline:
            self._handle = self._loop.call_at(self._deadline, self._rung)
            return
        self._deadline = 0.0
        self._ring()
