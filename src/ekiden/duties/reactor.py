"""Reactions at work: replies in, scheduler and jobs held back, everything told and remembered.

```
conclusions -> heard -> Reactions (pure) -> begun -> Scheduler.reacting, or the job is stopped
                             |                  +--> an alert event, the log
                         every second: lapsed -> lifted -> an alert event
```

What holds is written down whenever it changes, so a restart goes on where a suspension of two hours
was. A reaction about a job is over at once: the stop that it was is the job's own, until a person
resumes it.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

import msgspec
import structlog

from ekiden.engine.conclude import Journey
from ekiden.engine.scheduler import Scheduler
from ekiden.errors import UnavailableError
from ekiden.queue.memory import Kind
from ekiden.queue.model import Attempt, Claimed
from ekiden.queue.queue import Queue
from ekiden.shaping.reactions import Act, Reaction, Reactions, Rule, Seen

_log = structlog.get_logger()
INTERVAL: Final = 1.0  # seconds


class Reactor:
    """Keeps reactions.

    Args:
        queue: Where they are kept, and the alerts go.
        scheduler: What they hold back.
        rules: In order.
        now: The engine's clock.
        provider_of: The provider of (MX host, destination); "" if not known.
        stop_job: Stops a job, for a reason.
        told: Hears that there is an alert for the event log.
    """

    def __init__(
        self,
        queue: Queue,
        scheduler: Scheduler,
        rules: Sequence[Rule],
        *,
        now: Callable[[], float],
        provider_of: Callable[[str, str], str],
        stop_job: Callable[[int, str], Awaitable[None]],
        told: Callable[[], None],
    ) -> None:
        self._queue = queue
        self._scheduler = scheduler
        self._reactions = Reactions(rules)
        self._now = now
        self._provider_of = provider_of
        self._stop_job = stop_job
        self._told = told
        self._notices: list[tuple[str, str, float, int | None]] = []
        self._stops: list[tuple[int, str]] = []
        self._written: frozenset[int] = frozenset()

    def reconfigure(self, rules: Sequence[Rule]) -> None:
        """Take over the rules of a new configuration; what holds goes on."""
        self._reactions.rules = rules

    async def recall(self) -> None:
        """Let hold what held when the last run ended."""
        kept = await self._queue.remembered(Kind.REACTION)
        found = [msgspec.json.decode(text, type=Reaction) for text in kept.values()]
        self._reactions.restore(found)
        self._written = frozenset(one.id for one in found)
        self._scheduler.reacting.begin_anew()
        for one in found:
            self._scheduler.reacting.apply(one, self._now())

    def heard(self, claimed: Claimed, attempt: Attempt, journey: Journey) -> None:
        """Read what an attempt came to, if it was not taken."""
        now = self._now()
        reply = f"{attempt.code} {attempt.reply}" if attempt.code else attempt.reply
        seen = Seen(
            at=now,
            reply=reply,
            klass=attempt.klass,
            source=journey.source,
            site=journey.site,
            provider=self._provider_of(journey.host, claimed.destination),
            job=claimed.job_id,
        )
        for reaction in self._reactions.observe(seen):
            self._begin(reaction, now)

    def _begin(self, reaction: Reaction, now: float) -> None:
        if reaction.act == Act.STOP:
            self._reactions.cancel(reaction.id)
            self._stops.append((reaction.job, f"reaction {reaction.rule}: {reaction.reply}"))
        else:
            held = self._scheduler.reacting.apply(reaction, now)
            if held is None:
                self._reactions.cancel(reaction.id)
                return
            self._reactions.keep(held)
            reaction = held
        self._tell("begins", reaction, now)

    def live(self) -> list[Reaction]:
        """Return what holds."""
        return list(self._reactions)

    def cancel(self, number: int) -> Reaction | None:
        """End a reaction because a person says so; None when there is none of that number."""
        found = self._reactions.cancel(number)
        if found is not None:
            self._end(found, "is cancelled")
        return found

    def _end(self, reaction: Reaction, how: str) -> None:
        now = self._now()
        self._scheduler.reacting.lift(reaction, now)
        self._tell(how, reaction, now)

    def _tell(self, how: str, one: Reaction, now: float) -> None:
        detail = f"{how}: {one.where()}, {one.what()}"
        if one.until:
            detail += f" for {one.until - one.since:.0f} s"
        detail += f"; {one.reply}"
        _log.warning("reaction", id=one.id, rule=one.rule, detail=detail)
        self._notices.append((f"reaction:{one.rule}", detail, now, one.job or None))

    async def run(self) -> None:
        """End what is over and write what changed, until cancelled."""
        trouble = False
        while True:
            await asyncio.sleep(INTERVAL)
            for one in self._reactions.lapsed(self._now()):
                self._end(one, "ends")
            try:
                await self.save()
                trouble = False
            except UnavailableError as error:
                if not trouble:
                    _log.error("reactions wait for the disk", error=str(error))
                trouble = True

    async def save(self) -> None:
        """Write what changed, and what is to be told."""
        live = {one.id: one for one in self._reactions}
        fresh = {
            str(key): msgspec.json.encode(one).decode()
            for key, one in live.items()
            if key not in self._written
        }
        if fresh:
            await self._queue.remember(Kind.REACTION, fresh, self._now())
        gone = self._written - live.keys()
        if gone:
            await self._queue.unremember(Kind.REACTION, [str(key) for key in sorted(gone)])
        self._written = frozenset(live)
        while self._stops:
            await self._stop_job(*self._stops[0])
            del self._stops[0]
        while self._notices:
            await self._queue.notice(*self._notices[0])
            del self._notices[0]
            self._told()
