"""How senders, sources, providers, sets and jobs stand, and what stops them; alerts on the side.

```
settled deliveries -> deltas by scope (memory, a second) -> tallies (database) -> judge (pure)
reports ------------------------------------------------>                          |
                 warning: log, alert event     stopped: the same, and the scope stops v
```

What a stop means: the open jobs of a `sender:`, `set:` or `job:` are paused, and those that open
later too; a `source:` is taken from the scheduler; a `provider:` is suspended. It lasts until a
person resumes it (`ekiden reputation resume`), over restarts as well. Deltas that a crash takes are
not missed: rates are over thousands.
"""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final, NamedTuple

import structlog

from ekiden.engine.conclude import HARD_BOUNCE
from ekiden.engine.schedule.state import SUSPENDED_PARK
from ekiden.errors import NotFoundError, UnavailableError
from ekiden.queue.model import JobFacts, Settlement, State
from ekiden.queue.queue import Queue
from ekiden.queue.reputation import Reputation
from ekiden.shaping.reputation import ReputationOptions, Standing, Tally, judge, scopes
from ekiden.slices import sliced

_log = structlog.get_logger()
INTERVAL: Final = 1.0  # seconds between rounds
PARKED: Final = SUSPENDED_PARK + 10.0
_COUNTED: Final = frozenset({State.DELIVERED, State.BOUNCED})
_EARLY: Final = 250  # settled deliveries after which a round comes at once
_AGAIN: Final = 3600.0  # seconds before the same block is told again
_TOLD_MOST: Final = 1000
_JOBS_KNOWN: Final = 1000
_PIECE: Final = 1000


class _Way(NamedTuple):
    """What decides which scopes a delivery counts for."""

    job: int
    source: str
    host: str
    destination: str


