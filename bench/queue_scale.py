"""How the queue behaves with N deliveries in it.

    python bench/queue_scale.py 5000000 [--destinations 300] [--merge-columns 5] [--folder DIR]

Prints intake rows/s (through add_deliveries, durable), claim + settle messages/s on that queue and
on one of 5,000, resident memory, and the time from opening the database to the first window, in a
process of its own. Nothing is tuned: these are the daemon's defaults.
"""

import argparse
import asyncio
import json
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from ekiden.queue.model import (
    Attempt,
    Claimed,
    NewDelivery,
    NewJob,
    Priority,
    Settlement,
    State,
    WindowRequest,
)
from ekiden.queue.queue import Queue
from ekiden.store.database import Database

BATCH = 4000
DRAINED = 5000  # messages in one round of claim + settle
ROUNDS = 9
WINDOW = 10  # what a lane of the small queue has too, so that both claim alike


def resident_mib() -> tuple[float, float]:
    """Resident memory of this process now and at its peak, MiB."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    lines = dict(line.split(":", 1) for line in status.splitlines())
    now, peak = (int(lines[name].split()[0]) / 1024 for name in ("VmRSS", "VmHWM"))
    return now, peak


def batches(number: int, destinations: int, columns: int) -> Iterator[list[NewDelivery]]:
    dice = random.Random(7)
    for start in range(0, number, BATCH):
        rows = []
        for row in range(start, min(start + BATCH, number)):
            # One in three at the largest destination, as lists are.
            place = 0 if row % 3 == 0 else dice.randrange(destinations)
            destination = f"d{place}.example"
            merge = {f"column{c}": f"値 {row} {c} some text" for c in range(columns)}
            rows.append(
                NewDelivery(
                    recipient=f"user{dice.getrandbits(40):x}.{row}@{destination}",
                    destination=destination,
                    merge=json.dumps(merge, ensure_ascii=False).encode(),
                    row=row + 1,
                )
            )
        yield rows


async def intake(queue: Queue, number: int, destinations: int, columns: int, uid: str) -> float:
    """Fill the queue; returns rows/s, the making of the rows not counted."""
    now = time.time()
    job = NewJob(uid, uid, "a@b.example", "b.example", b"content", now, now + 86400)
    job_id = await queue.add_job(job)
    spent = 0.0
    done = 0
    for rows in batches(number, destinations, columns):
        begin = time.perf_counter()
        await queue.add_deliveries(job_id, rows)
        spent += time.perf_counter() - begin
        done += len(rows)
        if done % 1_000_000 == 0:
            report(f"  {done:,} in", f"{done / spent:,.0f} rows/s so far")
    begin = time.perf_counter()
    await queue.open_job(job_id, time.time(), refused=0)
    return done / (spent + time.perf_counter() - begin)


async def drain(queue: Queue, number: int, now: float = 0.0) -> float:
    """Claim and settle `number` messages as 20 sessions' worth of lanes would; messages/s."""
    now = now or time.time() + 1
    lanes = await queue.lanes_due(now, (float("-inf"), 0), 20, Priority.BULK)
    cursor = dict.fromkeys((lane.id for lane in lanes), (0.0, 0))
    done = 0
    begin = time.perf_counter()
    while done < number:
        requests = [WindowRequest(lane, due, id_, WINDOW) for lane, (due, id_) in cursor.items()]
        windows = await queue.windows(requests, now)
        found = [items for items in windows.values() if items]
        if not found:
            await queue.park(dict.fromkeys(cursor))
            cursor = {
                lane.id: (0.0, 0)
                for lane in await queue.lanes_due(now, (float("-inf"), 0), 20, Priority.BULK)
            }
            if not cursor:
                break
            continue
        for lane, items in windows.items():
            if items:
                cursor[lane] = (items[-1].due_at, items[-1].id)
        done += sum(
            await asyncio.gather(*(one(queue, [w.id for w in items], now) for items in found))
        )
    return done / (time.perf_counter() - begin)


