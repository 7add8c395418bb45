"""Does the engine find what a receiver allows by itself, and stay there? On a virtual clock.

    python -m bench.adaptation [--hours 2] [--random 60]

The scheduler of the daemon, the classifier and the lessons it draws, against receivers that count
what reaches them and answer in providers' words (`tests/limited_world.py`). No cap is configured:
every limit is hidden. For each: the share of the limit that was used in the second half of the run,
the share of 4xx in all of it, and minutes until 90 % of a limit that has doubled is used.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from adaptation_cases import (
    CASES,
    Figures,
    full_speed_after,
    measure,
    neighbours,
    random_case,
    recovery,
)


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hours", type=float, default=2.0, help="simulated, for each receiver")
    parser.add_argument("--random", type=int, default=0, help="receivers drawn by seed, instead")
    given = parser.parse_args()
    hours = given.hours
    if given.random:
        _random(given.random, hours)
        return
    print(f"{'receiver':<44} {'limit':>9} {'used':>7} {'4xx':>7} {'doubled':>9}")
    for case in CASES:
        found: Figures = measure(case, hours)
        minutes = recovery(case)
        print(
            f"{case.name:<44} {found.limit:>7.2f}/s {found.used:>7.1%} {found.refused:>7.2%}"
            f" {minutes:>5.0f} min"
        )
    print(f"\nnever throttles: all 20 sessions after {full_speed_after():.0f} s")
    for what, share in neighbours().items():
        print(f"{what}: the others keep {share:.1%} of their rate")


def _random(number: int, hours: float) -> None:
    """Print the figures of receivers that nobody has thought of, and how they are distributed."""
    rows = []
    for seed in range(number):
        case = random_case(seed)
        found, minutes = measure(case, hours), recovery(case)
        rows.append((found.used, found.refused, minutes))
        print(
            f"{case.name:<80} {found.limit:>6.2f}/s {found.used:>7.1%} {found.refused:>7.2%}"
            f" {minutes:>5.0f} min",
            flush=True,
        )
    used, refused, minutes_ = (sorted(column) for column in zip(*rows, strict=True))
    tenth, half = number // 10, number // 2
    print(f"used     median {used[half]:.1%}, a tenth under {used[tenth]:.1%}, least {used[0]:.1%}")
    print(
        f"4xx      median {refused[half]:.2%}, a tenth over {refused[-1 - tenth]:.2%},"
        f" most {refused[-1]:.2%}"
    )
    print(f"doubled  median {minutes_[half]:.0f} min, a tenth over {minutes_[-1 - tenth]:.0f} min")


if __name__ == "__main__":
    main()
