"""Folding, giving room back and checkpoints beside delivery at full rate: what they cost.

    python -m bench.upkeep [--algorithm ed25519] [--old 300000] [--seconds 12] [--rounds 3]

The same daemon in turn on three databases: nothing to do; with so many old rows that folding finds
some in every round; with those folded, so that each round gives a MiB back to the disk. Meanwhile
it drains a queue to smtp-sink. Checkpoints run in all three, as the log grows. Printed for each:
rate, the loop's lag (bench/loop.py), the largest write-ahead log, the database before and after.
`python -m bench.year` has the other half: whether a year of it makes the queue slow.
"""

import argparse
import asyncio
import contextlib
import shutil
import sqlite3
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bench.first import Watched
from bench.queue_scale import batches, drain
from bench.run import LIMIT
from bench.senders import Bench, wait_for
from bench.sink import Sink
from bench.work import Work
from ekiden.queue.model import NewJob
from ekiden.queue.queue import Queue
from ekiden.store.database import Database

QUIET, FOLDING, GIVING = "nothing to do", "folding", "giving room back"
MIB = 2**20
_KEEP_ALL = '[queue]\nkeep = "3650d"'
_AGE = 40 * 86_400.0  # more than rows are kept by default
_WARM_UP = 1.0  # seconds of the drain that are not looked at: sessions open


@dataclass(frozen=True, slots=True)
class Found:
    """One run's figures; sizes in MiB, lag in milliseconds."""

    rate: float
    p99: float
    most: float
    log: float
    before: float
    after: float
    rows: int


async def age(path: Path, rows: int) -> None:
    """Make a database with so many deliveries that ended long ago, read by the event log."""
    db = await Database.open(path)
    queue, then = Queue(db), time.time() - _AGE
    for number in range(max(1, rows // 50_000)):
        name = f"old {number}"
        job = NewJob(name, name, "a@b.example", "b.example", b"x", then, then + 86_400)
        job_id = await queue.add_job(job)
        for batch in batches(50_000, 100, 5):
            await queue.add_deliveries(job_id, batch)
        await queue.open_job(job_id, then, refused=0)
        for later in (0.0, 3600.0):  # some are deferred once
            await drain(queue, 50_000, then + later)
        await queue.mark_done(job_id, then + 3600.0)
    await queue.begin_mark("events")
    await db.close()


async def fold(path: Path) -> None:
    """Fold all of it away."""
    db = await Database.open(path)
    queue = Queue(db)
    while await queue.fold(time.time(), 0.0):
        pass
    await db.close()


@contextlib.contextmanager
def largest(path: Path) -> Iterator[list[int]]:
    """Watch a file grow; the last entry is its largest size."""
    sizes, ended = [0], threading.Event()

    def look() -> None:
        while not ended.wait(0.02):
            with contextlib.suppress(FileNotFoundError):
                sizes[0] = max(sizes[0], path.stat().st_size)

    watcher = threading.Thread(target=look, daemon=True)
    watcher.start()
    try:
        yield sizes
    finally:
        ended.set()
        watcher.join()


def measure(work: Work, old: Path, place: Path, seconds: float, *, keep: bool) -> Found:
    """Drain for some seconds on a copy of a database."""
    directory = Path(tempfile.mkdtemp(prefix="upkeep-", dir=place))
    path = directory / "ekiden.db"
    shutil.copy(old, path)
    try:
        with Sink() as sink, largest(directory / "ekiden.db-wal") as log:
            bench = Bench(work, sink, directory, held=True)
            sender = Watched(bench, extra=_KEEP_ALL if keep else "")
            sender.start()
            try:
                sender.submit()
                wait_for(lambda: sender.queued() >= work.messages, seconds=LIMIT, what="filling")
                sender.release()
                time.sleep(_WARM_UP)
                sender.begin()
                size, rows = path.stat().st_size, _rows(path)
                before, began = sender.delivered(), time.perf_counter()
                time.sleep(seconds)
                rate = (sender.delivered() - before) / (time.perf_counter() - began)
                seen = sender.observed()
                rows -= _rows(path)
            finally:
                sender.close()
            return Found(
                rate=rate,
                p99=seen["lag_p99_ms"],
                most=seen["lag_max_ms"],
                log=log[-1] / MIB,
                before=size / MIB,
                after=path.stat().st_size / MIB,
                rows=rows,
            )
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _rows(path: Path) -> int:
    """How many deliveries of old jobs there are."""
    with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as reader:
        found = reader.execute(
            "SELECT coalesce(sum(r.last_id - r.first_id + 1), 0) FROM job j "
            "JOIN run r ON r.job_id = j.id WHERE j.finished_at IS NOT NULL"
        ).fetchone()
    return int(found[0])


def show(found: dict[str, list[Found]]) -> None:
    print(
        "\n| meanwhile | messages/s | of the quiet one's | lag p99 | most | log at most "
        "| database | rows folded |\n" + "|---" * 8 + "|"
    )
    for name, runs in found.items():
        shares = [one.rate / quiet.rate for one, quiet in zip(runs, found[QUIET], strict=True)]
        middle = {
            key: statistics.median(getattr(one, key) for one in runs)
            for key in ("rate", "p99", "log", "before", "after", "rows")
        }
        print(
            f"| {name} | {middle['rate']:,.0f} | {statistics.median(shares):.2f} "
            f"[{min(shares):.2f}-{max(shares):.2f}] | {middle['p99']:.1f} ms "
            f"| {max(one.most for one in runs):.1f} ms | {middle['log']:.0f} MiB "
            f"| {middle['before']:.0f} -> {middle['after']:.0f} MiB | {middle['rows']:,.0f} |"
        )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--algorithm", choices=("rsa", "ed25519", ""), default="ed25519")
    parser.add_argument("--old", type=int, default=300_000, help="rows that ended long ago")
    parser.add_argument("--messages", type=int, default=60_000, help="that are queued")
    parser.add_argument("--seconds", type=float, default=12.0)
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    place = Path(__file__).resolve().parent / "out"
    place.mkdir(exist_ok=True)
    work = Work(asked.messages, 4096, 20, asked.algorithm)
    found: dict[str, list[Found]] = {QUIET: [], FOLDING: [], GIVING: []}
    with tempfile.TemporaryDirectory(prefix="aged-", dir=place) as folder:
        aged, empty = Path(folder) / "aged.db", Path(folder) / "folded.db"
        asyncio.run(age(aged, asked.old))
        shutil.copy(aged, empty)
        asyncio.run(fold(empty))
        for _ in range(asked.rounds):
            for name, old in ((QUIET, aged), (FOLDING, aged), (GIVING, empty)):
                one = measure(work, old, place, asked.seconds, keep=name == QUIET)
                found[name].append(one)
                print(name, one, flush=True)
    show(found)


if __name__ == "__main__":
    main()
