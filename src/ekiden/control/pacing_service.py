"""The answers about pacing; a part of `service.Control`.

With a running daemon the ramps are the scheduler's own. Without one they are read from the queue,
moved by the same rules, and written back.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

import msgspec

from ekiden.control import pacing_requests as asked
from ekiden.control.pacing_requests import (
    DayView,
    HourShare,
    HoursView,
    LearnedView,
    WarmupView,
)
from ekiden.engine.schedule.facts import Learned
from ekiden.errors import NotFoundError, RefusedError
from ekiden.queue.memory import Kind
from ekiden.queue.queue import Queue
from ekiden.shaping.evidence import DayRecord
from ekiden.shaping.hours import Hours, HoursOptions, HourView
from ekiden.shaping.length import Length
from ekiden.shaping.ramps import OTHER, Ramps, WarmupOptions
from ekiden.shaping.speed import Speed, SpeedOptions
from ekiden.shaping.warmup import RampState, RampView
from ekiden.shaping.window import Window, WindowOptions
from ekiden.text import printable

FOUND_MOST: Final = 200  # paths with a limit that was found, in one answer


@dataclass(frozen=True, slots=True)
class PacingFacts:
    """What the answers need of the configuration.

    Args:
        sources: The names of the sources.
        providers: The names of the providers, `OTHER` among them.
        warmup: How sources are warmed up.
        hours: When not to send.
    """

    sources: tuple[str, ...]
    providers: tuple[str, ...]
    warmup: WarmupOptions
    hours: HoursOptions


class PacingAnswers:
    """Answers what `pacing_requests` asks.

    Args:
        queue: Keeps the ramps.
        facts: From the configuration.
        clock: UNIX seconds.
        ramps: Those of the running daemon; None when none runs.
        hours: Likewise.
        changed: Hears that a ramp was moved.
    """

    def __init__(
        self,
        queue: Queue,
        facts: PacingFacts,
        clock: Callable[[], float],
        *,
        ramps: Ramps | None = None,
        hours: Hours | None = None,
        changed: Callable[[], None] = lambda: None,
    ) -> None:
        self._queue = queue
        self._facts = facts
        self._clock = clock
        self._ramps = ramps
        self._hours = hours
        self._changed = changed

    def reconfigure(self, facts: PacingFacts) -> None:
        """Take over a new configuration."""
        self._facts = facts

    def questions(self) -> dict[type, Callable[[Any], Awaitable[Any]]]:
        """Return what answers each question."""
        return {
            asked.Warmups: self._warmups,
            asked.StartWarmup: self._start,
            asked.HoldWarmup: self._hold,
            asked.SkipWarmup: self._skip,
            asked.ShowHours: self._show_hours,
            asked.ShowLearned: self._show_learned,
        }

    async def _warmups(self, _: asked.Warmups) -> list[WarmupView]:
        facts = self._facts
        ramps = await self._open()
        views = ramps.views(facts.sources, facts.providers, self._clock())
        return [_view(one) for one in views]

    async def _start(self, request: asked.StartWarmup) -> list[WarmupView]:
        ramps, providers = await self._open(), self._meant(request.source, request.provider)
        everywhere = not request.provider
        ramps.start(request.source, providers, request.plan, self._clock(), everywhere=everywhere)
        return await self._moved(ramps, request.source, providers)

    async def _hold(self, request: asked.HoldWarmup) -> list[WarmupView]:
        ramps, providers = await self._open(), self._meant(request.source, request.provider)
        ramps.hold(request.source, providers, self._clock(), everywhere=not request.provider)
        return await self._moved(ramps, request.source, providers)

    async def _skip(self, request: asked.SkipWarmup) -> list[WarmupView]:
        ramps, providers = await self._open(), self._meant(request.source, request.provider)
        if request.stage is not None and request.stage < 1:
            raise RefusedError("the days of a plan are counted from 1", where="--to")
        stage = None if request.stage is None else request.stage - 1
        ramps.skip(request.source, providers, stage, self._clock(), everywhere=not request.provider)
        return await self._moved(ramps, request.source, providers)

    async def _open(self) -> Ramps:
        if self._ramps is not None:
            return self._ramps
        ramps = Ramps(self._facts.warmup)
        kept = await self._queue.remembered(Kind.RAMP)
        states = {name: msgspec.json.decode(one, type=RampState) for name, one in kept.items()}
        ramps.recall(states)
        ramps.came_back(await self._queue.came_back())
        return ramps

    async def _show_learned(self, request: asked.ShowLearned) -> list[LearnedView]:
        decoder = msgspec.json.Decoder(Learned)
        found = []
        if request.found:
            kept = list((await self._queue.found_limits(FOUND_MOST)).items())
        else:
            kept = sorted((await self._queue.remembered(Kind.PATH)).items())
        for name, text in kept:
            source, _, site = name.partition(" to ")
            if request.site in ("", site):
                found.append(_learned_view(source, site, decoder.decode(text)))
        return found

    async def _show_hours(self, _: asked.ShowHours) -> list[HoursView]:
        hours, now = self._hours, self._clock()
        if hours is None:
            hours = Hours(self._facts.hours)
            kept = await self._queue.remembered(Kind.HOURS)
            decoder = msgspec.json.Decoder(list[list[float]])
            hours.recall({name: decoder.decode(text) for name, text in kept.items()})
        learned = hours.views()
        return [
            _hours_view(hours, provider, learned.get(provider, []), now)
            for provider in self._facts.providers
        ]

    def _meant(self, source: str, provider: str) -> tuple[str, ...]:
        """Return the providers that are meant.

        Raises:
            NotFoundError: There is no such source or provider.
        """
        facts = self._facts
        for name, names, kind in (
            (source, facts.sources, "source"),
            (provider, facts.providers, "provider"),
        ):
            if name and name not in names:
                raise NotFoundError(
                    f"there is no {kind} {printable(name, 100)!r}",
                    where="warm-up",
                    remedy=f"use one of {', '.join(names)}",
                )
        return (provider,) if provider else facts.providers

    async def _moved(
        self, ramps: Ramps, source: str, providers: tuple[str, ...]
    ) -> list[WarmupView]:
        """Write what was moved, let it take effect, and return it."""
        now = self._clock()
        views = ramps.views((source,), providers, now)
        states = {
            name: msgspec.json.encode(state).decode() for name, state in ramps.states().items()
        }
        await self._queue.remember(Kind.RAMP, states, now)
        self._changed()
        return [_view(one) for one in views]


def _view(one: RampView) -> WarmupView:
    return WarmupView(
        source=one.source,
        provider=one.provider,
        plan=one.plan,
        stage=one.stage,
        stages=one.stages,
        allowance=one.allowance,
        sent=one.sent,
        verdict=str(one.verdict),
        reason=one.reason,
        held=one.held,
        done=one.done,
        last=one.last,
        ends=one.ends,
        days=tuple(map(_day, one.days)),
    )


def _learned_view(source: str, site: str, learned: Learned) -> LearnedView:
    window, speed, length = Window(WindowOptions()), Speed(SpeedOptions()), Length()
    window.restore(learned.window)
    speed.restore(learned.speed)
    length.restore(learned.length)
    return LearnedView(source, site, window.size, speed.rate, length.limit, length.spoken)


def _hours_view(hours: Hours, provider: str, learned: list[HourView], now: float) -> HoursView:
    name = "" if provider == OTHER else provider
    bulk, urgent = (hours.opens_at(name, rank, now) for rank in (1, 0))
    return HoursView(
        provider=provider,
        bulk=hours.avoided(name, 1),
        transactional=hours.avoided(name, 0),
        bulk_from=bulk if bulk > now else None,
        transactional_from=urgent if urgent > now else None,
        hours=tuple(HourShare(one.hour, round(one.tried), one.share) for one in learned),
    )


def _day(one: DayRecord) -> DayView:
    seen = one.evidence
    return DayView(
        day=date.fromordinal(one.number).isoformat(),
        stage=one.stage + 1,
        allowance=one.cap,
        sent=one.sent,
        tried=seen.tried,
        deferred=seen.deferred,
        bounced=seen.bounced,
        complained=seen.complained,
        blocked=seen.blocked,
        verdict=str(one.verdict),
        reason=one.reason,
    )
