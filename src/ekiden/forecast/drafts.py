"""A job that has not been submitted, as a load: its facts, and its recipients by destination."""

import os
from collections import Counter
from pathlib import Path

from ekiden import settings
from ekiden.config import Config
from ekiden.errors import RefusedError
from ekiden.forecast.model import FAR, Load
from ekiden.queue.model import Priority
from ekiden.spool.content import ContentRules
from ekiden.spool.jobspec import Shape
from ekiden.spool.loading import load_entry
from ekiden.spool.values import Context, WrongValueError, moment
from ekiden.text import printable


def read_load(
    config: Config,
    path: Path,
    *,
    start: str = "",
    now: float,
    rules: ContentRules | None = None,
) -> Load:
    """Read a job from where it lies, counting its recipients as they stream by; blocking.

    Args:
        config: The configuration.
        path: A job directory, or a .toml, .json or .eml file.
        start: Begin then instead of at the job's own `send_at`, written as it would be there.
        now: UNIX seconds.
        rules: Where a stored template is found; None knows of none.

    Raises:
        EkidenError: The job is wrong, or cannot be read.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        what = f"It cannot be read: {error.strerror}."
        raise RefusedError(what, where=printable(str(path)), remedy="check the path") from None
    owners = {os.geteuid(), os.fstat(descriptor).st_uid}
    loaded = load_entry(descriptor, path.resolve().name, owners, now, rules or ContentRules())
    try:
        spec = settings.completed(config, loaded.spec)
        settings.check_job(config, spec)
        lanes: Counter[str] = Counter()
        for batch in loaded.batches:
            for row in batch.rows:
                lanes[row.destination] += 1
    finally:
        loaded.close()
    return Load(
        id=0,
        name=spec.name,
        bulk=spec.priority is Priority.BULK,
        pool=spec.pool,
        configuration_set=spec.configuration_set,
        send_at=_begin(start, now) if start else spec.send_at,
        expires_at=FAR,
        deliver_by=spec.deliver_by,
        pace=spec.pace,
        lanes=dict(lanes),
    )


def _begin(text: str, now: float) -> float:
    try:
        return moment(text, Context(now, Shape.INLINE))
    except WrongValueError as error:
        raise RefusedError(f"--start: {error}") from None
