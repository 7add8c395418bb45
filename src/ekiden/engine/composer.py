"""From a claimed delivery to the signed bytes of its message.

A job's content is read and compiled once and kept while the job sends; a delivery then costs its
rendering on the loop, and its RSA signatures on the threads beside it. Ed25519 is cheaper than the
way there, unless a batch of messages goes it together; so is RSA, where keys cannot sign in batches
and the threads have enough in hand. Never unsigned by accident: a domain with keys in the
configuration is signed with all of them or not sent.

Orders are made in turn, a millisecond of them in one turn of the loop, and only while the threads
have room: what waits is a claimed row, not a finished message. What waits for its job to be
compiled stands aside meanwhile, and holds up nobody.
"""

import asyncio
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, Protocol

import msgspec

from ekiden.bounce.identifiers import FEEDBACK_ID, REFERENCE, Identifiers, feedback_id
from ekiden.dkim.sign import Signed, Signer
from ekiden.engine.links import JobLinks, LinkMaker, TrackingOptions
from ekiden.engine.session import Session
from ekiden.engine.signing import BATCH, SigningThreads
from ekiden.engine.tls import TlsPolicy
from ekiden.errors import EkidenError
from ekiden.message.compile import Compiled, compile_content
from ekiden.message.content import decode
from ekiden.message.headers import RenderError
from ekiden.message.rendered import Marks, Recipient, Rendered
from ekiden.message.tokens import job_key
from ekiden.queue.model import Claimed, JobFacts

_JOBS_KEPT: Final = 256  # compiled jobs; one costs a few times its templates
_SLICE: Final = 0.001  # seconds of rendering in one turn of the loop
_merge_decoder: Final = msgspec.json.Decoder(dict[str, Any])


class Composed(msgspec.Struct, frozen=True, gc=False):
    """A message ready to be sent.

    Args:
        mail_from: The reverse-path.
        parts: The message, CRLF line ends, signatures first.
        size: Bytes of all pieces.
        eight_bit: It needs 8BITMIME.
        smtputf8: It needs SMTPUTF8.
    """

    mail_from: str
    parts: bytes
    size: int
    eight_bit: bool
    smtputf8: bool


@dataclass(frozen=True, slots=True)
class Unrenderable:
    """Why there is no message.

    Args:
        reason: In words, naming the field.
        permanent: The data is at fault, not the moment.
    """

    reason: str
    permanent: bool = True


@dataclass(frozen=True, slots=True)
class SetOptions:
    """What a configuration set says about a job's messages.

    Args:
        dkim: Domains whose keys sign instead of the From header's.
        tls: REQUIRED: its messages do not travel in the clear; VERIFIED: nor to a host whose
            certificate was not found valid.
        tracking: What is tracked of them.
        return_domain: The domain of their return addresses; "" for the usual one.
    """

    dkim: tuple[str, ...] = ()
    tls: TlsPolicy | None = None
    tracking: TrackingOptions = field(default_factory=TrackingOptions)
    return_domain: str = ""


_NO_SET: Final = SetOptions()


@dataclass(frozen=True, slots=True)
class _Play:
    """A job in play."""

    facts: JobFacts
    compiled: Compiled
    signer: Signer | None
    key: str  # the job's part of its deliveries' Message-IDs
    feedback_id: str
    links: JobLinks | None  # None: there is no public part to lead to


class _Compiling:
    """A job whose content is being read and compiled, and who waits for it."""

    __slots__ = ("orders",)

    def __init__(self) -> None:
        self.orders: list[_Order] = []


class Contents(Protocol):
    """Where jobs and their contents are: the queue."""

    async def job(self, key: int | str) -> JobFacts:
        """Return a job."""
        ...

    async def content(self, job_id: int) -> bytes:
        """Return what `NewJob.content` was."""
        ...


class _Order:
    """A message that is to be made."""

    __slots__ = ("claimed", "future", "play", "seven_bit")

    def __init__(
        self,
        claimed: Claimed,
        future: "asyncio.Future[Composed | Unrenderable]",
        *,
        seven_bit: bool,
    ) -> None:
        self.claimed = claimed
        self.future = future
        self.seven_bit = seven_bit
        self.play: _Play | None = None  # known once it has waited for the job to be compiled

    def fill(self, made: Composed | Unrenderable) -> None:
        """Give the message, if it is still wanted."""
        if not self.future.done():
            self.future.set_result(made)

    def fail(self, error: BaseException) -> None:
        """Say why there is none."""
        if isinstance(error, RenderError):
            self.fill(Unrenderable(str(error)))
        elif isinstance(error, EkidenError):
            self.fill(Unrenderable(str(error), permanent=False))
        elif not self.future.done():
            self.future.set_exception(error)


