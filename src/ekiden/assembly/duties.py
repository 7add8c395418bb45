"""The duties together: what is heard goes to each that wants to know it, once, from here."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from ekiden import settings
from ekiden.assembly.base import Base
from ekiden.assembly.delivery import Delivery
from ekiden.assembly.events import Events
from ekiden.bounce.model import Verdict
from ekiden.duties.holds import Holds
from ekiden.duties.keeper import Keeper
from ekiden.duties.preflight import Watch
from ekiden.duties.reactor import Reactor
from ekiden.duties.standing import Standings
from ekiden.duties.upkeep import Upkeep, UpkeepOptions
from ekiden.duties.volumes import Volumes
from ekiden.duties.warming import Warming
from ekiden.engine.capsbook import reactions
from ekiden.engine.conclude import Journey
from ekiden.queue.model import Attempt, Claimed, JobFacts, JobState, Settlement
from ekiden.spool.layout import Spool
from ekiden.spool.sweep import sweep


class Duties:
    """All duties; a listener of the engine.

    Args:
        base: What every group stands on.
        delivery: The engine, which is steered.
        events: Is woken when there is something to tell.
        spool: Is swept.

    Attributes:
        holds: What people suspended and rates stopped.
        standings: Rates by scope.
        warming: Warm-ups.
        volumes: What sources send in a day.
        reactor: What is done for a while about replies.
        keeper: What outlives a restart.
        upkeep: Expiring, folding, sweeping.
        watch: Checks of the sender.
    """

    def __init__(self, base: Base, delivery: Delivery, events: Events, spool: Spool) -> None:
        config, queue, now = base.config, base.queue, base.now
        self._base = base
        self._scheduler = scheduler = delivery.scheduler
        self._dispatcher = delivery.dispatcher
        self._told = events.wake
        stopped: dict[str, str] = {}  # the standings fill it, the holds obey it
        self.holds = Holds(
            queue,
            scheduler,
            delivery.dispatcher,
            now=now,
            sources=base.source_facts,
            stopped=stopped,
        )
        self.standings = Standings(
            queue,
            settings.reputation(config),
            now=now,
            provider_of=base.provider_of,
            stopped=stopped,
            stop=self.holds.stop,
            release=self.holds.release,
            told=events.wake,
            own=settings.set_reputations(config),
        )
        self.warming = Warming(
            queue, scheduler, settings.warmup(config), now=now, provider_of=base.provider_of
        )
        self.volumes = Volumes(queue, base.source_facts, now=now)
        self.reactor = Reactor(
            queue,
            scheduler,
            reactions(config),
            now=now,
            provider_of=base.provider_of,
            stop_job=self._stop_job,
            told=events.wake,
        )
        self.keeper = Keeper(queue, scheduler, self.warming.ramps, self.warming.retries, now)
        self.upkeep = Upkeep(
            queue,
            base.clock,
            UpkeepOptions(config.queue.keep, config.spool.keep),
            due=delivery.dispatcher.look,
            save=self.keeper.save,
            sweep=partial(sweep, spool),
            forget=base.contacts.drop_old_consents,
            give_back=base.give_back,
        )
        self.watch = Watch(lambda: base.config, now=now, tell=events.alert)
        delivery.listeners.append(self)

    async def recall(self) -> None:
        """Go on where the last run ended."""
        await self.keeper.recall()
        await self.reactor.recall()
        await self.volumes.recall()
        await self.holds.recall()
        self.holds.look_at_all()  # what put mail aside may be gone from the configuration
        await self.standings.begin()

    async def save(self) -> None:
        """Write what is not written yet."""
        await self.keeper.save()
        await self.reactor.save()
        await self.volumes.save()
        await self.standings.round()

    # --- what the engine tells --------------------------------------------------------------------

    def note(self, settlements: Sequence[Settlement]) -> None:
        """Hear of results that are committed."""
        self.standings.note(settlements)
        self.warming.note(settlements)
        self.volumes.note(settlements)
        self._told()

    def blocked(self, claimed: Claimed, verdict: Verdict, journey: Journey, reply: str) -> None:
        """Hear that a receiver refuses our address or name; the operator is alerted."""
        listing = verdict.listing
        told = [f"{verdict.provider or journey.site}: {verdict.why.rstrip('.')}"]
        if listing is not None:
            told += [listing.name and f"list {listing.name}", listing.ip, listing.url]
        detail = "; ".join(filter(None, told))
        scope = f"source:{journey.source}"
        now, why = self._base.now(), f"{detail}; {reply}"
        self.warming.blocked(journey.source, journey.site)
        self._scheduler.roads.blocked(journey.source, journey.site, now, journey.began, why)
        self.standings.blocked(scope, detail if listing else why, claimed.job_id)

    def heard(self, claimed: Claimed, attempt: Attempt, journey: Journey) -> None:
        """Hear of an attempt that was not accepted."""
        self.reactor.heard(claimed, attempt, journey)

    # --- what others tell -------------------------------------------------------------------------

    def report_came(self) -> None:
        """Hear that a bounce or a complaint about a delivery came in."""
        self._told()
        self.standings.changed()
        self.warming.came_back()

    def job_opened(self, job: JobFacts) -> None:
        """Hear that a job came in."""
        self.job_changed(job)

    def job_changed(self, job: JobFacts) -> None:
        """Hear that a job was opened, paused, resumed, cancelled or finished."""
        if job.state is JobState.OPEN and self.standings.holds(job):
            job = replace(job, state=JobState.PAUSED)  # at once here; the queue follows
        self._dispatcher.job_changed(job)
        self._told()

    def ramps_changed(self) -> None:
        """Hear that a person has moved a warm-up."""
        self.warming.apply()
        self.holds.look_at_all()

    def cancel_reaction(self, number: int) -> bool:
        """End a reaction because a person says so; False when there is none of that number."""
        found = self.reactor.cancel(number)
        if found is not None:
            self.holds.look_at_all()
            self._dispatcher.poke()
        return found is not None

    async def _stop_job(self, job_id: int, reason: str) -> None:
        scope = f"job:{job_id}"
        if await self._base.queue.stop_scope(scope, reason, self._base.now()):
            self.standings.stopped_by_hand(scope, reason)
