"""One batch of results on its way into the tables."""

from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

from ekiden.queue.model import NOT_TRIED, JobState, Settlement, State
from ekiden.queue.moves import Moves
from ekiden.queue.part import sql
from ekiden.queue.rows import (
    CANCELLED,
    CODE,
    DELIVERED,
    FIRST_FINAL,
    HELD,
    READY,
    SENDING,
    STATES,
    ms,
)
from ekiden.store.erased import erased_among
from ekiden.store.transaction import Tx, pack

_DAY_MS: Final = 86_400_000


class Results:
    """The settlements of one transaction, matched with the rows that still hold their lease.

    Args:
        tx: The transaction.
        settlements: What came of the attempts; the first one for a delivery counts.
        at: Stored milliseconds.
    """

    def __init__(self, tx: Tx, settlements: Sequence[Settlement], at: int) -> None:
        self._tx = tx
        self._at = at
        self.moves = Moves()
        self.fates: dict[int, State] = {}
        by_id: dict[int, Settlement] = {}
        for settlement in settlements:
            by_id.setdefault(settlement.claimed.id, settlement)
        leases = [[id_, settlement.claimed.lease] for id_, settlement in by_id.items()]
        found = tx.json(sql("leased"), (pack(leases),))
        self._rows: list[tuple[Settlement, list[Any]]] = [(by_id[row[0]], row) for row in found]
        known = {row[0] for row in found}
        self.stale = [id_ for id_ in by_id if id_ not in known]

    def write(self) -> None:
        """History, states and counts."""
        if not self._rows:
            return
        tx = self._tx
        seq = tx.rows(sql("last_seq"))[0][0]
        updates, attempts = [], []
        for settlement, row in self._rows:
            seq += 1
            update, attempt = self._one(settlement, row, seq)
            updates.append(update)
            attempts.append(attempt)
        tx.each(sql("add_attempts"), attempts)
        tx.each(sql("settle"), updates)
        self.moves.apply(tx)

    def _one(self, settlement: Settlement, row: list[Any], seq: int) -> tuple[list[Any], list[Any]]:
        id_, lane_id, job_id, job_state, number, doubts, last, *_ = row
        state = CODE[settlement.state]
        if job_state == JobState.CANCELLED and state in (READY, HELD):
            state = CANCELLED
        due_at = ms(settlement.due_at) if state == READY else None
        finished_at = self._at if state >= FIRST_FINAL else None
        self.fates[id_] = STATES[state]
        self.moves.note(lane_id, job_id, SENDING, state)
        if due_at is not None:
            self.moves.due(lane_id, due_at)
        update = [
            *(id_, settlement.claimed.lease, state, due_at),
            *(number - settlement.undo_attempt, doubts + settlement.in_doubt, finished_at, seq),
        ]
        tried = settlement.attempt or NOT_TRIED
        attempt = [
            *(seq, id_, last, number, state, due_at),
            *(int(settlement.attempt is not None), int(settlement.in_doubt)),
            *(ms(tried.at) if settlement.attempt else self._at, ms(tried.seconds)),
            *(tried.source, tried.site, tried.host, tried.stage, tried.code, tried.reply),
            *(tried.klass, tried.rule, tried.outcome, tried.tls, tried.size),
        ]
        return update, attempt

    def suppress(self, soft_bounces: int, soft_days: float) -> list[str]:
        """Suppress the addresses that are gone, count soft bounces, note who was reached.

        Returns:
            The addresses that this batch suppressed.
        """
        tx = self._tx
        wanted: list[list[Any]] = []
        soft: Counter[str] = Counter()
        delivered: list[str] = []
        reached: list[list[str]] = []
        for settlement, row in self._rows:
            address = row[-1]
            if settlement.suppress:
                note = settlement.attempt.reply if settlement.attempt else ""
                wanted.append([address, settlement.suppress, row[2], note])
            elif CODE[settlement.state] == DELIVERED:
                delivered.append(address)
                if contact_list := row[-2]:
                    reached.append([contact_list, address])
            elif settlement.soft:
                soft[address] += 1
        if delivered:
            tx.execute(sql("clear_soft"), (pack(delivered),))
        if reached:
            gone = erased_among(tx, {address for _, address in reached})
            there = [pair for pair in reached if pair[1] not in gone]
            tx.execute(sql("reached"), (pack(there), self._at))
        if soft:
            wanted += self._soft(soft, soft_bounces, round(soft_days * _DAY_MS))
        if wanted:
            tx.execute(sql("suppress"), (pack(wanted), self._at))
        return [address for address, *_ in wanted]

    def _soft(self, soft: Counter[str], number: int, span: int) -> list[list[Any]]:
        counts = pack(list(soft.items()))
        self._tx.execute(sql("count_soft"), (counts, self._at))
        found = self._tx.json(sql("soft_enough"), (counts, number, span))
        self._tx.execute(sql("clear_soft"), (pack([address for address, _ in found]),))
        return [
            [address, "soft_bounces", None, f"{count} soft bounces in a row"]
            for address, count in found
        ]
