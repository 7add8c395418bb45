"""Ten simulated weeks of warm-up: five sources, six providers, bad days; every turn explained.

    python -m bench.warmup [--days 70] [--seed 7] [--all]

The real scheduler and ramps on a virtual clock; receivers are functions that have bad days at
random. Prints each hold and step back with its reason, the stages of every road week by week, and
whether any day was above its cap, counted from outside. Time: about 20 s.
"""

import argparse
import sys
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from ekiden.shaping.evidence import Verdict
from warmup_world import Silent, Weeks, bad_days


def main() -> int:
    """Run it; the exit code says whether a cap was passed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--days", type=int, default=70)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--all", action="store_true", help="print the good days, too")
    options = parser.parse_args()
    plain = Weeks()
    weeks = Weeks(
        days=options.days,
        bad=bad_days(options.seed, options.days, plain.sources, plain.providers),
        silent=(Silent(20, 21), Silent(27, 28)),
        restarts=(10, 33, 50),
    )
    stages: dict[tuple[str, str], list[str]] = {}

    def note(world: Weeks, number: int) -> None:
        if number % 7 == 0:
            for view in world.ramps.views(world.sources, world.providers, world.world.now):
                cap = "warm" if view.done else str(view.allowance)
                stages.setdefault((view.source, view.provider), []).append(cap)

    began = time.perf_counter()
    weeks.run(note)
    took = time.perf_counter() - began

    print("holds, steps back and other turns")
    for turn in weeks.turns:
        if options.all or turn.verdict is not Verdict.PASSED:
            day = weeks.date_of(weeks.day_of(turn.at) - 1)
            change = f"{turn.before} -> {turn.after or 'no cap'}"
            where = f"{turn.source} {turn.provider:<8} {turn.verdict:<7}"
            print(f"{day} {where} {change:<14} {turn.reason}")
    print("\nallowance at the start of each week")
    for (source, provider), caps in stages.items():
        print(f"{source} {provider:<8} {' '.join(f'{cap:>5}' for cap in caps)}")
    counts = Counter(str(turn.verdict) for turn in weeks.turns)
    over = weeks.over()
    print(
        f"\n{options.days} days, {len(weeks.sent):,} days of a source at a provider, "
        f"{sum(weeks.sent.values()):,} messages in {took:.1f} s"
    )
    print(", ".join(f"{number:,} {verdict}" for verdict, number in counts.most_common()))
    print(f"days above their cap: {len(over)}")
    return 1 if over else 0


if __name__ == "__main__":
    sys.exit(main())
