"""From a job of a million recipients in the spool to its first delivery, in the running daemon.

    python -m bench.first [--messages 1000000] [--destinations 1000] [--seconds 10]

`ekiden run` on its defaults, only caps raised; smtp-sink receives. Printed: seconds from the rename
into new/ until the job is open (accepted, durable), until the receiver has a message, and until a
delivery is recorded; the event loop's lag from the rename to there, and then for some seconds of
delivery; what the late moments were made of (bench/loop.py). `--others` keeps a small job going
meanwhile, so that intake and delivery share the loop.
"""

import argparse
import json
import os
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from bench.ours import Ekiden
from bench.senders import Bench, wait_for
from bench.sink import Sink
from bench.work import Work, job_toml, recipients_csv, templates

_LIMIT = 180.0


class Watched(Ekiden):
    """Ekiden with its loop observed."""

    def __init__(self, bench: Bench, **options: Any) -> None:
        super().__init__(bench, **options)
        self.seen = bench.directory / "loop.json"
        self.launcher = (sys.executable, "-m", "bench.loop", str(self.seen), "run")

    def begin(self) -> None:
        """Observe from now on."""
        os.kill(self.cage.pid, signal.SIGUSR1)

    def observed(self) -> dict[str, Any]:
        """Return what was seen since `begin`."""
        self.seen.unlink(missing_ok=True)
        os.kill(self.cage.pid, signal.SIGUSR2)
        wait_for(lambda: bool(_text(self.seen)), seconds=30, what="the observer's report")
        time.sleep(0.1)
        found: dict[str, Any] = json.loads(_text(self.seen))
        return found

    def opened(self) -> bool:
        """Whether the largest job is open."""
        assert self._reader is not None
        row = self._reader.execute(
            "SELECT 1 FROM job WHERE state <> 'receiving' AND total >= ?",
            (self.bench.work.messages,),
        ).fetchone()
        return row is not None

    def others(self, messages: int) -> None:
        """Hand in another job."""
        job = self._root / "spool" / "tmp" / "others"
        job.mkdir()
        text, html = templates(self.bench.work.size)
        (job / "job.toml").write_text(job_toml(), "utf-8")
        (job / "body.txt").write_text(text, "utf-8")
        (job / "body.html").write_text(html, "utf-8")
        work = Work(messages, self.bench.work.size, self.bench.work.destinations)
        (job / "recipients.csv").write_text(recipients_csv(work), "utf-8")
        job.rename(self._root / "spool" / "new" / "others")


def _text(path: Path) -> str:
    return path.read_text("utf-8") if path.exists() else ""


def measure(work: Work, place: Path, seconds: float, others: int) -> dict[str, Any]:
    directory = Path(tempfile.mkdtemp(prefix="first-", dir=place))
    directory.chmod(0o755)
    try:
        with Sink() as sink:
            sender = Watched(Bench(work, sink, directory))
            sender.start()
            try:
                if others:
                    sender.others(others)
                    wait_for(lambda: sink.count > 0, seconds=_LIMIT, what="the other job")
                return _measure(sender, sink, seconds)
            finally:
                sender.close()
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _measure(sender: Watched, sink: Sink, seconds: float) -> dict[str, Any]:
    found: dict[str, Any] = {}
    before, recorded = sink.count, sender.delivered()
    sender.cage.begin()
    sender.begin()
    began = time.perf_counter()
    sender.submit()
    wait_for(sender.opened, seconds=_LIMIT, what="opening the job", pause=0.01)
    found["seconds_to_open"] = round(time.perf_counter() - began, 2)
    found["delivered_meanwhile"] = sender.delivered() - recorded
    if not found["delivered_meanwhile"]:
        wait_for(lambda: sink.count > before, seconds=_LIMIT, what="a message", pause=0.01)
        found["seconds_to_first_message"] = round(time.perf_counter() - began, 2)
        wait_for(lambda: sender.delivered() > recorded, seconds=_LIMIT, what="a record", pause=0.01)
        found["seconds_to_first_record"] = round(time.perf_counter() - began, 2)
    found["loop_in_intake"] = sender.observed()
    sender.begin()
    before = sender.delivered()
    began = time.perf_counter()
    time.sleep(seconds)
    found["messages_per_second"] = round(
        (sender.delivered() - before) / (time.perf_counter() - began)
    )
    found["loop_in_delivery"] = sender.observed()
    found["peak_mib"] = round(sender.cage.end().peak_mib)
    return found


def show(found: dict[str, Any], *, deep: bool) -> None:
    """Print what was found; with `deep`, what the loop did while it was late."""
    for name, value in found.items():
        if not isinstance(value, dict):
            print(f"{name:28} {value}")
            continue
        print(f"{name:28} " + json.dumps({k: v for k, v in value.items() if k.startswith("lag")}))
        if deep:
            for key in ("seconds", "late", "late_ms", "longest", "gc", "gc_ms"):
                print(f"    {key:12} {json.dumps(value[key])}")
            for key in ("stacks", "others"):
                for stack, count in value[key]:
                    print(f"    {key:7} {count:5} {stack}")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--messages", type=int, default=1_000_000)
    parser.add_argument("--destinations", type=int, default=1000)
    parser.add_argument("--size", type=int, default=4096)
    parser.add_argument("--algorithm", choices=("rsa", "ed25519", ""), default="rsa")
    parser.add_argument("--seconds", type=float, default=10.0, help="of delivery")
    parser.add_argument("--others", type=int, default=0, metavar="N", help="messages on their way")
    parser.add_argument("--deep", action="store_true", help="what the loop did while it was late")
    asked = parser.parse_args()
    place = Path(__file__).resolve().parent / "out"
    place.mkdir(exist_ok=True)
    work = Work(asked.messages, asked.size, asked.destinations, asked.algorithm)
    show(measure(work, place, asked.seconds, asked.others), deep=asked.deep)


if __name__ == "__main__":
    main()
