"""The suppression list with N addresses in it: how long a look-up takes, and how much memory.

    python bench/suppression.py 10000000 [--folder DIR]

Prints, for a process that opens the list (with the daemon's defaults) and asks:

* one address by the statement's own cost, median and p95, hits and misses at random places;
* the check as a claim makes it: inside its transaction, 64 deliveries at a time;
* resident memory after all of that.

The list is built by `INSERT` in the order of addresses: that is how it lies on the disk, whatever
order it came in.
"""

import argparse
import asyncio
import random
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from ekiden.store.database import Database
from ekiden.store.transaction import Tx, pack

ASKED = 20_000
CLAIM = 64
ONE = "SELECT 1 FROM suppression WHERE address = ?1 AND scope IN ('all', 'sender:a.example')"


def address(number: int) -> str:
    return f"user{number:08d}@d{number % 5000}.example"


def build(path: Path, size: int) -> None:
    asyncio.run(_make(path))
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA synchronous=OFF")
    rows: Iterator[tuple[str]] = ((address(2 * number),) for number in range(size))
    with connection:
        connection.executemany(
            "INSERT INTO suppression (address, scope, reason, job_id, at, note) "
            "VALUES (?, 'all', 'import', NULL, 1800000000000, '')",
            rows,
        )
    connection.close()


async def _make(path: Path) -> None:
    await (await Database.open(path)).close()


def resident() -> float:
    text = Path("/proc/self/status").read_text(encoding="ascii")
    lines = dict(line.split(":", 1) for line in text.splitlines())
    return int(lines["VmRSS"].split()[0]) / 1024


async def ask(path: Path, size: int) -> None:
    dice = random.Random(1)
    database = await Database.open(path)
    empty = resident()

    def singles(tx: Tx) -> list[float]:
        times = []
        for _ in range(ASKED):
            wanted = (address(dice.randrange(2 * size)),)
            start = time.perf_counter_ns()
            tx.one(ONE, wanted)
            times.append((time.perf_counter_ns() - start) / 1000)
        return sorted(times)

    def claims(tx: Tx) -> list[float]:
        statement = Database.sql("lists", "find_many")
        times = []
        for _ in range(ASKED // CLAIM):
            keys = pack([address(dice.randrange(2 * size)) for _ in range(CLAIM)])
            start = time.perf_counter_ns()
            tx.json(statement, (keys, '["all","sender:a.example"]'))
            times.append((time.perf_counter_ns() - start) / 1000 / CLAIM)
        return sorted(times)

    for name, op in (("one at a time", singles), (f"{CLAIM} at a time", claims)):
        await database.write(op)  # the first round reads pages from the disk's cache
        times = await database.write(op)
        p95 = times[len(times) * 95 // 100]
        print(f"{name}: median {statistics.median(times):.1f} us, p95 {p95:.1f} us per address")
    print(f"resident memory: {resident():.0f} MiB ({empty:.0f} MiB before the first question)")
    await database.close()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("size", type=int, nargs="?", default=1_000_000)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--ask", type=Path, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.ask:
        asyncio.run(ask(chosen.ask, chosen.size))
        return
    with tempfile.TemporaryDirectory(dir=chosen.folder) as folder:
        path = Path(folder) / "queue.db"
        start = time.perf_counter()
        build(path, chosen.size)
        size = path.stat().st_size / 2**20
        took = time.perf_counter() - start
        print(f"{chosen.size:,} addresses: {size:.0f} MiB on disk, built in {took:.0f} s")
        asked = [sys.executable, __file__, str(chosen.size), "--ask", str(path)]
        subprocess.run(asked, check=True)


if __name__ == "__main__":
    main()
