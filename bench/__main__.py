"""The comparison: Ekiden and other mailers in turn, on this machine, against the same sink.

    make bench
    python -m bench [--messages 10000] [--rounds 3] [--only WORDS] [--json FILE] [--chart FILE]
    python -m bench --only "4 KB, 20"      # the lines whose label has these words

Each round runs every sender once, so that a noisy minute hits all of them; ratios are taken within
a round. Work is handed in as files (Ekiden) or over SMTP (the others) and ends with the last
message at the sink; everything is durable, but for the naive program, which has no queue. A sender
that cannot be had here is skipped, and says why. `.ci/receivers DIRECTORY` fetches the peers that
do not install beside each other, and `EKIDEN_MTAS=DIRECTORY` says where they are.
"""

import argparse
import json
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256

from bench.chart import chart
from bench.exim import Exim
from bench.haraka import Haraka
from bench.naive import Naive
from bench.opensmtpd import OpenSmtpd
from bench.ours import Ekiden, Plodding
from bench.postfix import Postfix, PostfixOpenDkim
from bench.run import DRAIN, FULL, Result, measure
from bench.senders import Sender, SkippedError
from bench.table import label, table
from bench.work import Work

KIB = 1024


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the table: who sends what, how, and which share of the messages (the slow: few)."""

    sender: type[Sender]
    algorithm: str
    mode: str
    share: float
    size: int = 4 * KIB
    destinations: int = 20

    def work(self, messages: int) -> Work:
        """Return its work when the whole is so many messages."""
        number = max(100, int(messages * self.share))
        return Work(number, self.size, self.destinations, self.algorithm)


PLAN: tuple[Line, ...] = (
    Line(Ekiden, "rsa", FULL, 1.0),
    Line(Ekiden, "rsa", DRAIN, 1.0),
    Line(Ekiden, "ed25519", FULL, 2.0),
    Line(Ekiden, "ed25519", DRAIN, 2.0),
    Line(Plodding, "rsa", DRAIN, 1.0),
    Line(Plodding, "ed25519", DRAIN, 2.0),
    Line(PostfixOpenDkim, "rsa", FULL, 0.3),
    Line(Postfix, "", FULL, 0.4),
    Line(Postfix, "", DRAIN, 0.4),
    Line(Exim, "rsa", FULL, 0.1),
    Line(OpenSmtpd, "rsa", FULL, 0.1),
    Line(Haraka, "rsa", FULL, 0.15),
    Line(Naive, "rsa", FULL, 0.1),
    Line(Ekiden, "rsa", FULL, 1.0, destinations=1),
    Line(PostfixOpenDkim, "rsa", FULL, 0.2, destinations=1),
    Line(Ekiden, "rsa", FULL, 1.0, destinations=500),
    Line(PostfixOpenDkim, "rsa", FULL, 0.2, destinations=500),
    Line(Ekiden, "rsa", FULL, 0.6, size=30 * KIB),
    Line(Ekiden, "ed25519", FULL, 0.6, size=30 * KIB),
    Line(PostfixOpenDkim, "rsa", FULL, 0.15, size=30 * KIB),
    Line(Postfix, "", FULL, 0.2, size=30 * KIB),
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
    parser.add_argument("--messages", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default="", help="lines whose label has these words")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--chart", type=Path)
    asked = parser.parse_args()
    place = Path(__file__).resolve().parent / "out"
    place.mkdir(exist_ok=True)
    plan = [line for line in PLAN if asked.only.casefold() in _label(line).casefold()]
    plan = _available(plan)
    if not plan:
        sys.exit(f"no line of the plan has the words {asked.only!r}, or none can be run here")
    rounds: list[list[Result]] = []
    signing: list[float] = []
    for number in range(asked.rounds):
        signing.append(signing_rate(2))
        print(f"round {number + 1}: two cores sign {signing[-1]:.0f} RSA-2048 a second", flush=True)
        found = []
        for line in list(plan):
            try:
                result = measure(line.sender, line.work(asked.messages), line.mode, place)
            except (RuntimeError, TimeoutError) as error:
                print(f"left out from here on: {_label(line)}: {error}", file=sys.stderr)
                rounds = [[*done[: len(found)], *done[len(found) + 1 :]] for done in rounds]
                plan.remove(line)
                continue
            found.append(result)
            rate, cpu = f"{result.rate:8.0f} messages/s", f"{result.cpu_ms:6.2f} ms"
            print(f"  {label(result):62} {rate}  {cpu}", flush=True)
        rounds.append(found)
    print()
    print(table(rounds, signing))
    written = {
        "signing": signing,
        "rounds": [[result.as_json() for result in found] for found in rounds],
    }
    (asked.json or place / "bench.json").write_text(json.dumps(written, indent=1))
    (asked.chart or place / "bench.svg").write_text(chart(rounds, signing))


def _label(line: Line) -> str:
    return f"{line.sender.name}, {line.work(1).label}, {line.mode}"


def _available(plan: Sequence[Line]) -> list[Line]:
    """Return the lines whose senders can be had here; say of the others why not."""
    senders = dict.fromkeys(line.sender for line in plan)
    missing = set()
    with tempfile.TemporaryDirectory(prefix="ekiden-bench-") as workspace:
        for sender in senders:
            try:
                sender.prepare(Path(workspace))
            except SkippedError as error:
                print(f"skipped {sender.name}: {error}", file=sys.stderr)
                missing.add(sender)
    return [line for line in plan if line.sender not in missing]


if __name__ == "__main__":
    main()
