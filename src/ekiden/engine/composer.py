"""From a claimed delivery to the signed bytes of its message.

A job's content is read and compiled once and kept while the job sends; a delivery then costs its
rendering on the loop and its signatures on the threads beside it. Never unsigned by accident: a
domain with keys in the configuration is signed with all of them or not sent.
"""

import asyncio
import base64
import hashlib
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from ekiden.bounce.identifiers import FEEDBACK_ID, REFERENCE, Identifiers, feedback_id
from ekiden.dkim.sign import Signer
from ekiden.engine.signing import SigningThreads
from ekiden.errors import EkidenError
from ekiden.message.compile import Compiled, compile_content
from ekiden.message.content import decode
from ekiden.message.headers import RenderError
from ekiden.message.rendered import Marks, Recipient, Rendered
from ekiden.queue.model import Claimed, JobFacts
from ekiden.queue.queue import Queue

_JOBS_KEPT: Final = 256  # compiled jobs; one costs a few times its templates
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
    """

    dkim: tuple[str, ...] = ()
    tls_required: bool = False


@dataclass(frozen=True, slots=True)
class _Play:
    """A job in play."""

    facts: JobFacts
    compiled: Compiled
    signer: Signer | None
    key: str  # the job's part of its deliveries' Message-IDs
    feedback_id: str


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
    ) -> None:
        self._queue = queue
        self._jobs = jobs
        self._signer = signer
        self._sets = sets
        self._identifiers = identifiers
        self._threads = threads
        self._now = now
        self._plays: OrderedDict[int, asyncio.Task[_Play]] = OrderedDict()

    def forget(self, job_id: int) -> None:
        """Let go of a job's compiled content."""
        self._plays.pop(job_id, None)

    def reconfigure(
        self,
        signer: Callable[[Sequence[str]], Signer | None],
        sets: Mapping[str, SetOptions],
        identifiers: Identifiers,
    ) -> None:
        """Take over the keys, sets and marks of a new configuration."""
        self._signer = signer
        self._sets = sets
        self._identifiers = identifiers
        self._plays.clear()

    def wants_tls(self, job_id: int) -> bool:
        """Whether a job's messages must not travel in the clear."""
        job = self._jobs.get(job_id)
        return job is not None and self._set_of(job).tls_required

    async def compose(
        self, claimed: Claimed, *, seven_bit: bool = False
    ) -> Composed | Unrenderable:
        """Render and sign one delivery's message.

        Args:
            claimed: The delivery.
            seven_bit: The receiver has no 8BITMIME.
        """
        try:
            play = await self._play(claimed.job_id)
            now = self._now()
            rendered = play.compiled.render(
                Recipient(claimed.recipient, _merge_decoder.decode(claimed.merge)),
                self._marks(play, claimed, now),
                seven_bit=seven_bit,
            )
            message = await self._sign(play, rendered)
        except RenderError as error:
            return Unrenderable(str(error))
        except EkidenError as error:
            return Unrenderable(str(error), permanent=False)
        return Composed(
            self._mail_from(play, claimed, now),
            message,
            len(message),
            rendered.eight_bit,
            rendered.smtputf8,
        )

    def _marks(self, play: _Play, claimed: Claimed, now: float) -> Marks:
        return Marks(
            message_id(play.key, claimed.id, play.facts.from_domain),
            now,
            (
                (REFERENCE, self._identifiers.reference(claimed.id, now)),
                (FEEDBACK_ID, play.feedback_id),
            ),
        )

    def _mail_from(self, play: _Play, claimed: Claimed, now: float) -> str:
        """Return the signed return address, or the job's own; a null sender stays null."""
        own = play.facts.mail_from
        return (own and self._identifiers.return_address(claimed.id, now)) or own

    async def _sign(self, play: _Play, rendered: Rendered) -> bytes:
        if play.signer is None:
            return rendered.message()
        return await self._threads.sign(play.signer, rendered, self._now())

    async def _play(self, job_id: int) -> _Play:
        """Return the job in play; compiled once however many ask at the same time."""
        task = self._plays.get(job_id)
        if task is None:
            task = asyncio.create_task(self._compile(job_id), name=f"compile {job_id}")
            self._plays[job_id] = task
            while len(self._plays) > _JOBS_KEPT:
                self._plays.popitem(last=False)
        else:
            self._plays.move_to_end(job_id)
        try:
            return await asyncio.shield(task)
        except EkidenError:
            self._plays.pop(job_id, None)
            raise

    async def _compile(self, job_id: int) -> _Play:
        facts = self._jobs.get(job_id) or await self._queue.job(job_id)
        content = decode(await self._queue.content(job_id))
        compiled = await asyncio.to_thread(compile_content, content)
        domains = self._set_of(facts).dkim or (facts.from_domain,)
        key = job_key(facts.uid)
        kind = facts.priority.name.lower()
        echoed = feedback_id(facts.name, facts.configuration_set, kind, facts.from_domain)
        return _Play(facts, compiled, self._signer(domains), key, echoed)

    def _set_of(self, facts: JobFacts) -> SetOptions:
        return self._sets.get(facts.configuration_set, SetOptions())


def job_key(uid: str) -> str:
    """Return a job's part of its deliveries' Message-IDs: short, opaque, always the same."""
    digest = hashlib.sha256(uid.encode()).digest()[:10]
    return base64.b32encode(digest).decode("ascii").lower()


def message_id(key: str, delivery_id: int, domain: str) -> str:
    """Return a delivery's Message-ID: the same for all its attempts (RFC 5322 section 3.6.4)."""
    return f"<{delivery_id:x}.{key}@{domain}>"
