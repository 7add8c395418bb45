"""Sending: claim, settle, release, recover. Every write after the claim presents the lease.

| method | from | to | when |
|---|---|---|---|
| `claim` | ready | sending | a session takes deliveries; attempts + 1 |
| `claim` | ready | suppressed | the recipient is not mailed (checked in the same transaction) |
| `settle` | sending | ready, held or final | the attempt is over |
| `settle` | sending | cancelled | it would be ready or held again, but the job was cancelled |
| `release` | sending | ready | claimed and never tried; attempts - 1 |
| `recover` | sending | ready or held | the process died while it was being sent |

A row whose state or lease is not the expected one is left alone and reported back.
"""

from collections.abc import Sequence
from typing import Any, Final, Literal

from msgspec.structs import replace

from ekiden.queue.model import (
    NOT_TRIED,
    Claimed,
    ClaimResult,
    JobState,
    Recovered,
    Settlement,
    SettleResult,
    State,
)
from ekiden.queue.moves import Moves
from ekiden.queue.part import Part, end_rows, sql
from ekiden.queue.rows import READY, SENDING, ms, seconds
from ekiden.queue.settling import Results
from ekiden.store.erased import erased_among
from ekiden.store.transaction import Tx, pack

_ERASED: Final = "erased"  # as lists.model.Refusal has it
_CRASHED: Final = replace(
    NOT_TRIED,
    stage="body",
    reply="the process ended while this was being sent; it may have arrived",
    klass="in_doubt",
    outcome="in_doubt",
)


class Sending(Part):
    """From a claim to what came of it."""

    async def claim(self, ids: Sequence[int], lease: int, now: float) -> ClaimResult:
        """Take deliveries for a session.

        Args:
            ids: Deliveries from windows.
            lease: A random number, 1 to 2**63 - 1; later writes must present it.
            now: UNIX seconds.

        Returns:
            Who may be sent (after the commit), who is suppressed, who is withheld.
        """
        wanted = list(dict.fromkeys(ids))
        return await self._db.write(lambda tx: _claim(tx, wanted, lease, now), rows=len(wanted))

    async def settle(self, settlements: Sequence[Settlement], now: float) -> SettleResult:
        """Write what came of attempts: history, states, counts, suppressions.

        Args:
            settlements: The first one for a delivery counts.
            now: UNIX seconds; `finished_at` of those that end.
        """
        options = self._options

        def op(tx: Tx) -> tuple[SettleResult, int | None]:
            results = Results(tx, settlements, ms(now))
            results.write()
            suppressed = results.suppress(options.soft_bounces, options.soft_bounce_days)
            earliest = results.moves.earliest
            found = SettleResult(
                stale=results.stale,
                suppressed=suppressed,
                earliest=None if earliest is None else seconds(earliest),
            )
            return found, earliest

        found, earliest = await self._db.write(op, rows=len(settlements))
        self._note_due(earliest)
        return found

    async def release(self, claims: Sequence[Claimed], now: float) -> list[int]:
        """Give back what was claimed and never tried; returns the ids that were not held.

        What belongs to a job that was cancelled meanwhile becomes cancelled.
        """

        def op(tx: Tx) -> tuple[list[int], int | None]:
            return _release(tx, claims, ms(now))

        stale, earliest = await self._db.write(op, rows=len(claims))
        self._note_due(earliest)
        return stale

    async def recover(
        self, now: float, policy: Literal["resend", "hold"] = "resend"
    ) -> list[Recovered]:
        """At start: what was being sent when the process died is in doubt; never lost.

        Args:
            now: UNIX seconds.
            policy: "hold" keeps them for a person; "resend" sends them again with the same
                Message-ID, at most `QueueOptions.doubts` times each, then holds.

        Returns:
            All of them, with where they went.
        """
        limit = self._options.chunk
        doubts = 0 if policy == "hold" else self._options.doubts
        recovered: list[Recovered] = []
        while piece := await self._db.write(lambda tx: _recover(tx, limit, doubts, now)):
            recovered += piece
            self._note_due(ms(now))
        return recovered


