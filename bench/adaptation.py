"""Does the engine find what a receiver allows by itself, and stay there? On a virtual clock.

    python -m bench.adaptation [--hours 2]

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
    recovery,
)


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hours", type=float, default=2.0, help="simulated, for each receiver")
    hours = parser.parse_args().hours
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


if __name__ == "__main__":
    main()
