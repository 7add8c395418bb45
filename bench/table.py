"""The comparison as text: a line per sender and work, and Ekiden against the others."""

import statistics
from collections.abc import Sequence

from bench.ours import Ekiden
from bench.run import Result


def label(result: Result) -> str:
    """Return what a line is called."""
    return f"{result.sender}, {result.work.label}, {result.mode}"


def table(rounds: Sequence[Sequence[Result]], signing: Sequence[float]) -> str:
    """Return the table and the ratios.

    Args:
        rounds: The results of each round, in the same order.
        signing: RSA-2048 signatures a second that two cores make, of each round.
    """
    used = f"{'CPU ms':>7} {'MiB':>5} {'sink':>5} {'sessions':>8}"
    lines = [
        f"{'':62} {'messages/s':>20} {used} {'of signing':>10}",
        *(_line(column, signing) for column in zip(*rounds, strict=True)),
        "",
        *_ratios(rounds),
    ]
    return "\n".join(lines)


def middle_of(numbers: Sequence[float]) -> str:
    """Return the median with the least and the most."""
    ordered = sorted(numbers)
    return f"{statistics.median(ordered):.1f}x [{ordered[0]:.1f}-{ordered[-1]:.1f}]"


def _line(column: Sequence[Result], signing: Sequence[float]) -> str:
    rates = sorted(result.rate for result in column)
    spread = f"{statistics.median(rates):.0f} [{rates[0]:.0f}-{rates[-1]:.0f}]"
    cpu = statistics.median(result.cpu_ms for result in column)
    memory = statistics.median(result.used.peak_mib for result in column)
    sink = statistics.median(result.sink_cores for result in column)
    share = statistics.median(
        result.rate / rate for result, rate in zip(column, signing, strict=True)
    )
    of = f"{share:10.2f}" if column[0].work.algorithm == "rsa" else f"{'':10}"
    sessions = statistics.median(result.sessions for result in column)
    used = f"{cpu:7.2f} {memory:5.0f} {sink:5.2f} {sessions:8.0f}"
    return f"{label(column[0]):62} {spread:>20} {used} {of}"


def _ratios(rounds: Sequence[Sequence[Result]]) -> list[str]:
    """Ekiden against the others at the same work, round by round; and large against small."""
    first = rounds[0]
    lines = []
    for ours, mine in enumerate(first):
        if mine.sender != Ekiden.name:
            continue
        for other, theirs in enumerate(first):
            alike = (mine.work.size, mine.work.destinations, mine.mode) == (
                theirs.work.size,
                theirs.work.destinations,
                theirs.mode,
            )
            grown = (mine.work.algorithm, mine.mode, 20) == (
                theirs.work.algorithm,
                theirs.mode,
                theirs.work.destinations,
            ) and mine.work.size > theirs.work.size
            if (theirs.sender != Ekiden.name and alike) or (theirs.sender == Ekiden.name and grown):
                ratio = middle_of([found[ours].rate / found[other].rate for found in rounds])
                lines.append(f"{ratio:>22}  {label(mine)}  against  {label(theirs)}")
    return lines
