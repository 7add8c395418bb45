"""The queue's own types as the views that commands get."""

from collections.abc import Sequence

from ekiden.control.requests import (
    AttemptView,
    DeliveryView,
    JobView,
    SetView,
    SuppressionView,
)
from ekiden.lists.suppression import Suppression
from ekiden.queue.model import NOT_TRIED, JobFacts, State
from ekiden.queue.shown import AttemptRecord, DeliveryHistory


def job_view(
    job: JobFacts,
    forecast: tuple[str, float | None] = ("", None),
    siblings: Sequence[JobFacts] = (),
) -> JobView:
    """Return a job as commands see it, but for what was said of it when it came in.

    Args:
        job: Its facts.
        forecast: When it will be done: in words, and the time.
        siblings: The jobs of the rows that chose a set of their own.
    """
    members = (job, *siblings)
    return JobView(
        id=job.id,
        uid=job.identity,
        name=job.name,
        state=str(job.state),
        priority=job.priority.name.lower(),
        mail_from=job.mail_from,
        from_domain=job.from_domain,
        configuration_set=job.configuration_set,
        pool=job.pool,
        created_at=job.created_at,
        send_at=job.send_at,
        expires_at=job.expires_at,
        deliver_by=job.deliver_by,
        spool_name=job.spool_name,
        finished_at=job.finished_at,
        total=sum(one.total for one in members),
        refused=job.refused,
        duplicates=sum(one.duplicates for one in members),
        counts={
            str(state): sum(one.counts.get(state, 0) for one in members) for state in job.counts
        },
        template=job.template,
        forecast=forecast[0],
        ends_at=forecast[1],
        sets=tuple(_set_view(one) for one in siblings),
    )


def _set_view(sibling: JobFacts) -> SetView:
    return SetView(
        id=sibling.id,
        configuration_set=sibling.configuration_set,
        state=str(sibling.state),
        priority=sibling.priority.name.lower(),
        pool=sibling.pool,
        expires_at=sibling.expires_at,
        total=sibling.total,
        counts={str(state): number for state, number in sibling.counts.items()},
    )


def delivery_view(history: DeliveryHistory) -> DeliveryView:
    """Return a delivery with its attempts as commands see it."""
    delivery = history.delivery
    return DeliveryView(
        id=delivery.id,
        job=history.job_uid,
        job_name=history.job_name,
        recipient=delivery.recipient,
        destination=delivery.destination,
        row=delivery.row,
        state=str(delivery.state),
        due_at=delivery.due_at,
        finished_at=delivery.finished_at,
        attempts=tuple(_attempt_view(record) for record in history.attempts),
    )


def suppression_view(one: Suppression) -> SuppressionView:
    """Return a suppression as commands see it."""
    return SuppressionView(
        address=one.address,
        reason=str(one.reason),
        scope=one.scope,
        job=one.job_id,
        at=one.at,
        note=one.note,
    )


def _attempt_view(record: AttemptRecord) -> AttemptView:
    one = record.attempt or NOT_TRIED
    return AttemptView(
        number=record.number,
        at=record.at,
        fate="deferred" if record.fate is State.READY else str(record.fate),
        due_at=record.due_at,
        in_doubt=record.in_doubt,
        seconds=one.seconds,
        outcome=one.outcome,
        stage=one.stage,
        code=one.code,
        reply=one.reply,
        klass=one.klass or record.klass,
        rule=one.rule,
        source=one.source,
        site=one.site,
        host=one.host,
        tls=one.tls,
    )
