"""Steady volume: what is a jump, and what is told of it."""

import json
from pathlib import Path

import pytest

from ekiden.duties.volumes import Volumes
from ekiden.engine.schedule.facts import SourceFacts
from ekiden.queue.memory import Kind
from ekiden.queue.queue import Queue
from ekiden.shaping.volume import day_of, jump, mean
from ekiden.store.database import Database
from scheduler_world import START

TODAY = day_of(START)
STEADY = dict.fromkeys(range(TODAY - 30, TODAY), 2_000)


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        (STEADY, 2_000.0),
        ({**STEADY, TODAY: 90_000}, 2_000.0),
        ({**STEADY, TODAY - 40: 90_000}, 2_000.0),
        ({TODAY - 10: 5_000}, 500.0),
        ({TODAY - 3: 5_000}, None),
        ({}, None),
    ],
)
def test_the_mean_is_over_the_days_that_are_past(
    counts: dict[int, int], expected: float | None
) -> None:
    assert mean(counts, TODAY) == expected


def test_a_jump_says_what_receivers_see_and_what_would_be_none() -> None:
    found = jump("a1", 12_000, STEADY, TODAY)
    assert found is not None
    assert (found.mean, found.days) == (2_000.0, 2)
    assert "6.0 times its mean of 2,000 a day" in str(found)
    assert "spread over 2 days" in str(found)


@pytest.mark.parametrize(
    ("messages", "counts"),
    [(6_000, STEADY), (900, dict.fromkeys(STEADY, 1)), (100_000, {TODAY - 2: 10})],
)
def test_what_is_no_jump(messages: int, counts: dict[int, int]) -> None:
    assert jump("a1", messages, counts, TODAY) is None


async def test_a_job_is_pointed_out_by_its_sources_share_and_counts_are_kept(
    tmp_path: Path,
) -> None:
    database = await Database.open(tmp_path / "q.db")
    try:
        queue = Queue(database)
        counts = json.dumps({TODAY - 1: 2_000, TODAY - 10: 2_000})
        await queue.remember(Kind.VOLUME, {"a1": counts}, START)
        sources = [SourceFacts("a1", ("",)), SourceFacts("b1", ("", "other"))]
        volumes = Volumes(queue, lambda: sources, now=lambda: START)
        await volumes.recall()
        (found,) = volumes.unusual([(20_000, "")])
        assert found.startswith("10,000 messages from a1 ")
        assert volumes.unusual([(20_000, "other")]) == []
        assert volumes.unusual([(1_000, ""), (1_000, "other")]) == []
        (found,) = volumes.unusual([(1_600, ""), (1_000, "")])  # sets that share their sources
        assert found.startswith("1,300 messages from a1 ")
    finally:
        await database.close()
