"""Opens and clicks on their way into the queue: together, beside the answers, bounded.

An answer does not wait for the disk. What happened joins the next batch, and the one task here
writes batch after batch; a disk that refuses is asked again. When more waits than may wait, the
rest is dropped and counted: people's images load whatever our disk does.

What a crash loses is what had not been written: under load a few hundredths of a second.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import structlog

from ekiden import limits
from ekiden.errors import EkidenError, UnavailableError
from ekiden.lists.agents import classify_agent
from ekiden.lists.contacts import Contacts
from ekiden.lists.model import Engagement, Reaction
from ekiden.message.tokens import About
from ekiden.queue.queue import Queue
from ekiden.queue.reactions import CLICK, Reached, Seen

_BATCH: Final = 500
_RETRY: Final = 1.0
_log = structlog.get_logger("ekiden.web")


@dataclass(frozen=True, slots=True)
class Sighting:
    """A pixel that was fetched, or a link that was followed.

    Args:
        kind: OPEN or CLICK.
        about: What the link says of whose it is.
        at: UNIX seconds.
        url: Where the link leads; "" for the pixel.
        ip: The client's address.
        user_agent: What it calls itself, printable.
    """

    kind: str
    about: About
    at: float
    url: str
    ip: str
    user_agent: str


class Recorder:
    """Writes sightings.

    Args:
        queue: The queue.
        contacts: Hears what people did.
        keep_ip: Whether addresses are kept.
        changed: Hears that there are new events.
    """

    def __init__(
        self,
        queue: Queue,
        contacts: Contacts,
        *,
        keep_ip: bool,
        changed: Callable[[], None] = lambda: None,
    ) -> None:
        self._queue = queue
        self._contacts = contacts
        self._keep_ip = keep_ip
        self._changed = changed
        self._waiting: list[Sighting] = []
        self._wake = asyncio.Event()
        self.dropped = 0

    def add(self, sighting: Sighting) -> None:
        """Take note of a sighting."""
        if len(self._waiting) >= limits.REACTIONS_WAITING:
            self.dropped += 1
            return
        self._waiting.append(sighting)
        self._wake.set()

    async def run(self) -> None:
        """Write until cancelled; `flush` afterwards writes what came last."""
        trouble = False
        while True:
            await self._wake.wait()
            self._wake.clear()
            try:
                await self.flush()
                trouble = False
            except UnavailableError as error:
                if not trouble:
                    _log.warning("opens and clicks wait", error=str(error))
                trouble = True
                await asyncio.sleep(_RETRY)
                self._wake.set()

    async def flush(self) -> None:
        """Write what waits.

        Raises:
            UnavailableError: The disk refuses; what was not written waits on.
        """
        while self._waiting:
            batch = self._waiting[:_BATCH]
            await self._write(batch)
            del self._waiting[: len(batch)]

    async def _write(self, batch: list[Sighting]) -> None:
        reached = await self._queue.reached([one.about.delivery for one in batch])
        seen = [self._seen(one, reached.get(one.about.delivery)) for one in batch]
        if not await self._queue.react(seen):
            return
        self._changed()
        known = [(one, reached.get(one.delivery)) for one in seen]
        people = [
            Engagement(
                to.address,
                Reaction.CLICK if one.kind == CLICK else Reaction.OPEN,
                one.at,
                one.human,
                to.contact_list,
            )
            for one, to in known
            if to is not None and to.job == one.job and to.contact_list
        ]
        try:
            await self._contacts.note_engagements(people)
        except UnavailableError:
            raise
        except EkidenError as error:
            _log.warning("engagement not noted", error=str(error))

    def _seen(self, one: Sighting, reached: Reached | None) -> Seen:
        since = None
        if reached is not None and reached.delivered_at is not None:
            since = one.at - reached.delivered_at
        agent = classify_agent(one.user_agent, one.ip, since)
        totals = one.about.delivery == 0
        return Seen(
            kind=one.kind,
            job=one.about.job,
            mark=one.about.mark,
            delivery=one.about.delivery,
            at=one.at,
            url=one.url,
            agent=str(agent.kind),
            human=agent.human,
            user_agent="" if totals else one.user_agent,
            ip=one.ip if self._keep_ip and not totals else "",
        )
