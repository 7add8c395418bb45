"""The answer to every request: on top of the queue, and of the engine when one runs.

The same `Control` serves a running daemon (behind the socket, with a `Live` engine) and a command
that has opened the database itself (without one). It changes nothing by itself: each request is one
named transition of the queue, after which the engine is told what changed.
"""

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from functools import cache, partial
from typing import TYPE_CHECKING, Any, Final, Protocol, cast

from ekiden.config.pattern import normal, wrong_pattern
from ekiden.control import requests
from ekiden.control.forecast_service import ForecastAnswers
from ekiden.control.insight_requests import ProviderView
from ekiden.control.insight_service import InsightAnswers
from ekiden.control.job_service import JobAnswers
from ekiden.control.list_requests import ListContacts, StopScope
from ekiden.control.list_service import Confirming, ListAnswers
from ekiden.control.pacing_service import PacingAnswers, PacingFacts
from ekiden.control.reaction_service import ReactionAnswers
from ekiden.control.requests import Listing, Question, T
from ekiden.control.template_service import TemplateAnswers
from ekiden.control.token_service import TokenAnswers
from ekiden.control.tokens import ApiTokens
from ekiden.control.views import delivery_view, suppression_view
from ekiden.control.waiting import why
from ekiden.errors import NotFoundError, RefusedError, UnavailableError
from ekiden.lists.suppression import Reason, Suppression, Suppressions
from ekiden.message.addresses import AddressError, parse_address
from ekiden.queue.model import JobFacts
from ekiden.queue.queue import Queue
from ekiden.store.database import Database
from ekiden.templates.library import Library
from ekiden.text import printable

if TYPE_CHECKING:  # it reads returned mail, and is loaded by who hands one in
    from ekiden.inbound.intake import Intake as ReturnedMail

ROWS_MOST: Final = 10_000  # of one answer; it is one line on the wire
PAGE: Final = 2000  # of a listing


class Live(Protocol):
    """What the running engine tells, and what it is told."""

    def engine(self) -> requests.EngineView:
        """Return what only the running daemon knows."""
        ...

    def why(self, destination: str) -> str:
        """Return in a few words why a destination's mail waits; "" when it knows nothing of it."""
        ...

    async def providers(self) -> Sequence[ProviderView]:
        """Return how mail to each provider goes."""
        ...

    def job_changed(self, job: JobFacts) -> None:
        """Hear that a job was paused, resumed or cancelled, or that held mail was released."""
        ...

    def forecast(self, job_id: int) -> tuple[str, float | None]:
        """Return when a job will be done: in words, and the time; "" and None if not known."""
        ...

    async def save_learned(self) -> None:
        """Write down what was learned and counted, for whoever reads it next."""
        ...

    def suspensions_changed(self) -> None:
        """Hear that a suspension was made or lifted."""
        ...

    def scope_stopped(self, scope: str, reason: str) -> None:
        """Hear that a person has stopped a scope."""
        ...

    def destination_skipped(self) -> None:
        """Hear that a destination of events gave up what it had not read."""
        ...

    def scope_resumed(self, scope: str) -> None:
        """Hear that what had been stopped may send again."""
        ...


