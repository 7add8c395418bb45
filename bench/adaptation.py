"""Does the engine find what a receiver allows by itself, and stay there? On a virtual clock.

    python -m bench.adaptation [--hours 2] [--random 60 [--from 60]] [--quotas 5]

The scheduler of the daemon, the classifier and the lessons it draws, against receivers that count
what reaches them and answer in providers' words (`tests/limited_world.py`). No cap is configured:
every limit is hidden. For each: the share of the limit that was used in the second half of the run,
the share of 4xx in all of it, and minutes until 90 % of a limit that has doubled is used. With
`--quotas`: limits that are counted by the hour, hour for hour; by the clock the first has two.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from adaptation_cases import (
    CASES,
    QUOTAS,
    SMALL_QUOTAS,
    Figures,
    by_the_hour,
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
    parser.add_argument("--from", dest="first", type=int, default=0, help="the first seed")
    parser.add_argument("--quotas", type=int, default=0, help="hours of hourly quotas, instead")
    given = parser.parse_args()
    hours = given.hours
    if given.quotas:
        _quotas(given.quotas)
        return
    if given.random:
        _random(range(given.first, given.first + given.random), hours)
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


def _quotas(hours: int) -> None:
    """Print what is used and refused of hourly quotas in each hour."""
    for case in (*QUOTAS, *SMALL_QUOTAS):
        found = by_the_hour(case, hours)
        each = (f"{one.used:>7.1%} {one.refused:>6.2%}" for one in found)
        tried = sum(one.used / (1 - one.refused) for one in found)
        refused = 1 - sum(one.used for one in found) / tried
        print(f"{case.name:<28}" + "  ".join(each) + f"  all {refused:.2%}", flush=True)


def _random(seeds: range, hours: float) -> None:
    """Print the figures of receivers that nobody has thought of, and how they are distributed."""
    rows = []
    for seed in seeds:
        case = random_case(seed)
        found, minutes = measure(case, hours), recovery(case)
        rows.append((found.used, found.refused, minutes))
        print(
            f"{case.name:<80} {found.limit:>6.2f}/s {found.used:>7.1%} {found.refused:>7.2%}"
            f" {minutes:>5.0f} min",
            flush=True,
        )
    used, refused, minutes_ = (sorted(column) for column in zip(*rows, strict=True))
    number = len(rows)
    tenth, half = number // 10, number // 2
    well, soon = sum(one >= 0.9 for one in used), sum(one <= 5 for one in minutes_)
    few = sum(one < 0.02 for one in refused)
    print(f"of {number}: 90 % used by {well}, 4xx under 2 % at {few}, doubled within 5 min {soon}")
    print(f"used     median {used[half]:.1%}, a tenth under {used[tenth]:.1%}, least {used[0]:.1%}")
    print(
        f"4xx      median {refused[half]:.2%}, a tenth over {refused[-1 - tenth]:.2%},"
        f" most {refused[-1]:.2%}"
    )
    print(
        f"doubled  median {minutes_[half]:.0f} min, a tenth over {minutes_[-1 - tenth]:.0f} min,"
        f" most {minutes_[-1]:.0f} min"
    )


if __name__ == "__main__":
    main()
