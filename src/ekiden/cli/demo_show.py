"""The demo as it runs: the daemon beside its world, the table that follows it, the last word."""

import asyncio
import shutil
import sys
import time
from asyncio.subprocess import Process
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self

import msgspec
from rich import box
from rich.console import Console
from rich.live import Live
from rich.table import Table

from ekiden.cli.output import note, print_json, visible
from ekiden.control.client import Client
from ekiden.control.requests import Backlog, BacklogView
from ekiden.errors import RefusedError, UnavailableError
from ekiden.sink.agree import Disagreement
from ekiden.sink.demo import JOB, Demo, DemoWorld, drop_campaign, make_demo, verdict

_TICK: Final = 0.5  # seconds between two looks
_PLAIN_EVERY: Final = 5.0  # seconds between two lines when nobody watches a terminal
_START: Final = 20.0  # seconds that the daemon may take to answer
_STOP: Final = 20.0
_LOG_LINES: Final = 12  # of the daemon's log, when it does not start
_MARK: Final = ".ekiden-demo"  # in a directory that a demo made and may remove


class Row(msgspec.Struct):
    """One recipient's line of a job's report."""

    fate: str
    recipient: str = ""
    doubts: int = 0


class Line(msgspec.Struct):
    """What the demo reads of an event."""

    type: str
    destination: str


@dataclass(slots=True)
class Tally:
    """What is known of one provider."""

    waiting: int = 0
    deferred: int = 0
    sessions: int = 0
    events: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class Outcome:
    """How the demo ended.

    Args:
        fates: Deliveries by provider and final state.
        disagreements: Where the queue and the receivers differ.
        missing: Recipients without a final state.
        seconds: From the drop into the spool to the result.
        directory: Where everything can be looked at.
        destinations: How many the campaign went to.
    """

    fates: dict[str, Counter[str]]
    disagreements: list[Disagreement]
    missing: int
    seconds: float
    directory: Path
    destinations: int

    @property
    def good(self) -> bool:
        """Whether every delivery is final and both records agree."""
        return not self.disagreements and not self.missing


async def play(directory: Path, recipients: int, limit: float, *, quiet: bool) -> Outcome:
    """Run the demo.

    Args:
        directory: Its run directory.
        recipients: How many people to mail.
        limit: Seconds until it counts as failed.
        quiet: Show nothing while it runs.

    Raises:
        RefusedError: The directory holds something that no demo made.
        UnavailableError: A port was taken, or the daemon did not start.
    """
    _clear(directory)
    demo = make_demo(directory, recipients=recipients)
    (directory / _MARK).touch()
    async with DemoWorld(demo) as world, _daemon(demo) as daemon:
        client = await _connect(demo, daemon)
        began = time.monotonic()
        drop_campaign(demo)
        watch = _Watch(demo, world, client)
        with _Show(quiet=quiet) as show:
            while not watch.result.exists() and time.monotonic() - began < limit:
                await asyncio.sleep(_TICK)
                show(await watch.look(), time.monotonic() - began)
        seconds = time.monotonic() - began
        await client.close()
    return _outcome(demo, watch, seconds)


def _clear(directory: Path) -> None:
    if not directory.exists() or not any(directory.iterdir()):
        return
    if not (directory / _MARK).exists():
        raise RefusedError(
            "the demo's directory holds something that no demo made",
            where=str(directory),
            remedy="name another one with --directory",
        )
    shutil.rmtree(directory)


@asynccontextmanager
async def _daemon(demo: Demo) -> AsyncIterator[Process]:
    """Run `ekiden run` on the demo's configuration; end it with TERM, as systemd does."""
    with (demo.directory / "daemon.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "ekiden", "run", "--config", str(demo.config)),
            stdout=log,
            stderr=log,
        )
        try:
            yield process
        finally:
            if process.returncode is None:
                process.terminate()
            with suppress(TimeoutError):
                await asyncio.wait_for(process.wait(), _STOP)
            if process.returncode is None:
                process.kill()
                await process.wait()


async def _connect(demo: Demo, daemon: Process) -> Client:
    deadline = time.monotonic() + _START
    while time.monotonic() < deadline and daemon.returncode is None:
        client = await Client.connect(demo.directory / "ekiden.sock")
        if client is not None:
            return client
        await asyncio.sleep(0.05)
    log = demo.directory / "daemon.log"
    for line in log.read_text(encoding="utf-8", errors="replace").splitlines()[-_LOG_LINES:]:
        note(f"  {line}")
    raise UnavailableError(
        "the demo's daemon did not start; the end of its log is above",
        where=str(log),
        remedy="mend what it says, then try again",
    )


class _Watch:
    """Looks at a running demo from outside."""

    def __init__(self, demo: Demo, world: DemoWorld, client: Client) -> None:
        self._demo = demo
        self._world = world
        self._client = client
        self._events = demo.directory / "events" / "events.jsonl"
        self._read = 0
        self._counts: dict[str, Counter[str]] = {}
        self.result = demo.spool / "done" / f"{JOB}.result.json"
        self.report = demo.spool / "done" / f"{JOB}.report.jsonl"

    async def look(self) -> dict[str, Tally]:
        """Return what is known of each provider now, in the order of the world."""
        self._follow_events()
        titles = self._demo.world.titles
        tallies = {title: Tally() for title in titles.values()}
        for title, counts in self._counts.items():
            tallies.setdefault(title, Tally()).events = counts
        for name, seen in self._world.counts.items():
            tallies.setdefault(titles.get(name, name), Tally()).sessions += seen.open
        for row in await self._backlog():
            tally = tallies.setdefault(self._demo.world.provider_of(row.destination), Tally())
            tally.waiting += row.ready + row.sending
            tally.deferred += row.deferred
        return tallies

    async def _backlog(self) -> list[BacklogView]:
        return await self._client.ask(Backlog(limit=1000))

    def _follow_events(self) -> None:
        with suppress(FileNotFoundError), self._events.open("rb") as log:
            log.seek(self._read)
            for line in log:
                if not line.endswith(b"\n"):
                    break
                self._read += len(line)
                event = msgspec.json.decode(line, type=Line)
                title = self._demo.world.provider_of(event.destination)
                self._counts.setdefault(title, Counter())[event.type] += 1

    def rows(self) -> Iterator[Row]:
        """Yield the lines of the job's report; none if it is not there."""
        with suppress(FileNotFoundError), self.report.open("rb") as report:
            for line in report:
                yield msgspec.json.decode(line, type=Row)


