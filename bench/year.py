"""A year of sending on a virtual calendar: whether day 365 is slower than day 1.

    python -m bench.year [--days 365] [--daily 3000] [--singles 100]

Each day a campaign and some jobs of one message come in, are claimed and settled through the real
queue (one in twenty is deferred and tried again), and end; then the real upkeep runs its rounds,
half a virtual second apart, until it finds nothing to do. Rows are kept for 30 days, as by default.
Around each sampled day the same day's work is done in a fresh database as well, in turn, so that
the machine's moods fall on both. Nothing sends: this is the database's part of a message.
"""

import argparse
import asyncio
import statistics
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from bench.queue_scale import drain
from ekiden.duties.upkeep import INTERVAL, Upkeep, UpkeepOptions
from ekiden.engine.clock import Clock
from ekiden.queue.model import NewDelivery, NewJob, State
from ekiden.queue.queue import Queue
from ekiden.store.database import Database

DAY = 86_400.0
KEEP = 30 * DAY
START = 1_750_000_000.0
DESTINATIONS = 20
AROUND = 5  # days that make one sample
PATIENCE = 100_000  # rounds of upkeep: more would be no upkeep


@dataclass(slots=True)
class Sample:
    """The days of one sample."""

    per_thousand: list[float] = field(default_factory=list)  # ms of claim and settle
    fresh: list[float] = field(default_factory=list)  # the same in a fresh database
    rounds: list[int] = field(default_factory=list)  # of upkeep, until nothing is left
    longest: float = 0.0  # ms of the longest round
    mib: float = 0.0
    free_mib: float = 0.0
    jobs: int = 0
    overview: float = 0.0  # ms of what `ekiden status` asks of the queue


def rows(name: str, number: int) -> list[NewDelivery]:
    """A day's recipients, evenly spread: no lane is left to be drained alone."""
    merge = b'{"name":"%s","city":"Osaka","points":"120","code":"EK-1","company":"Some Ltd."}'
    return [
        NewDelivery(
            f"user{row}.{name.replace(' ', '')}@d{row % DESTINATIONS}.example",
            f"d{row % DESTINATIONS}.example",
            merge % str(row).encode(),
            row + 1,
        )
        for row in range(number)
    ]


class Calendar:
    """One database through the days.

    Args:
        db: The database.
        daily: Recipients of a day's campaign.
        singles: Jobs of one message a day.
    """

    def __init__(self, db: Database, daily: int, singles: int) -> None:
        self.db = db
        self.queue = Queue(db)
        self._daily = daily
        self._singles = singles
        self.now = START
        self._upkeep = Upkeep(
            self.queue,
            Clock(lambda: self.now, lambda: self.now),
            UpkeepOptions(KEEP, 0.0),
            due=lambda: None,
            save=self._nothing,
            sweep=lambda _: 0,
            forget=self._none,
            give_back=db.give_back,
        )

    async def _nothing(self) -> None:
        pass

    async def _none(self, _now: float) -> int:
        return 0

    async def day(self, name: str) -> float:
        """A day's jobs come in and go out; return the ms of claim and settle for a thousand."""
        campaign = self._job(name)
        job_id = await self.queue.add_job(campaign)
        await self.queue.add_deliveries(job_id, rows(name, self._daily))
        await self.queue.open_job(job_id, self.now, refused=0)
        await asyncio.gather(*(self._single(name, number) for number in range(self._singles)))
        self.now += 3600.0
        messages = self._daily + self._singles
        rate = await drain(self.queue, messages, self.now)
        while messages:  # what was deferred
            self.now += 3600.0
            await drain(self.queue, messages, self.now)
            messages = (await self.queue.deliveries())[State.READY]
        while ended := await self.queue.finished_jobs():
            await asyncio.gather(*(self.queue.mark_done(job.id, self.now) for job in ended))
        return 1e6 / rate

    async def _single(self, name: str, number: int) -> None:
        row = NewDelivery(f"single{number}@d{number % 7}.example", f"d{number % 7}.example")
        await self.queue.submit_job(self._job(f"{name} {number}"), [row], self.now)

    def _job(self, uid: str) -> NewJob:
        return NewJob(
            uid, uid, "a@b.example", "b.example", b"content" * 400, self.now, self.now + DAY
        )

    async def keep_up(self) -> tuple[int, float]:
        """Let upkeep run until it rests; return its rounds and the longest of them, ms."""
        longest = 0.0
        for number in range(1, PATIENCE):
            before = await self._rows()
            begin = time.perf_counter()
            await self._upkeep.round()
            longest = max(longest, (time.perf_counter() - begin) * 1000)
            self.now += INTERVAL
            if await self._rows() == before:
                return number, longest
        raise SystemExit("upkeep does not come to an end")

    async def _rows(self) -> tuple[int, ...]:
        [found] = await self.db.read(
            "SELECT (SELECT count(*) FROM job WHERE folded_at IS NULL), page_count, "
            "freelist_count FROM pragma_page_count, pragma_freelist_count"
        )
        return found


