"""What is said of a job when it comes in: whether it makes its deadline, whether it is a jump.

| `on_late` | a job of which less than 99 % would be there in time |
|---|---|
| `send` | is sent; the verdict is in its result |
| `warn` | likewise, and the operator is told |
| `refuse` | goes to `failed/`, with the latest start that would have reached it |

A job that nothing can be said of (no estimate could be made) is sent. What was said is kept in the
transaction that opens the job: whoever sees the job sees it, and no crash comes in between.
"""

from collections.abc import Callable, Sequence

import msgspec

from ekiden.errors import RefusedError
from ekiden.forecast.estimates import Estimates
from ekiden.forecast.loads import load_of
from ekiden.forecast.model import Forecast
from ekiden.queue.model import Foretold, JobFacts
from ekiden.spool.house import Draft
from ekiden.spool.jobspec import OnLate

Part = tuple[int, str]  # messages, and the pool that they leave from


class Foresight:
    """Judges jobs before they are opened.

    Args:
        estimates: Says when they would be done.
        volume: Says how far a job departs from what its sources usually send.
        default: Returns what happens to late jobs that do not say.
        alert: Tells the operator: scope, words, job.
    """

    def __init__(
        self,
        estimates: Estimates,
        volume: Callable[[Sequence[Part]], Sequence[str]],
        *,
        default: Callable[[], OnLate],
        alert: Callable[[str, str, int | None], None],
    ) -> None:
        self._estimates = estimates
        self._volume = volume
        self._default = default
        self._alert = alert

    async def foresee(self, drafts: Sequence[Draft]) -> Foretold:
        """Return what is to be said of a job and its siblings.

        Raises:
            RefusedError: It would be late, and is not to be sent then.
        """
        volume = tuple(self._volume([(sum(one.lanes.values()), one.job.pool) for one in drafts]))
        alerts = [f"volume: {words}" for words in volume]
        found = await self._verdict(drafts)
        if found is None:
            return Foretold(volume=volume, alerts=tuple(alerts))
        on_late = drafts[0].on_late or self._default()
        if found.late and on_late is OnLate.REFUSE:
            raise RefusedError(
                f"It would be late: {found.words}.",
                where="deliver_by",
                remedy='start it earlier, set a later deliver_by, or on_late = "send"',
            )
        if found.late and on_late is OnLate.WARN:
            alerts.append(f"job {found.job} will be late: {found.words}")
        return Foretold(msgspec.json.encode(found).decode(), volume, tuple(alerts))

    def opened(self, job: JobFacts, told: Foretold) -> None:
        """Tell the operator what there is to tell of a job that was opened."""
        for words in told.alerts:
            self._alert(f"job:{job.id}", words, job.id)

    async def _verdict(self, drafts: Sequence[Draft]) -> Forecast | None:
        """Return what is to be expected of a job with a deadline; None of any other."""
        loads = [load_of(one.job, one.lanes) for one in drafts]
        if loads[0].deliver_by is None or not any(one.lanes for one in loads):
            return None
        head = msgspec.structs.replace(loads[0], siblings=tuple(loads[1:]))
        return await self._estimates.ask(head, search=True)
