"""How late the event loop is while a filled queue drains, and what made it late.

    python -m bench.lag [--algorithm rsa] [--messages 14000] [--seconds 4] [--rounds 3]

`ekiden run` on its defaults, only caps raised, against smtp-sink; observed by bench/loop.py.
"""

import argparse
import json
import shutil
import tempfile
import time
from pathlib import Path

from bench.first import Watched
from bench.run import LIMIT
from bench.senders import Bench, wait_for
from bench.sink import Sink
from bench.work import Work

_WARM_UP = 0.6  # seconds of the drain that are not looked at: sessions open


def measure(work: Work, place: Path, seconds: float) -> str:
    """Return the figures of one drain in a line."""
    directory = Path(tempfile.mkdtemp(prefix="lag-", dir=place))
    try:
        with Sink() as sink:
            sender = Watched(Bench(work, sink, directory, held=True))
            sender.start()
            try:
                sender.submit()
                wait_for(lambda: sender.queued() >= work.messages, seconds=LIMIT, what="filling")
                time.sleep(1.0)
                sender.release()
                time.sleep(_WARM_UP)
                sender.begin()
                before, began = sender.delivered(), time.perf_counter()
                time.sleep(seconds)
                rate = (sender.delivered() - before) / (time.perf_counter() - began)
                found = sender.observed()
            finally:
                sender.close()
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    lag = ", ".join(f"{part} {found[f'lag_{part}_ms']:.1f} ms" for part in ("p50", "p99", "max"))
    return f"{rate:6,.0f} messages/s  lag {lag}  of the late ones {json.dumps(found['late_ms'])}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--algorithm", choices=("rsa", "ed25519", ""), default="rsa")
    parser.add_argument("--messages", type=int, default=14_000)
    parser.add_argument("--destinations", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    place = Path(__file__).resolve().parent / "out"
    place.mkdir(exist_ok=True)
    work = Work(asked.messages, 4096, asked.destinations, asked.algorithm)
    for _ in range(asked.rounds):
        print(measure(work, place, asked.seconds), flush=True)


if __name__ == "__main__":
    main()
