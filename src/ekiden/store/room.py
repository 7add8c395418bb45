"""How much of the database's file is given back to the disk, and in what steps.

Folding leaves free pages, which the next job uses again: a file that is given back and grown again
for every campaign would only cost. So free pages up to a quarter of the file stay in it, and 64 MiB
in any case; what is free beyond that, after the largest campaign of a year has been folded, goes
back piece by piece (SQLite's incremental vacuum moves pages from the file's end into free ones).
"""

from typing import Final

KEPT_PAGES: Final = 16_384  # 64 MiB in pages of 4 KiB
KEPT_SHARE: Final = 4  # free pages stay up to one in so many of the file's
STEP_PAGES: Final = 256  # one step: a MiB, a few milliseconds in the writer's thread


def excess(pages: int, free: int) -> int:
    """Return how many free pages the file should lose.

    Args:
        pages: Pages of the file.
        free: How many of them are free.
    """
    if free <= KEPT_PAGES:
        return 0
    # After losing n pages (free - n) is a quarter of (pages - n).
    surplus = (KEPT_SHARE * free - pages) // (KEPT_SHARE - 1)
    return max(0, min(surplus, free - KEPT_PAGES))