async def year(folder: Path, days: int, daily: int, singles: int) -> dict[int, Sample]:
    """Live through the days; return what was sampled, by day."""
    sampled = sorted({day for day in (1, 30, 180, 365, days) if day <= days})
    samples = {day: Sample() for day in sampled}
    path = folder / "year.db"
    calendar = Calendar(await Database.open(path), daily, singles)
    for today in range(1, days + 1):
        near = next((d for d in sampled if _near(today, d)), 0)
        morning = calendar.now
        cost = await calendar.day(f"day {today}")
        rounds, longest = await calendar.keep_up()
        calendar.now = morning + DAY
        if not near:
            continue
        sample = samples[near]
        sample.per_thousand.append(cost)
        sample.rounds.append(rounds)
        sample.longest = max(sample.longest, longest)
        sample.fresh.append(await _fresh(folder / f"fresh {today}.db", daily, singles))
        sample.mib = path.stat().st_size / 2**20
        await _sizes(calendar, sample)
        print(
            f"day {today}: {cost:.0f} ms a thousand, {sample.fresh[-1]:.0f} in a fresh one",
            flush=True,
        )
    await calendar.db.close()
    return samples


def _near(today: int, sampled: int) -> bool:
    """Whether a day belongs to a sample: it and those before, but the first days for day 1."""
    first = sampled if sampled == 1 else sampled - AROUND + 1
    return first <= today < first + AROUND


async def _fresh(path: Path, daily: int, singles: int) -> float:
    calendar = Calendar(await Database.open(path), daily, singles)
    try:
        return await calendar.day("day")
    finally:
        await calendar.db.close()
        for file in path.parent.glob(f"{path.name}*"):
            file.unlink()


async def _sizes(calendar: Calendar, sample: Sample) -> None:
    [(free, sample.jobs)] = await calendar.db.read(
        "SELECT freelist_count, (SELECT count(*) FROM job) FROM pragma_freelist_count"
    )
    sample.free_mib = free * 4096 / 2**20
    begin = time.perf_counter()
    await calendar.queue.overview()
    await calendar.queue.heads()
    sample.overview = (time.perf_counter() - begin) * 1000


def show(samples: dict[int, Sample]) -> None:
    print(
        "| day | claim + settle, ms a thousand | in a fresh database | ratio | upkeep a day "
        "| longest round | database | of it free | jobs known | status |\n" + "|---" * 10 + "|"
    )
    for day, one in samples.items():
        pairs = zip(one.per_thousand, one.fresh, strict=True)
        ratio = statistics.median(aged / new for aged, new in pairs)
        print(
            f"| {day} | {statistics.median(one.per_thousand):.0f} "
            f"| {statistics.median(one.fresh):.0f} | {ratio:.2f} "
            f"| {statistics.median(one.rounds) * INTERVAL:.0f} s | {one.longest:.0f} ms "
            f"| {one.mib:.0f} MiB | {one.free_mib:.0f} MiB | {one.jobs:,} | {one.overview:.1f} ms |"
        )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--days", type=int, default=365)
    parser.add_argument("--daily", type=int, default=3000, help="recipients of a day's campaign")
    parser.add_argument("--singles", type=int, default=100, help="jobs of one message a day")
    parser.add_argument("--folder", type=Path, help="where the databases are made, for a time")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=asked.folder) as folder:
        show(asyncio.run(year(Path(folder), asked.days, asked.daily, asked.singles)))


if __name__ == "__main__":
    main()
