"""kill -9 while batches are written: what was acknowledged is there, the file is whole."""

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ekiden.queue.queue import Queue
from ekiden.store.database import Database
from queue_world import check_books

WRITER = """
import asyncio, sys
sys.path[:0] = {path!r}
from queue_world import NOW, START, claim_all, new_job, rows, settlement
from ekiden.queue.queue import Queue
from ekiden.store.database import Database

async def main():
    queue = Queue(await Database.open(sys.argv[1]))
    await queue.recover(NOW)
    await queue.abandon_receiving()
    for number in range(10**6):
        uid = f"{{sys.argv[2]}}-{{number}}"
        names = [f"u{{n}}.{{uid}}@x{{n % 5}}.example" for n in range(40)]
        await queue.submit_job(new_job(uid), rows(*names), NOW)
        print("job", uid, flush=True)
        claimed = await claim_all(queue)
        await queue.settle([settlement(item) for item in claimed[:20]], NOW)
        for item in claimed[:20]:
            print("done", item.id, flush=True)
        await queue.release(claimed[20:], NOW)
        half = await queue.add_job(new_job(f"half {{uid}}"))
        await queue.add_deliveries(half, rows(*names))

asyncio.run(main())
"""


def run_and_kill(path: Path, name: str, after: int) -> list[list[str]]:
    """Start the writer, kill it when it has acknowledged `after` things; all it acknowledged."""
    code = WRITER.format(path=[entry for entry in sys.path if entry])
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(path), name], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    said = [process.stdout.readline() for _ in range(after)]
    os.kill(process.pid, signal.SIGKILL)
    said += process.stdout.readlines()
    process.stdout.close()
    process.wait()
    return [line.split() for line in said if line.endswith("\n")]


@pytest.mark.parametrize("points", [(1, 2, 25), (21, 23, 47)])
async def test_what_was_acknowledged_survives_kill_9(
    tmp_path: Path, points: tuple[int, ...]
) -> None:
    path = tmp_path / "queue.db"
    jobs: set[str] = set()
    done: set[int] = set()
    for number, after in enumerate(points):
        for word, value in await asyncio.to_thread(run_and_kill, path, str(number), after):
            if word == "job":
                jobs.add(value)
            else:
                done.add(int(value))
        db = await Database.open(path)
        await check_books(db)
        await db.close()
    db = await Database.open(path)
    queue = Queue(db)
    await queue.recover(1_800_000_000.0)
    await queue.abandon_receiving()
    await check_books(db)
    found = await queue.jobs(limit=10**6)
    assert jobs <= {job.uid for job in found}
    assert all(job.total == 40 and not job.uid.startswith("half") for job in found)
    delivered = {row[0] for row in await db.read("SELECT id FROM delivery WHERE state = 3")}
    assert done <= delivered
    assert await db.read("SELECT count(*) FROM delivery WHERE state = 1") == [(0,)]
    await db.close()
