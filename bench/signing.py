"""One signing thread and two, in turn: how much the second one adds.

    python -m bench.signing [--pairs 5] [--seconds 3] [--drain] [--messages 4000]

RSA-2048, 4 KB. Each pair measures both, the order turned round from pair to pair, so that a
neighbour's load falls on both: through `SigningThreads` with 64 senders waiting on the event loop,
and beside it bare threads that sign the same and do nothing else, which is what the machine could
give. With `--drain` the whole daemon drains a queue with `dkim.threads` 1 and 2; a second thread
cannot add there what the loop and the sink take of the same cores. Printed: each pair, then the
median of the ratios and their spread.
"""

import argparse
import asyncio
import os
import statistics
from collections.abc import Callable
from pathlib import Path

from bench.ours import Ekiden
from bench.render_sign import LATIN, bare_rate, newsletter, rate, render
from bench.run import DRAIN, measure
from bench.work import Work
from ekiden.dkim.keys import Algorithm, generate
from ekiden.dkim.sign import Signer
from ekiden.message.compile import compile_content

Measure = Callable[[int], float]


def pairs(name: str, messages: Measure, number: int) -> None:
    """Measure with one and two threads in turn and print what came of it."""
    ratios, ones, twos = [], [], []
    for again in range(number):
        found = {threads: messages(threads) for threads in ((1, 2), (2, 1))[again % 2]}
        ones.append(found[1])
        twos.append(found[2])
        ratios.append(found[2] / found[1])
        print(f"  {name}: {found[1]:,.0f} and {found[2]:,.0f}: {ratios[-1]:.2f}", flush=True)
    print(
        f"{name:28} {statistics.median(ones):7,.0f} -> {statistics.median(twos):7,.0f} a second, "
        f"{statistics.median(ratios):.2f} times [{min(ratios):.2f}-{max(ratios):.2f}]",
        flush=True,
    )


def drained(threads: int, messages: int, place: Path) -> float:
    """Messages per second of a daemon with so many signing threads that drains its queue."""
    work = Work(messages, 4096, 20, "rsa")
    return measure(Ekiden, work, DRAIN, place, extra=f"[dkim]\nthreads = {threads}").rate


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3.0, help="for one figure")
    parser.add_argument("--drain", action="store_true", help="the whole daemon, too")
    parser.add_argument("--messages", type=int, default=4000, help="that it drains")
    asked = parser.parse_args()
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    signer = Signer([generate("example.jp", "s1", Algorithm.RSA)])
    message = render(compile_content(newsletter(4096, LATIN)))
    pairs("bare threads", lambda n: bare_rate(signer, message, n, asked.seconds), asked.pairs)
    pairs(
        "SigningThreads",
        lambda n: asyncio.run(rate(signer, message, n, asked.seconds, inline=False)),
        asked.pairs,
    )
    if asked.drain:
        place = Path(__file__).resolve().parent / "out"
        place.mkdir(exist_ok=True)
        pairs("the daemon's drain", lambda n: drained(n, asked.messages, place), asked.pairs)


if __name__ == "__main__":
    main()
