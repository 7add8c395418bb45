"""What was learned of paths, kept across restarts.

A window found by asking carefully would have to be found again after every restart, by pushing
receivers that have said where their limit is. What is not met for a month is forgotten: the
receiver has forgotten it too.
"""

from collections.abc import Mapping
from typing import Final

from ekiden.queue.part import Part, sql
from ekiden.queue.rows import ms
from ekiden.store.transaction import Tx, pack

FORGOTTEN: Final = 30 * 86_400.0  # seconds


class Memory(Part):
    """Reads and writes what was learned."""

    async def remember_paths(self, learned: Mapping[str, str], now: float) -> None:
        """Keep what was learned.

        Args:
            learned: JSON by path; a path that is not named keeps what it has.
            now: UNIX seconds.
        """
        rows = pack(list(learned.items()))

        def op(tx: Tx) -> None:
            tx.execute(sql("remember_paths"), (rows, ms(now)))
            tx.execute(sql("forget_paths"), (ms(now - FORGOTTEN),))

        await self._db.write(op)

    async def paths_remembered(self) -> dict[str, str]:
        """Return what was kept, as JSON by path."""
        rows = await self._db.read(sql("path_memory"))
        return {str(path): str(learned) for path, learned in rows}
