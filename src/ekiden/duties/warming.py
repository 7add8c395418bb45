"""Warm-ups in the running daemon: what comes back goes to the ramps, what they decide is told.

```
settled deliveries, blocks -> ramps, hours (scheduler)       days that end -> log, alert event
bounces and complaints that come later (queue) ->            states that move -> queue (Keeper)
```

The ramps decide (`shaping.warmup`); this duty carries.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

import structlog

from ekiden.engine.conclude import HARD_BOUNCE
from ekiden.engine.scheduler import Scheduler
from ekiden.errors import UnavailableError
from ekiden.queue.model import Settlement, State
from ekiden.queue.queue import Queue
from ekiden.shaping.evidence import Evidence, Verdict
from ekiden.shaping.ramps import OTHER, Ramps, WarmupOptions
from ekiden.shaping.retries import Retries
from ekiden.shaping.warmup import Turn

_log = structlog.get_logger()

EVERY: Final = 3.0  # seconds between rounds
_PUT_OFF: Final = frozenset({State.READY, State.EXPIRED})
_TOLD: Final = frozenset({Verdict.HOLDS, Verdict.BACK, Verdict.AGAIN})


class Warming:
    """Carries evidence to the ramps.

    Args:
        queue: Where reports are counted and notices go.
        scheduler: Whose roads they limit.
        options: From the configuration.
        now: The engine's clock.
        provider_of: The provider of (MX host, destination) for what the scheduler has forgotten.
    """

    def __init__(
        self,
        queue: Queue,
        scheduler: Scheduler,
        options: WarmupOptions,
        *,
        now: Callable[[], float],
        provider_of: Callable[[str, str], str],
    ) -> None:
        self.ramps = Ramps(options)
        self._queue = queue
        self._scheduler = scheduler
        self._now = now
        self._provider_of = provider_of
        self.retries = Retries()
        self._came_back = True  # something may have come back since the last look
        scheduler.roads.warm_up(self.ramps, now())

    def reconfigure(self, options: WarmupOptions) -> None:
        """Take over a new configuration; stages and counts stay."""
        self.ramps.reconfigure(options)
        self.apply()

    def apply(self) -> None:
        """Let the scheduler follow ramps that came, went or were moved by hand."""
        self._scheduler.roads.warm_up(self.ramps, self._now())

    def note(self, settlements: Sequence[Settlement]) -> None:
        """Learn what attempts came to."""
        for one in settlements:
            attempt = one.attempt
            if attempt is None or not attempt.source or not attempt.host:
                continue
            provider = self._scheduler.roads.provider_of(attempt.site)
            if provider is None:
                found = self._provider_of(attempt.host, one.claimed.destination)
                provider = found or OTHER
            bounced = one.suppress == HARD_BOUNCE and one.state is State.BOUNCED
            deferred = one.state in _PUT_OFF
            seen = Evidence(tried=1, deferred=int(deferred), bounced=int(bounced))
            self.ramps.note(attempt.source, provider, seen)
            self._scheduler.hours.note(provider, attempt.at, deferred=deferred)
            self.retries.note(
                provider,
                one.claimed.attempts,
                deferred=deferred and one.state is State.READY,
                wait=one.due_at - attempt.at,
                seconds=attempt.seconds,
            )

    def blocked(self, source: str, site: str) -> None:
        """Learn that a site refuses a source for its reputation."""
        provider = self._scheduler.roads.provider_of(site) or OTHER
        self.ramps.note(source, provider, Evidence(blocked=1))

    def came_back(self) -> None:
        """Hear that a bounce or a complaint came in."""
        self._came_back = True

    async def run(self) -> None:
        """Run until cancelled."""
        trouble = False
        while True:
            await asyncio.sleep(EVERY)
            try:
                await self.round()
                trouble = False
            except UnavailableError as error:
                if not trouble:
                    _log.error("warm-up waits for the disk", error=str(error))
                trouble = True

    async def round(self) -> None:
        """Read what came back, and tell what the ends of days came to.

        Raises:
            UnavailableError: The disk does not allow it now; nothing is lost.
        """
        if self._came_back:
            self._came_back = False
            totals = await self._queue.came_back()
            self.ramps.came_back(totals)
        self.ramps.tick(self._now())
        for turn in self.ramps.turns():
            await self._tell(turn)

    async def _tell(self, turn: Turn) -> None:
        after = f"{turn.after:,} a day" if turn.after else "no cap any more"
        level = _log.warning if turn.verdict in _TOLD else _log.info
        level(
            "warm-up",
            source=turn.source,
            provider=turn.provider,
            verdict=str(turn.verdict),
            why=turn.reason,
            now=after,
        )
        if turn.verdict in _TOLD:
            detail = f"warm-up at {turn.provider} {turn.verdict}: {turn.reason}; now {after}"
            await self._queue.notice(f"source:{turn.source}", detail, turn.at)
