"""One session's life: claim, dial, carry deliveries, conclude each, quit. A thin loop.

What is decided elsewhere: which deliveries (the scheduler's `take`), what a reply means (`bounce`),
what follows (`decide`). What happens here, in this order, for each delivery:

1. claimed: leased in the queue, so that its attempt is recorded before anything is dialled;
2. composed: rendered and signed beside the loop, while the one before it is on the wire;
3. sent: one transaction, one outcome;
4. concluded: the decision is handed to the settler (one guarded write, grouped with others) and the
   lesson to the scheduler.

`hand` holds what is claimed and not concluded; the first few of it have messages, made ahead of the
wire. When a courier ends for any reason, what is left in its hand is given back untried; told to
end, it does so after the transaction on the wire, and at once while it dials. The first delivery is
claimed before dialling, the rest after: a receiver that is down costs one delivery's attempt, not a
window of them.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

from ekiden.engine.composer import Composed, Unrenderable
from ekiden.engine.conclude import Concluded, Conclusions, Journey
from ekiden.engine.decide import NextHost
from ekiden.engine.resolver import MxHost
from ekiden.engine.schedule.facts import Answer, Finish, Idle, Item, Open, Take
from ekiden.engine.session import Session
from ekiden.queue.model import Claimed
from ekiden.smtp.outcome import Broke, Cause, Outcome, Rejected, Stage

MOST_AHEAD = 4  # times `lookahead`, at a receiver that is faster than the disk
COMPOSED_AHEAD = 2  # messages made while another is on the wire; more would only fill memory
HOSTS_TRIED = 5  # MX hosts of one site in one attempt, as Postfix's smtp_mx_address_limit


class Desk(Protocol):
    """What a courier asks of the engine; `engine.dispatcher` is it, tests fake it."""

    conclusions: Conclusions

    def now(self) -> float:
        """Return UNIX seconds."""

    def take(self, session_id: int, most: int) -> Answer:
        """Ask the scheduler for the session's next deliveries."""

    def opened(self, session_id: int) -> None:
        """Tell the scheduler that the session stands."""

    def failed(self, session_id: int, outcome: Outcome, concluded: Concluded | None) -> None:
        """Tell the scheduler that no host of the site could be opened; the session is over."""

    def closed(self, session_id: int) -> None:
        """Tell the scheduler that the session is over."""

    def concluded(self, session_id: int, concluded: Concluded) -> None:
        """Tell the scheduler what a delivery came to."""

    def handing_over(self, claimed: Claimed) -> None:
        """Note that the end of its content goes to the receiver now."""

    def returned(self, items: Sequence[Item]) -> None:
        """Tell the scheduler that ids it gave out are untouched."""

    def claim(
        self, session_id: int, items: Sequence[Item], given: Callable[[Sequence[Claimed]], None]
    ) -> None:
        """Lease deliveries, then give them; those that may not be sent are missing.

        `given` is called once in any case, later and on the loop; the scheduler knows already of
        those that are missing.
        """

    async def release(self, claims: Sequence[Claimed]) -> None:
        """Give claims back untried."""

    def compose(
        self, claimed: Claimed, *, seven_bit: bool = False
    ) -> "asyncio.Future[Composed | Unrenderable]":
        """Render and sign, beside what is on the wire."""

    def size_limit(self, destination: str) -> int | None:
        """Return the largest message that a destination takes, in bytes, if that is known."""

    def objection(self, claimed: Claimed, session: Session) -> Broke | None:
        """Return why a delivery may not travel over this session, if so."""


@dataclass(slots=True)
class Loaded:
    """A delivery in the hand: as the scheduler gave it, as the queue leased it, its message."""

    item: Item
    claimed: Claimed
    message: "asyncio.Future[Composed | Unrenderable] | None" = None

    def drop(self) -> None:
        """Want the message no more."""
        if self.message is not None:
            self.message.cancel()


