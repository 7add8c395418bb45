"""The comparison: Ekiden and other mailers in turn, on this machine, against the same sink.

    make bench
    python -m bench [--messages 5000] [--rounds 3] [--size 4096] [--destinations 20] [--json FILE]

Each round runs every sender once, so that a noisy minute hits all of them; ratios are taken within
a round. Work is handed in as files (Ekiden) or over SMTP (the others) and ends with the last
message at the sink; everything is durable. A sender that cannot be had here is skipped, and says
why.
"""

import argparse
import json
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256

from bench.ours import Ekiden
from bench.postfix import Postfix, PostfixOpenDkim
from bench.run import DRAIN, FULL, Result, measure
from bench.senders import Sender, SkippedError
from bench.work import Work

# Who sends what, how, and which share of the messages: slow senders get fewer.
PLAN: tuple[tuple[type[Sender], str, str, float], ...] = (
    (Ekiden, "rsa", FULL, 1.0),
    (Ekiden, "rsa", DRAIN, 1.0),
    (Ekiden, "ed25519", FULL, 2.0),
    (PostfixOpenDkim, "rsa", FULL, 0.3),
    (Postfix, "", FULL, 0.4),
)


def signing_rate(threads: int, seconds: float = 2.0) -> float:
    """How many RSA-2048 signatures a second `threads` threads make when they do nothing else."""
    key = generate_private_key(65537, 2048)
    counts = [0] * threads
    end = time.perf_counter() + seconds

    def sign(slot: int) -> None:
        while time.perf_counter() < end:
            key.sign(b"x", PKCS1v15(), SHA256())
            counts[slot] += 1

    workers = [threading.Thread(target=sign, args=(slot,)) for slot in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return sum(counts) / seconds


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--messages", type=int, default=5000)
    parser.add_argument("--size", type=int, default=4096)
    parser.add_argument("--destinations", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    place = Path(__file__).parent / "out"
    place.mkdir(exist_ok=True)
    plan = _available()
    results: list[list[Result]] = []
    signing: list[float] = []
    for number in range(asked.rounds):
        signing.append(signing_rate(2))
        print(f"round {number + 1}: two cores sign {signing[-1]:.0f} RSA-2048 a second")
        found = []
        for kind, algorithm, mode, share in plan:
            messages = max(100, int(asked.messages * share))
            work = Work(messages, asked.size, asked.destinations, algorithm)
            result = measure(kind, work, mode, place)
            found.append(result)
            print(f"  {_label(result):44} {result.rate:8.0f} messages/s  {result.cpu_ms:6.2f} ms")
        results.append(found)
    _print(results, signing)
    if asked.json:
        rounds = [[result.as_json() for result in found] for found in results]
        asked.json.write_text(json.dumps({"signing": signing, "rounds": rounds}, indent=1))


def _available() -> list[tuple[type[Sender], str, str, float]]:
    found = []
    with tempfile.TemporaryDirectory(prefix="ekiden-bench-") as workspace:
        for entry in PLAN:
            try:
                entry[0].prepare(Path(workspace))
            except SkippedError as error:
                print(f"skipped {entry[0].name}: {error}", file=sys.stderr)
            else:
                found.append(entry)
    return found


def _label(result: Result) -> str:
    return f"{result.sender}, {result.work.label}, {result.mode}"


def _print(results: Sequence[Sequence[Result]], signing: Sequence[float]) -> None:
    print()
    print(f"{'':44} {'messages/s':>22} {'CPU ms':>8} {'MiB':>6} {'sink':>5} {'of signing':>10}")
    for column in zip(*results, strict=True):
        rates = sorted(result.rate for result in column)
        share = statistics.median(
            result.rate / rate for result, rate in zip(column, signing, strict=True)
        )
        spread = f"{statistics.median(rates):.0f} [{rates[0]:.0f}-{rates[-1]:.0f}]"
        cpu = statistics.median(result.cpu_ms for result in column)
        memory = statistics.median(result.used.peak_mib for result in column)
        sink = statistics.median(result.sink_cores for result in column)
        of = f"{share:10.2f}" if column[0].work.algorithm == "rsa" else f"{'':10}"
        print(f"{_label(column[0]):44} {spread:>22} {cpu:8.2f} {memory:6.0f} {sink:5.2f} {of}")
    _ratios(results)


def _ratios(results: Sequence[Sequence[Result]]) -> None:
    """Ekiden against the others, round by round."""
    first = results[0]
    for ours in range(len(first)):
        for other in range(len(first)):
            if first[ours].sender != Ekiden.name or first[other].sender == Ekiden.name:
                continue
            if first[ours].mode != first[other].mode:
                continue
            ratios = sorted(found[ours].rate / found[other].rate for found in results)
            middle = statistics.median(ratios)
            print(
                f"{middle:5.1f}x [{ratios[0]:.1f}-{ratios[-1]:.1f}]  "
                f"{_label(first[ours])}  against  {_label(first[other])}"
            )


if __name__ == "__main__":
    main()
