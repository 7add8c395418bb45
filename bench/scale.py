"""A daemon with five million queued deliveries beside one with five thousand.

    python -m bench.scale [5000000] [--rounds 5] [--destinations 20] [--algorithm rsa ed25519]

Two daemons on their defaults, only caps raised, each with an smtp-sink of its own. One is handed
job files of a million recipients with five merge columns until so many are queued (all suspended,
as a person would do it); the other one file of 5,000 before each round. In turn each is let go, and
the time is taken in which its receiver gets 4,000 messages of the middle of those 5,000. Printed:
both rates and their ratio, pair by pair; the large daemon's resident memory, now and at its peak
since it started, intake included; and the time from the beginning of its process until its receiver
has a message, after an ordered end and after kill -9, and the CPU time that it took for it.
"""

import argparse
import asyncio
import csv
import os
import shutil
import signal
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from bench.ours import Ekiden, log_of
from bench.senders import Bench, wait_for
from bench.sink import Sink
from bench.work import FIELDS, Work, job_toml, row, templates

SMALL = 5000
FILE = 1_000_000  # recipients in one job file
_EDGE = SMALL // 10  # messages at each end of a round that are not looked at
_PATIENCE = 600.0
_PAUSE = 0.005
_TICKS = os.sysconf("SC_CLK_TCK")