class Courier:
    """Carries deliveries over one session (or a few, when a host breaks and the next one serves).

    Args:
        desk: The engine.
        order: The scheduler's order to open a session.
        hosts: The site's MX hosts, best first.
        dial: Opens a session at one host, or says why not.
        lookahead: Deliveries claimed ahead of the one on the wire; more (`MOST_AHEAD`) while they
            run out before the next ones come.
    """

    def __init__(
        self,
        desk: Desk,
        order: Open,
        hosts: Sequence[MxHost],
        dial: Callable[[MxHost], Coroutine[Any, Any, Session | Rejected | Broke]],
        *,
        lookahead: int,
    ) -> None:
        self._desk = desk
        self._order = order
        self._hosts = deque(hosts[:HOSTS_TRIED])
        self._dial_host = dial
        self._lookahead = self._ahead = lookahead
        self._hand: deque[Loaded] = deque()
        self._begun = 0  # how many of the hand, from its front, have a message
        self._claiming = 0  # deliveries asked for that the queue has not leased yet
        self._carried = 0  # deliveries that have left the hand
        self._work = asyncio.Event()
        self._ending = False  # nothing more is asked for
        self._leaving = False  # nor is what is in the hand sent
        self._dialling: asyncio.Task[Session | Rejected | Broke] | None = None
        self._told = False  # the scheduler knows that the session is over
        self.session: Session | None = None
        self.host = ""

    @property
    def id(self) -> int:
        """The session's number, as the scheduler gave it."""
        return self._order.session_id

    def wake(self) -> None:
        """There may be work for an idle session."""
        self._work.set()

    def end(self) -> None:
        """Conclude what is on the wire, then quit; what is only dialled for was not tried."""
        self._ending = self._leaving = True
        self._work.set()
        if self._dialling is not None:
            self._dialling.cancel()

    def cut(self) -> None:
        """Drop the connection now; what is past its final dot is in doubt."""
        self.end()
        if self.session is not None:
            self.session.abort()

    async def run(self) -> None:
        """Live the session's life; raises nothing that a receiver can cause."""
        try:
            self._claim(self._order.first)
            await self._claims_given()
            await self._carry()
        finally:
            await asyncio.shield(self._leave())

    async def _carry(self) -> None:
        # What the order came with may not be sent any more (suppressed, cancelled, too large):
        # without other work there is no reason to dial.
        while True:
            if not self._hand and await self._next() is None:
                return
            if await self._fits():
                break
        if self._leaving or not await self._dial():
            return
        self._desk.opened(self.id)
        while self.session is not None:
            loaded = await self._next()
            if loaded is None:
                break
            await self._serve(loaded)

    async def _fits(self) -> bool:
        """Whether the first delivery is one to dial for; one that is too large is concluded."""
        loaded = self._hand[0]
        if self._desk.size_limit(loaded.claimed.destination) is None:
            return True
        if loaded.message is None:
            loaded.message = self._desk.compose(loaded.claimed)
            self._begun = max(self._begun, 1)
        message = await loaded.message
        too_large = self._too_large(loaded, message)
        if too_large is None:
            return True
        self._put_down()
        self._desk.concluded(self.id, self._undeliverable(loaded, too_large))
        return False

    def _too_large(self, loaded: Loaded, message: Composed | Unrenderable) -> Broke | None:
        """Return why a message is too large for its destination, if it is."""
        limit = self._desk.size_limit(loaded.claimed.destination)
        if limit is None or not isinstance(message, Composed) or message.size <= limit:
            return None
        detail = f"the message has {message.size:,} bytes, {loaded.claimed.destination} takes"
        return Broke(Stage.MAIL, Cause.UNSUPPORTED, f"{detail} {limit:,}: send a smaller one")

    # --- dialling ---------------------------------------------------------------------------------

    async def _dial(self) -> bool:
        """Open a session at the best host that answers; conclude the first delivery otherwise."""
        outcome: Outcome = Broke(Stage.CONNECT, Cause.UNREACHABLE, "the site has no host left")
        while self._hosts:
            host = self._hosts.popleft()
            self.host = host.name
            opened = await self._reach(host)
            if opened is None:
                return False
            if isinstance(opened, Session):
                self.session = opened
                return True
            outcome = opened
            if not self._try_next_host(outcome):
                break
        self._fail(outcome)
        return False

    async def _reach(self, host: MxHost) -> Session | Rejected | Broke | None:
        """Dial one host; None when the courier was told to end meanwhile."""
        # A task of its own can be given up without giving up the courier's.
        self._dialling = asyncio.ensure_future(self._dial_host(host))
        try:
            return await self._dialling
        except asyncio.CancelledError:
            if self._leaving and self._dialling.cancelled():
                return None
            raise
        finally:
            self._dialling = None

    def _try_next_host(self, outcome: Outcome) -> bool:
        if not self._hosts:
            return False
        if not self._hand:
            return True
        decision = self._desk.conclusions.judge(
            self._hand[0].claimed, outcome, self._journey(), hosts_left=True
        ).decision
        return isinstance(decision, NextHost)

    def _fail(self, outcome: Outcome) -> None:
        concluded = None
        if self._hand:
            loaded = self._put_down()
            loaded.drop()
            concluded = self._desk.conclusions.conclude(
                loaded.claimed, outcome, self._journey(), hosts_left=False
            )
        self._desk.failed(self.id, outcome, concluded)
        self._told = True

    # --- one delivery -----------------------------------------------------------------------------

    async def _serve(self, loaded: Loaded) -> None:
        """Send one delivery and conclude it."""
        session = self.session
        if session is None:
            return
        began = self._desk.now()
        message = await self._message(loaded, session)
        if not isinstance(message, Composed):
            self._put_down()
            self._desk.concluded(self.id, self._undeliverable(loaded, message))
            return
        journey = self._journey(began, message.size)
        try:
            outcome = await session.send(
                message.mail_from,
                loaded.claimed.recipient,
                message.parts,
                eight_bit=message.eight_bit,
                smtputf8=message.smtputf8,
                size=message.size,
                last_octet=partial(self._desk.handing_over, loaded.claimed),
            )
        except asyncio.CancelledError:
            self._cut_off(loaded, session, journey)
            raise
        if not session.usable:
            self.session = None
            session.abort()
            if self._hosts and await self._carried_on(loaded, outcome, journey):
                return
        self._put_down()
        concluded = self._desk.conclusions.conclude(
            loaded.claimed, outcome, journey, hosts_left=False
        )
        self._desk.concluded(self.id, concluded)

    async def _message(self, loaded: Loaded, session: Session) -> Composed | Unrenderable | Broke:
        """Return what goes on the wire, or why this delivery cannot go over this session."""
        objection = self._desk.objection(loaded.claimed, session)
        if objection is not None:
            loaded.drop()
            return objection
        message = await (loaded.message or self._desk.compose(loaded.claimed))
        too_large = self._too_large(loaded, message)
        if too_large is not None:
            return too_large
        if (
            isinstance(message, Composed)
            and message.eight_bit
            and not session.extensions.eight_bit_mime
        ):
            # RFC 6152 section 3: converted, and signed anew, rather than bounced.
            return await self._desk.compose(loaded.claimed, seven_bit=True)
        return message

    def _undeliverable(self, loaded: Loaded, why: Unrenderable | Broke) -> Concluded:
        conclusions, journey = self._desk.conclusions, self._journey()
        if isinstance(why, Unrenderable):
            return conclusions.unrenderable(loaded.claimed, why, journey)
        return conclusions.conclude(loaded.claimed, why, journey, hosts_left=False)

    async def _carried_on(self, loaded: Loaded, outcome: Outcome, journey: Journey) -> bool:
        """Whether the same attempt goes on at the site's next host, with this delivery first."""
        decision = self._desk.conclusions.judge(
            loaded.claimed, outcome, journey, hosts_left=True
        ).decision
        return isinstance(decision, NextHost) and await self._redial()

    async def _redial(self) -> bool:
        while self._hosts and not self._ending:
            host = self._hosts.popleft()
            opened = await self._reach(host)
            if isinstance(opened, Session):
                self.host = host.name
                self.session = opened
                return True
        return False

    def _cut_off(self, loaded: Loaded, session: Session, journey: Journey) -> None:
        """Our own end came in the middle of a transaction: say which delivery it was."""
        outcome = session.outcome
        if outcome is None:
            return
        self._put_down()
        self._desk.conclusions.conclude(loaded.claimed, outcome, journey, hosts_left=False)

    def _journey(self, began: float | None = None, size: int = 0) -> Journey:
        session = self.session
        return Journey(
            began=self._desk.now() if began is None else began,
            source=self._order.source,
            site=self._order.site,
            host=self.host,
            tls="" if session is None else session.tls,
            size=size,
        )

    # --- the hand ---------------------------------------------------------------------------------

    async def _next(self) -> Loaded | None:
        """Return the next delivery; None when the session should end."""
        while not self._leaving:
            self._work.clear()
            idle_until = self._refill()
            if self._hand:
                self._compose_ahead()
                return self._hand[0]
            if self._claiming:
                await self._work.wait()
            elif idle_until is None or not await self._idle(idle_until):
                return None
        return None

    def _refill(self) -> float | None:
        """Ask for more deliveries; return until when to idle, None to end."""
        if self._ending:
            return None
        room = self._ahead + 1 - len(self._hand) - self._claiming
        # In several: each claim costs a turn at the queue, whatever it is for.
        if room <= self._ahead // 2:
            return self._desk.now()
        answer = self._desk.take(self.id, room)
        match answer:
            case Take(items):
                self._claim(items)
                return self._desk.now()
            case Idle(until):
                return until
            case Finish():
                self._ending = True
                return None

    async def _idle(self, until: float) -> bool:
        """Wait for work with an open session; whether to ask again."""
        session = self.session
        if session is None:
            return False
        with suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, until - self._desk.now())):
                await self._work.wait()
        return session.usable

    def _claim(self, items: Sequence[Item]) -> None:
        """Lease deliveries; they are in the hand some moments later."""
        self._claiming += len(items)
        by_id = {item.id: item for item in items}
        before = self._carried

        def given(leased: Sequence[Claimed]) -> None:
            self._claiming -= len(items)
            self._look_ahead(self._carried - before)
            self._hand.extend(Loaded(by_id[claimed.id], claimed) for claimed in leased)
            self._compose_ahead()
            self._work.set()

        self._desk.claim(self.id, items, given)

    def _look_ahead(self, sent: int) -> None:
        """Choose how many to claim ahead from how many were sent while a claim was on its way.

        A claim waits for the disk, 10-20 ms under load. Eight are out before that at a receiver
        that takes more than 400 a second over a session; a slow one is not given more than it can
        send soon, which other sessions could carry.
        """
        if not self._hand and sent >= max(1, self._lookahead // 2):
            self._ahead = min(2 * self._ahead, MOST_AHEAD * self._lookahead)
        else:
            self._ahead = max(self._lookahead, min(self._ahead, 3 * sent))

    def _compose_ahead(self) -> None:
        """Let the messages that come next be made."""
        while self._begun <= COMPOSED_AHEAD and self._begun < len(self._hand):
            loaded = self._hand[self._begun]
            loaded.message = self._desk.compose(loaded.claimed)
            self._begun += 1

    def _put_down(self) -> Loaded:
        """Take the first delivery out of the hand."""
        self._begun = max(0, self._begun - 1)
        self._carried += 1
        return self._hand.popleft()

    async def _claims_given(self) -> None:
        while self._claiming:
            self._work.clear()
            await self._work.wait()

    # --- the end ----------------------------------------------------------------------------------

    async def _leave(self) -> None:
        """Give back what was not tried, say QUIT, and tell the scheduler."""
        await self._claims_given()
        left = list(self._hand)
        self._hand.clear()
        for loaded in left:
            loaded.drop()
        if left:
            await self._desk.release([loaded.claimed for loaded in left])
            self._desk.returned([loaded.item for loaded in left])
        session, self.session = self.session, None
        if session is not None:
            await session.close()
        if not self._told:
            self._desk.closed(self.id)
