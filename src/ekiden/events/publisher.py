"""One destination's loop: read on from its own place, hand over, move its place. Nothing is lost.

```
queue's history --(Follower, its own marks)--> filter, form --> Sender.send, again and again
```

A destination that takes nothing holds up itself and nobody else: its place stays where it is, and
the queue keeps what lies behind it. It is tried again after `wait`, doubled up to `wait_most`, with
jitter, for as long as it is configured; a batch keeps its id through all tries, so that a receiver
can tell a repetition. A restart may cut batches anew: events keep their own ids for that.
"""

import asyncio
import contextlib
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import structlog

from ekiden.errors import EkidenError, UnavailableError
from ekiden.events.destination import Parcel, Sender, Wanted
from ekiden.events.model import Event
from ekiden.events.outbox import Follower, Outbox
from ekiden.events.ses import Letter, encoded
from ekiden.message.content import decode

_log = structlog.get_logger("ekiden.events")
READER = "to."  # begins the names of our marks
_LETTERS = 512


class History(Outbox, Protocol):
    """What a publisher needs of the queue."""

    async def begin_mark(self, reader: str) -> None:
        """Give a reader that has no place yet one at the end."""

    async def content(self, job_id: int) -> bytes:
        """Return what a job sends."""


class RetryAfterError(UnavailableError):
    """Not now, and the other side says when.

    Args:
        what: What is wrong.
        seconds: When to come again.
    """

    def __init__(self, what: str, *, where: str, seconds: float) -> None:
        super().__init__(what, where=where)
        self.seconds = seconds


@dataclass(frozen=True, slots=True)
class PublisherOptions:
    """How a publisher works.

    Args:
        wanted: Which events.
        form: `ekiden`, `ses` or `sns`.
        batch: Events at once, at most.
        wait: Seconds before a refused batch is tried again; doubled up to `wait_most`.
        wait_most: See `wait`.
        poll: Seconds between looks when nothing wakes it.
    """

    wanted: Wanted
    form: str = "ekiden"
    batch: int = 100
    wait: float = 1.0
    wait_most: float = 900.0
    poll: float = 5.0


class Publisher:
    """Sends events to one destination.

    Args:
        history: The queue.
        sender: What hands over.
        options: See `PublisherOptions`.
        dice: 0 to 1, for the jitter.
    """

    def __init__(
        self,
        history: History,
        sender: Sender,
        options: PublisherOptions,
        *,
        dice: Callable[[], float],
    ) -> None:
        self._history = history
        self._sender = sender
        self._options = options
        self._dice = dice
        self._reader = f"{READER}{options.wanted.name}"
        self._follower = Follower(
            history, self._reader, self._take, types=options.wanted.types, batch=500
        )
        self._wake = asyncio.Event()
        self._letters: dict[tuple[str, str], Letter] = {}
        self.trouble = ""  # why it takes nothing at present; "" when all is well
        self.sent = 0

    def wake(self) -> None:
        """Say that there may be something new."""
        self._wake.set()

    async def run(self) -> None:
        """Send until cancelled."""
        try:
            while True:
                try:
                    await self._begin()
                    await self._go_on()
                except EkidenError as error:  # the disk, or a job that cannot be read
                    self._troubled(error)
                    await asyncio.sleep(self._options.poll)
        finally:
            await self._sender.close()

    async def drain(self) -> None:
        """Hand over everything there is now; after `run` has ended.

        Raises:
            UnavailableError: The disk.
        """
        try:
            await self._begin()
            while await self._follower.step():
                pass
        finally:
            await self._sender.close()

    async def _begin(self) -> None:
        await self._history.begin_mark(self._reader)
        await self._follower.begin()

    async def _go_on(self) -> None:
        while True:
            if not await self._follower.step():
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self._options.poll):
                        await self._wake.wait()
                self._wake.clear()

    async def _take(self, events: Sequence[Event]) -> None:
        wanted = [one for one in events if self._options.wanted.takes(one)]
        made = [(one, await self.form(one)) for one in wanted]
        told = [(one, body) for one, body in made if body is not None]
        size = 1 if self._options.form == "sns" else self._options.batch
        for at in range(0, len(told), size):
            await self._until_taken(parcel(told[at : at + size]))

    async def _until_taken(self, one: Parcel) -> None:
        wait = self._options.wait
        while True:
            try:
                await self._sender.send(one)
            except UnavailableError as error:
                self._troubled(error)
                pause = wait * (1 + self._dice() / 2)
                if isinstance(error, RetryAfterError):
                    pause = min(max(pause, error.seconds), self._options.wait_most)
                await asyncio.sleep(pause)
                wait = min(wait * 2, self._options.wait_most)
            else:
                if self.trouble:
                    _log.info("events are taken again", destination=self._options.wanted.name)
                self.trouble = ""
                self.sent += len(one.events)
                return

    async def form(self, event: Event) -> bytes | None:
        """Return an event in the destination's form; None if that has no word for it."""
        letter = Letter()
        if self._options.form != "ekiden" and event.job_uid:
            letter = await self._letter(event.job_uid, event.configuration_set)
        return encoded(event, letter, self._options.form, f"ekiden-{self._options.wanted.name}")

    async def _letter(self, uid: str, configuration_set: str) -> Letter:
        key = uid, configuration_set
        known = self._letters.get(key)
        if known is not None:
            return known
        job = self._follower.known(*key)
        if job is None:
            return Letter()
        letter = Letter(
            mail_from=job.mail_from,
            at=job.opened_at or job.created_at,
            expires_at=job.expires_at,
            template=job.template,
        )
        with contextlib.suppress(EkidenError):  # its content may have been folded away
            content = decode(await self._history.content(job.id))
            letter = Letter(
                content.from_,
                job.mail_from,
                "" if "{{" in content.subject or "{%" in content.subject else content.subject,
                content.headers,
                letter.at,
                letter.expires_at,
                letter.template,
            )
        if len(self._letters) >= _LETTERS:
            self._letters.clear()
        self._letters[key] = letter
        return letter

    def _troubled(self, error: EkidenError) -> None:
        if not self.trouble:
            _log.error(
                "a destination takes no events; they wait",
                destination=self._options.wanted.name,
                reason=str(error),
            )
        self.trouble = str(error)


def parcel(told: Sequence[tuple[Event, bytes]]) -> Parcel:
    """Return a batch with its id."""
    ids = "\n".join(one.id for one, _ in told)
    return Parcel(
        f"msg_{hashlib.sha256(ids.encode()).hexdigest()[:32]}",
        tuple(one for one, _ in told),
        tuple(body for _, body in told),
    )
