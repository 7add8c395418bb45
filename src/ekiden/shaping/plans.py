"""Warm-up plans: lists of daily caps, shipped or one's own. Pure."""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, Final

STAGES_MOST: Final = 366  # a year of days


@dataclass(frozen=True, slots=True)
class Plan:
    """How many messages a cold source may send to one provider, day after day.

    Args:
        name: What the configuration and commands call it.
        days: The caps, rising; one for each stage.
        title: What people call it.
        origin: Where it was read; begins with "ours" where nobody published it.
    """

    name: str
    days: tuple[int, ...]
    title: str = ""
    origin: str = ""

    def __post_init__(self) -> None:
        if not self.days:
            raise ValueError("a plan has at least one day")
        if len(self.days) > STAGES_MOST:
            raise ValueError(f"a plan has at most {STAGES_MOST} days, not {len(self.days)}")
        if self.days[0] < 1 or any(b <= a for a, b in zip(self.days, self.days[1:], strict=False)):
            raise ValueError("the caps of a plan begin at 1 or more and rise from day to day")

    def stage_of(self, cap: int) -> int:
        """Return the last stage whose cap is not over `cap`; the first if all are."""
        return max(sum(day <= cap for day in self.days) - 1, 0)


def geometric(start: int, factor: float, end: int) -> tuple[int, ...]:
    """Return caps that begin at `start` and grow by `factor` until they reach `end`.

    Raises:
        ValueError: They would never get there, or take more than a year.
    """
    if start < 1 or end < start:
        raise ValueError("start is at least 1, and end at least start")
    if not 1.0 < factor <= 10.0:
        raise ValueError("the factor is over 1 and at most 10")
    days: list[int] = []
    cap = float(start)
    while round(cap) < end:
        days.append(max(round(cap), days[-1] + 1 if days else 1))
        cap *= factor
        if len(days) > STAGES_MOST:
            raise ValueError(f"it would take more than {STAGES_MOST} days to reach the end")
    return (*[day for day in days if day < end], end)


def shipped() -> dict[str, Plan]:
    """Return the plans that come with the program, by name."""
    text = files("ekiden.shaping").joinpath("warmup.toml").read_text(encoding="utf-8")
    return {name: _plan(name, table) for name, table in tomllib.loads(text).items()}


def _plan(name: str, table: Mapping[str, Any]) -> Plan:
    days: Sequence[int] = table["days"]
    return Plan(name, tuple(days), table["title"], table["origin"])
