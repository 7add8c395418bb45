"""The engine follows what people suspend, whenever they say so."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from ekiden.duties.holds import Holds
from ekiden.engine.schedule.facts import SchedulerOptions, SourceFacts
from ekiden.engine.scheduler import Scheduler
from ekiden.errors import UnavailableError
from ekiden.queue.queue import Queue
from ekiden.store.database import Database

NOW = 1_800_000_000.0


class Engine:
    """What `Holds` asks of a dispatcher."""

    def __init__(self) -> None:
        self.looked = asyncio.Event()

    async def parked(self) -> None:
        """Nothing is being put aside."""

    def look(self) -> None:
        self.looked.set()

    def poke(self) -> None:
        pass


@dataclass
class Stage:
    queue: Queue
    engine: Engine
    scheduler: Scheduler
    holds: Holds

    @property
    def suspended(self) -> bool:
        return "*" in self.scheduler._state.suspensions

    async def lift(self) -> None:
        await self.queue.unsuspend("*")
        self.engine.looked.clear()
        self.holds.suspensions_changed()


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    """Everything is suspended, by the last run."""
    database = await Database.open(tmp_path / "queue.db")
    queue, engine = Queue(database), Engine()
    scheduler = Scheduler(SchedulerOptions(sources=(SourceFacts("ip"),)))
    holds = Holds(
        queue,
        scheduler,
        engine,  # type: ignore[arg-type]  # all that is asked of it
        now=lambda: NOW,
        sources=tuple,
        stopped={},
    )
    await queue.suspend("*", None, "wait", NOW)
    await holds.recall()
    yield Stage(queue, engine, scheduler, holds)
    await database.close()


@asynccontextmanager
async def running(holds: Holds) -> AsyncIterator[None]:
    task = asyncio.create_task(holds.run())
    try:
        async with asyncio.timeout(20):
            yield
        assert not task.done()
    finally:
        task.cancel()
        await asyncio.wait([task])


async def test_a_suspension_of_the_last_run_can_be_lifted(stage: Stage) -> None:
    assert stage.suspended
    async with running(stage.holds):
        await stage.engine.looked.wait()
        assert stage.suspended
        await stage.lift()
        await stage.engine.looked.wait()
        assert not stage.suspended


async def test_a_suspension_can_be_lifted_while_the_duties_begin(stage: Stage) -> None:
    await stage.lift()
    async with running(stage.holds):
        await stage.engine.looked.wait()
        assert not stage.suspended


async def test_a_disk_that_refuses_is_asked_again(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ekiden.duties.holds._REFUSED_EVERY", 0.0)
    look_again, asked = stage.queue.look_again, asyncio.Event()
    refusals = iter(range(2))

    async def refuse(pattern: str) -> None:
        if next(refusals, None) is not None:
            raise UnavailableError("the disk is full")
        await look_again(pattern)
        asked.set()

    async with running(stage.holds):
        await stage.engine.looked.wait()
        await stage.queue.unsuspend("*")
        monkeypatch.setattr(stage.queue, "look_again", refuse)
        stage.holds.suspensions_changed()
        await asked.wait()
        assert not stage.suspended
