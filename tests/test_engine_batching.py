"""Requests gather while a batch is under way; each gets its own answer or the batch's error."""

import asyncio
from collections.abc import Sequence

import pytest

from ekiden.engine.batching import Batcher
from ekiden.engine.clock import Clock


async def test_requests_gather_behind_a_running_batch() -> None:
    batches: list[list[int]] = []
    gate = asyncio.Event()

    async def work(requests: Sequence[int]) -> list[int]:
        batches.append(list(requests))
        await gate.wait()
        return [request * 10 for request in requests]

    batcher = Batcher(work, most=3)
    first = [batcher.put(1), batcher.put(2)]
    await asyncio.sleep(0.001)
    later = [batcher.put(n) for n in range(3, 8)]
    gate.set()
    assert await asyncio.gather(*first, *later) == [10, 20, 30, 40, 50, 60, 70]
    assert batches == [[1, 2], [3, 4, 5], [6, 7]]
    assert len(batcher) == 0


async def test_an_error_reaches_its_batch_alone() -> None:
    async def work(requests: Sequence[int]) -> list[int]:
        if 1 in requests:
            raise ValueError("disk full")
        return list(requests)

    batcher = Batcher(work)
    bad = batcher.put(1)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    good = batcher.put(2)
    with pytest.raises(ValueError, match="disk full"):
        await bad
    assert await good == 2
    await batcher.flushed()


async def test_a_requester_that_left_does_not_stop_the_others() -> None:
    async def work(requests: Sequence[int]) -> list[int]:
        return list(requests)

    batcher = Batcher(work)
    left, stayed = batcher.put(1), batcher.put(2)
    left.cancel()
    assert await stayed == 2


async def test_a_large_batch_is_answered_in_several_turns_of_the_loop() -> None:
    async def work(requests: Sequence[int]) -> list[int]:
        return list(requests)

    batcher, woken, turns = Batcher(work), 0, []

    def wake(_: object) -> None:
        nonlocal woken
        woken += 1

    asked = [batcher.put(n) for n in range(300)]
    for one in asked:
        one.add_done_callback(wake)
    while not asked[-1].done() or woken:
        woken = 0
        await asyncio.sleep(0)
        turns.append(woken)
    assert sum(turns) == 300
    assert max(turns) <= 64


def test_the_clock_does_not_jump() -> None:
    wall, steady = 1_000.0, 5.0
    clock = Clock(lambda: wall, lambda: steady)
    assert clock.now() == 1_000.0
    steady += 2.0
    wall = 400.0  # set back ten minutes
    assert clock.now() == 1_002.0
    assert Clock.large(clock.follow())
    assert clock.now() == 1_001.0  # follows by a step
    wall = 1_001.25
    assert not Clock.large(clock.follow())
    assert clock.now() == 1_001.25
