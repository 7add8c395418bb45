"""Reputation: the tallies of scopes, their standing, and the jobs that a stopped scope paused.

`shaping.reputation` judges; this room keeps. A scope that is stopped stays so until `resume_scope`,
whatever its tally says, and begins anew then. A job is paused by a stop only if it was open, and is
resumed with it only if no other stop holds it and nobody has changed its state meanwhile.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ekiden.queue.model import JobFacts
from ekiden.queue.part import Part, select_jobs, sql
from ekiden.queue.rows import ms, seconds
from ekiden.shaping.reputation import Judgement, Standing, Tally
from ekiden.store.transaction import Tx, pack


@dataclass(frozen=True, slots=True)
class Reputation:
    """How a scope stands.

    Args:
        scope: `sender:X`, `source:X`, `provider:X`, `set:X` or `job:ID`.
        tally: Its counts.
        standing: As it was last judged.
        reason: Why; "" when it is well.
        since: Since when (UNIX seconds).
        at: When it last changed.
    """

    scope: str
    tally: Tally
    standing: Standing
    reason: str
    since: float
    at: float


class Reputations(Part):
    """Keeps tallies and standings."""

    async def add_tallies(self, more: Mapping[str, Tally], volume: int, now: float) -> None:
        """Add what was sent and what came back, by scope.

        Args:
            more: The additions.
            volume: The representative volume.
            now: UNIX seconds.
        """
        await self._db.write(lambda tx: add_tallies(tx, more, volume, ms(now)), rows=len(more))

    async def unjudged(self, limit: int = 1000) -> list[Reputation]:
        """Scopes whose tallies have changed since they were judged."""
        return [_reputation(row) for row in await self._db.read_json(sql("unjudged"), (limit,))]

    async def pass_judgement(
        self, judgements: Mapping[str, Judgement], now: float
    ) -> list[Reputation]:
        """Write how scopes stand; returns those whose standing this changed.

        A scope that is stopped stays stopped.
        """

        def op(tx: Tx) -> list[Reputation]:
            changed = [
                scope
                for scope, one in judgements.items()
                if tx.execute(sql("set_standing"), (scope, one.standing, one.reason, ms(now)))
            ]
            tx.execute(sql("judged"), (pack(list(judgements)),))
            return [_reputation(row) for row in tx.json(sql("tallies"), (pack(changed),))]

        return await self._db.write(op, rows=len(judgements))

    async def reputations(self, standing: str = "", limit: int = 100) -> list[Reputation]:
        """How scopes stand, the worst first; only those of one standing if it is given."""
        found = await self._db.read_json(sql("standings"), (standing, limit))
        return [_reputation(row) for row in found]

    async def stop_scope(self, scope: str, reason: str, now: float) -> bool:
        """Stop a scope because a person says so; False when it is stopped already."""
        values = (scope, reason, ms(now))
        return bool(await self._db.write(lambda tx: tx.execute(sql("stop_scope"), values)))

    async def stop_jobs(self, scope: str) -> list[JobFacts]:
        """Pause the open jobs of a scope and remember them; returns them."""

        def op(tx: Tx) -> list[JobFacts]:
            ids = tx.json(sql("open_jobs_of"), (scope,))
            tx.execute(sql("pause_jobs"), (pack(ids),))
            tx.execute(sql("note_stopped"), (scope, pack(ids)))
            return [select_jobs(tx, "jobs_by_id", id_)[0] for id_ in ids]

        return await self._db.write(op)

    async def resume_scope(self, scope: str, now: float) -> list[JobFacts] | None:
        """End a stop, with a clean tally; returns the jobs that go on, None if there is none."""

        def op(tx: Tx) -> tuple[list[JobFacts], int | None] | None:
            if not tx.execute(sql("resume_scope"), (scope, ms(now))):
                return None
            ids = tx.json(sql("jobs_freed"), (scope,))
            tx.execute(sql("drop_stopped"), (scope,))
            due = []
            for id_ in ids:
                tx.execute(sql("set_job_state"), (id_, pack(["paused"]), "open"))
                due += [at for (at,) in tx.rows(sql("earliest_of_job"), (id_,)) if at is not None]
            return [select_jobs(tx, "jobs_by_id", id_)[0] for id_ in ids], min(due, default=None)

        found = await self._db.write(op)
        if found is None:
            return None
        self._note_due(found[1])
        return found[0]

    async def offer_lanes(self, now: float, within: float) -> None:
        """Let every lane that would be looked at within some seconds be looked at now."""
        span = (ms(now), ms(now + within))
        await self._db.write(lambda tx: tx.execute(sql("offer_lanes"), span))
        self._note_due(ms(now))


def add_tallies(tx: Tx, more: Mapping[str, Tally], volume: int, now: int) -> None:
    """Add to tallies inside a transaction; `now` in stored milliseconds."""
    known = {row[0]: _reputation(row) for row in tx.json(sql("tallies"), (pack(list(more)),))}
    rows = []
    for scope, one in more.items():
        old = known.get(scope)
        total = (old.tally if old else Tally()).add(one, volume)
        rows.append([scope, total.sent, total.bounced, total.complained])
    tx.execute(sql("set_tallies"), (pack(rows), now))


def _reputation(row: Sequence[Any]) -> Reputation:
    scope, sent, bounced, complained, standing, reason, since, at = row
    tally = Tally(float(sent), float(bounced), float(complained))
    return Reputation(scope, tally, Standing(standing), reason, seconds(since), seconds(at))
