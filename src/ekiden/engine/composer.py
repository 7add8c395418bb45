"""From a claimed delivery to the signed bytes of its message.

A job's content is read and compiled once and kept while the job sends; a delivery then costs its
rendering on the loop and its signatures on the threads beside it. Never unsigned by accident: a
domain with keys in the configuration is signed with all of them or not sent.

Orders are made in turn, a few milliseconds of them in one turn of the loop, and only while the
threads have room: what waits is a claimed row, not a finished message.
"""

import asyncio
import base64
import hashlib
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from ekiden.bounce.identifiers import FEEDBACK_ID, REFERENCE, Identifiers, feedback_id
from ekiden.dkim.sign import Signer
from ekiden.engine.links import JobLinks, LinkMaker, TrackingOptions
from ekiden.engine.signing import SigningThreads, sign_message
from ekiden.errors import EkidenError
from ekiden.message.compile import Compiled, compile_content
from ekiden.message.content import decode
from ekiden.message.headers import RenderError
from ekiden.message.rendered import Marks, Recipient, Rendered
from ekiden.queue.model import Claimed, JobFacts
from ekiden.queue.queue import Queue

_JOBS_KEPT: Final = 256  # compiled jobs; one costs a few times its templates
_SLICE: Final = 0.004  # seconds of rendering in one turn of the loop
_merge_decoder: Final = msgspec.json.Decoder(dict[str, Any])


@dataclass(frozen=True, slots=True)
class Composed:
    """A message ready to be sent.

    Args:
        mail_from: The reverse-path.
        parts: The message in pieces, CRLF line ends, signatures first.
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
        tls_required: Its messages do not travel in the clear.
        tracking: What is tracked of them.
    """

    dkim: tuple[str, ...] = ()
    tls_required: bool = False
    tracking: TrackingOptions = field(default_factory=TrackingOptions)


@dataclass(frozen=True, slots=True)
class _Play:
    """A job in play."""

    facts: JobFacts
    compiled: Compiled
    signer: Signer | None
    key: str  # the job's part of its deliveries' Message-IDs
    feedback_id: str
    links: JobLinks | None  # None: there is no public part to lead to


class _Order:
    """A message that is to be made."""

    __slots__ = ("claimed", "future", "seven_bit")

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
        queue: Queue,
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
        self._sets = sets
        self._identifiers = identifiers
        self._threads = threads
        self._now = now
        self._links = links
        self._plays: OrderedDict[int, asyncio.Task[_Play]] = OrderedDict()
        self._orders: deque[_Order] = deque()
        self._scheduled = False
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
        self._sets = sets
        self._identifiers = identifiers
        self._links = links
        self._plays.clear()

    def wants_tls(self, job_id: int) -> bool:
        """Whether a job's messages must not travel in the clear."""
        job = self._jobs.get(job_id)
        return job is not None and self._set_of(job).tls_required

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
        until = time.perf_counter() + _SLICE
        while self._orders and self._threads.room:
            order = self._orders.popleft()
            if not order.future.done():  # else the session has ended meanwhile
                self._begin(order)
            if time.perf_counter() > until:
                self._soon()
                return

    def _begin(self, order: _Order) -> None:
        play = self._play(order.claimed.job_id)
        if play.done():
            self._make(order, play)
        else:
            play.add_done_callback(lambda play: self._make(order, play))

    def _make(self, order: _Order, job: "asyncio.Task[_Play]") -> None:
        claimed, now = order.claimed, self._now()
        try:
            play = job.result()
            rendered = play.compiled.render(
                Recipient(claimed.recipient, _merge_decoder.decode(claimed.merge)),
                self._marks(play, claimed, now),
                seven_bit=order.seven_bit,
            )
            if play.signer is None:
                message = rendered.message()
            elif self._threads.on_loop(play.signer, rendered):
                message = sign_message(play.signer, rendered, now)
            else:
                self._sign(order, play, rendered, now)
                return
        except Exception as error:  # noqa: BLE001 - it is the one's who waits for the message
            order.fail(error)
        else:
            order.fill(self._composed(order, play, rendered, message))

    def _sign(self, order: _Order, play: _Play, rendered: Rendered, now: float) -> None:
        assert play.signer is not None  # noqa: S101 - `_make` has looked

        def signed(done: "asyncio.Future[bytes]") -> None:
            error = done.exception()
            if error is None:
                order.fill(self._composed(order, play, rendered, done.result()))
            else:
                order.fail(error)

        self._threads.submit(play.signer, rendered, now).add_done_callback(signed)

    def _composed(self, order: _Order, play: _Play, rendered: Rendered, message: bytes) -> Composed:
        return Composed(
            self._mail_from(play, order.claimed, self._now()),
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
        own = play.facts.mail_from
        return (own and self._identifiers.return_address(claimed.id, now)) or own

    def _play(self, job_id: int) -> "asyncio.Task[_Play]":
        """Return the job in play; compiled once however many ask at the same time."""
        task = self._plays.get(job_id)
        if task is None:
            task = asyncio.create_task(self._compile(job_id), name=f"compile {job_id}")
            task.add_done_callback(lambda task: self._forget_failed(job_id, task))
            self._plays[job_id] = task
            while len(self._plays) > _JOBS_KEPT:
                self._plays.popitem(last=False)
        else:
            self._plays.move_to_end(job_id)
        return task

    def _forget_failed(self, job_id: int, task: "asyncio.Task[_Play]") -> None:
        """Let the next delivery try to compile anew."""
        failed = task.cancelled() or task.exception() is not None
        if failed and self._plays.get(job_id) is task:
            del self._plays[job_id]

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
        key = job_key(facts.uid)
        kind = facts.priority.name.lower()
        echoed = feedback_id(facts.name, facts.configuration_set, kind, facts.from_domain)
        return _Play(facts, compiled, self._signer(domains), key, echoed, links)

    def _set_of(self, facts: JobFacts) -> SetOptions:
        return self._sets.get(facts.configuration_set, SetOptions())


def job_key(uid: str) -> str:
    """Return a job's part of its deliveries' Message-IDs: short, opaque, always the same."""
    digest = hashlib.sha256(uid.encode()).digest()[:10]
    return base64.b32encode(digest).decode("ascii").lower()


def message_id(key: str, delivery_id: int, domain: str) -> str:
    """Return a delivery's Message-ID: the same for all its attempts (RFC 5322 section 3.6.4)."""
    return f"<{delivery_id:x}.{key}@{domain}>"
