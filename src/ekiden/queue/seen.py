"""Which addresses a job that is being received already has: exact, in memory, without an index.

A unique index over addresses costs more than everything else in intake: its keys arrive in random
order, so every batch dirties thousands of pages (measured in docs/queue.md). A job's rows are
invisible until it is opened and are undone by a crash, so what it has seen need not be durable.

**Theory.** 256 open-addressing tables, chosen by eight bits of the address's hash; a slot holds
another 32 bits of it (the print) and the delivery's number in the job. An address whose print is
not met on its way is new, without doubt. One whose print is met is only a suspect: the caller
compares the stored address, so two addresses with one print are both kept. The tables grow one by
one at different fill levels, so that no batch pays for all of them. 11 to 21 bytes per row.

**Contract.** `screen` never calls a known address new. It may call a new one suspect; `suspects`
then gives the numbers to compare with, and `add` records it.
"""

from array import array
from collections.abc import Sequence
from typing import Final

_TABLES: Final = 256
_FIRST_SLOTS: Final = 16
_PRINT: Final = 0xFFFFFFFF


class Seen:
    """The addresses of one job, as prints."""

    __slots__ = ("_room", "_tables", "base")

    def __init__(self) -> None:
        self.base = -1  # the delivery id before the job's first; numbers count from it
        self._tables = [array("Q", bytes(8 * _FIRST_SLOTS)) for _ in range(_TABLES)]
        self._room = [self._limit(index) for index in range(_TABLES)]

    def _limit(self, index: int) -> int:
        """Entries that table `index` may take before it grows: 50 to 75 % of its slots."""
        slots = len(self._tables[index])
        return slots // 2 + slots * index // (4 * _TABLES)

    def screen(self, hashes: Sequence[int], first: int) -> list[int]:
        """Record the new ones of a batch; return the positions of the suspects, unrecorded.

        Args:
            hashes: One hash per address: 40 bits or more, any sign.
            first: The number of the first new one, at least 1 and below 2**32; the new ones that
                follow it count on, suspects are not counted.
        """
        tables, room, suspects = self._tables, self._room, []
        number = first
        for position, hash_ in enumerate(hashes):
            index = hash_ & 255
            table = tables[index]
            mark = hash_ >> 8 & _PRINT
            mask = len(table) - 1
            slot = mark & mask
            while entry := table[slot]:
                if entry >> 32 == mark:
                    suspects.append(position)
                    break
                slot = slot + 1 & mask
            else:
                table[slot] = mark << 32 | number
                number += 1
                room[index] -= 1
                if not room[index]:
                    self._grow(index)
        return suspects

    def suspects(self, hash_: int) -> list[int]:
        """The numbers of all recorded addresses with the same print."""
        table = self._tables[hash_ & 255]
        mark, mask = hash_ >> 8 & _PRINT, len(table) - 1
        slot = mark & mask
        found = []
        while entry := table[slot]:
            if entry >> 32 == mark:
                found.append(entry & _PRINT)
            slot = slot + 1 & mask
        return found

    def add(self, hash_: int, number: int) -> None:
        """Record an address that turned out to be new."""
        index = hash_ & 255
        _put(self._tables[index], (hash_ >> 8 & _PRINT) << 32 | number)
        self._room[index] -= 1
        if not self._room[index]:
            self._grow(index)

    def _grow(self, index: int) -> None:
        old = self._tables[index]
        new = self._tables[index] = array("Q", bytes(16 * len(old)))
        entries = 0
        for entry in old:
            if entry:
                _put(new, entry)
                entries += 1
        self._room[index] = self._limit(index) - entries


def _put(table: "array[int]", entry: int) -> None:
    mask = len(table) - 1
    slot = entry >> 32 & mask
    while table[slot]:
        slot = slot + 1 & mask
    table[slot] = entry
