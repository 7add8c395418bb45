"""A list of N contacts: how long a file takes to come in and to go out, and what a claim pays.

    python bench/contacts.py 1000000 [--folder DIR]

Prints:

* `ekiden contacts import` of a CSV in random order with two topics, three attributes and a consent
  in every row, without a daemon and then, into another list, through a daemon's socket;
* the same file once more into the same list, where everybody is known;
* `ekiden contacts export`;
* a claim of 64 deliveries to random contacts, of a job without and of one with a list and a topic;
* 1,000 reactions noted in one batch; a removed topic.
"""

import argparse
import asyncio
import os
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ekiden.lists.contacts import Contacts
from ekiden.lists.model import Engagement, Reaction
from ekiden.queue.model import NewDelivery, NewJob
from ekiden.queue.queue import Queue
from ekiden.store.database import Database

CLAIM = 64
CLAIMS = 150
NOW = 1_800_000_000.0


def address(number: int) -> str:
    return f"user{number:08d}@d{number % 5000}.example"


def write(path: Path, size: int) -> None:
    numbers = list(range(size))
    random.Random(1).shuffle(numbers)
    with path.open("w", encoding="utf-8") as file:
        file.write(
            "emailAddress,unsubscribeAll,topicPreferences.news,topicPreferences.ads,name,city,points,"
            "consentAt,consentMethod,consentSource,consentForm\n"
        )
        for number in numbers:
            file.write(
                f"{address(number)},{'true' if number % 50 == 0 else 'false'},"
                f"{'OPT_OUT' if number % 10 == 0 else ''},{'OPT_IN' if number % 3 == 0 else ''},"
                f"読者{number},京都,{number % 977},2026-01-02T03:04:05+09:00,confirmed,"
                "https://example.com/join,毎週のお知らせを受け取ります。\n"
            )


def ekiden(folder: Path, *arguments: object) -> tuple[float, float, int]:
    """Run a command; returns its seconds, its seconds of CPU, and the most MiB of any so far."""
    started, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [sys.executable, "-m", "ekiden", *map(str, arguments)],
        env={**os.environ, "EKIDEN_CONFIG": str(folder / "config.toml")},
        check=True,
        capture_output=True,
        text=True,
    )
    took, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    if "import" in arguments:
        print("   ", ", ".join(" ".join(line.split("\t")) for line in done.stdout.splitlines()))
    return took, cpu, after.ru_maxrss // 1024


@contextmanager
def running(folder: Path) -> Iterator[None]:
    process = subprocess.Popen(
        [sys.executable, "-m", "ekiden", "run", "--config", folder / "config.toml"],
        stderr=subprocess.DEVNULL,
    )
    try:
        while not (folder / "sock").exists():
            time.sleep(0.05)
        yield
    finally:
        process.terminate()
        process.wait()


def tell(what: str, took: tuple[float, float, int], size: int) -> None:
    seconds, cpu, memory = took
    print(f"{what}: {seconds:.1f} s, {size / seconds:,.0f}/s, CPU {cpu:.1f} s, {memory} MiB")


async def claims(folder: Path, size: int) -> None:
    database = await Database.open(folder / "queue.db")
    queue, contacts = Queue(database), Contacts(database)
    dice = random.Random(2)
    people = [address(number) for number in dice.sample(range(size), CLAIM * CLAIMS)]
    rows = [NewDelivery(one, one.partition("@")[2]) for one in people]
    for uid, contact_list, topic in (("plain", "", ""), ("listed", "one", "news")):
        job = NewJob(
            uid=uid, name=uid, mail_from="a@s.example", from_domain="s.example", content=b"",
            created_at=NOW, expires_at=NOW + 1e6, contact_list=contact_list, topic=topic,
        )  # fmt: skip
        await queue.submit_job(job, rows, NOW)
        last = (await database.read("SELECT max(id) FROM delivery"))[0][0]
        ids = list(range(last - len(rows) + 1, last + 1))
        times = []
        for start in range(0, len(ids), CLAIM):
            started = time.perf_counter()
            found = await queue.claim(ids[start : start + CLAIM], 7, NOW)
            times.append(time.perf_counter() - started)
        each = statistics.median(times) / CLAIM * 1e6
        print(f"claim, job {uid}: {each:.0f} us per delivery (median of {len(times)} claims)")
        assert found.claimed
    seen = [Engagement(one, Reaction.CLICK, NOW, contact_list="one") for one in people[:1000]]
    started = time.perf_counter()
    assert await contacts.note_engagements(seen) == len(seen)
    print(f"1,000 reactions noted: {(time.perf_counter() - started) * 1000:.0f} ms")
    started = time.perf_counter()
    await contacts.counts("one", NOW)
    print(f"the list counted (ekiden lists show): {time.perf_counter() - started:.1f} s")
    started = time.perf_counter()
    await contacts.remove_topic("one", "ads", at=NOW)
    print(f"a topic removed: {time.perf_counter() - started:.1f} s")
    await database.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("size", type=int)
    parser.add_argument("--folder", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=given.folder) as place:
        folder = Path(place)
        (folder / "config.toml").write_text(
            '[queue]\npath = "queue.db"\n[control]\nsocket = "sock"\n[spool]\ndirectory = "spool"\n'
            '[events]\ndirectory = "events"\n[inbound]\n[log]\nlevel = "error"\n'
        )
        file = folder / "people.csv"
        write(file, given.size)
        for name in ("one", "two"):
            ekiden(folder, "lists", "add", name)
            ekiden(folder, "topics", "add", name, "news", "--default", "opt-in")
            ekiden(folder, "topics", "add", name, "ads")
        size = given.size
        tell("import without a daemon", ekiden(folder, "contacts", "import", "one", file), size)
        tell("import, all known", ekiden(folder, "contacts", "import", "one", file), size)
        with running(folder):
            tell("import through a daemon", ekiden(folder, "contacts", "import", "two", file), size)
        out = folder / "out.csv"
        tell("export, CSV", ekiden(folder, "contacts", "export", "one", out), size)
        lines = folder / "out.jsonl"
        tell("export, JSON Lines", ekiden(folder, "contacts", "export", "one", lines), size)
        ekiden(folder, "lists", "add", "three")
        for topic in ("news", "ads"):
            ekiden(folder, "topics", "add", "three", topic)
        again = ekiden(folder, "contacts", "import", "three", lines)
        tell("import of that, JSON Lines", again, size)
        print(f"database: {(folder / 'queue.db').stat().st_size / 2**20:.0f} MiB (three lists)")
        asyncio.run(claims(folder, size))


if __name__ == "__main__":
    main()