class _Show:
    """Shows the table live on a terminal, a line now and then elsewhere, nothing when quiet."""

    def __init__(self, *, quiet: bool) -> None:
        self._console = Console()
        self._quiet = quiet
        self._live = Live(console=self._console, auto_refresh=False, transient=True)
        self._said = 0.0

    def __enter__(self) -> Self:
        if self._watched:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._watched:
            self._live.stop()

    @property
    def _watched(self) -> bool:
        return not self._quiet and self._console.is_terminal

    def __call__(self, tallies: Mapping[str, Tally], seconds: float) -> None:
        if self._watched:
            self._live.update(_progress(tallies, seconds), refresh=True)
        elif not self._quiet and seconds - self._said >= _PLAIN_EVERY:
            self._said = seconds
            events = sum((tally.events for tally in tallies.values()), Counter[str]())
            waiting = sum(tally.waiting for tally in tallies.values())
            deferred = sum(tally.deferred for tally in tallies.values())
            sessions = sum(tally.sessions for tally in tallies.values())
            print(
                f"{seconds:5.1f} s  waiting {waiting}  deferred {deferred}  "
                f"delivered {events['delivered']}  bounced {events['bounced']}  "
                f"sessions {sessions}",
                flush=True,
            )


def _table(title: str, columns: Sequence[str]) -> Table:
    """Return an empty table, one line a provider, that fits into 80 columns."""
    table = Table(
        title=title,
        title_justify="left",
        box=box.SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        padding=(0, 1, 0, 0),
    )
    table.add_column("provider", no_wrap=True)
    for name in columns:
        table.add_column(name, justify="right", no_wrap=True)
    return table


def _progress(tallies: Mapping[str, Tally], seconds: float) -> Table:
    names = ("waiting", "deferred", "delivered", "bounced", "sessions")
    table = _table(f"Ekiden demo, {seconds:.0f} s", names)
    for title, tally in tallies.items():
        table.add_row(
            title,
            str(tally.waiting),
            str(tally.deferred),
            str(tally.events["delivered"]),
            str(tally.events["bounced"]),
            str(tally.sessions),
        )
    return table


def _outcome(demo: Demo, watch: _Watch, seconds: float) -> Outcome:
    fates: dict[str, Counter[str]] = {title: Counter() for title in demo.world.titles.values()}
    states: list[tuple[str, str]] = []
    in_doubt: list[str] = []
    for row in watch.rows():
        states.append((row.recipient, row.fate))
        if row.doubts:
            in_doubt.append(row.recipient)
        title = demo.world.provider_of(row.recipient.rpartition("@")[2])
        fates.setdefault(title, Counter())[row.fate] += 1
    return Outcome(
        fates={title: counts for title, counts in fates.items() if counts},
        disagreements=verdict(demo, states, in_doubt=in_doubt),
        missing=len(demo.world.recipients) - len(states),
        seconds=seconds,
        directory=demo.directory,
        destinations=len(demo.world.destinations),
    )


_WIDTH: Final = 80
_FATES: Final = ("delivered", "bounced", "expired", "suppressed")


def print_outcome(outcome: Outcome, *, as_json: bool) -> None:
    """Print how the demo ended.

    Args:
        outcome: How.
        as_json: For a program.
    """
    if as_json:
        print_json(
            {
                "good": outcome.good,
                "seconds": round(outcome.seconds, 1),
                "destinations": outcome.destinations,
                "fates": {title: dict(counts) for title, counts in outcome.fates.items()},
                "missing": outcome.missing,
                "disagreements": [
                    {"recipient": one.recipient, "words": one.words}
                    for one in outcome.disagreements
                ],
            }
        )
        return
    Console(width=None if sys.stdout.isatty() else _WIDTH).print(_summary(outcome))
    for one in outcome.disagreements[:20]:
        print(f"  {visible(one.recipient)}: {visible(one.words)}")
    total = sum(sum(counts.values()) for counts in outcome.fates.values())
    where = f"{outcome.destinations} destinations, {outcome.seconds:.0f} s"
    if outcome.good:
        print(f"{total} deliveries, {where}: all final; queue and receivers agree on every address")
    else:
        wrong = len(outcome.disagreements)
        print(f"{where}: {outcome.missing} without a final state, {wrong} disagreements")
    print(f"Look around: {outcome.directory}/spool/done, {outcome.directory}/events")


def _summary(outcome: Outcome) -> Table:
    table = _table("Ekiden demo: what became of the campaign", ("recipients", *_FATES))
    totals: Counter[str] = Counter()
    for title, counts in outcome.fates.items():
        totals.update(counts)
        cells = [str(counts[fate]) for fate in _FATES]
        table.add_row(title, str(sum(counts.values())), *cells)
    table.add_section()
    table.add_row("all", str(sum(totals.values())), *[str(totals[fate]) for fate in _FATES])
    return table
