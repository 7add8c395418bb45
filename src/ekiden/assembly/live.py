"""The running daemon as commands see it: what only it knows, and what it does when told."""

import os
from collections.abc import Sequence

from ekiden import __version__, settings
from ekiden.assembly.base import Base
from ekiden.assembly.delivery import Delivery
from ekiden.assembly.duties import Duties
from ekiden.assembly.events import Events
from ekiden.assembly.health import Health
from ekiden.control.insight_requests import ProviderView
from ekiden.control.list_service import ListAnswers
from ekiden.control.pacing_service import PacingAnswers
from ekiden.control.reaction_service import ReactionAnswers
from ekiden.control.requests import EngineView
from ekiden.control.service import Control
from ekiden.control.template_service import TemplateAnswers
from ekiden.control.token_service import TokenAnswers
from ekiden.control.waiting import span
from ekiden.engine.schedule.explain import NOTHING_DUE
from ekiden.forecast.estimates import Estimates
from ekiden.inbound.intake import Intake as ReturnedMail
from ekiden.queue.model import JobFacts


class Live:
    """`control.service.Live`, and the `Control` that answers with it.

    Args:
        base: What every group stands on.
        delivery: The engine.
        duties: Are told what people did.
        events: The event log and who reads it.
        returned: Takes mail that a person hands over.
        health: Whether all is well.

    Attributes:
        answers: Answers every request.
        estimates: When jobs will be done.
        pacing: Answers about warm-ups and hours.
    """

    def __init__(
        self,
        base: Base,
        delivery: Delivery,
        duties: Duties,
        events: Events,
        *,
        returned: ReturnedMail,
        health: Health,
    ) -> None:
        self._base = base
        self._scheduler = delivery.scheduler
        self._duties = duties
        self._events = events
        self._health = health
        self._started_at = base.now()
        now = base.now
        self.pacing = PacingAnswers(
            base.queue,
            settings.pacing_facts(base.config),
            now,
            ramps=duties.warming.ramps,
            hours=delivery.scheduler.hours,
            changed=duties.ramps_changed,
        )
        self.answers = Control(
            base.queue,
            base.suppressions,
            live=self,
            clock=now,
            returned=lambda: returned,
            lists=ListAnswers(
                base.contacts,
                base.identities,
                base.queue,
                base.suppressions,
                clock=now,
                confirming=settings.confirming(base.config),
                opened=duties.job_changed,
            ),
            templates=TemplateAnswers(base.templates, clock=now),
            pacing=self.pacing,
            reactions=ReactionAnswers(
                base.queue, now, live=duties.reactor.live, cancel=duties.cancel_reaction
            ),
            tokens=TokenAnswers(base.tokens, clock=now),
        )
        self.estimates = Estimates(
            self.answers,
            base.path,
            located=delivery.dispatcher.located,
            held=self._held,
            now=now,
        )

    # --- what only the running daemon knows -------------------------------------------------------

    def engine(self) -> EngineView:
        """Return what only the running daemon knows."""
        snapshot = self._scheduler.snapshot()
        return EngineView(
            pid=os.getpid(),
            version=__version__,
            started_at=self._started_at,
            sessions=snapshot.sessions,
            max_sessions=self._base.config.delivery.max_sessions,
            destinations=snapshot.destinations,
            event_troubles=dict(self._events.destinations.troubles()),
            trouble=self._health.trouble(),
        )

    async def providers(self) -> Sequence[ProviderView]:
        """Return how mail to each provider goes."""
        now = self._base.now()
        return await self._events.book.views(self._scheduler.sites(now), now)

    def why(self, destination: str) -> str:
        """Return why a destination's mail waits; "" when the scheduler has nothing of it."""
        now = self._base.now()
        reason, until = self._scheduler.why(destination, now)
        if reason == NOTHING_DUE:
            return ""
        left = until - now
        return f"{reason}, {span(left)} more" if reason and 0 < left < 1e9 else reason

    def _held(self, destination: str, rank: int) -> bool:
        now = self._base.now()
        reason, until = self._scheduler.why(destination, now)
        if reason == NOTHING_DUE and self._base.config.routes:
            return True  # the engine has not met it, and its relay may have a quota
        return until > now or self._scheduler.hours.because("", rank, now) is not None

    def forecast(self, job_id: int) -> tuple[str, float | None]:
        """Return when a job will be done: in words, and the time."""
        found = self.estimates.of(job_id)
        return ("", None) if found is None else (found.words, found.whole.end)

    # --- what it is told --------------------------------------------------------------------------

    async def save_learned(self) -> None:
        """Write down what was learned and counted."""
        await self._duties.keeper.save()

    def job_changed(self, job: JobFacts) -> None:
        """Hear that a job was paused, resumed or cancelled, or that held mail was released."""
        self._duties.job_changed(job)

    def suspensions_changed(self) -> None:
        """Hear that a suspension was made or lifted."""
        self._duties.holds.suspensions_changed()

    def scope_stopped(self, scope: str, reason: str) -> None:
        """Hear that a person has stopped a scope."""
        self._duties.standings.stopped_by_hand(scope, reason)

    def scope_resumed(self, scope: str) -> None:
        """Hear that a person resumed what had been stopped."""
        self._duties.standings.resumed(scope)

    def destination_skipped(self) -> None:
        """Hear that a destination of events gave up what it had not read."""
        self._events.destinations.restart()
