"""Estimates of the daemon: made in a process of their own, kept fresh while jobs run.

The simulation is pure Python and takes up to seconds; in this process it would hold the interpreter
while mail waits. So facts go to `python -m ekiden.forecast` as JSON and a forecast comes back. One
runs at a time; what fails is logged and is no estimate, never a reason for anything else to wait.
"""

import asyncio
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import msgspec
import structlog

from ekiden.engine.sites import Site
from ekiden.errors import EkidenError
from ekiden.forecast.__main__ import Asked
from ekiden.forecast.at_once import AtOnce
from ekiden.forecast.gather import Source, found_at, gather
from ekiden.forecast.model import Facts, Forecast, Load
from ekiden.slices import sliced

FIRST: Final = 20.0  # seconds until a job that has begun is looked at: most are done by then
EVERY: Final = 60.0
_JOBS: Final = 20  # the newest; the dashboard shows no more
_LIMIT: Final = 120.0  # seconds that one estimate may take
_log = structlog.get_logger("ekiden.forecast")


class Estimates:
    """Asks for estimates, and keeps the latest of each job.

    Args:
        source: Who knows what waits.
        config: The configuration file; None when there is none, and then there are no estimates.
        located: Where destinations are, as far as the engine knows.
        held: Whether something holds up a destination's mail of a rank at this moment.
        now: UNIX seconds.
    """

    def __init__(
        self,
        source: Source,
        config: Path | None,
        *,
        located: Callable[[], Mapping[str, Site]],
        held: Callable[[str, int], bool],
        now: Callable[[], float],
    ) -> None:
        self._at_once = AtOnce(held, located)
        self._source = source
        self._config = config
        self._located = located
        self._now = now
        self._alone = asyncio.Lock()
        self._latest: dict[int, Forecast] = {}

    def of(self, job_id: int) -> Forecast | None:
        """Return the latest estimate of a job."""
        return self._latest.get(job_id)

    async def ask(self, load: Load, *, search: bool) -> Forecast | None:
        """Return what is to be expected of a job that is not in the queue yet; None if unknown."""
        if self._config is None:
            return None
        found = self._at_once.of(load, self._now())
        if found is None:
            found = await self._made(load, await self._facts(), search=search)
            if found is not None:
                self._at_once.note(load, found)
        return found

    async def run(self) -> None:
        """Keep the estimates of running jobs fresh, until cancelled."""
        await asyncio.sleep(FIRST)
        while True:
            try:
                await self.refresh()
            except EkidenError as error:
                _log.warning("no estimates", error=str(error))
            await asyncio.sleep(EVERY)

    async def refresh(self) -> None:
        """Estimate what waits now."""
        if self._config is None:
            return
        facts = await self._facts()
        loads = {one.id: one for one in facts.loads}
        for known in list(self._latest):
            if known not in loads:
                del self._latest[known]
        for number in sorted(loads, reverse=True)[:_JOBS]:
            others = [one for one in facts.loads if one.id != number]
            meant = msgspec.structs.replace(facts, loads=others)
            found = await self._made(loads[number], meant, search=False)
            if found is not None:
                self._latest[number] = found

    async def _facts(self) -> Facts:
        facts = await gather(self._source, self._now())
        async for name, site in sliced(self._located().items()):
            facts.sites[name] = found_at(site)
        return facts

    async def _made(self, load: Load, facts: Facts, *, search: bool) -> Forecast | None:
        asked = Asked(config=str(self._config), facts=facts, load=load, search=search)
        async with self._alone:
            try:
                async with asyncio.timeout(_LIMIT):
                    return await _answer(msgspec.json.encode(asked))
            except (OSError, TimeoutError, msgspec.DecodeError) as error:
                _log.warning("no estimate", job=load.name, error=str(error) or "it took too long")
                return None


async def _answer(question: bytes) -> Forecast:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "ekiden.forecast"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        out, said = await process.communicate(question)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        raise OSError(said.decode("utf-8", "replace").strip()[-300:] or "it failed")
    return msgspec.json.decode(out, type=Forecast)
