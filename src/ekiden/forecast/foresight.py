"""What a job with a deadline is told when it comes in: whether it will make it.

| `on_late` | a job of which less than 99 % would be there in time |
|---|---|
| `send` | is sent; the verdict is in its result |
| `warn` | likewise, and the operator is told |
| `refuse` | goes to `failed/`, with the latest start that would have reached it |

A job that nothing can be said of (no estimate could be made) is sent.
"""

from collections.abc import Callable, Mapping

import msgspec

from ekiden.errors import RefusedError
from ekiden.forecast.estimates import Estimates
from ekiden.forecast.model import FAR, Forecast, Load
from ekiden.queue.memory import Kind
from ekiden.queue.model import JobFacts, NewJob, Priority
from ekiden.queue.queue import Queue
from ekiden.spool.jobspec import OnLate


class Foresight:
    """Judges jobs with a deadline.

    Args:
        estimates: Says when they would be done.
        queue: Keeps the verdicts until the jobs end.
        default: Returns what happens to jobs that do not say.
        alert: Tells the operator: scope, words, job.
        now: UNIX seconds.
    """

    def __init__(
        self,
        estimates: Estimates,
        queue: Queue,
        *,
        default: Callable[[], OnLate],
        alert: Callable[[str, str, int | None], None],
        now: Callable[[], float],
    ) -> None:
        self._estimates = estimates
        self._queue = queue
        self._default = default
        self._alert = alert
        self._now = now

    async def foresee(
        self, job: NewJob, on_late: OnLate | None, lanes: Mapping[str, int]
    ) -> Forecast | None:
        """Return what is to be expected of a job with a deadline; None of any other.

        Raises:
            RefusedError: It would be late, and is not to be sent then.
        """
        if job.deliver_by is None:
            return None
        load = Load(
            id=0,
            name=job.name,
            bulk=job.priority is Priority.BULK,
            pool=job.pool,
            configuration_set=job.configuration_set,
            send_at=job.send_at,
            expires_at=FAR,
            deliver_by=job.deliver_by,
            pace=job.pace,
            lanes=dict(lanes),
        )
        found = await self._estimates.ask(load, search=True)
        if found is not None and found.late and (on_late or self._default()) is OnLate.REFUSE:
            raise RefusedError(
                f"It would be late: {found.words}.",
                where="deliver_by",
                remedy='start it earlier, set a later deliver_by, or on_late = "send"',
            )
        return found

    async def note(self, job: JobFacts, on_late: OnLate | None, found: Forecast) -> None:
        """Keep the verdict of a job that was taken, and tell the operator of a late one."""
        text = msgspec.json.encode(found).decode()
        await self._queue.remember(Kind.FORECAST, {str(job.id): text}, self._now())
        if found.late and (on_late or self._default()) is OnLate.WARN:
            self._alert(f"job:{job.id}", f"job {job.name} will be late: {found.words}", job.id)
