"""Gathers the facts of a forecast: from whoever answers requests, and from DNS."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import suppress
from typing import Final, Protocol

from ekiden.control.forecast_requests import KeptStates, WaitingJobs, WaitingLanes
from ekiden.control.requests import Listing, Question, Reputations, Suspensions, T
from ekiden.engine.resolver import Resolver
from ekiden.engine.sites import Site
from ekiden.errors import UnavailableError
from ekiden.forecast.model import Facts, Found, Load

LOOKED_UP: Final = 3000  # destinations at most, the largest first: the rest is told by its names
_AT_ONCE: Final = 100
STOPPED: Final = "stopped"


class Source(Protocol):
    """Whoever answers requests: the daemon, the database, `control.service` itself."""

    async def ask(self, request: Question[T]) -> T:
        """Answer a question."""
        ...

    def stream(self, request: Listing[T]) -> AsyncIterator[T]:
        """Answer a listing."""
        ...


async def gather(source: Source, now: float) -> Facts:
    """Return what a forecast starts from, but for where destinations are.

    Args:
        source: Who knows.
        now: UNIX seconds.
    """
    memory: defaultdict[str, dict[str, str]] = defaultdict(dict)
    async for one in source.stream(KeptStates()):
        memory[one.kind][one.name] = one.state
    lanes: defaultdict[int, dict[str, int]] = defaultdict(dict)
    async for lane in source.stream(WaitingLanes()):
        lanes[lane.job][lane.destination] = lane.ready
    loads = [
        Load(
            id=job.id,
            name=job.name,
            bulk=job.bulk,
            pool=job.pool,
            configuration_set=job.configuration_set,
            send_at=job.send_at,
            expires_at=job.expires_at,
            deliver_by=job.deliver_by,
            pace=job.pace,
            patience=job.patience,
            lanes=lanes[job.id],
            head=job.head,
        )
        for job in await source.ask(WaitingJobs())
        if job.id in lanes
    ]
    held = {one.pattern: one.until for one in await source.ask(Suspensions())}
    rates = await source.ask(Reputations())
    return Facts(
        now=now,
        memory=dict(memory),
        loads=loads,
        suspensions=held,
        stopped=[one.scope for one in rates if one.standing == STOPPED],
    )


def found_at(site: Site) -> Found:
    """Return a site as plain values."""
    return Found(site.name, tuple(host.name for host in site.hosts), site.port, site.route)


async def look_up(
    resolver: Resolver, counts: Mapping[str, int], known: Collection[str], seconds: float
) -> dict[str, Found]:
    """Return where the largest destinations' mail goes.

    Args:
        resolver: Asks DNS.
        counts: Messages by destination.
        known: Destinations that need not be asked for.
        seconds: How long to ask at most; what has no answer by then is left out.
    """
    wanted = sorted((one for one in counts if one not in known), key=lambda one: -counts[one])
    found: dict[str, Found] = {}
    slots = asyncio.Semaphore(_AT_ONCE)

    async def one(destination: str) -> None:
        async with slots:
            with suppress(UnavailableError):
                site = await resolver.resolve(destination)
                if isinstance(site, Site):
                    found[destination] = found_at(site)

    with suppress(TimeoutError):
        async with asyncio.timeout(seconds), asyncio.TaskGroup() as group:
            for destination in wanted[:LOOKED_UP]:
                group.create_task(one(destination))
    return found