async def one(queue: Queue, ids: list[int], now: float) -> int:
    """One session's share: claim, settle in two pieces, a retry among them."""
    claimed = (await queue.claim(ids, random.getrandbits(62) + 1, now)).claimed
    half = len(claimed) // 2
    for part in (claimed[:half], claimed[half:]):
        await queue.settle([settlement(item, now) for item in part], now)
    return len(claimed)


def settlement(item: Claimed, now: float) -> Settlement:
    attempt = Attempt(
        at=now,
        seconds=0.2,
        source="192.0.2.1",
        site="example",
        host="mx.example",
        stage="body",
        code=250,
        reply="2.0.0 Ok: queued as 4XyZ",
        klass="",
        rule="",
        outcome="accepted",
    )
    if item.id % 20 == 0 and item.attempts == 1:
        return Settlement(item, State.READY, due_at=now + 600, attempt=attempt)
    return Settlement(item, State.DELIVERED, attempt=attempt)


async def restart(path: str) -> None:
    """In a fresh process: from opening to the first window."""
    begin = time.perf_counter()
    database = await Database.open(path)
    queue = Queue(database)
    now = time.time() + 1
    await queue.abandon_receiving()
    recovered = await queue.recover(now)
    lanes = await queue.lanes_due(now, (float("-inf"), 0), 1000, Priority.BULK)
    windows = await queue.windows([WindowRequest(lane.id) for lane in lanes], now)
    took = time.perf_counter() - begin
    first = sum(len(items) for items in windows.values())
    report("restart to first window", f"{took:.3f} s ({first} deliveries, {len(recovered)} back)")
    await database.close()


def report(what: str, figure: str) -> None:
    print(f"{what:<34}{figure}", flush=True)


async def measure(folder: Path, number: int, shape: tuple[int, int]) -> None:
    """Fill a large and a small queue, then drain from both in turn: the machine's moods cancel."""
    large = await Database.open(folder / "large" / "queue.db")
    queue = Queue(large)
    report(f"intake of {number:,}", f"{await intake(queue, number, *shape, 'job'):,.0f} rows/s")
    report("resident now, peak", "{:.0f} MiB, {:.0f} MiB".format(*resident_mib()))
    small = await Database.open(folder / "small" / "queue.db")
    rates: list[tuple[float, float]] = []
    for again in range(ROUNDS):
        await intake(Queue(small), DRAINED, *shape, f"refill {again}")
        rates.append((await drain(Queue(small), DRAINED), await drain(queue, DRAINED)))
    for which, queued in enumerate((DRAINED, number)):
        rate = statistics.median(pair[which] for pair in rates)
        report(f"claim + settle with {queued:,}", f"{rate:,.0f} messages/s")
    ratio = statistics.median(of_large / of_small for of_small, of_large in rates)
    report("large / small, median of rounds", f"{ratio:.2f}")
    report("resident now, peak", "{:.0f} MiB, {:.0f} MiB".format(*resident_mib()))
    sizes = {p.name: p.stat().st_size / 2**20 for p in sorted((folder / "large").iterdir())}
    report("files", ", ".join(f"{name} {size:,.0f} MiB" for name, size in sizes.items()))
    await small.close()
    await large.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("number", type=int, nargs="?", default=1_000_000)
    parser.add_argument("--destinations", type=int, default=300)
    parser.add_argument("--merge-columns", type=int, default=5)
    parser.add_argument("--folder", type=Path, help="where the databases are made, for a time")
    parser.add_argument("--restart", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.restart:
        asyncio.run(restart(options.restart))
        return
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        for name in ("large", "small"):
            (Path(folder) / name).mkdir()
        shape = (options.destinations, options.merge_columns)
        asyncio.run(measure(Path(folder), options.number, shape))
        path = str(Path(folder) / "large" / "queue.db")
        subprocess.run([sys.executable, __file__, "--restart", path], check=True)


if __name__ == "__main__":
    main()
