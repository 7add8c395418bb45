"""Long walks in short turns of the event loop.

Ten thousand sites are walked in a tenth of a second, and for as long nobody's reply is read. Who
walks them through `sliced` keeps the loop for a slice at a time; what changes between two slices is
the walker's to bear: give it a copy of what others change (`list(table.values())`), not the table.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Final, TypeVar

T = TypeVar("T")

SLICE: Final = 0.002  # seconds: a tenth of the lag that is allowed to all that happens in one turn


async def sliced(
    items: Iterable[T], *, seconds: float = SLICE, clock: Callable[[], float] = time.perf_counter
) -> AsyncIterator[T]:
    """Give items on, and the loop to others whenever a slice is over.

    Args:
        items: What is walked; a generator does its own work inside the slices.
        seconds: A slice; looked at after each item.
        clock: Seconds that pass; a test's.
    """
    until = clock() + seconds
    for item in items:
        yield item
        if clock() >= until:
            await asyncio.sleep(0)
            until = clock() + seconds
