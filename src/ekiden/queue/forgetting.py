"""Forgetting a person: what the queue has of an address is blanked, and nothing more goes to it.

The rows stay, so that counts and reports still add up: a delivery to `erased@` its destination,
without merge data and without what receivers said. What waits is suppressed first (class `erased`).
What is on the wire at this moment cannot be called back; it is counted, and forgotten by asking
again once it has ended.
"""

from binascii import crc32

from ekiden.queue.model import State
from ekiden.queue.part import Part, end_rows, sql
from ekiden.queue.rows import CODE, FIRST_FINAL, SENDING, STATES, address_key, ms
from ekiden.store.transaction import Tx, pack


class Forgetting(Part):
    """Forgets people."""

    async def forget_recipient(
        self, recipient: str, destination: str, now: float
    ) -> tuple[int, int]:
        """Blank every delivery to an address.

        Args:
            recipient: The address.
            destination: Its domain as A-labels.
            now: UNIX seconds.

        Returns:
            How many were blanked, and how many are being sent now and were not.
        """
        key = address_key(recipient, destination)
        prints = crc32(key.encode()).to_bytes(4, "big")
        blanked = left = 0
        for run in await self._db.read(sql("runs_with"), (prints,)):
            done, busy = await self._db.write(
                lambda tx, run=run: _forget(tx, run, key, ms(now))  # type: ignore[misc]  # bound now
            )
            blanked += done
            left += busy
        return blanked, left


def _forget(tx: Tx, run: tuple[int, int], key: str, now: int) -> tuple[int, int]:
    rows = tx.json(sql("of_person"), (*run, key))
    for id_, lane, job, state in rows:
        if state < FIRST_FINAL and state != SENDING:
            change = (STATES[state], State.SUPPRESSED)
            end_rows(tx, job, [[id_, lane, "erased"]], change, now)
    ids = pack([id_ for id_, _, _, state in rows if state != CODE[State.SENDING]])
    tx.execute(sql("forget_replies"), (ids,))
    tx.execute(sql("forget_reactions"), (ids,))
    blanked = tx.execute(sql("forget_payloads"), (ids,))
    return blanked, len(rows) - blanked
