"""The daemon: everything built from the configuration, run together, ended in order.

```
build:  database -> queue -> scheduler, resolver, dialler, composer, conclusions -> dispatcher
        spool -> intake      events -> exporter      control socket -> Control(live = this)
        listener, mailbox -> returned mail -> queue     results -> standings -> stops
run:    services (settler, event exporter)  outlive  work (intake, dispatcher, upkeep)
end:    TERM -> work is cancelled -> the dispatcher lets transactions end (delivery.drain)
             -> everything settled -> events written -> socket, spool, database closed -> exit 0
```

HUP reads the configuration again. What can change under a running daemon is taken over at once
(keys, sets, caps, TLS, routes, rules, retry schedule); a file that is wrong is refused with its
problems, and the old configuration stays.
"""

import asyncio
import os
import random
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final

import structlog

from ekiden import __version__, settings
from ekiden.bounce.model import Verdict
from ekiden.config import Config, load
from ekiden.control.insight_requests import ProviderView
from ekiden.control.list_service import ListAnswers
from ekiden.control.pacing_service import PacingAnswers
from ekiden.control.providers import ProviderBook
from ekiden.control.reaction_service import ReactionAnswers
from ekiden.control.requests import EngineView, Listing, Question, T
from ekiden.control.server import ControlServer
from ekiden.control.service import Control
from ekiden.control.template_service import TemplateAnswers
from ekiden.control.token_service import TokenAnswers
from ekiden.control.tokens import ApiTokens
from ekiden.control.waiting import span
from ekiden.duties.destinations import Destinations, plan
from ekiden.duties.holds import Holds
from ekiden.duties.keeper import Keeper
from ekiden.duties.preflight import Watch
from ekiden.duties.reactor import Reactor
from ekiden.duties.standing import Standings
from ekiden.duties.upkeep import Upkeep, UpkeepOptions
from ekiden.duties.volumes import Volumes
from ekiden.duties.warming import Warming
from ekiden.engine.capsbook import CapsBook, profiles, reactions
from ekiden.engine.clock import Clock
from ekiden.engine.composer import Composer
from ekiden.engine.conclude import Conclusions, Journey
from ekiden.engine.dialler import Dialler
from ekiden.engine.dispatcher import Dispatcher, Parts
from ekiden.engine.schedule.explain import NOTHING_DUE
from ekiden.engine.scheduler import Scheduler
from ekiden.engine.settler import Settler
from ekiden.engine.signing import SigningThreads
from ekiden.errors import EkidenError, RefusedError, UnavailableError
from ekiden.events.exporter import Exporter, ExporterOptions
from ekiden.events.log import EventLog, LogOptions
from ekiden.events.metrics import Metrics
from ekiden.events.model import SPOOL, EventType
from ekiden.forecast.estimates import Estimates
from ekiden.forecast.foresight import Foresight
from ekiden.inbound.doors import Doors
from ekiden.inbound.imap import Poller
from ekiden.inbound.intake import Intake as ReturnedMail
from ekiden.inbound.intake import Taken
from ekiden.inbound.listener import Listener
from ekiden.lists.contacts import Contacts
from ekiden.lists.identities import Identities
from ekiden.lists.suppression import Suppressions
from ekiden.message.addresses import parse_mailbox
from ekiden.preview.judgement import judge
from ekiden.queue.model import (
    Attempt,
    Claimed,
    JobFacts,
    JobState,
    NewDelivery,
    NewJob,
    Settlement,
)
from ekiden.queue.queue import Queue
from ekiden.spool.intake import Intake
from ekiden.spool.jobspec import JobSpec, OnLate
from ekiden.spool.layout import Spool
from ekiden.spool.report import Reporter
from ekiden.spool.sweep import sweep
from ekiden.store.database import Database
from ekiden.store.ledger import Ledger
from ekiden.templates.library import Library
from ekiden.templates.model import StoredTemplate, parse_reference
from ekiden.text import printable
from ekiden.web.admin.site import AdminSite
from ekiden.web.by_mail import LeavingByMail
from ekiden.web.server import HttpServer
from ekiden.web.site import Site

_log = structlog.get_logger()

