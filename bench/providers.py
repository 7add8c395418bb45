"""Every shipped profile against a receiver of its own, on a virtual clock.

    python -m bench.providers [--hours 1.5] [--jitter 0.1] [NAME ...]

The scheduler of the daemon with the profile's caps and reactions, the classifier, and a receiver
that speaks the provider's words (`tests/provider_cases.py`). "tighter": it enforces half of the
profile's sessions and messages a session. "rated": a rate that nobody published, half of what the
profile's sessions could carry. For both the share of its limit that was used in the second half of
the run, the share of 4xx in all of it, and minutes until 90 % of a doubled limit is used. "full" is
how long one that never throttles waits for 90 % of what the profile allows. Where its words ask for
a rest (TSS04), "rests" stands for the rate: nothing is sent for as long as they say.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from provider_cases import WORDS, Words, follows, full_speed, measure, of_profile, rated, tighter


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hours", type=float, default=1.5, help="simulated, for each receiver")
    parser.add_argument("--jitter", type=float, default=0.0, help="share by which times vary")
    parser.add_argument("names", nargs="*", help="of profiles; all of them if none is given")
    given = parser.parse_args()
    print(
        f"{'profile':<15} {'its numbers':<17} {'used':>6} {'4xx':>6}"
        f"  {'tighter':<9} {'used':>6} {'4xx':>6} {'doubled':>7}"
        f"  {'rated':>7} {'used':>6} {'4xx':>6} {'doubled':>7}  {'full':>5}"
    )
    for words in WORDS:
        if not given.names or words.name in given.names:
            print(_row(words, given.hours, given.jitter), flush=True)


def _row(words: Words, hours: float, jitter: float) -> str:
    own = of_profile(words.name)
    said = measure(words, own, hours, jitter)
    tight = measure(words, tighter(words.name), hours, jitter)
    row = (
        f"{words.name:<15} {own!s:<17} {said.used:>6.1%} {said.refused:>6.2%}"
        f"  {tight.limits!s:<9} {tight.used:>6.1%} {tight.refused:>6.2%}"
        f" {follows(words, tight.limits):>3.0f} min"
    )
    full = f"{full_speed(words):>3.0f} s"
    if words.rests and not words.resets:
        rests = f"rests {words.rests / 3600:g} h"
        return f"{row}  {rests:<31}  {full}"
    rate = measure(words, rated(words.name), hours, jitter)
    return (
        f"{row}  {rate.limits.rate:>5.1f}/s {rate.used:>6.1%} {rate.refused:>6.2%}"
        f" {follows(words, rate.limits):>3.0f} min  {full}"
    )


if __name__ == "__main__":
    main()
