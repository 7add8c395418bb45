"""Mail that comes back, and mail to leave by: the listener, the mailbox, one intake behind them."""

import asyncio
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import Final

import structlog

from ekiden import settings
from ekiden.assembly.base import Base
from ekiden.assembly.duties import Duties
from ekiden.assembly.events import Events
from ekiden.errors import UnavailableError
from ekiden.inbound.doors import Doors
from ekiden.inbound.imap import Poller
from ekiden.inbound.intake import Intake, Taken
from ekiden.web.by_mail import LeavingByMail
from ekiden.web.people import People

_log = structlog.get_logger()
_REFUSED_EVERY: Final = 5.0  # seconds


class Receiving:
    """Takes mail.

    Args:
        base: What every group stands on.
        duties: Hear of reports.
        events: Count what came in.
        people: Does what mail to leave by asks for.

    Attributes:
        returned: Reads mail that comes back.
        listener: Takes it over SMTP; listens nowhere when the configuration names no place.
        mailbox: Fetches it over IMAP; None where no mailbox is configured.
    """

    def __init__(self, base: Base, duties: Duties, events: Events, people: People) -> None:
        config = base.config
        self._base = base
        self._duties = duties
        self._metrics = events.metrics
        self.returned = Intake(
            base.queue,
            settings.classifier(config),
            base.identifiers,
            volume=config.reputation.volume,
            provider_of=base.provider_of,
            happened=self._happened,
            blocked=duties.standings.blocked,
        )
        self.listener: AbstractAsyncContextManager[object] = nullcontext()
        options = settings.listener(config)  # a certificate that cannot be used is told at start
        if config.inbound.listen:
            # An SMTP server is much to load for those who have none.
            from ekiden.inbound.listener import Listener  # noqa: PLC0415 - see above

            leaving = settings.unsubscribe_address(config) if base.links else ""
            doors = {leaving: LeavingByMail(people).take} if leaving else {}
            self.listener = Listener(
                [(place.address, place.port) for place in config.inbound.listen],
                Doors(self.returned, config.inbound.feedback, doors),
                options,
                clock=base.now,
                refused=self.returned.refused,
            )
        mailbox = settings.imap(config)
        self.mailbox = None if mailbox is None else Poller(mailbox, self._take)

    async def count_refused(self) -> None:
        """Write the counts of refused mail from time to time, until cancelled."""
        while True:
            await asyncio.sleep(_REFUSED_EVERY)
            try:
                await self.flush()
            except UnavailableError as error:
                _log.warning("refused mail is not counted", error=str(error))

    async def flush(self) -> None:
        """Write the counts of refused mail."""
        await self.returned.flush(self._base.now())

    async def _take(self, raw: bytes) -> Taken:
        return await self.returned.take(raw, "", self._base.now())

    def _happened(self, taken: Taken) -> None:
        self._metrics.returned(taken.outcome)
        if taken.delivery:
            self._duties.report_came()
