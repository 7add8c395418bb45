"""A job that is not in the queue yet, as a forecast sees it: drafted by a person or coming in."""

from collections.abc import Mapping

from ekiden.forecast.model import FAR, Load
from ekiden.queue.model import NewJob, Priority
from ekiden.spool.jobspec import JobSpec


def load_of(job: NewJob | JobSpec, lanes: Mapping[str, int]) -> Load:
    """Return the load that a job would be; `id` 0, and no end but its deadline.

    Args:
        job: What is asked for.
        lanes: Messages by destination.
    """
    return Load(
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