class Standing(Ekiden):
    """A daemon that is handed one job after another, and started again on what it has."""

    def _lay_out(self) -> None:
        """Jobs are handed in one by one."""

    def hand_in(self, name: str, first: int, number: int) -> None:
        """Put a job of recipients `first` and following into the spool."""
        work = self.bench.work
        job = self._root / "spool" / "tmp" / name
        job.mkdir()
        text, html = templates(work.size)
        (job / "job.toml").write_text(job_toml(), "utf-8")
        (job / "body.txt").write_text(text, "utf-8")
        (job / "body.html").write_text(html, "utf-8")
        with (job / "recipients.csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(("email", *FIELDS))
            writer.writerows(row(n, work.destinations) for n in range(first, first + number))
        job.rename(self._root / "spool" / "new" / name)

    def hold(self) -> None:
        """Let nothing go out."""
        asyncio.run(self._hold())

    def again(self, algorithm: str) -> None:
        """Start on the same queue, with another key."""
        (self._root / "bench.pem").unlink()
        (self._root / "ekiden.log").unlink()
        self.bench = replace(
            self.bench, held=False, work=replace(self.bench.work, algorithm=algorithm)
        )
        self.start()

    def age(self) -> tuple[float, float]:
        """Seconds since the daemon's process began, by the kernel's ticks; and of its CPU."""
        stat = Path(f"/proc/{self.cage.pid}/stat").read_text("ascii")
        fields = stat[stat.rindex(")") + 2 :].split()
        user, system, began = (int(fields[at]) / _TICKS for at in (11, 12, 19))
        return time.clock_gettime(time.CLOCK_BOOTTIME) - began, user + system

    def memory(self) -> tuple[float, float]:
        """Resident memory now and at its peak, MiB."""
        status = Path(f"/proc/{self.cage.pid}/status").read_text("ascii")
        lines = dict(line.split(":", 1) for line in status.splitlines())
        now, peak = (int(lines[name].split()[0]) / 1024 for name in ("VmRSS", "VmHWM"))
        return now, peak


def rate(sender: Standing) -> float:
    """Let a held queue go, take the time of the middle of 5,000, hold it again."""
    sink = sender.bench.sink
    before = sink.count
    sender.release()
    wait_for(lambda: sink.count >= before + _EDGE, seconds=60, what="the first", pause=_PAUSE)
    began, first = time.perf_counter(), sink.count
    end = before + SMALL - _EDGE
    wait_for(lambda: sink.count >= end, seconds=60, what="a round", pause=_PAUSE)
    found = (sink.count - first) / (time.perf_counter() - began)
    sender.hold()
    _until_still(sink)
    return found


def _until_still(sink: Sink) -> None:
    """Wait until nothing has arrived for a while."""
    last = -1
    while sink.count != last:
        last = sink.count
        time.sleep(0.7)


def restart(
    sender: Standing, algorithm: str, stop: Callable[[Standing], None]
) -> tuple[float, float, float]:
    """Stop a daemon that delivers, start it again.

    Returns:
        Seconds until its receiver has a message; until it says that it runs, which is what the
        interpreter and imports take, whatever is queued; and CPU seconds until that message.
    """
    sink = sender.bench.sink
    before = sink.count
    sender.release()
    wait_for(lambda: sink.count > before + _EDGE, seconds=60, what="delivery", pause=_PAUSE)
    stop(sender)
    _until_still(sink)
    before = sink.count
    sender.again(algorithm)
    runs, _ = sender.age()
    wait_for(lambda: sink.count > before, seconds=60, what="a message", pause=0.001)
    took, cpu = sender.age()
    sender.hold()
    _until_still(sink)
    return took, min(runs, took), cpu


def _orderly(sender: Standing) -> None:
    sender.close()


def _kill(sender: Standing) -> None:
    os.kill(sender.cage.pid, signal.SIGKILL)
    sender.close()


def fill(sender: Standing, number: int) -> float:
    """Hand in job files until so many are queued; return rows a second."""
    began, waited = time.perf_counter(), 0.0
    for start in range(0, number, FILE):
        several = min(FILE, number - start)
        sender.hand_in(f"job{start}", start, several)
        handed = time.perf_counter()
        wait_for(
            lambda end=start + several: sender.queued() >= end,  # type: ignore[misc]  # bound now
            seconds=_PATIENCE,
            what="intake",
        )
        waited += time.perf_counter() - handed
    took = time.perf_counter() - began
    print(f"{number:,} queued in {took:.0f} s, {waited:.0f} of it intake", flush=True)
    return number / waited


def measure(large: Standing, small: Standing, number: int, rounds: int, kinds: list[str]) -> None:
    print(f"{'intake':34}{fill(large, number):,.0f} rows/s")
    print(f"{'resident now, peak':34}" + "{:.0f} MiB, {:.0f} MiB".format(*large.memory()))
    for which, kind in enumerate(kinds):
        if which:
            for sender in (large, small):
                sender.close()
                sender.again(kind)
        pairs = []
        for again in range(rounds):
            # Other recipients each time: the same job twice is one job.
            small.hand_in(f"small-{kind}-{again}", (which * rounds + again) * SMALL, SMALL)
            wait_for(lambda: small.queued() >= SMALL, seconds=60, what="intake")
            time.sleep(1.0)
            pairs.append((rate(small), rate(large)))
            _until_still(small.bench.sink)
            small.release()  # the few that are left
            wait_for(lambda: small.queued() == 0, seconds=60, what="the end of a round")
            small.hold()
            print(f"  {kind}: {pairs[-1][0]:,.0f} and {pairs[-1][1]:,.0f} messages/s", flush=True)
        ratios = sorted(of_large / of_small for of_small, of_large in pairs)
        for name, of in ((f"{SMALL:,}", 0), (f"{number:,}", 1)):
            middle = statistics.median(pair[of] for pair in pairs)
            print(f"{f'{kind}, {name} queued':34}{middle:,.0f} messages/s")
        print(
            f"{f'{kind}, ratio within a pair':34}{statistics.median(ratios):.2f} "
            f"[{ratios[0]:.2f}-{ratios[-1]:.2f}]"
        )
        print(f"{'resident now, peak':34}" + "{:.0f} MiB, {:.0f} MiB".format(*large.memory()))
    for what, stop in (("an ordered end", _orderly), ("kill -9", _kill)):
        took = [restart(large, kinds[-1], stop) for _ in range(3)]
        each = ", ".join(
            f"{first:.2f} s ({runs:.2f} until it runs; CPU {cpu:.2f})" for first, runs, cpu in took
        )
        print(f"{f'restart to first send, {what}':44}{each}")
    print(f"{'resident now, peak':34}" + "{:.0f} MiB, {:.0f} MiB".format(*large.memory()))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("number", type=int, nargs="?", default=5_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--destinations", type=int, default=20)
    parser.add_argument(
        "--algorithm", nargs="+", choices=("rsa", "ed25519"), default=["rsa", "ed25519"]
    )
    asked = parser.parse_args()
    place = Path(__file__).resolve().parent / "out"
    place.mkdir(exist_ok=True)
    work = Work(SMALL, 4096, asked.destinations, asked.algorithm[0])
    folder = Path(tempfile.mkdtemp(prefix="scale-", dir=place))
    started: list[Standing] = []
    try:
        with Sink() as one, Sink() as other:
            for name, sink in (("large", one), ("small", other)):
                (folder / name).mkdir()
                sender = Standing(Bench(work, sink, folder / name, held=True))
                started.append(sender)
                sender.start()
            try:
                measure(*started, asked.number, asked.rounds, asked.algorithm)
            except TimeoutError:
                for sender in started:
                    print(log_of(sender.bench.directory)[-4000:], flush=True)
                raise
            finally:
                for sender in started:
                    sender.close()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
