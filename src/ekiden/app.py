"""The daemon: everything built from the configuration, run together, ended in order.

```
build:  database, spool, event log, signing threads -> the groups of `assembly`, one after another
run:    services (settler, event exporter)  outlive  work (intake, dispatcher, duties)
end:    TERM -> work is cancelled -> the dispatcher lets transactions end (delivery.drain)
             -> everything settled -> events written -> socket, spool, database closed -> exit 0
```

HUP reads the configuration again. What can change under a running daemon is taken over at once
(keys, sets, caps, TLS, routes, rules, retry schedule); a file that is wrong is refused with its
problems, and the old configuration stays.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import structlog

from ekiden import settings
from ekiden.assembly.base import Base, Opened
from ekiden.assembly.delivery import Delivery
from ekiden.assembly.duties import Duties
from ekiden.assembly.events import Events
from ekiden.assembly.health import Health
from ekiden.assembly.live import Live
from ekiden.assembly.receiving import Receiving
from ekiden.assembly.reload import Groups, read
from ekiden.assembly.spooling import Spooling
from ekiden.assembly.web import Public, admin_server
from ekiden.config import Config
from ekiden.control.server import ControlServer
from ekiden.engine.signing import SigningThreads
from ekiden.errors import EkidenError, UnavailableError
from ekiden.events.log import EventLog, LogOptions
from ekiden.spool.layout import Spool
from ekiden.store.database import Database

_log = structlog.get_logger()


class App:
    """The running daemon; made by `build`.

    Attributes:
        base: The configuration in force, the clock, the database by subject.
        queue: The queue.
        events: The event log and who reads it.
        delivery: The engine: scheduler, dispatcher and what they work with.
        duties: What is done beside sending.
        public: What recipients reach.
        receiving: Mail that comes back.
        live: The daemon as commands see it.
        spooling: Jobs on their way in, and their answers.
        health: Whether all is well.
    """

    def __init__(self, config: Config, path: Path | None, opened: Opened) -> None:
        base = self.base = Base(config, path, opened.database)
        self.queue = base.queue
        self.events = Events(base, opened.log)
        self.delivery = Delivery(base, opened.threads)
        self.duties = Duties(base, self.delivery, self.events, opened.spool)
        self.public = Public(base, self.duties, self.events)
        self.receiving = Receiving(base, self.duties, self.events, self.public.people)
        self.health = Health(base, self.delivery, self.events)
        self.live = Live(
            base,
            self.delivery,
            self.duties,
            self.events,
            returned=self.receiving.returned,
            health=self.health,
        )
        self.spooling = Spooling(base, opened.spool, self.duties, self.events, self.live.estimates)
        self.health.watched += [
            self.delivery.settler,
            self.spooling.intake,
            self.spooling.reporter,
            self.events.exporter,
        ]
        if self.receiving.mailbox is not None:
            self.health.watched.append(self.receiving.mailbox)
        self.control = ControlServer(config.control.socket, self.live.answers)
        self.admin = admin_server(base, self.live, opened.spool, self.health)

    @property
    def config(self) -> Config:
        """The configuration in force."""
        return self.base.config

    async def run(self, stop: asyncio.Event, ready: Callable[[], None] = lambda: None) -> None:
        """Run until `stop` is set, then end in order.

        Args:
            stop: Set by a signal, or by whoever runs this in a test.
            ready: Called once everything runs.
        """
        await self._recover()
        events, duties, spooling, receiving = (
            self.events,
            self.duties,
            self.spooling,
            self.receiving,
        )
        async with asyncio.TaskGroup() as services:
            lasting = [
                services.create_task(self.delivery.settler.run(), name="settler"),
                services.create_task(events.exporter.run(), name="events"),
                services.create_task(events.destinations.run(), name="event destinations"),
                services.create_task(self.public.recorder.run(), name="opens and clicks"),
            ]
            async with (
                receiving.listener,
                self.public.server,
                self.admin,
                self.control,
                asyncio.TaskGroup() as group,
            ):
                work = [
                    group.create_task(self.delivery.dispatcher.run(), name="dispatcher"),
                    group.create_task(spooling.intake.run(), name="intake"),
                    group.create_task(spooling.reporter.run(), name="reporter"),
                    group.create_task(duties.upkeep.run(), name="upkeep"),
                    group.create_task(duties.holds.run(), name="holds"),
                    group.create_task(duties.keeper.run(), name="counts"),
                    group.create_task(self.live.estimates.run(), name="estimates"),
                    group.create_task(duties.warming.run(), name="warm-up"),
                    group.create_task(duties.reactor.run(), name="reactions"),
                    group.create_task(duties.volumes.run(), name="volumes"),
                    group.create_task(self.health.measure_lag(), name="lag"),
                    group.create_task(duties.standings.run(), name="standings"),
                    group.create_task(duties.watch.run(), name="checks of the sender"),
                    group.create_task(receiving.count_refused(), name="refused mail"),
                ]
                if receiving.mailbox is not None:
                    work.append(group.create_task(receiving.mailbox.run(), name="bounce mailbox"))
                ready()
                await stop.wait()
                for task in work:
                    task.cancel()
            for task in lasting:
                task.cancel()
        await self._finish()

    async def _recover(self) -> None:
        """Settle with the last run: what was on the wire, what was learned, what was stopped."""
        await self.delivery.doubt.recover(self.base.now(), self.config.delivery.in_doubt)
        await self.duties.recall()
        await self.base.contacts.finish_removals()

    async def _finish(self) -> None:
        """Write what is left; a disk that refuses leaves it to the next start."""
        try:
            await self.public.recorder.flush()
            await self.spooling.reporter.report_ended()
            await self.duties.save()
            await self.receiving.flush()
            await self.events.exporter.drain()
            await self.events.destinations.drain()
        except (UnavailableError, OSError) as error:
            _log.error("not everything is on the disk; the next start goes on", error=str(error))
            return
        if self.delivery.settler.trouble is None:
            self.delivery.doubt.end()

    def reload(self) -> None:
        """Take over the configuration file as it is now, or refuse it and keep the old one."""
        path = self.base.path
        if path is None:
            return
        try:
            new = read(path, self.base.now)
        except EkidenError as error:
            _log.error("the new configuration is refused; the old one stays", error=str(error))
            return
        fixed = settings.needs_restart(self.config, new.config)
        if fixed:
            _log.warning("these keys need a restart to change", keys=fixed)
        groups = Groups(
            self.base, self.events, self.delivery, self.duties, self.receiving, self.live
        )
        groups.take_over(new)
        _log.info("configuration reloaded", file=str(path))


@asynccontextmanager
async def build(config: Config, path: Path | None = None) -> AsyncIterator[App]:
    """Open everything the daemon needs and make it; close it again afterwards.

    Args:
        config: The configuration.
        path: Its file, for HUP.

    Raises:
        UnavailableError: Another daemon runs on this queue, or a directory cannot be used.
        ConfigError: A key or the spool is not safe to use.
    """
    settings.lint_options(config)  # a finding that there is none of is told at start
    async with AsyncExitStack() as stack:
        database = await Database.open(config.queue.path, options=settings.database(config))
        stack.push_async_callback(database.close)
        spool = Spool.open(config.spool.directory, owners=settings.spool_owners(config))
        stack.callback(spool.close)
        log = EventLog.open(
            LogOptions(config.events.directory, config.events.rotate, config.events.keep)
        )
        stack.callback(log.close)
        threads = SigningThreads(config.dkim.threads or None)
        await stack.enter_async_context(threads)
        yield App(config, path, Opened(database, spool, log, threads))
