"""What is past the final dot: noted while the daemon runs, and said at start after a crash."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final, Literal

import structlog

from ekiden.queue.model import Claimed, Settlement
from ekiden.queue.queue import Queue
from ekiden.store.ledger import Ledger

_log = structlog.get_logger()
_SHOWN: Final = 20  # deliveries in doubt that are named in the log


class Doubt:
    """Keeps the ledger of this run, and settles with that of the last.

    Args:
        queue: Where the deliveries are.
        database: Its file; the ledger stands beside it.
    """

    def __init__(self, queue: Queue, database: Path) -> None:
        self._queue = queue
        self._database = database
        self._ledger: Ledger | None = None

    async def recover(self, now: float, policy: Literal["resend", "hold"]) -> None:
        """Say what was on the wire when the last run died, and put it back.

        Args:
            now: UNIX seconds.
            policy: What becomes of deliveries in doubt (`delivery.in_doubt`).
        """
        past = Ledger.read(self._database)
        if past is not None:
            await self._queue.put_back(past, now)
        recovered = await self._queue.recover(now, policy)
        for one in recovered[:_SHOWN]:
            _log.warning(
                "in flight at the crash",
                recipient=one.recipient,
                job=one.job_id,
                attempt=one.attempts,
                now=str(one.state),
            )
        if recovered:
            _log.warning(
                "deliveries may arrive twice",
                count=len(recovered),
                remedy="each is an in_doubt event in the event log",
            )
        self._ledger = Ledger.begin(self._database)

    def handing_over(self, claimed: Claimed) -> None:
        """Note a delivery just before the end of its content is handed over."""
        if self._ledger is not None:
            self._ledger.note(claimed.id, claimed.lease)

    def settled(self, settlements: Sequence[Settlement]) -> None:
        """Hear that what became of deliveries is committed."""
        if self._ledger is not None:
            for settlement in settlements:
                self._ledger.settled(settlement.claimed.id, settlement.claimed.lease)

    def end(self) -> None:
        """Remove the ledger: everything is settled."""
        if self._ledger is not None:
            self._ledger.end()
