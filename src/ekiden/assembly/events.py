"""Events on their way out: the log, the destinations that follow it, what is counted of them."""

from ekiden.assembly.base import Base
from ekiden.control.providers import ProviderBook
from ekiden.duties.destinations import Destinations, plan
from ekiden.events.exporter import Exporter, ExporterOptions
from ekiden.events.log import EventLog
from ekiden.events.metrics import Metrics
from ekiden.events.model import EventType


class Events:
    """The event log and who reads it.

    Args:
        base: What every group stands on.
        log: The open log.

    Attributes:
        metrics: For Prometheus.
        book: How mail goes by provider.
        destinations: Where events go from the log.
        exporter: Writes the log from the database.
    """

    def __init__(self, base: Base, log: EventLog) -> None:
        self._base = base
        self.metrics = Metrics()
        self.book = ProviderBook(self.metrics, base.provider_of)
        self.destinations = Destinations(base.queue, plan(base.config))
        self.exporter = Exporter(
            base.queue,
            log,
            ExporterOptions(
                types=frozenset(EventType(name) for name in base.config.events.types),
                moved=self.destinations.wake,
                listener=self.book.happened,
            ),
        )
        self.wake = self.exporter.wake  # there is something new in the database

    async def alert(self, scope: str, detail: str) -> None:
        """Tell the operator, and whoever reads events.

        Raises:
            UnavailableError: The disk does not allow it now.
        """
        await self._base.queue.notice(scope, detail, self._base.now())
        self.wake()