_LAG_EVERY: Final = 0.1
_REPORT_EVERY: Final = 0.5
_REFUSED_EVERY: Final = 5.0
_SHOWN: Final = 20  # deliveries in doubt that are named in the log


class App:
    """The running daemon; made by `build`.

    Attributes:
        config: The configuration in force.
        queue: The queue.
        dispatcher: The engine.
        scheduler: Who is next.
        metrics: For Prometheus.
    """

    def __init__(
        self,
        config: Config,
        path: Path | None,
        *,
        database: Database,
        spool: Spool,
        log: EventLog,
        threads: SigningThreads,
    ) -> None:
        self.config = config
        self.path = path
        self.clock = Clock()
        self.started_at = self.clock.now()
        self.metrics = Metrics()
        self.tokens = ApiTokens(database)
        self._database = database.path
        self._ledger: Ledger | None = None
        self.queue = Queue(database, settings.queue(config))
        self.suppressions = Suppressions(database)
        self.contacts = Contacts(database)
        self.identities = Identities(database)
        self.templates = Library(database)
        self.scheduler = Scheduler(settings.scheduling(config), jitter=random.random)
        self.scheduler.set_hours(settings.hours(config), self.clock.now())
        self._jobs: dict[int, JobFacts] = {}
        self._settler = Settler(self._write_results, self._results_written)
        identifiers = settings.identifiers(config)
        provider_of = settings.provider_of(config)
        self.warming = Warming(
            self.queue,
            self.scheduler,
            settings.warmup(config),
            now=self.clock.now,
            provider_of=provider_of,
        )
        self.keeper = Keeper(self.queue, self.scheduler, self.warming.ramps, self.clock.now)
        self.book = ProviderBook(self.metrics, provider_of)
        self._links = settings.links(config)
        self._composer = Composer(
            self.queue,
            self._jobs,
            settings.signers(config),
            sets=settings.sets(config),
            identifiers=identifiers,
            threads=threads,
            now=self.clock.now,
            links=self._links,
        )
        resolver = settings.resolver(config, self.clock.now)
        self._parts = Parts(
            queue=self.queue,
            scheduler=self.scheduler,
            resolver=resolver,
            dialler=Dialler(resolver, settings.dialling(config)),
            composer=self._composer,
            conclusions=Conclusions(
                settings.classifier(config),
                settings.retry_policy(config),
                self._jobs,
                now=self.clock.now,
                dice=random.random,
                settle=self._settler.put,
                blocked=self._blocked,
                heard=self._heard,
            ),
            settler=self._settler,
            sources=settings.sources(config),
            site_facts=CapsBook(config, profiles(config)).facts,
            clock=self.clock,
            jobs=self._jobs,
            handing_over=self._handing_over,
        )
        self.dispatcher = Dispatcher(self._parts, settings.engine(config))
        self.holds = Holds(
            self.queue,
            self.scheduler,
            self.dispatcher,
            now=self.clock.now,
            sources=lambda: settings.source_facts(self.config),
            stopped=lambda: self.standings.stopped,
        )
        self.standings = Standings(
            self.queue,
            settings.reputation(config),
            now=self.clock.now,
            provider_of=provider_of,
            stop=self.holds.stop,
            release=self.holds.release,
            told=self._told,
            own=settings.set_reputations(config),
        )
        self.destinations = Destinations(self.queue, plan(config))
        self.volumes = Volumes(
            self.queue,
            lambda: settings.source_facts(self.config),
            now=self.clock.now,
            told=self._told,
        )
        self.reactor = Reactor(
            self.queue,
            self.scheduler,
            reactions(config),
            now=self.clock.now,
            provider_of=provider_of,
            stop_job=self._stop_job,
            told=self._told,
        )
        self.exporter = Exporter(
            self.queue,
            log,
            ExporterOptions(
                types=frozenset(EventType(name) for name in config.events.types),
                moved=self.destinations.wake,
                listener=self.book.happened,
            ),
        )
        self.estimates = Estimates(self, path, located=self.dispatcher.located, now=self.clock.now)
        self.intake = Intake(
            spool,
            self.queue,
            settings.intake(config),
            check=self._check_job,
            complete=self._complete_job,
            find=self._find_template,
            judge=self._judge_content,
            foresight=Foresight(
                self.estimates,
                self.queue,
                default=lambda: OnLate(self.config.delivery.on_late),
                alert=self.standings.alert,
                now=self.clock.now,
            ),
            opened=self._job_opened,
            refused=self._job_refused,
            clock=self.clock.now,
        )
        self.upkeep = Upkeep(
            self.queue,
            self.clock,
            UpkeepOptions(config.queue.keep, config.spool.keep),
            due=self.dispatcher.look,
            save=self.keeper.save,
            sweep=partial(sweep, spool),
            forget=self.contacts.drop_old_consents,
        )
        self.reporter = Reporter(
            spool, self.queue, done=self.job_changed, clock=self.clock.now, poll=_REPORT_EVERY
        )
        self.returned = ReturnedMail(
            self.queue,
            settings.classifier(config),
            identifiers,
            volume=config.reputation.volume,
            provider_of=provider_of,
            happened=self._mail_returned,
            blocked=self.standings.blocked,
        )
        self.site = Site(
            self.queue,
            self.contacts,
            self.suppressions,
            settings.tokens(config),
            settings.site(config),
            identities=self.identities,
            links=lambda: self._links,
            now=self.clock.now,
            opened=self.job_changed,
            changed=self.exporter.wake,
        )
        self.watch = Watch(lambda: self.config, now=self.clock.now, tell=self._alert)
        self.public = HttpServer(self.site.app, settings.public_server(config))
        self.listener = self._listener(config)
        mailbox = settings.imap(config)
        self.mailbox = None if mailbox is None else Poller(mailbox, self._take_returned)
        self.pacing = PacingAnswers(
            self.queue,
            settings.pacing_facts(config),
            self.clock.now,
            ramps=self.warming.ramps,
            hours=self.scheduler.hours,
            changed=self.ramps_changed,
        )
        answers = self._answers = Control(
            self.queue,
            self.suppressions,
            live=self,
            clock=self.clock.now,
            returned=lambda: self.returned,
            lists=ListAnswers(
                self.contacts,
                self.identities,
                self.queue,
                self.suppressions,
                clock=self.clock.now,
                confirming=settings.confirming(config),
                opened=self.job_changed,
            ),
            templates=TemplateAnswers(self.templates, clock=self.clock.now),
            pacing=self.pacing,
            reactions=ReactionAnswers(
                self.queue,
                self.clock.now,
                live=self.reactor.live,
                cancel=self._cancel_reaction,
            ),
            tokens=TokenAnswers(self.tokens, clock=self.clock.now),
        )
        self.control = ControlServer(config.control.socket, answers)
        site = AdminSite(
            answers,
            self.tokens,
            spool,
            self.queue,
            settings.admin(config),
            now=self.clock.now,
            metrics=self._measured,
            trouble=self._trouble,
        )
        self.admin = HttpServer(site.app, settings.admin_server(config))

    # --- running ----------------------------------------------------------------------------------

    def _listener(self, config: Config) -> Listener:
        """Return what takes mail that comes back, and mail to leave by where links are made."""
        leaving = settings.unsubscribe_address(config) if self._links else ""
        doors = {leaving: LeavingByMail(self.site.people).take} if leaving else {}
        return Listener(
            [(place.address, place.port) for place in config.inbound.listen],
            Doors(self.returned, config.inbound.feedback, doors),
            settings.listener(config),
            clock=self.clock.now,
            refused=self.returned.refused,
        )

    async def run(self, stop: asyncio.Event, ready: Callable[[], None] = lambda: None) -> None:
        """Run until `stop` is set, then end in order.

        Args:
            stop: Set by a signal, or by whoever runs this in a test.
            ready: Called once everything runs.
        """
        await self._recover()
        async with asyncio.TaskGroup() as services:
            lasting = [
                services.create_task(self._settler.run(), name="settler"),
                services.create_task(self.exporter.run(), name="events"),
                services.create_task(self.destinations.run(), name="event destinations"),
                services.create_task(self.site.recorder.run(), name="opens and clicks"),
            ]
            async with (
                self.listener,
                self.public,
                self.admin,
                self.control,
                asyncio.TaskGroup() as group,
            ):
                work = [
                    group.create_task(self.dispatcher.run(), name="dispatcher"),
                    group.create_task(self.intake.run(), name="intake"),
                    group.create_task(self.reporter.run(), name="reporter"),
                    group.create_task(self.upkeep.run(), name="upkeep"),
                    group.create_task(self.holds.run(), name="holds"),
                    group.create_task(self.keeper.run(), name="counts"),
                    group.create_task(self.estimates.run(), name="estimates"),
                    group.create_task(self.warming.run(), name="warm-up"),
                    group.create_task(self.reactor.run(), name="reactions"),
                    group.create_task(self.volumes.run(), name="volumes"),
                    group.create_task(self._measure_lag(), name="lag"),
                    group.create_task(self.standings.run(), name="standings"),
                    group.create_task(self.watch.run(), name="checks of the sender"),
                    group.create_task(self._count_refused(), name="refused mail"),
                ]
                if self.mailbox is not None:
                    work.append(group.create_task(self.mailbox.run(), name="bounce mailbox"))
                ready()
                await stop.wait()
                for task in work:
                    task.cancel()
            for task in lasting:
                task.cancel()
        await self._finish()

    async def _finish(self) -> None:
        """Write what is left; a disk that refuses leaves it to the next start."""
        try:
            await self.site.recorder.flush()
            await self.reporter.report_ended()
            await self.keeper.save()
            await self.reactor.save()
            await self.volumes.save()
            await self.standings.round()
            await self.returned.flush(self.clock.now())
            await self.exporter.drain()
            await self.destinations.drain()
        except (UnavailableError, OSError) as error:
            _log.error("not everything is on the disk; the next start goes on", error=str(error))
            return
        if self._ledger is not None and self._settler.trouble is None:
            self._ledger.end()

    async def _recover(self) -> None:
        """Say what was on the wire when the last run died, and put it back."""
        policy = self.config.delivery.in_doubt
        past = Ledger.read(self._database)
        if past is not None:
            await self.queue.put_back(past, self.clock.now())
        recovered = await self.queue.recover(self.clock.now(), policy)
        for one in recovered[:_SHOWN]:
            _log.warning(
                "in flight at the crash",
                recipient=one.recipient,
                job=one.job_id,
                attempt=one.attempts,
                now=str(one.state),
            )
        if recovered:
            _log.warning(
                "deliveries may arrive twice",
                count=len(recovered),
                remedy="each is an in_doubt event in the event log",
            )
        self._ledger = Ledger.begin(self._database)
        await self.keeper.recall()
        await self.reactor.recall()
        await self.volumes.recall()
        await self.holds.recall()
        self.holds.look_at_all()  # what put mail aside may be gone from the configuration
        await self.standings.begin()
        await self.contacts.finish_removals()

    def _handing_over(self, claimed: Claimed) -> None:
        if self._ledger is not None:
            self._ledger.note(claimed.id, claimed.lease)

    async def _write_results(self, settlements: Sequence[Settlement]) -> None:
        await self.queue.settle(settlements, self.clock.now())

    def _results_written(self, settlements: Sequence[Settlement]) -> None:
        if self._ledger is not None:
            for settlement in settlements:
                self._ledger.settled(settlement.claimed.id, settlement.claimed.lease)
        self.standings.note(settlements)
        self.warming.note(settlements)
        self.volumes.note(settlements)
        self.exporter.wake()

    async def _measure_lag(self) -> None:
        """Watch how late the loop is: what keeps it longest is everybody's delay."""
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + _LAG_EVERY
            await asyncio.sleep(_LAG_EVERY)
            self.metrics.loop_lag(max(0.0, loop.time() - due))

    # --- jobs and suspensions: Control's `Live` ---------------------------------------------------

    def engine(self) -> EngineView:
        """Return what only the running daemon knows."""
        snapshot = self.scheduler.snapshot(self.clock.now())
        return EngineView(
            pid=os.getpid(),
            version=__version__,
            started_at=self.started_at,
            sessions=snapshot.sessions,
            max_sessions=self.config.delivery.max_sessions,
            destinations=sum(site.destinations for site in snapshot.sites),
            event_troubles=dict(self.destinations.troubles()),
            trouble=self._trouble(),
        )

    def providers(self) -> list[ProviderView]:
        """Return how mail to each provider goes."""
        now = self.clock.now()
        return self.book.views(self.scheduler.snapshot(now), now)

    async def _measured(self) -> bytes:
        overview = await self.queue.overview()
        depths = {str(state): number for state, number in overview.deliveries.items()}
        self.metrics.log_failing(failing=bool(self.exporter.trouble))
        self.metrics.destinations_failing(self.destinations.failing())
        return self.book.text(self.scheduler.snapshot(self.clock.now()), depths)

    def _trouble(self) -> str:
        if self._settler.trouble:
            return str(self._settler.trouble)
        mailbox = "" if self.mailbox is None else self.mailbox.trouble
        return self.intake.trouble or self.reporter.trouble or self.exporter.trouble or mailbox

    def why(self, destination: str) -> str:
        """Return why a destination's mail waits; "" when the scheduler has nothing of it."""
        now = self.clock.now()
        reason, until = self.scheduler.why(destination, now)
        if reason == NOTHING_DUE:
            return ""
        left = until - now
        return f"{reason}, {span(left)} more" if reason and 0 < left < 1e9 else reason

    def job_changed(self, job: JobFacts) -> None:
        """Hear that a job was opened, paused, resumed, cancelled or finished."""
        if job.state is JobState.OPEN and self.standings.holds(job):
            job = replace(job, state=JobState.PAUSED)  # at once here; the queue follows
        self.dispatcher.job_changed(job)
        self.exporter.wake()

    def _job_opened(self, job: JobFacts) -> None:
        self.volumes.opened(job)
        self.job_changed(job)

    async def ask(self, request: Question[T]) -> T:
        """Answer a question as the control socket would."""
        return await self._answers.ask(request)

    def stream(self, request: Listing[T]) -> AsyncIterator[T]:
        """Answer a listing as the control socket would."""
        return self._answers.stream(request)

    def forecast(self, job_id: int) -> tuple[str, float | None]:
        """Return when a job will be done: in words, and the time."""
        found = self.estimates.of(job_id)
        return ("", None) if found is None else (found.words, found.whole.end)

    async def save_learned(self) -> None:
        """Write down what was learned and counted."""
        await self.keeper.save()

    def suspensions_changed(self) -> None:
        """Hear that a suspension was made or lifted."""
        self.holds.suspensions_changed()

    async def _job_refused(self, name: str, error: EkidenError) -> None:
        """Tell whoever reads events of a file in the spool that was refused."""
        await self._alert(f"{SPOOL}{name}", printable(str(error), 1000))

    async def _alert(self, scope: str, detail: str) -> None:
        """Tell the operator, and whoever reads events."""
        await self.queue.notice(scope, detail, self.clock.now())
        self.exporter.wake()

    def _check_job(self, spec: JobSpec) -> None:
        settings.check_job(self.config, spec)

    async def _judge_content(self, job: NewJob, rows: Sequence[NewDelivery]) -> None:
        await judge(self.config, job, rows, now=self.clock.now())

    async def _find_template(self, reference: str) -> StoredTemplate:
        return await self.templates.find(parse_reference(reference))

    async def _complete_job(self, spec: JobSpec) -> JobSpec:
        """Return a job with what its set adds; refuse one whose sender is not verified."""
        if self.config.identities.require:
            address = parse_mailbox(spec.sender).address.spec
            if not await self.identities.covers(address):
                raise RefusedError(
                    f"the From address {address} is not verified",
                    where="from",
                    remedy=f"ekiden identities add {address}; ekiden identities verify {address}",
                )
        return settings.completed(self.config, spec)

    # --- what comes back, and what it stops -------------------------------------------------------

    async def _take_returned(self, raw: bytes) -> Taken:
        return await self.returned.take(raw, "", self.clock.now())

    def _mail_returned(self, taken: Taken) -> None:
        self.metrics.returned(taken.outcome)
        if taken.delivery:
            self.exporter.wake()
            self.standings.changed()
            self.warming.came_back()

    async def _count_refused(self) -> None:
        while True:
            await asyncio.sleep(_REFUSED_EVERY)
            try:
                await self.returned.flush(self.clock.now())
            except UnavailableError as error:
                _log.warning("refused mail is not counted", error=str(error))

    def _blocked(self, claimed: Claimed, verdict: Verdict, journey: Journey, reply: str) -> None:
        """Alert the operator: a receiver refuses our address or name."""
        listing = verdict.listing
        told = [f"{verdict.provider or journey.site}: {verdict.why.rstrip('.')}"]
        if listing is not None:
            told += [listing.name and f"list {listing.name}", listing.ip, listing.url]
        detail = "; ".join(filter(None, told))
        scope = f"source:{journey.source}"
        now, why = self.clock.now(), f"{detail}; {reply}"
        self.warming.blocked(journey.source, journey.site)
        self.scheduler.roads.blocked(journey.source, journey.site, now, journey.began, why)
        self.standings.blocked(scope, detail if listing else f"{detail}; {reply}", claimed.job_id)

    def _heard(self, claimed: Claimed, attempt: Attempt, journey: Journey) -> None:
        self.reactor.heard(claimed, attempt, journey)

    async def _stop_job(self, job_id: int, reason: str) -> None:
        scope = f"job:{job_id}"
        if await self.queue.stop_scope(scope, reason, self.clock.now()):
            self.standings.stopped_by_hand(scope, reason)

    def _cancel_reaction(self, number: int) -> bool:
        found = self.reactor.cancel(number)
        if found is not None:
            self.holds.look_at_all()
            self.dispatcher.poke()
        return found is not None

    def _told(self) -> None:
        self.exporter.wake()

    def destination_skipped(self) -> None:
        """Hear that a destination of events gave up what it had not read."""
        self.destinations.restart()

    def ramps_changed(self) -> None:
        """Hear that a person has moved a warm-up."""
        self.warming.apply()
        self.holds.look_at_all()

    def scope_stopped(self, scope: str, reason: str) -> None:
        """Hear that a person has stopped a scope."""
        self.standings.stopped_by_hand(scope, reason)

    def scope_resumed(self, scope: str) -> None:
        """Hear that a person resumed what had been stopped."""
        self.standings.resumed(scope)

    # --- reload -----------------------------------------------------------------------------------

    def reload(self) -> None:
        """Take over the configuration file as it is now, or refuse it and keep the old one."""
        if self.path is None:
            return
        try:
            config = load(self.path)
            signer = settings.signers(config)
            classifier = settings.classifier(config)
            identifiers = settings.identifiers(config)
            links = settings.links(config)
            settings.lint_options(config)
            destinations = plan(config)
            pacing = settings.pacing_facts(config)
        except EkidenError as error:
            _log.error("the new configuration is refused; the old one stays", error=str(error))
            return
        fixed = settings.needs_restart(self.config, config)
        if fixed:
            _log.warning("these keys need a restart to change", keys=fixed)
        self._links = links
        self.destinations.reconfigure(destinations)
        self._composer.reconfigure(signer, settings.sets(config), identifiers, links)
        self.returned.reconfigure(classifier, identifiers, config.reputation.volume)
        self.standings.reconfigure(settings.reputation(config), settings.set_reputations(config))
        self.reactor.reconfigure(reactions(config))
        self._parts.conclusions.reconfigure(classifier, settings.retry_policy(config))
        self.dispatcher.reconfigure(
            settings.resolver(config, self.clock.now),
            settings.dialling(config),
            settings.sources(config),
            CapsBook(config, profiles(config)).facts,
            settings.engine(config),
        )
        self.config = config
        self.holds.set_sources()
        self.scheduler.set_caps(settings.scheduling(config).caps)
        self.scheduler.set_hours(pacing.hours, self.clock.now())
        self.warming.reconfigure(pacing.warmup)
        self.pacing.reconfigure(pacing)
        self.holds.look_at_all()
        _log.info("configuration reloaded", file=str(self.path))


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
        yield App(config, path, database=database, spool=spool, log=log, threads=threads)
