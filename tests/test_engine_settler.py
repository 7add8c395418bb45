"""Settlements wait for a disk that refuses, and do not keep the daemon from ending."""

import asyncio
from collections.abc import Sequence

from ekiden.engine.settler import Settler
from ekiden.errors import UnavailableError
from ekiden.queue.model import Claimed, Settlement, State


def settlement(number: int) -> Settlement:
    claimed = Claimed(number, 1, 1, f"r{number}@a.example", "a.example", b"{}", number, 1, 0, 7)
    return Settlement(claimed, State.DELIVERED)


async def test_what_the_disk_refuses_is_written_when_it_can_be() -> None:
    room, refused = asyncio.Event(), asyncio.Event()
    written: list[int] = []

    async def write(batch: Sequence[Settlement]) -> None:
        if not room.is_set():
            refused.set()
            raise UnavailableError("the disk is full")
        written.extend(one.claimed.id for one in batch)

    done: list[int] = []
    settler = Settler(write, lambda batch: done.extend(one.claimed.id for one in batch))
    running = asyncio.create_task(settler.run())
    settler.put(settlement(1))
    settler.put(settlement(2))
    await refused.wait()
    assert not done
    room.set()
    await settler.flushed()
    assert written == done == [1, 2]
    assert settler.trouble is None
    running.cancel()


async def test_a_full_disk_does_not_keep_the_daemon_from_ending() -> None:
    async def write(_: Sequence[Settlement]) -> None:
        raise UnavailableError("the disk is full")

    settler = Settler(write, lambda _: None, patience=0.01)
    running = asyncio.create_task(settler.run())
    settler.put(settlement(1))
    await settler.flushed()
    assert settler.trouble is not None
    running.cancel()
