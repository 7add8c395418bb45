"""Whom a command asks: the running daemon through its socket, or the database itself.

A command never needs to know which: both answer the same requests. When no daemon runs, the
database is opened with the lock that a daemon would take, for as long as the command takes. A lock
that is held while the socket does not answer is a daemon that starts or stops, or another command:
for a few seconds it is waited for.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Final, Protocol, TypeVar

from ekiden.cli.bare import load_log
from ekiden.cli.options import load_config
from ekiden.config import Config
from ekiden.control.client import Client
from ekiden.control.requests import Listing, Question, T
from ekiden.errors import UnavailableError

R = TypeVar("R")

PATIENCE: Final = 5.0
PAUSE: Final = 0.1


class Access(Protocol):
    """Whoever answers requests."""

    async def ask(self, request: Question[T]) -> T:
        """Answer a question."""
        ...

    def stream(self, request: Listing[T]) -> AsyncIterator[T]:
        """Answer a listing."""
        ...


@asynccontextmanager
async def access(config: Config, *, create: bool = False) -> AsyncIterator[Access]:
    """Open the way to the queue of `config`.

    Args:
        config: Names the socket and the database.
        create: Make a database that does not exist.

    Raises:
        UnavailableError: The queue is in use and does not answer, or does not exist.
    """
    deadline = time.monotonic() + PATIENCE
    while True:
        client = await Client.connect(config.control.socket)
        if client is not None:
            try:
                yield client
            finally:
                await client.close()
            return
        try:
            # No daemon answers: what one is made of does.
            from ekiden.store.database import Database  # noqa: PLC0415 - see above

            database = await Database.open(config.queue.path, offline=not create)
        except UnavailableError:
            if time.monotonic() > deadline or not config.queue.path.exists():
                raise
            await asyncio.sleep(PAUSE)
            continue
        try:
            from ekiden import settings  # noqa: PLC0415 - see above

            load_log()
            from ekiden.control.service import Control  # noqa: PLC0415

            yield Control.over(
                database,
                returned=partial(settings.returned_mail, config),
                confirming=settings.confirming(config),
                pacing=settings.pacing_facts(config),
            )
        finally:
            await database.close()
        return


def ask(config: Path | None, request: Question[T], *, create: bool = False) -> T:
    """Ask one question and return the answer; errors are `EkidenError`s."""

    async def once(there: Access) -> T:
        return await there.ask(request)

    return with_access(config, once, create=create)


def with_access(
    config: Path | None, use: Callable[[Access], Awaitable[R]], *, create: bool = False
) -> R:
    """Run `use` with the way to the queue open, and return what it returns."""
    settings = load_config(config)

    async def inside() -> R:
        async with access(settings, create=create) as there:
            return await use(there)

    return asyncio.run(inside())