class Control:
    """Answers requests.

    Args:
        queue: The queue.
        suppressions: The addresses that are not mailed.
        live: The running engine; None when there is none.
        clock: UNIX seconds.
        returned: Makes or gives the intake of returned mail; None if there is none.
        lists: Answers about lists, people and identities.
        templates: Answers about stored templates.
        pacing: Answers about warm-ups.
        reactions: Answers about reactions.
        tokens: Answers about API tokens.
    """

    def __init__(
        self,
        queue: Queue,
        suppressions: Suppressions,
        *,
        live: Live | None = None,
        clock: Callable[[], float] = time.time,
        returned: "Callable[[], ReturnedMail] | None" = None,
        lists: ListAnswers | None = None,
        templates: TemplateAnswers | None = None,
        pacing: PacingAnswers | None = None,
        reactions: ReactionAnswers | None = None,
        tokens: TokenAnswers | None = None,
    ) -> None:
        self._queue = queue
        self._suppressions = suppressions
        self._live = live
        self._clock = clock
        self._returned = returned
        self._questions: dict[type, Callable[[Any], Awaitable[Any]]] = {
            requests.Status: self._status,
            requests.Backlog: self._backlog,
            requests.Deliveries: self._deliveries,
            requests.Suspend: self._suspend,
            requests.Unsuspend: self._unsuspend,
            requests.Suspensions: self._suspensions,
            requests.AddSuppressions: self._add_suppressions,
            requests.RemoveSuppression: self._remove_suppression,
            requests.TakeMail: self._take_mail,
            requests.InboundCounts: self._inbound_counts,
            requests.Reputations: self._reputations,
            requests.ResumeScope: self._resume_scope,
            StopScope: self._stop_scope,
            requests.SkipEvents: self._skip_events,
        }
        self._jobs = JobAnswers(queue, live, clock)
        self._questions |= self._jobs.questions()
        self._lists = lists
        if lists is not None:
            self._questions |= lists.questions()
        if templates is not None:
            self._questions |= templates.questions()
        if pacing is not None:
            self._questions |= pacing.questions()
        if reactions is not None:
            self._questions |= reactions.questions()
        if tokens is not None:
            self._questions |= tokens.questions()
        forecast = ForecastAnswers(queue, live.save_learned if live else None)
        self._questions |= forecast.questions()
        self._listings = forecast.listings()
        insight = InsightAnswers(queue, live.providers if live else None)
        self._questions |= insight.questions()

    @classmethod
    def over(
        cls,
        database: Database,
        *,
        live: Live | None = None,
        returned: "Callable[[Queue], ReturnedMail] | None" = None,
        confirming: Confirming | None = None,
        pacing: PacingFacts | None = None,
    ) -> "Control":
        """Return a `Control` over an open database.

        Args:
            database: The database.
            live: The running engine, if any.
            returned: Makes the intake of returned mail when it is first needed.
            confirming: How confirmation mails for identities are made.
            pacing: What answers about pacing need of the configuration.
        """
        queue = Queue(database)
        make = None if returned is None else cache(partial(returned, queue))
        lists = ListAnswers.over(
            database,
            queue,
            clock=time.time,
            confirming=confirming or Confirming("postmaster@localhost"),
        )
        return cls(
            queue,
            Suppressions(database),
            live=live,
            returned=make,
            lists=lists,
            templates=TemplateAnswers(Library(database), clock=time.time),
            pacing=None if pacing is None else PacingAnswers(queue, pacing, time.time),
            reactions=ReactionAnswers(queue, time.time),
            tokens=TokenAnswers(ApiTokens(database), clock=time.time),
        )

    async def ask(self, request: Question[T]) -> T:
        """Answer a question.

        Raises:
            NotFoundError: There is no such job, address or suspension.
            RefusedError: It cannot be done in this state.
            UnavailableError: The disk does not allow it now.
        """
        return cast("T", await self._questions[type(request)](request))

    def stream(self, request: Listing[T]) -> AsyncIterator[T]:
        """Answer a listing, item by item.

        Raises:
            RefusedError: What is asked for makes no sense.
        """
        listing = self._listings.get(type(request))
        if listing is not None:
            return cast("AsyncIterator[T]", listing(request))
        if isinstance(request, ListContacts):
            assert self._lists is not None  # noqa: S101 - whoever asks has opened the database
            return cast("AsyncIterator[T]", self._lists.contacts(request))
        assert isinstance(request, requests.ListSuppressions)  # noqa: S101 - the other listing
        return cast("AsyncIterator[T]", self._list_suppressions(request))

    # --- The whole ---------------------------------------------------------------------------

    async def _status(self, _: requests.Status) -> requests.StatusView:
        overview = await self._queue.overview()
        return requests.StatusView(
            engine=self._live.engine() if self._live else None,
            jobs={str(state): number for state, number in overview.jobs.items()},
            deliveries={str(state): number for state, number in overview.deliveries.items()},
            suspensions=len(await self._queue.suspensions()),
            event_destinations=tuple(
                requests.LagView(name=one.name, behind=one.rows, since=one.since)
                for one in await self._queue.lags()
            ),
        )

    async def _skip_events(self, request: requests.SkipEvents) -> bool:
        if request.name not in {one.name for one in await self._queue.lags()}:
            return False
        await self._queue.end_mark(f"to.{request.name}")
        if self._live:
            self._live.destination_skipped()
        return True

    # --- Destinations ------------------------------------------------------------------------

    async def _backlog(self, request: requests.Backlog) -> list[requests.BacklogView]:
        pattern = _checked(request.pattern)
        now = self._clock()
        found = await self._queue.backlog(now, pattern, min(request.limit, ROWS_MOST))
        return [
            requests.BacklogView(
                destination=one.destination,
                ready=one.ready - one.deferred,
                deferred=one.deferred,
                sending=one.sending,
                held=one.held,
                oldest=one.oldest,
                next_due=one.next_due,
                why=why(one, now, self._live.why if self._live else None),
            )
            for one in found
        ]

    async def _suspend(self, request: requests.Suspend) -> requests.SuspensionView:
        pattern, now = _checked(request.pattern), self._clock()
        reason = printable(request.reason)
        await self._queue.suspend(pattern, request.until, reason, now)
        if self._live:
            self._live.suspensions_changed()
        return requests.SuspensionView(
            pattern=pattern, since=now, until=request.until, reason=reason
        )

    async def _unsuspend(self, request: requests.Unsuspend) -> bool:
        lifted = await self._queue.unsuspend(_checked(request.pattern))
        if lifted and self._live:
            self._live.suspensions_changed()
        return lifted

    async def _suspensions(self, _: requests.Suspensions) -> list[requests.SuspensionView]:
        return [
            requests.SuspensionView(
                pattern=one.pattern, since=one.at, until=one.until, reason=one.reason
            )
            for one in await self._queue.suspensions()
        ]

    # --- Recipients --------------------------------------------------------------------------

    async def _deliveries(self, request: requests.Deliveries) -> list[requests.DeliveryView]:
        recipient, destination = _address(request.recipient)
        found = await self._queue.deliveries_for(recipient, destination)
        if not found:
            raise NotFoundError(
                "nothing to this address is in the queue",
                where=printable(request.recipient, 320),
                remedy="deliveries of jobs that ended long ago are in the event log",
            )
        return [delivery_view(one) for one in found]

    # --- Suppressions ------------------------------------------------------------------------

    async def _add_suppressions(self, request: requests.AddSuppressions) -> requests.ImportView:
        entries = [self._entry(one) for one in request.entries]
        added, refused = await self._suppressions.import_many(entries)
        return requests.ImportView(
            added=added,
            known=len(entries) - added - len(refused),
            refused=tuple(printable(one, 500) for one in refused),
        )

    def _entry(self, one: requests.SuppressionView) -> Suppression:
        return Suppression(
            address=one.address,
            reason=_reason(one.reason),
            at=self._clock() if one.at is None else one.at,
            scope=one.scope,
            job_id=one.job,
            note=printable(one.note),
        )

    async def _remove_suppression(self, request: requests.RemoveSuppression) -> int:
        return await self._suppressions.remove(
            request.address, scope=request.scope, reason=request.reason
        )

    async def _list_suppressions(
        self, request: requests.ListSuppressions
    ) -> AsyncIterator[requests.SuppressionView]:
        reason = str(_reason(request.reason)) if request.reason else ""
        left = request.limit
        last: Suppression | None = None
        while left is None or left > 0:
            page = await self._suppressions.list(
                pattern=request.pattern,
                reason=reason,
                limit=PAGE if left is None else min(PAGE, left),
                after=last,
            )
            for one in page:
                yield suppression_view(one)
            if not page:
                return
            last = page[-1]
            left = None if left is None else left - len(page)

    # --- What comes back ---------------------------------------------------------------------

    async def _take_mail(self, request: requests.TakeMail) -> requests.TakenView:
        if self._returned is None:
            raise UnavailableError("returned mail is not taken here")
        taken = await self._returned().take(request.raw, request.rcpt, self._clock())
        return requests.TakenView(
            outcome=taken.outcome,
            delivery=taken.delivery,
            recipient=taken.recipient,
            klass=taken.klass,
            suppressed=taken.suppressed,
        )

    async def _inbound_counts(self, _: requests.InboundCounts) -> list[requests.InboundView]:
        return [
            requests.InboundView(outcome=one.outcome, number=one.number, last_at=one.last_at)
            for one in await self._queue.inbound_counts()
        ]

    async def _reputations(self, request: requests.Reputations) -> list[requests.ReputationView]:
        return [
            requests.ReputationView(
                scope=one.scope,
                standing=one.standing,
                sent=one.tally.sent,
                bounce_rate=one.tally.bounce_rate,
                complaint_rate=one.tally.complaint_rate,
                reason=one.reason,
                since=one.since,
            )
            for one in await self._queue.reputations(limit=min(request.limit, ROWS_MOST))
        ]

    async def _stop_scope(self, request: StopScope) -> list[requests.JobView]:
        kind, _, name = request.scope.partition(":")
        if kind not in {"set", "sender"} or not name:
            raise RefusedError(
                "this is stopped in other ways",
                where=printable(request.scope, 300),
                remedy="ekiden job pause, ekiden suspend",
            )
        reason = printable(request.reason, 300) or "stopped by hand"
        if not await self._queue.stop_scope(request.scope, reason, self._clock()):
            raise RefusedError("it is stopped already", where=printable(request.scope, 300))
        jobs = await self._queue.stop_jobs(request.scope)
        if self._live:
            self._live.scope_stopped(request.scope, reason)
        return [self._jobs.changed(job) for job in jobs]

    async def _resume_scope(self, request: requests.ResumeScope) -> list[requests.JobView]:
        jobs = await self._queue.resume_scope(request.scope, self._clock())
        if jobs is None:
            raise NotFoundError(
                "this is not stopped",
                where=printable(request.scope, 300),
                remedy="list what is with: ekiden reputation",
            )
        if self._live:
            self._live.scope_resumed(request.scope)
        return [self._jobs.changed(job) for job in jobs]


def _reason(text: str) -> Reason:
    try:
        return Reason(text)
    except ValueError:
        raise RefusedError(
            "there is no such reason", where=printable(text, 50), remedy=f"use {', '.join(Reason)}"
        ) from None


def _checked(pattern: str) -> str:
    """Return a pattern over destinations in the form the queue compares with.

    Raises:
        RefusedError: It is none.
    """
    if wrong := wrong_pattern(pattern):
        raise RefusedError(f"this is no pattern: {wrong}", where=printable(pattern, 300))
    return normal(pattern)


def _address(text: str) -> tuple[str, str]:
    """Return an address as it goes into RCPT TO, and its destination.

    Raises:
        RefusedError: It is no address.
    """
    try:
        address = parse_address(text.strip())
    except AddressError as error:
        raise RefusedError(
            f"this is no mail address: {error.reason}", where=printable(text, 320)
        ) from None
    return f"{address.local}@{address.domain}", address.domain