def _claim(tx: Tx, wanted: Sequence[int], lease: int, now: float) -> ClaimResult:
    claimed: list[Claimed] = []
    withheld: list[int] = []
    suppressed: dict[int, list[list[Any]]] = {}
    moves = Moves()
    rows = tx.json(sql("claim_candidates"), (pack(wanted), ms(now)))
    erased = erased_among(tx, {row[10] for row in rows})
    for row in rows:
        id_, job_id, lane_id, recipient, destination, merge, line, attempts, doubts, live = row[:10]
        why = _ERASED if row[10] in erased else row[11]
        if not live:
            withheld.append(id_)
        elif why:
            suppressed.setdefault(job_id, []).append([id_, lane_id, why])
        else:
            moves.note(lane_id, job_id, READY, SENDING)
            claimed.append(
                Claimed(
                    id=id_,
                    job_id=job_id,
                    lane_id=lane_id,
                    recipient=recipient,
                    destination=destination,
                    merge=merge.encode(),
                    row=line,
                    attempts=attempts,
                    doubts=doubts,
                    lease=lease,
                )
            )
    if claimed:
        tx.execute(sql("claim"), (pack([item.id for item in claimed]), lease))
        moves.apply(tx)
    for job_id, ending in suppressed.items():
        end_rows(tx, job_id, ending, (State.READY, State.SUPPRESSED), ms(now))
    ended = [id_ for ending in suppressed.values() for id_, *_ in ending]
    return ClaimResult(claimed=claimed, suppressed=ended, withheld=withheld)


def _release(tx: Tx, claims: Sequence[Claimed], now: int) -> tuple[list[int], int | None]:
    leases = {claim.id: claim.lease for claim in claims}
    moves = Moves()
    rows = []
    ended: dict[int, list[list[int]]] = {}
    for row in tx.json(sql("leased"), (pack(list(leases.items())),)):
        id_, lane_id, job_id, job_state, attempts, doubts, last, due_at, *_ = row
        rows.append([id_, leases[id_], READY, due_at, attempts - 1, doubts, None, last])
        moves.note(lane_id, job_id, SENDING, READY)
        moves.due(lane_id, due_at)
        if job_state == JobState.CANCELLED:
            ended.setdefault(job_id, []).append([id_, lane_id])
    tx.each(sql("settle"), rows)
    moves.apply(tx)
    for job_id, pairs in ended.items():
        end_rows(tx, job_id, pairs, (State.READY, State.CANCELLED), now)
    return [id_ for id_ in leases if id_ not in {row[0] for row in rows}], moves.earliest


def _in_flight(row: Sequence[Any]) -> Claimed:
    id_, job_id, lane_id, recipient, destination, line, attempts, doubts, lease = row
    return Claimed(
        id=id_,
        job_id=job_id,
        lane_id=lane_id,
        recipient=recipient,
        destination=destination,
        merge=b"",  # not needed to put it back
        row=line,
        attempts=attempts,
        doubts=doubts,
        lease=lease,
    )


def _recover(tx: Tx, limit: int, doubts: int, now: float) -> list[Recovered]:
    """Put one piece of what was in flight back, as in doubt."""
    found = tx.json(sql("in_flight"), (limit,))
    crashed = replace(_CRASHED, at=now)
    settlements = [
        Settlement(
            claimed=_in_flight(row),
            state=State.READY if row[7] < doubts else State.HELD,
            due_at=now,
            attempt=crashed,
            in_doubt=True,
        )
        for row in found
    ]
    results = Results(tx, settlements, ms(now))
    results.write()
    return [
        Recovered(
            id=item.claimed.id,
            job_id=item.claimed.job_id,
            recipient=item.claimed.recipient,
            destination=item.claimed.destination,
            row=item.claimed.row,
            attempts=item.claimed.attempts,
            doubts=item.claimed.doubts + 1,
            state=results.fates[item.claimed.id],
        )
        for item in settlements
    ]
