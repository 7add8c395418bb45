"""A loaded job and the settings of intake -> the job as the queue is given it. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from ekiden.queue.model import NewJob
from ekiden.spool.jobspec import OnMissing
from ekiden.spool.loading import Loaded


@dataclass(frozen=True, slots=True)
class IntakeOptions:
    """How intake works. Times are seconds, sizes bytes.

    Args:
        rest: A direct write is complete when it has not changed for so long.
        scan: `new/` is looked at this often even when nothing was heard of it.
        retry: Wait so long after the disk or the queue refused, then try again.
        batch: Recipients per insertion, at most.
        window: Recipients held in memory at a time; there are two windows.
        workers: Files received at the same time, besides one job directory.
        free: Less free space than this, and nothing is taken.
        lifetime: A delivery is tried for so long after its time to be sent has come; waiting for
            limits of our own does not count.
        lifetimes: For configuration sets that have their own, and there everything counts.
        on_missing: What a merge field without value does in jobs that do not say.
        inline_css: Whether style sheets are worked into the HTML of jobs that do not say.
        features: What this installation does beyond sending: "tracking", "list". A job that asks
            for another is refused: a list's opt-outs must not be passed over in silence.
    """

    rest: float = 2.0
    scan: float = 2.0
    retry: float = 5.0
    batch: int = 8000
    window: int = 50_000
    workers: int = 4
    free: int = 64 * 1024 * 1024
    lifetime: float = 3 * 86_400.0
    lifetimes: Mapping[str, float] = field(default_factory=dict)
    on_missing: OnMissing = OnMissing.REFUSE
    inline_css: bool = False
    features: frozenset[str] = frozenset()


def new_job(name: str, loaded: Loaded, options: IntakeOptions, now: float) -> NewJob:
    """Return the job as the queue is given it.

    Args:
        name: The entry's name in the spool.
        loaded: The job as it was read.
        options: How intake works.
        now: UNIX seconds.
    """
    spec = loaded.spec
    own = options.lifetimes.get(spec.configuration_set)
    lifetime = options.lifetime if own is None else own
    firm = own is not None or spec.deliver_by is not None
    expires_at = max(now, spec.send_at) + lifetime
    if spec.deliver_by is not None:
        expires_at = min(expires_at, spec.deliver_by)
    scopes = ["all", f"sender:{spec.from_domain}", f"set:{spec.configuration_set or 'default'}"]
    if spec.topic:
        scopes.append(f"topic:{spec.topic}")
    return NewJob(
        uid=loaded.uid,
        name=spec.name,
        mail_from=spec.mail_from,
        from_domain=spec.from_domain,
        content=loaded.content,
        created_at=now,
        expires_at=expires_at,
        spool_name=name,
        configuration_set=spec.configuration_set,
        pool=spec.pool,
        priority=spec.priority,
        send_at=spec.send_at,
        deliver_by=spec.deliver_by,
        pace=spec.pace,
        suppression_scopes=tuple(scopes),
        contact_list=spec.contact_list,
        topic=spec.topic,
        passed_reasons=spec.passed_reasons,
        engaged_first=spec.engaged_first,
        engaged_column=spec.engaged_column,
        template=spec.template,
        patience=None if firm else lifetime,
    )
