"""The engine and what it is made of: who is next, where it goes, what is sent, what came of it."""

import random
from collections.abc import Sequence
from typing import Protocol

from ekiden import settings
from ekiden.assembly.base import Base
from ekiden.assembly.doubt import Doubt
from ekiden.bounce.model import Verdict
from ekiden.engine.capsbook import CapsBook, profiles
from ekiden.engine.composer import Composer
from ekiden.engine.conclude import Conclusions, Journey
from ekiden.engine.dialler import Dialler
from ekiden.engine.dispatcher import Dispatcher, Parts
from ekiden.engine.scheduler import Scheduler
from ekiden.engine.settler import Settler
from ekiden.engine.signing import SigningThreads
from ekiden.queue.model import Attempt, Claimed, JobFacts, Settlement


class Listener(Protocol):
    """Who hears what attempts came to. Deliveries wait meanwhile: it takes note, and no time."""

    def note(self, settlements: Sequence[Settlement]) -> None:
        """Hear of results that are committed."""
        ...

    def blocked(self, claimed: Claimed, verdict: Verdict, journey: Journey, reply: str) -> None:
        """Hear that a receiver refuses our address or name."""
        ...

    def heard(self, claimed: Claimed, attempt: Attempt, journey: Journey) -> None:
        """Hear of an attempt that was not accepted."""
        ...


class Delivery:
    """The engine.

    Args:
        base: What every group stands on.
        threads: Sign.

    Attributes:
        scheduler: Who is next.
        dispatcher: Acts on it.
        settler: Writes what came of it.
        composer: Makes messages.
        conclusions: What outcomes mean.
        doubt: What is past the final dot.
        listeners: Who hears what attempts came to; named before anything runs.
    """

    def __init__(self, base: Base, threads: SigningThreads) -> None:
        config, now = base.config, base.now
        self._base = base
        self.listeners: list[Listener] = []
        self.doubt = Doubt(base.queue, base.database)
        self.scheduler = Scheduler(settings.scheduling(config), jitter=random.random)
        self.scheduler.set_hours(settings.hours(config), now())
        self.settler = Settler(self._write, self._written)
        jobs: dict[int, JobFacts] = {}
        self.composer = Composer(
            base.queue,
            jobs,
            settings.signers(config),
            sets=settings.sets(config),
            identifiers=base.identifiers,
            threads=threads,
            now=now,
            links=base.links,
        )
        self.conclusions = Conclusions(
            settings.classifier(config),
            settings.retry_policy(config),
            jobs,
            now=now,
            dice=random.random,
            settle=self.settler.put,
            blocked=self._blocked,
            heard=self._heard,
            provider_of=base.provider_of,
        )
        resolver = settings.resolver(config, now)
        parts = Parts(
            queue=base.queue,
            scheduler=self.scheduler,
            resolver=resolver,
            dialler=Dialler(resolver, settings.dialling(config)),
            composer=self.composer,
            conclusions=self.conclusions,
            settler=self.settler,
            sources=settings.sources(config),
            site_facts=CapsBook(config, profiles(config)).facts,
            clock=base.clock,
            jobs=jobs,
            handing_over=self.doubt.handing_over,
        )
        self.dispatcher = Dispatcher(parts, settings.engine(config))

    async def _write(self, settlements: Sequence[Settlement]) -> None:
        await self._base.queue.settle(settlements, self._base.now())

    def _written(self, settlements: Sequence[Settlement]) -> None:
        self.doubt.settled(settlements)
        for one in self.listeners:
            one.note(settlements)

    def _blocked(self, claimed: Claimed, verdict: Verdict, journey: Journey, reply: str) -> None:
        for one in self.listeners:
            one.blocked(claimed, verdict, journey, reply)

    def _heard(self, claimed: Claimed, attempt: Attempt, journey: Journey) -> None:
        for one in self.listeners:
            one.heard(claimed, attempt, journey)
