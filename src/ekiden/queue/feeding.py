"""Feeding the scheduler: the timeline of lanes, and windows into them.

**The timeline.** `lane.due_at` is the earliest time a lane is worth looking at. A cursor over
`(due_at, id)` up to now meets each such lane once: the scheduler takes it over, loads windows of it
and, when it has nothing to do with the lane for a while, parks it at its next time. A delivery that
comes back (retry, release, recovery) lowers its lane's time, or sets it when the lane was empty.

**Nothing is missed** because of one rule: a write that makes something due before the cursor's
place notes that time, and the feeder moves its cursor back to `take_rewind()` before it reads on.
Meeting a lane twice is harmless; it is known by its id.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from ekiden.queue.model import LaneFacts, Priority, Waiting, WindowRequest
from ekiden.queue.part import Part, sql
from ekiden.queue.rows import ms, optional_ms, optional_seconds, seconds
from ekiden.queue.shown import Suspension
from ekiden.store.transaction import Tx, pack

LOOK_AGAIN: Final = 5000  # lanes that are put back in one write


class Feeding(Part):
    """What the feeder asks."""

    async def lanes_due(
        self, until: float, after: tuple[float, int], limit: int, priority: Priority
    ) -> list[LaneFacts]:
        """Lanes of open jobs that are worth looking at, in the order of the timeline.

        Args:
            until: Now, UNIX seconds.
            after: The cursor: `(due_at, id)` of the last lane met; `(float("-inf"), 0)` at first.
            limit: At most so many.
            priority: Lanes of jobs with this priority.

        Returns:
            Lanes with something ready, suspended destinations left out.
        """
        found = await self._db.read_json(
            sql("lanes_due"),
            {
                "priority": int(priority),
                "due_at": ms(after[0]),
                "id": after[1],
                "until": ms(until),
                "limit": limit,
            },
        )
        return [
            LaneFacts(
                id=id_,
                job_id=job_id,
                destination=destination,
                priority=Priority(level),
                ready=ready,
                due_at=seconds(due_at),
            )
            for id_, job_id, destination, level, ready, due_at in found
        ]

    async def windows(
        self, requests: Sequence[WindowRequest], until: float
    ) -> dict[int, list[Waiting]]:
        """The next ready deliveries of lanes, in the order they are due; one statement for all.

        Args:
            requests: One per lane.
            until: Deliveries due later are left out; UNIX seconds.

        Returns:
            A list for each lane asked for, empty when nothing is due.
        """
        if not requests:
            return {}
        asked = [[r.lane_id, ms(r.after_due), r.after_id] for r in requests]
        most = max(request.limit for request in requests)
        found = await self._db.read_json(sql("windows"), (pack(asked), ms(until), most))
        limits = {request.lane_id: request.limit for request in requests}
        return {
            lane: [
                Waiting(id_, seconds(due_at), source or "")
                for id_, due_at, source in rows[: limits[lane]]
            ]
            for lane, rows in found
        }

    async def next_due(self, lane_ids: Sequence[int]) -> dict[int, float | None]:
        """When each lane's next delivery is due, past or future; None when nothing is ready."""
        found = await self._db.read_json(sql("next_due"), (pack(list(lane_ids)),))
        return {lane: optional_seconds(due_at) for lane, due_at in found}

    async def park(
        self, lanes: Mapping[int, float | None], own: Mapping[int, int] | None = None
    ) -> None:
        """Say when lanes are worth looking at again.

        Args:
            lanes: Lane to UNIX seconds, or to None for "when its next delivery is due", which is
                looked up in the same transaction and so cannot overlook a retry just written.
            own: Of these, the lanes that wait until then for limits of our own, and their jobs:
                that puts their ends off, where those are not firm.
        """
        waits = pack([[lane, job, optional_ms(lanes[lane])] for lane, job in (own or {}).items()])
        batch = pack([[lane, optional_ms(due_at)] for lane, due_at in lanes.items()])
        drained = pack([lane for lane, due_at in lanes.items() if due_at is None])

        def op(tx: Tx) -> int | None:
            tx.execute(sql("park"), (batch,))
            if own:
                tx.execute(sql("put_off_lanes"), (waits,))
                tx.execute(sql("put_off_job"), (waits,))
            earliest: int | None = tx.rows(sql("earliest_of_lanes"), (drained,))[0][0]
            return earliest

        self._note_due(await self._db.write(op, rows=len(lanes)))

    async def suspend(self, pattern: str, until: float | None, reason: str, now: float) -> None:
        """Offer no lane of these destinations until a time, or until `unsuspend`.

        Args:
            pattern: A destination, or a glob such as `*.example`; case does not matter.
            until: UNIX seconds; None for ever.
            reason: Shown to people.
            now: UNIX seconds.
        """
        values = (pattern.lower(), optional_ms(until), reason, ms(now))
        await self._db.write(lambda tx: tx.execute(sql("suspend"), values))

    async def look_again(self, pattern: str) -> None:
        """Take lanes that were put aside for something that is over back to when they are due.

        What held them until a time (a suspension, a cap, a path in trouble) may have been lifted
        by a person before that time.

        Args:
            pattern: Their destinations, as for `suspend`.
        """
        after = 0
        while True:
            # Walks the lanes on the reading connection, where it keeps nobody waiting.
            rows = await self._db.read(sql("put_aside"), (pattern.lower(), after, LOOK_AGAIN))
            if not rows:
                return
            await self.park({lane: None for (lane,) in rows})
            after = rows[-1][0]

    async def unsuspend(self, pattern: str) -> bool:
        """Lift a suspension: its lanes are met again at once; False when there was none."""
        return bool(await self._lift([pattern.lower()]))

    async def lift_lapsed(self, now: float) -> list[str]:
        """Lift the suspensions whose time has passed; returns their patterns.

        To be called at least once a minute: a lane that lay behind a suspension is only met again
        after this has rewound the cursor.
        """
        rows = await self._db.read(sql("lapsed"), (ms(now),))
        return await self._lift([pattern for (pattern,) in rows]) if rows else []

    async def suspensions(self) -> list[Suspension]:
        """All suspensions."""
        found = await self._db.read_json(sql("suspensions"))
        return [
            Suspension(pattern, optional_seconds(until), reason, seconds(at))
            for pattern, until, reason, at in found
        ]

    async def lanes_waiting(self, after: int, limit: int) -> list[tuple[int, int, str, int]]:
        """Lanes of open jobs with something ready, due or not, in the order of ids.

        Args:
            after: The last lane of the page before; 0 at first.
            limit: At most so many.

        Returns:
            Lane, job, destination, how many are ready.
        """
        found = await self._db.read_json(sql("lanes_waiting"), (after, limit))
        return [(lane, job, destination, ready) for lane, job, destination, ready in found]

    async def _lift(self, patterns: Sequence[str]) -> list[str]:
        def op(tx: Tx) -> list[str]:
            return [pattern for pattern in patterns if tx.execute(sql("unsuspend"), (pattern,))]

        lifted = await self._db.write(op)
        for pattern in lifted:
            await self.look_again(pattern)
            rows = await self._db.read(sql("earliest_of_pattern"), (pattern,))
            self._note_due(rows[0][0])
        return lifted