class Composer:
    """Makes messages.

    Args:
        queue: Where contents are.
        jobs: The jobs in play.
        signer: Finds the signer for a set of domains; None where none of them has a key.
        sets: Configuration sets by name.
        identifiers: Makes the marks by which reports are believed.
        threads: Where signatures are made.
        now: The engine's clock.
        links: Makes the links by which people leave, and those that are tracked; None makes none.
    """

    def __init__(
        self,
        queue: Contents,
        jobs: Mapping[int, JobFacts],
        signer: Callable[[Sequence[str]], Signer | None],
        *,
        sets: Mapping[str, SetOptions],
        identifiers: Identifiers,
        threads: SigningThreads,
        now: Callable[[], float],
        links: LinkMaker | None = None,
    ) -> None:
        self._queue = queue
        self._jobs = jobs
        self._signer = signer
        self._take_sets(sets)
        self._identifiers = identifiers
        self._threads = threads
        self._now = now
        self._links = links
        self._plays: OrderedDict[int, _Play | _Compiling] = OrderedDict()
        self._tasks: set[asyncio.Task[None]] = set()
        self._orders: deque[_Order] = deque()
        self._scheduled = False
        self._many = False  # a batch of messages waited to be made, and what is left of it does
        threads.on_room = self._soon

    def forget(self, job_id: int) -> None:
        """Let go of a job's compiled content."""
        self._plays.pop(job_id, None)

    def reconfigure(
        self,
        signer: Callable[[Sequence[str]], Signer | None],
        sets: Mapping[str, SetOptions],
        identifiers: Identifiers,
        links: LinkMaker | None = None,
    ) -> None:
        """Take over the keys, sets, marks and links of a new configuration."""
        self._signer = signer
        self._take_sets(sets)
        self._identifiers = identifiers
        self._links = links
        self._plays.clear()

    def _take_sets(self, sets: Mapping[str, SetOptions]) -> None:
        self._sets = sets
        self._verifies = any(one.tls is TlsPolicy.VERIFIED for one in sets.values())

    @property
    def behind(self) -> bool:
        """Whether as many messages wait to be made as the threads take at once."""
        return len(self._orders) >= self._threads.limit

    def lacks(self, job_id: int, session: Session) -> str:
        """Return what a session lacks of what a job's set asks of TLS; "" for nothing."""
        if session.verified or (session.tls and not self._verifies):
            return ""
        job = self._jobs.get(job_id)
        asked = None if job is None else self._set_of(job).tls
        if asked is None:
            return ""
        if not session.tls:
            return f"{session.host} offers no TLS, and the job requires it"
        if asked is TlsPolicy.VERIFIED:
            return f"the certificate of {session.host} is not valid, and the job requires it"
        return ""

    def compose(
        self, claimed: Claimed, *, seven_bit: bool = False
    ) -> "asyncio.Future[Composed | Unrenderable]":
        """Render and sign one delivery's message; it is made in its turn.

        Args:
            claimed: The delivery.
            seven_bit: The receiver has no 8BITMIME.
        """
        future: asyncio.Future[Composed | Unrenderable]
        future = asyncio.get_running_loop().create_future()
        self._orders.append(_Order(claimed, future, seven_bit=seven_bit))
        self._soon()
        return future

    def _soon(self) -> None:
        if self._orders and not self._scheduled:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._work)

    def _work(self) -> None:
        """Make messages for a moment."""
        self._scheduled = False
        self._many = self._many or len(self._orders) >= BATCH
        until = time.perf_counter() + _SLICE
        while self._orders and self._threads.room:
            order = self._orders.popleft()
            if not order.future.done():  # else the session has ended meanwhile
                self._begin(order)
            if time.perf_counter() > until:
                self._soon()
                break
        self._many = self._many and bool(self._orders)

    def _begin(self, order: _Order) -> None:
        job_id = order.claimed.job_id
        play = order.play or self._plays.get(job_id)
        if play is None:
            play = self._plays[job_id] = _Compiling()
            while len(self._plays) > _JOBS_KEPT:
                self._plays.popitem(last=False)
            task = asyncio.create_task(self._compile_for(job_id, play), name=f"compile {job_id}")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        if isinstance(play, _Compiling):
            play.orders.append(order)
            return
        if order.play is None:
            self._plays.move_to_end(job_id)
        try:
            self._make(order, play, self._now())
        except Exception as error:  # noqa: BLE001 - it is the one's who waits for the message
            order.fail(error)

    def _make(self, order: _Order, play: _Play, now: float) -> None:
        claimed = order.claimed
        rendered = play.compiled.render(
            Recipient(claimed.recipient, _merge_decoder.decode(claimed.merge)),
            self._marks(play, claimed, now),
            seven_bit=order.seven_bit,
        )
        signer = play.signer
        if signer is None:
            order.fill(self._composed(play, claimed, rendered, b""))
            return
        prepared = signer.prepare(rendered.headers, rendered.body_hash(), now)
        if self._signs_here(signer):
            order.fill(self._composed(play, claimed, rendered, prepared.finish()))
        else:
            self._threads.submit(prepared, partial(self._signed, order, play, rendered))

    def _signs_here(self, signer: Signer) -> bool:
        """Whether the loop signs a message itself."""
        if signer.batched:
            return signer.cheap and not self._many
        return signer.cheap or self._threads.busy

    def _signed(self, order: _Order, play: _Play, rendered: Rendered, signed: Signed) -> None:
        if isinstance(signed, bytes):
            order.fill(self._composed(play, order.claimed, rendered, signed))
        else:
            order.fail(signed)

    def _composed(
        self, play: _Play, claimed: Claimed, rendered: Rendered, signatures: bytes
    ) -> Composed:
        message = rendered.message(signatures)
        return Composed(
            self._mail_from(play, claimed, self._now()),
            message,
            len(message),
            rendered.eight_bit,
            rendered.smtputf8,
        )

    def _marks(self, play: _Play, claimed: Claimed, now: float) -> Marks:
        name = message_id(play.key, claimed.id, play.facts.from_domain)
        own = (
            (REFERENCE, self._identifiers.reference(claimed.id, now)),
            (FEEDBACK_ID, play.feedback_id),
        )
        if play.links is None:
            return Marks(name, now, own)
        headers, urls, tracker = play.links.marks(claimed.id, claimed.recipient)
        return Marks(name, now, own + headers, urls, tracker)

    def _mail_from(self, play: _Play, claimed: Claimed, now: float) -> str:
        """Return the signed return address, or the job's own; a null sender stays null."""
        own, domain = play.facts.mail_from, self._set_of(play.facts).return_domain
        return (own and self._identifiers.return_address(claimed.id, now, domain)) or own

    async def _compile_for(self, job_id: int, compiling: _Compiling) -> None:
        """Compile a job once, however many wait for it; after a failure the next one tries anew."""
        try:
            play = await self._compile(job_id)
        except Exception as error:  # noqa: BLE001 - it is theirs who wait for their messages
            if self._plays.get(job_id) is compiling:
                del self._plays[job_id]
            for order in compiling.orders:
                order.fail(error)
            return
        if self._plays.get(job_id) is compiling:  # else it has been forgotten meanwhile
            self._plays[job_id] = play
        for order in compiling.orders:
            order.play = play
        self._orders.extendleft(reversed(compiling.orders))
        self._soon()

    async def _compile(self, job_id: int) -> _Play:
        facts = self._jobs.get(job_id) or await self._queue.job(job_id)
        content = decode(await self._queue.content(job_id))
        chosen = self._set_of(facts)
        links = None
        if self._links is not None:
            links = self._links.of(facts, content, chosen.tracking)
        tracking = None if links is None else links.tracking
        compiled = await asyncio.to_thread(compile_content, content, tracking)
        domains = chosen.dkim or (facts.from_domain,)
        key = job_key(facts.identity)
        kind = facts.priority.name.lower()
        echoed = feedback_id(facts.name, facts.configuration_set, kind, facts.from_domain)
        return _Play(facts, compiled, self._signer(domains), key, echoed, links)

    def _set_of(self, facts: JobFacts) -> SetOptions:
        return self._sets.get(facts.configuration_set, _NO_SET)


def message_id(key: str, delivery_id: int, domain: str) -> str:
    """Return a delivery's Message-ID: the same for all its attempts (RFC 5322 section 3.6.4)."""
    return f"<{delivery_id:x}.{key}@{domain}>"
