"""After a kill: who of those that were being sent cannot have been sent.

The ledger (`store.ledger`) names the deliveries that were past the final dot. The others are put
back untouched, as `release` does; `Sending.recover` then finds only those that are in doubt.
"""

from collections.abc import Set as AbstractSet

from ekiden.queue.model import Claimed
from ekiden.queue.part import sql
from ekiden.queue.sending import Sending


class Recovery(Sending):
    """What `recover` need not ask anybody about."""

    async def put_back(self, past: AbstractSet[tuple[int, int]], now: float) -> int:
        """At start, before `recover`: make ready what was claimed and never handed over.

        Args:
            past: (delivery id, lease) of all that were past the final dot.
            now: UNIX seconds.

        Returns:
            How many; their attempt does not count, and nothing of it is in the history.
        """
        put_back = after = 0
        limit = self._options.chunk
        while rows := await self._db.read_json(sql("interrupted"), (after, limit)):
            after = rows[-1][0]
            claims = [_claim(*row) for row in rows if (row[0], row[1]) not in past]
            put_back += len(claims) - len(await self.release(claims, now))
        return put_back


def _claim(id_: int, lease: int) -> Claimed:
    """What `release` needs of a claim."""
    return Claimed(
        id=id_,
        job_id=0,
        lane_id=0,
        recipient="",
        destination="",
        merge=b"",
        row=0,
        attempts=0,
        doubts=0,
        lease=lease,
    )