class Standings:
    """Keeps the rates, and stops what has become bad.

    Args:
        queue: Where tallies and standings are.
        options: The thresholds.
        now: The engine's clock.
        provider_of: The provider of (MX host, destination); "" if not known.
        stopped: The stopped scopes, each with its reason; kept here, read by whoever obeys.
        stop: Stops the sending of a scope, for a reason.
        release: Hears that a scope is no longer stopped.
        told: Hears that there is an alert for the event log.
        own: Thresholds of scopes that have their own.
    """

    def __init__(
        self,
        queue: Queue,
        options: ReputationOptions,
        *,
        now: Callable[[], float],
        provider_of: Callable[[str, str], str],
        stopped: dict[str, str],
        stop: Callable[[str, str], Awaitable[None]],
        release: Callable[[str], None],
        told: Callable[[], None],
        own: Mapping[str, ReputationOptions] | None = None,
    ) -> None:
        self._queue = queue
        self._options = options
        self._own = own or {}
        self._now = now
        self._provider_of = provider_of
        self._stop = stop
        self._release = release
        self._told = told
        self._ways: Counter[tuple[_Way, bool]] = Counter()
        self._jobs: dict[int, JobFacts] = {}
        self._alerts: dict[tuple[str, str], float] = {}
        self._notices: list[tuple[str, str, int | None]] = []
        self._again: set[str] = set()
        self._parked = False
        self._wake = asyncio.Event()
        self.stopped = stopped

    def reconfigure(
        self, options: ReputationOptions, own: Mapping[str, ReputationOptions] | None = None
    ) -> None:
        """Take over new thresholds."""
        self._options = options
        self._own = own or {}

    def note(self, settlements: Sequence[Settlement]) -> None:
        """Count what was settled."""
        for one in settlements:
            if one.state not in _COUNTED or one.attempt is None:
                continue
            claimed, attempt = one.claimed, one.attempt
            way = _Way(claimed.job_id, attempt.source, attempt.host, claimed.destination)
            self._ways[way, one.suppress == HARD_BOUNCE] += 1
        if self._ways.total() >= _EARLY:
            self._wake.set()

    def holds(self, job: JobFacts) -> bool:
        """Whether a job must not send because of what it belongs to; if so it will be paused."""
        found = [
            scope
            for scope in scopes(
                sender=job.from_domain,
                source="",
                provider="",
                configuration_set=job.configuration_set,
                job=job.id,
            )
            if scope in self.stopped
        ]
        self._again.update(found)
        if found:
            self._wake.set()
        return bool(found)

    def blocked(self, scope: str, detail: str, job_id: int | None = None) -> None:
        """Alert the operator to a block; the same one again only after an hour.

        Args:
            scope: What is blocked.
            detail: By whom, in words, and how to get out.
            job_id: The job that met it.
        """
        now, key = self._now(), (scope, detail)
        if now - self._alerts.get(key, float("-inf")) < _AGAIN:
            return
        if len(self._alerts) >= _TOLD_MOST:
            self._alerts.clear()
        self._alerts[key] = now
        _log.error("blocked by a receiver", scope=scope, detail=detail)
        self._notices.append((scope, detail, job_id))
        self._wake.set()

    def alert(self, scope: str, detail: str, job_id: int | None = None) -> None:
        """Tell the operator something: an alert in the event log.

        Args:
            scope: What it is about.
            detail: In words.
            job_id: The job that it is about.
        """
        _log.warning("alert", scope=scope, detail=detail)
        self._notices.append((scope, detail, job_id))
        self._wake.set()

    def changed(self) -> None:
        """Hear that a report changed a tally."""
        self._wake.set()

    def stopped_by_hand(self, scope: str, reason: str) -> None:
        """Hear that a person has stopped a scope."""
        self.stopped[scope] = reason
        self._again.add(scope)
        self._wake.set()

    def resumed(self, scope: str) -> None:
        """Let go of a scope that a person has resumed."""
        self._again.discard(scope)
        if self.stopped.pop(scope, None) is not None:
            self._release(scope)
            self._parked = True
            self._wake.set()

    async def begin(self) -> None:
        """Stop again what was stopped when the last run ended."""
        for one in await self._queue.reputations(Standing.STOPPED, _PIECE):
            await self._stop_now(one)

    async def run(self) -> None:
        """Run until cancelled."""
        trouble = False
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(INTERVAL):
                    await self._wake.wait()
            self._wake.clear()
            try:
                await self.round()
                trouble = False
            except UnavailableError as error:
                if not trouble:
                    _log.error("reputation waits for the disk", error=str(error))
                trouble = True
                await asyncio.sleep(INTERVAL)

    async def round(self) -> None:
        """Write what was counted, and judge what changed."""
        await self._write_notices()
        await self._write_tallies()
        await self._follow_people()
        for scope in list(self._again):
            self._again.discard(scope)
            if scope in self.stopped:
                await self._stop(scope, self.stopped[scope])
        if self._parked:
            # What a stopped source or provider held was put off for a while by the scheduler.
            await self._queue.offer_lanes(self._now(), PARKED)
            self._parked = False
        while waiting := await self._queue.unjudged(_PIECE):
            judgements = {
                one.scope: judge(one.scope, one.tally, self._own.get(one.scope, self._options))
                for one in waiting
            }
            for one in await self._queue.pass_judgement(judgements, self._now()):
                await self._announce(one)

    async def _write_notices(self) -> None:
        while self._notices:
            scope, detail, job_id = self._notices[0]
            await self._queue.notice(scope, detail, self._now(), job_id)
            del self._notices[0]
            self._told()

    async def _write_tallies(self) -> None:
        ways = self._ways
        if not ways:
            return
        self._ways = Counter()
        try:
            more = await self._by_scope(ways)
        except asyncio.CancelledError:
            self._ways.update(ways)
            raise
        try:
            await self._queue.add_tallies(more, self._options.volume, self._now())
        except UnavailableError:
            self._ways.update(ways)
            raise

    async def _by_scope(self, ways: Counter[tuple[_Way, bool]]) -> dict[str, Tally]:
        """Sum up; ten thousand sites are as many looks at the providers, so in slices."""
        more: dict[str, Tally] = {}
        async for (way, bounced), number in sliced(ways.items()):
            tally = Tally(float(number), float(number) if bounced else 0.0)
            for scope in await self._scopes(way):
                more[scope] = more.get(scope, Tally()).add(tally, 1 << 50)
        return more

    async def _scopes(self, way: _Way) -> tuple[str, ...]:
        job = self._jobs.get(way.job)
        if job is None:
            try:
                job = await self._queue.job(way.job)
            except NotFoundError:
                return ()
            if len(self._jobs) >= _JOBS_KNOWN:
                self._jobs.clear()
            self._jobs[way.job] = job
        return scopes(
            sender=job.from_domain,
            source=way.source,
            provider=self._provider_of(way.host, way.destination),
            configuration_set=job.configuration_set,
            job=way.job,
        )

    async def _follow_people(self) -> None:
        """Let go of what a person has resumed."""
        if not self.stopped:
            return
        there = {one.scope for one in await self._queue.reputations(Standing.STOPPED, _PIECE)}
        for scope in self.stopped.keys() - there:
            self.resumed(scope)

    async def _announce(self, one: Reputation) -> None:
        if one.standing is Standing.STOPPED:
            remedy = f"ekiden reputation resume {one.scope}"
            _log.error("sending is stopped", scope=one.scope, why=one.reason, remedy=remedy)
            await self._stop_now(one)
        elif one.standing is Standing.WARNING:
            _log.warning("reputation is in danger", scope=one.scope, why=one.reason)
        else:
            _log.info("reputation", scope=one.scope, standing=str(one.standing))
            return
        job = int(one.scope.partition(":")[2]) if one.scope.startswith("job:") else None
        detail = f"{one.standing}: {one.reason}"
        await self._queue.notice(one.scope, detail, self._now(), job)
        self._told()

    async def _stop_now(self, one: Reputation) -> None:
        self.stopped[one.scope] = one.reason
        await self._stop(one.scope, one.reason)
