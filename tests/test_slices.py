"""Long walks give the loop to others after each slice."""

import asyncio

from ekiden.slices import sliced


class Clock:
    """Passes a second with every item."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


async def test_a_walk_keeps_the_loop_no_longer_than_a_slice_and_an_item() -> None:
    clock, longest, others = Clock(), 0, 0
    inside = 0

    async def other() -> None:
        nonlocal inside, others
        while True:
            inside, others = 0, others + 1
            await asyncio.sleep(0)

    task = asyncio.create_task(other())
    found = []
    async for item in sliced(range(100), seconds=5, clock=clock):
        found.append(item)
        clock.now += 1
        inside += 1
        longest = max(longest, inside)
    task.cancel()
    assert found == list(range(100))
    assert longest == 5
    assert others == 20


async def test_a_short_walk_does_not_give_up_its_turn() -> None:
    ran: list[int] = []
    asyncio.get_running_loop().call_soon(ran.append, 1)
    async for _ in sliced(range(10), seconds=5, clock=Clock()):
        assert ran == []
    assert ran == []
