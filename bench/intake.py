"""How fast a job of many recipients is taken, and what that does to the event loop.

    .venv/bin/python -m bench.intake [--rows 1000000] [--json FILE]

Prints rows per second for parsing and checking alone (one thread), then for the whole way from
new/ to an open job in a queue on disk, with the lag of the event loop meanwhile: a task that sleeps
1 ms measures how much later it wakes.
"""

import argparse
import asyncio
import json
import resource
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import uvloop

from ekiden.daemon import tune
from ekiden.queue.queue import Queue
from ekiden.spool.house import House
from ekiden.spool.intake import Intake, IntakeOptions
from ekiden.spool.layout import Spool
from ekiden.spool.loading import READ_BYTES
from ekiden.spool.recipients import Plan, read_recipients
from ekiden.store.database import Database

JOB = """
from = "駅伝 <news@ekiden.example>"
subject = "{{ name }} 様"
text = "body.txt"
recipients = "recipients.csv"
address = "email"
"""


def write_rows(path: Path, rows: int, domains: int) -> None:
    with path.open("w", encoding="utf-8") as file:
        file.write("email,name,company,city,points,code\n")
        for n in range(rows):
            file.write(
                f"reader{n}@dest{n % domains}.example.com,山田 太郎{n},株式会社テスト,Tokyo,"
                f"{n % 1000},ABC-{n:08d}\n"
            )


def parse_only(path: Path, rows: int) -> dict[str, float]:
    plan = Plan(path.name, address="email", required=frozenset({"name"}))
    began, cpu = time.perf_counter(), time.process_time()
    with path.open("rb") as file:
        found = sum(
            len(batch.rows)
            for batch in read_recipients(iter(lambda: file.read(READ_BYTES), b""), plan)
        )
    assert found == rows
    return {
        "rows_per_second": rows / (time.perf_counter() - began),
        "rows_per_cpu_second": rows / (time.process_time() - cpu),
    }


def build(job: Path, recipients: Path) -> Path:
    job.mkdir()
    (job / "job.toml").write_text(JOB, encoding="utf-8")
    (job / "body.txt").write_text("{{ name }} {{ company }} {{ points }}\n", encoding="utf-8")
    recipients.rename(job / "recipients.csv")
    return job


async def lag(samples: list[float]) -> None:
    while True:
        before = time.perf_counter()
        await asyncio.sleep(0.001)
        samples.append(time.perf_counter() - before - 0.001)


async def whole_way(
    place: Path, recipients: Path, rows: int, batch: int = 8000
) -> dict[str, float]:
    spool = Spool.open(place / "spool")
    database = await Database.open(place / "ekiden.db")
    queue = Queue(database)
    accepted = asyncio.Event()
    intake = Intake(
        spool, queue, IntakeOptions(scan=0.2, batch=batch), House(opened=lambda _: accepted.set())
    )
    running = asyncio.create_task(intake.run())
    job = build(place / "spool" / "tmp" / "campaign", recipients)
    await asyncio.sleep(0.5)
    samples: list[float] = []
    measuring = asyncio.create_task(lag(samples))
    began, cpu = time.perf_counter(), time.process_time()
    job.rename(place / "spool" / "new" / "campaign")
    await accepted.wait()
    seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
    measuring.cancel()
    running.cancel()
    await asyncio.gather(measuring, running, return_exceptions=True)
    facts = (await queue.jobs())[0]
    assert facts.total == rows, facts
    await database.close()
    spool.close()
    samples.sort()
    return {
        "seconds": seconds,
        "rows_per_second": rows / seconds,
        "cpu_seconds": cpu,
        "lag_p50_ms": samples[len(samples) // 2] * 1000,
        "lag_p99_ms": samples[len(samples) * 99 // 100] * 1000,
        "lag_max_ms": samples[-1] * 1000,
        "peak_rss_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--domains", type=int, default=5000)
    parser.add_argument("--switch", type=float, default=0.0, help="interpreter switch interval, s")
    parser.add_argument(
        "--batch", type=int, default=IntakeOptions().batch, help="rows per insertion"
    )
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    tune()
    if options.switch:
        sys.setswitchinterval(options.switch)
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as directory:
        place = Path(directory)
        recipients = place / "recipients.csv"
        write_rows(recipients, options.rows, options.domains)
        result: dict[str, Any] = {"rows": options.rows, "domains": options.domains}
        result["parse"] = parse_only(recipients, options.rows)
        result["intake"] = uvloop.run(whole_way(place, recipients, options.rows, options.batch))
    for stage in ("parse", "intake"):
        for name, value in result[stage].items():
            print(f"{stage:8} {name:22} {value:14,.1f}")
    if options.json:
        options.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
